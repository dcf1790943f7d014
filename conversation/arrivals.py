"""When a client's audio was spoken, on the loop's clock, though it comes in chunks and in bursts.

It believes that the client sends as it records. One that sends faster, or not at all for a while, is
believed again a few seconds later.
"""

from __future__ import annotations

from math import inf

from conversation.audio import HEARING_HZ

_KEPT_S = 2.0
"""The earliest arrival counts of so much at the least, and of twice as much at the most: longer than the
jitter of a network, shorter than it takes two clocks to part."""


class Arrivals:
    """Of one client's audio, 16 kHz."""

    def __init__(self) -> None:
        self._before_s, self._now_s = inf, inf
        self._since_s = -inf

    def note(self, samples: int, at_s: float) -> None:
        """So many samples have been received in all, at `at_s`, loop time."""
        if at_s - self._since_s > _KEPT_S:
            self._before_s, self._now_s, self._since_s = self._now_s, inf, at_s
        self._now_s = min(self._now_s, at_s - samples / HEARING_HZ)

    def when_s(self, sample: int) -> float:
        """The loop time of a sample, had its way here taken no time. Something must have been received."""
        return min(self._before_s, self._now_s) + sample / HEARING_HZ
