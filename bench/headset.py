"""A microphone that never stops and a loudspeaker that plays at once: what a client is for the ear.

Times are those of the running loop. Nothing is known here of a server or of a wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from bench.speech import at_rate, room_noise
from conversation.audio import Audio, Samples, to_pcm16

HZ = 24_000
"""Of what is played to the user, on every wire there is here."""

CHUNK_MS = 20
"""What browsers and telephony send at a time."""

AUDIBLE = 10 ** (-45 / 20)
"""A sample of the answer counts as heard above -45 dBFS."""

ROOM_DB = -65.0
"""The noise of the microphone's room, RMS: as quiet as the room of the recordings."""


@dataclass(frozen=True, slots=True)
class Played:
    """A chunk that was here at `came_s` and begins to sound at `begins_s`."""

    came_s: float
    begins_s: float
    samples: Samples


class Speaker:
    """Plays what it is given as soon as it can, and keeps what it played.

    Attributes:
        gap_s: silence between chunks that arrived too late.
    """

    def __init__(self) -> None:
        self.gap_s = 0.0
        self.played: list[Played] = []
        self._ends_s = 0.0

    @property
    def ends_s(self) -> float:
        """When all that was received will have been played."""
        return self._ends_s

    def play(self, samples: Samples, at_s: float) -> None:
        """A chunk arrives at `at_s`."""
        if self.played and at_s > self._ends_s:
            self.gap_s += at_s - self._ends_s
        begins_s = max(at_s, self._ends_s)
        self.played.append(Played(at_s, begins_s, samples))
        self._ends_s = begins_s + len(samples) / HZ

    @property
    def first_audible_s(self) -> float | None:
        """When the first sample above -45 dBFS sounds."""
        for chunk in self.played:
            loud = np.flatnonzero(np.abs(chunk.samples) > AUDIBLE)
            if len(loud):
                return chunk.begins_s + int(loud[0]) / HZ
        return None


class Microphone:
    """Gives a chunk every 20 ms: room noise, and over it whatever is said."""

    def __init__(self, hz: int = HZ) -> None:
        """
        Args:
            hz: of the wire.
        """
        self.hz = hz
        self.chunk_samples = hz * CHUNK_MS // 1000
        self._noise = room_noise(hz, ROOM_DB)
        self._said: Samples = np.zeros(0, np.float32)
        self._chunk = 0
        """The one that is being spoken now."""
        self._start_s = 0.0
        self.worst_delay_s = 0.0
        """By how much the latest chunk was late: this machine was busy."""

    def say(self, audio: Audio) -> float:
        """Speaks, at any rate, from the beginning of the chunk under way.

        Returns the loop time of the first sample.
        """
        if len(self._said):
            raise ValueError("the microphone is still busy with what was said before")
        start_s = self._start_s + self._chunk * CHUNK_MS / 1000
        self._said = at_rate(audio, self.hz).samples
        return start_s

    async def chunks(self) -> AsyncIterator[bytes]:
        """PCM, each chunk when its last sample has been spoken."""
        clock = asyncio.get_running_loop().time
        self._start_s = clock()
        while True:
            due_s = self._start_s + (self._chunk + 1) * CHUNK_MS / 1000
            await asyncio.sleep(due_s - clock())
            self.worst_delay_s = max(self.worst_delay_s, clock() - due_s)
            yield self._next_chunk()

    def _next_chunk(self) -> bytes:
        begin = self._chunk * self.chunk_samples % self.hz
        samples = self._noise[begin : begin + self.chunk_samples].copy()
        said, self._said = self._said[: self.chunk_samples], self._said[self.chunk_samples :]
        samples[: len(said)] += said
        self._chunk += 1
        return to_pcm16(Audio(samples, self.hz))
