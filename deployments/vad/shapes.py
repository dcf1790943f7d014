"""What a voice activity detector may be given: frames, and as many states of its own making."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conversation.errors import StageFailed
from conversation.stages import FRAME_SAMPLES, VadState


def check(frames: NDArray[np.float32], states: Sequence[VadState | None], state_values: int) -> None:
    """Raises StageFailed unless frames are (B, FRAME_SAMPLES), states B of (state_values,), all float32."""
    if frames.ndim != 2 or frames.shape[1] != FRAME_SAMPLES or not len(frames):
        raise StageFailed("vad", f"frames must be of shape (B, {FRAME_SAMPLES}), B >= 1; got {frames.shape}")
    if frames.dtype != np.float32:
        raise StageFailed("vad", f"frames must be float32, got {frames.dtype}")
    if len(states) != len(frames):
        raise StageFailed("vad", f"{len(frames)} frames came with {len(states)} states")
    for row, state in enumerate(states):
        if state is not None and (state.shape != (state_values,) or state.dtype != np.float32):
            raise StageFailed(
                "vad",
                f"state {row} must be float32 of shape ({state_values},), got {state.dtype} "
                f"of shape {state.shape}; was it made by another model?",
            )
