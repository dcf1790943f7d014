"""What every recogniser of whole segments makes sure of before its model hears anything. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.errors import StageFailed
from conversation.stages import Hints

LONGEST_S = 30.0
"""The most that `SegmentAsr` may be given."""

SILENCE_PEAK = 1e-3
"""-60 dBFS. Any microphone's own noise is louder, so nobody can have spoken."""


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


def is_audible(samples: Samples) -> bool:
    """Whether anybody can have spoken."""
    return bool(np.abs(samples).max(initial=0.0) >= SILENCE_PEAK)
