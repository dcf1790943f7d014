"""Numbers from measurements. Knows no model and no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Latencies = dict[str, float]
"""n, p50, p90, p99, max; in ms."""


def latencies(values_ms: Sequence[float]) -> Latencies | None:
    """None of none."""
    if not values_ms:
        return None
    p50, p90, p99 = np.percentile(values_ms, [50, 90, 99])
    numbers = {"p50": p50, "p90": p90, "p99": p99, "max": max(values_ms)}
    return {"n": len(values_ms), **{name: round(float(ms), 1) for name, ms in numbers.items()}}


def most_streams(levels: Mapping[int, Latencies | None], percentile: str, limit_ms: float) -> int:
    """The most streams of which that percentile stayed under the limit; 0 when it never did.

    A level above one that failed does not count: that it held was luck.
    """
    most = 0
    for streams, level in sorted(levels.items()):
        if level is None or level[percentile] >= limit_ms:
            break
        most = streams
    return most


def shares(total: int, among: int) -> list[int]:
    """`total` dealt out as evenly as can be; a share may be 0."""
    return [total // among + (turn < total % among) for turn in range(among)]


def phases_s(streams: int, period_s: float) -> list[float]:
    """When in a period each stream's chunks come: each at its own time, and together evenly."""
    return [period_s * stream / streams for stream in range(streams)]


@dataclass(frozen=True, slots=True)
class SpokenChunk:
    """When a chunk of speech was there, from the request on, and how much of it there was."""

    at_s: float
    audio_s: float


def gap_s(chunks: Sequence[SpokenChunk]) -> float:
    """The longest silence that a listener hears inside the speech because a chunk came late."""
    if not chunks:
        return 0.0
    plays_until_s, longest = chunks[0].at_s, 0.0
    for chunk in chunks:
        longest = max(longest, chunk.at_s - plays_until_s)
        plays_until_s = max(plays_until_s, chunk.at_s) + chunk.audio_s
    return longest
