"""Speech without the silence that a model puts around it. Knows no model."""

from __future__ import annotations

import numpy as np

from conversation.audio import Samples

_NOTHING: Samples = np.zeros(0, np.float32)


class SilenceTrim:
    """Cuts the silence around a sentence while it streams; the pauses within stay whole.

    A Piper voice puts 50 ms (up to 70) before the first sound, by which every answer would be late, and 130
    to 270 ms after the last.
    """

    THRESHOLD = 10 ** (-50 / 20)
    """Of full scale. Below the -45 dBFS from which a sample counts as heard; the voice's own noise before
    its first sound is below -80 dBFS."""
    LEAD_S = 0.01

    def __init__(self, rate_hz: int, tail_s: float) -> None:
        self._lead_samples = round(self.LEAD_S * rate_hz)
        self._tail_samples = round(tail_s * rate_hz)
        self._held: Samples = _NOTHING
        """Silence that only comes out if sound follows it."""
        self._quiet_samples: int | None = None
        """Silence at the end of what came out; None before the first sound."""
        self.cut_samples = 0
        """How much of the silence before the first sound does not come out; final once anything did."""

    def feed(self, samples: Samples) -> Samples:
        """What of the sound so far can be given out."""
        loud = np.flatnonzero(np.abs(samples) > self.THRESHOLD)
        if not len(loud):
            return self._hold(samples)
        whole = np.concatenate([self._held, samples])
        end = len(self._held) + int(loud[-1]) + 1
        start = 0
        if self._quiet_samples is None:
            start = max(len(self._held) + int(loud[0]) - self._lead_samples, 0)
            self.cut_samples += start
        self._quiet_samples, self._held = 0, _NOTHING
        return np.concatenate([whole[start:end], self._hold(whole[end:])])

    def _hold(self, silence: Samples) -> Samples:
        """Gives out what the tail has room for, and keeps the rest."""
        if self._quiet_samples is None:
            whole = np.concatenate([self._held, silence])
            self._held = whole[-self._lead_samples :]
            self.cut_samples += len(whole) - len(self._held)
            return _NOTHING
        room = self._tail_samples - self._quiet_samples
        self._quiet_samples += min(room, len(silence))
        self._held = np.concatenate([self._held, silence[room:]])
        return silence[:room]
