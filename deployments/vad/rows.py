"""Frames and recurrent states of many listeners, as they travel: one row a listener, packed as bytes.

Frames travel as 16-bit PCM, states as float32. A listener's first frame comes without a state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio, from_pcm16, to_pcm16
from conversation.errors import StageFailed
from conversation.stages import FRAME_SAMPLES, VadState

FRAME_BYTES = 2 * FRAME_SAMPLES
"""As it travels."""


@dataclass(frozen=True, slots=True)
class Rows:
    pcm: bytes
    known: bytes
    """One byte a row: 1 where a state came along."""
    states: bytes
    """Of the rows that have one, in order."""

    def __len__(self) -> int:
        return len(self.known)


def pack(frames: NDArray[np.float32], states: Sequence[VadState | None]) -> Rows:
    """Raises StageFailed unless frames are (B, FRAME_SAMPLES) with B states, B >= 1."""
    if frames.ndim != 2 or frames.shape[1] != FRAME_SAMPLES or len(frames) != len(states) or not len(frames):
        raise StageFailed("vad", f"frames of shape {frames.shape} do not go with {len(states)} states")
    carried = [np.asarray(state, np.float32).tobytes() for state in states if state is not None]
    known = bytes(state is not None for state in states)
    return Rows(to_pcm16(Audio(frames.reshape(-1), HEARING_HZ)), known, b"".join(carried))


def unpack(rows: Rows) -> tuple[NDArray[np.float32], list[VadState | None]]:
    frames = from_pcm16(rows.pcm, HEARING_HZ).samples.reshape(len(rows), FRAME_SAMPLES)
    carried = iter(split_states(rows.states, sum(rows.known)))
    return frames, [next(carried) if known else None for known in rows.known]


def join(many: Sequence[Rows]) -> Rows:
    return Rows(
        b"".join(rows.pcm for rows in many),
        b"".join(rows.known for rows in many),
        b"".join(rows.states for rows in many),
    )


def split_states(packed: bytes, count: int) -> list[VadState]:
    """`count` states of one length."""
    return list(np.frombuffer(packed, np.float32).reshape(count, -1)) if count else []
