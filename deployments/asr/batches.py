"""Which segments of a call are decoded together, and which hold nothing to decode.

Rows of one batch must be alike in what the model is told for the whole batch. This module knows no model.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

from conversation.audio import Audio
from deployments.asr.segments import is_audible

SHORTEST_S = 0.06
"""One frame of the encoders of Paraformer and SenseVoice; nobody says anything in less."""

K = TypeVar("K", bound=Hashable)


def batches(segments: Sequence[Audio], told: Sequence[K], limit: int) -> Iterator[tuple[K, list[int]]]:
    """What is told, and the numbers of up to `limit` segments that are told it; silent ones are in none.

    Neighbours in length go together, so that little is computed for padding.
    """
    alike: dict[K, list[int]] = {}
    for number, (segment, key) in enumerate(zip(segments, told, strict=True)):
        if segment.duration_s >= SHORTEST_S and is_audible(segment.samples):
            alike.setdefault(key, []).append(number)
    for key, numbers in alike.items():
        numbers.sort(key=lambda number: len(segments[number]))
        for start in range(0, len(numbers), limit):
            yield key, numbers[start : start + limit]
