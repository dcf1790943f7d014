"""Where the client's playback stands, as far as a server can know: it plays what it was sent, at its pace.

Counted in samples of the output and in loop time. This module does not know whose audio it is.
"""

from __future__ import annotations

import asyncio


class Playback:
    """The ledger of the audio sent to one client."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._ends_s = 0.0
        """Loop time at which all that was sent will have been played."""
        self.sent_samples = 0

    def sent(self, samples: int) -> None:
        """The client was just handed so many more samples."""
        self._ends_s = max(self._ends_s, _now_s()) + samples / self._rate_hz
        self.sent_samples += samples

    @property
    def ahead_s(self) -> float:
        """How much of what was sent has not been played yet."""
        return max(0.0, self._ends_s - _now_s())

    @property
    def played_samples(self) -> int:
        return self.sent_samples - round(self.ahead_s * self._rate_hz)

    async def room(self, lead_s: float) -> float:
        """Waits until no more than `lead_s` is sent ahead of playback; returns how much longer than that."""
        if self.ahead_s <= lead_s:
            return 0.0
        due_s = self._ends_s - lead_s
        await asyncio.sleep(due_s - _now_s())
        return max(0.0, _now_s() - due_s)

    def dropped(self) -> None:
        """The client throws away what it has not played."""
        self.sent_samples = self.played_samples
        self._ends_s = _now_s()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
