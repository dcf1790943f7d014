"""Where the client's playback stands, as far as a server can know: it plays what it was sent, at its pace.

Counted in samples of the output and in loop time. This module does not know whose audio it is.
"""

from __future__ import annotations

import asyncio

from conversation.audio import HEARING_HZ, Audio, silence
from conversation.loudspeaker import Loudspeaker


class Playback:
    """The ledger of the audio sent to one client.

    Args:
        loudspeaker: told what sounds when, where somebody wants to know.
    """

    def __init__(self, rate_hz: int, loudspeaker: Loudspeaker | None = None) -> None:
        self._rate_hz, self._loudspeaker = rate_hz, loudspeaker
        self._ends_s = 0.0
        """Loop time at which all that was sent will have been played."""
        self.sent_samples = 0
        self._kept_s: float | None = None
        """What a client that holds has left to play, while it does."""
        self._kept_sound = silence(0, HEARING_HZ)
        """The same as sound, for the loudspeaker."""
        self._flows = asyncio.Event()
        self._flows.set()

    def sent(self, audio: Audio) -> None:
        """The client was just handed it."""
        begins_s = max(self._ends_s, _now_s())
        self._ends_s = begins_s + len(audio) / self._rate_hz
        self.sent_samples += len(audio)
        if self._loudspeaker is not None:
            self._loudspeaker.play(audio, begins_s)

    @property
    def ahead_s(self) -> float:
        """How much of what was sent has not been played yet."""
        if self._kept_s is not None:
            return self._kept_s
        return max(0.0, self._ends_s - _now_s())

    @property
    def played_samples(self) -> int:
        return self.sent_samples - round(self.ahead_s * self._rate_hz)

    async def room(self, lead_s: float) -> float:
        """Waits until no more than `lead_s` is sent ahead of playback, and nothing is held.

        Returns how many seconds longer than that, if it was this machine that was late. Cancelled, it changes
        nothing.
        """
        await self.flowing()
        if self.ahead_s <= lead_s:
            return 0.0
        due_s = self._ends_s - lead_s
        await asyncio.sleep(due_s - _now_s())
        late_s = max(0.0, _now_s() - due_s)
        if not self._flows.is_set():
            await self.flowing()
            return 0.0
        return late_s

    async def flowing(self) -> None:
        """Waits while it is held. Cancelled, it changes nothing."""
        await self._flows.wait()

    def hold(self, *, at_once: bool) -> None:
        """Nothing more is to be sent for now.

        Args:
            at_once: the client falls silent and keeps what it has; else it plays that to its end.
        """
        self._flows.clear()
        if at_once:
            self._kept_s = self.ahead_s
            if self._loudspeaker is not None:
                self._kept_sound = self._loudspeaker.stop(_now_s())

    def resume(self) -> None:
        """Goes on; without effect when nothing is held."""
        if self._kept_s is not None:
            self._ends_s, self._kept_s = _now_s() + self._kept_s, None
            if self._loudspeaker is not None:
                self._loudspeaker.play(self._kept_sound, _now_s())
        self._flows.set()

    def dropped(self) -> None:
        """The client throws away what it has not played."""
        self.sent_samples = self.played_samples
        self._ends_s, self._kept_s = _now_s(), None
        self._flows.set()
        if self._loudspeaker is not None:
            self._loudspeaker.stop(self._ends_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
