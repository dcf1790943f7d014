"""What a client was given to play, at the rate of the ears and on the loop's clock.

It believes the ledger of playback.py, and does not know how much later the client plays it, nor whether
anybody hears it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from conversation.audio import HEARING_HZ, Audio, Resampler, Samples

KEPT_S = 3.0
"""Of what has been played: more than any echo takes to come back, and what is compared at a time."""

_SEAM_S = 0.001
"""What begins this close to the end of what went before follows it without a seam."""


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


class Loudspeaker:
    """One client's. Places are counted in samples at 16 kHz since the loop's time was 0."""

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()
        self._resampler: Resampler | None = None
        self._rate_hz = 0
        self._ends_s = 0.0
        self._place = 0
        self.begun = 0
        """The place where something began to sound last, after silence."""

    def play(self, audio: Audio, at_s: float) -> None:
        """`audio` will begin to sound at `at_s`, loop time; never before what was given earlier has ended."""
        if self._resampler is None or abs(at_s - self._ends_s) > _SEAM_S or audio.rate_hz != self._rate_hz:
            self._end_stretch()
            self._resampler, self._rate_hz = Resampler(audio.rate_hz, HEARING_HZ), audio.rate_hz
            self._place = self.begun = place(at_s)
        self._ends_s = at_s + audio.duration_s
        self._add(self._resampler.feed(audio).samples)
        while self._stretches and self._stretches[0].end < place(at_s - KEPT_S):
            self._stretches.popleft()

    def stop(self, at_s: float) -> Audio:
        """What was to sound from `at_s` on will not; returns it, at 16 kHz."""
        self._end_stretch()
        end = place(at_s)
        rest = self.played(end, max(end, self._place))
        while self._stretches and self._stretches[-1].end > end:
            last = self._stretches.pop()
            if last.start < end:
                self._stretches.append(_Stretch(last.start, last.samples[: end - last.start]))
        return Audio(rest, HEARING_HZ)

    def sounds(self, start: int, end: int) -> bool:
        """Whether anything at all was to sound between these places."""
        return any(stretch.start < end and stretch.end > start for stretch in reversed(self._stretches))

    def played(self, start: int, end: int) -> Samples:
        """What was to sound between these places, shape (end - start,); zeros where nothing was."""
        sound = np.zeros(end - start, np.float32)
        for stretch in self._stretches:
            first, last = max(start, stretch.start), min(end, stretch.end)
            if first < last:
                sound[first - start : last - start] = stretch.samples[
                    first - stretch.start : last - stretch.start
                ]
        return sound

    def _end_stretch(self) -> None:
        if self._resampler is not None:
            self._add(self._resampler.flush().samples)
            self._resampler = None

    def _add(self, samples: Samples) -> None:
        if len(samples):
            self._stretches.append(_Stretch(self._place, samples))
            self._place += len(samples)


def place(time_s: float) -> int:
    """The loop time as a place."""
    return round(time_s * HEARING_HZ)
