"""Which segments of a call are decoded together, and which hold nothing to decode.

Rows of one batch must be alike in what the model is told for the whole batch. This module knows no model.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from conversation.audio import HEARING_HZ, Audio
from conversation.errors import StageFailed
from conversation.stages import Hints

LONGEST_S = 30.0
"""The most that `SegmentAsr` may be given."""

SHORTEST_S = 0.06
"""One frame of the encoders of Paraformer and SenseVoice; nobody says anything in less."""

SILENCE_PEAK = 1e-3
"""-60 dBFS. Any microphone's own noise is louder, so nobody can have spoken."""

K = TypeVar("K", bound=Hashable)


def hints_of_each(segments: Sequence[Audio], hints: Sequence[Hints]) -> Sequence[Hints]:
    """As many hints as segments.

    Raises StageFailed for another number of hints, another rate than 16 kHz, or more than LONGEST_S.
    """
    if hints and len(hints) != len(segments):
        raise StageFailed("asr", f"{len(segments)} segments came with the hints of {len(hints)}")
    for segment in segments:
        if segment.rate_hz != HEARING_HZ:
            raise StageFailed("asr", f"a segment must be at {HEARING_HZ} Hz, got {segment.rate_hz} Hz")
        if segment.duration_s > LONGEST_S:
            raise StageFailed(
                "asr",
                f"a segment may last {LONGEST_S:.0f} s, got {segment.duration_s:.1f} s; cut it at a pause",
            )
    return hints or [Hints()] * len(segments)


def batches(segments: Sequence[Audio], told: Sequence[K], limit: int) -> Iterator[tuple[K, list[int]]]:
    """What is told, and the numbers of up to `limit` segments that are told it; silent ones are in none.

    Neighbours in length go together, so that little is computed for padding.
    """
    alike: dict[K, list[int]] = {}
    for number, (segment, key) in enumerate(zip(segments, told, strict=True)):
        if _is_audible(segment):
            alike.setdefault(key, []).append(number)
    for key, numbers in alike.items():
        numbers.sort(key=lambda number: len(segments[number]))
        for start in range(0, len(numbers), limit):
            yield key, numbers[start : start + limit]


def _is_audible(segment: Audio) -> bool:
    return segment.duration_s >= SHORTEST_S and bool(np.abs(segment.samples).max() >= SILENCE_PEAK)
