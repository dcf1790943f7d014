"""The audio a client sends: counted, cut into frames, and kept as long as somebody may want it.

This module knows nothing of speech: it is the same for a voice and for silence.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import numpy as np

from conversation.audio import HEARING_HZ, Audio, Samples, join, silence
from conversation.stages import FRAME_SAMPLES


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    start_sample: int
    """In all audio received."""
    samples: Samples
    """Shape (FRAME_SAMPLES,)."""


class Ears:
    """What was received, and how far it has been listened to.

    Args:
        keep_s: how much of what was listened to can be asked for again.
    """

    def __init__(self, keep_s: float) -> None:
        self.position = 0
        """Samples that were listened to, or taken."""
        self._pending = silence(0, HEARING_HZ)
        self._new: deque[Audio] = deque()
        self._new_samples = 0
        self._arrived = asyncio.Event()
        self._kept = silence(0, HEARING_HZ)
        self._keep_samples = round(keep_s * HEARING_HZ)

    @property
    def pending_s(self) -> float:
        return (len(self._pending) + self._new_samples) / HEARING_HZ

    @property
    def received(self) -> int:
        """Samples received in all."""
        return self.position + len(self._pending) + self._new_samples

    def hear(self, audio: Audio) -> None:
        self._new.append(audio)
        self._new_samples += len(audio)
        self._arrived.set()

    def keep(self, keep_s: float) -> None:
        """From now on."""
        self._keep_samples = round(keep_s * HEARING_HZ)

    async def frame(self, patience_s: float | None) -> Frame:
        """The next frame, without passing it. Raises TimeoutError when nothing at all comes for so long."""
        while len(self._pending) < FRAME_SAMPLES:
            if not self._new:
                self._arrived.clear()
                async with asyncio.timeout(patience_s):
                    await self._arrived.wait()
            self._gather()
        return Frame(self.position, self._pending.samples[:FRAME_SAMPLES])

    def pass_by(self, frame: Frame) -> bool:
        """The frame has been listened to, and is kept as it is given here. False when it was taken by
        somebody meanwhile."""
        if frame.start_sample != self.position:
            return False
        self._pending = self._pending[FRAME_SAMPLES:]
        self._keep(frame.samples)
        return True

    def since(self, sample: int) -> Audio:
        """What was listened to from `sample` on, as far as it is kept."""
        return self._kept[max(0, len(self._kept) - (self.position - sample)) :]

    def take(self) -> Audio:
        """Everything not yet listened to; nobody will listen to it."""
        self._gather()
        taken, self._pending = self._pending, silence(0, HEARING_HZ)
        self._keep(taken.samples)
        return taken

    def _gather(self) -> None:
        self._pending = join([self._pending, *self._new], HEARING_HZ)
        self._new.clear()
        self._new_samples = 0

    def _keep(self, passed: Samples) -> None:
        self.position += len(passed)
        kept = np.concatenate([self._kept.samples, passed])
        self._kept = Audio(kept[max(0, len(kept) - self._keep_samples) :], HEARING_HZ)
