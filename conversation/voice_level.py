"""How loud somebody speaks, and since when nothing of that loudness was heard.

A VAD goes on hearing speech for some 100 ms after it ended. How loud it was tells when. Where the room is so
loud that this cannot be told, nothing is: then the room's noise counts as the voice.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from conversation.audio import HEARING_HZ, Samples
from conversation.stages import FRAME_SAMPLES

BLOCK_SAMPLES = 256
"""16 ms: loudness is looked at in such steps. Long enough for one period of the deepest voice."""

LOOK_BACK_SAMPLES = 256 * HEARING_HZ // 1000
"""No quiet is found earlier than so long before the last frame. Silero notices nine ends in ten within
180 ms, counted by loudness (bench/reports/latency.json)."""

MARGIN_DB = 15.9
"""What is so far below the mean power of the speech is none of it.

Source: ITU-T P.56, Objective measurement of active speech level, method B.
"""

_SHARE = 10 ** (-MARGIN_DB / 10)

_REMEMBERED = 250
"""Frames of speech, 8 s: over so many the mean is taken, so that it follows a voice that drops."""


class VoiceLevel:
    """Of one turn."""

    def __init__(self) -> None:
        self._power, self._frames = 0.0, 0
        self._blocks: deque[float] = deque(maxlen=(LOOK_BACK_SAMPLES + FRAME_SAMPLES) // BLOCK_SAMPLES)

    def hear(self, samples: Samples, *, speech: bool) -> None:
        """The next frame, shape (FRAME_SAMPLES,), and whether the VAD takes it for speech."""
        powers = np.mean(np.square(samples.reshape(-1, BLOCK_SAMPLES)), axis=1)
        self._blocks.extend(powers.tolist())
        if speech:
            self._frames = min(self._frames + 1, _REMEMBERED)
            self._power += (float(powers.mean()) - self._power) / self._frames

    @property
    def quiet_samples(self) -> int:
        """How much at the end of what was heard is quieter than the voice.

        One block that is not, between two that are, is no voice: the sound of a room swells as it fades.
        """
        loud = [power >= _SHARE * self._power for power in reversed(self._blocks)]
        for blocks, voice in enumerate(loud):
            if voice and (blocks == 0 or blocks + 1 == len(loud) or loud[blocks + 1]):
                return blocks * BLOCK_SAMPLES
        return len(loud) * BLOCK_SAMPLES
