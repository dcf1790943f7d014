"""Which session's prompt each slot of a language model's memory holds, and who may use it now.

A slot keeps what the model has read of its session's last prompt, so that the session's next one is read
only from where it differs. There are few slots: a new session takes over the one that has gone unused for
longest. Few callers run at once, the others wait in the order in which they came; only a caller whose own
slot is still busy (its session's last reply was cancelled a moment ago) is overtaken. This module knows no
model.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    number: int
    is_own: bool
    """It holds the session's own last prompt, not another's."""


class Slots:
    """`count` slots, of which `at_once` are in use at the same time."""

    def __init__(self, count: int, at_once: int) -> None:
        self._at_once = min(at_once, count)
        self._owners: OrderedDict[int, str] = OrderedDict((number, "") for number in range(count))
        """Slot number to session, the longest unused first. An empty session owns nothing."""
        self._busy: set[int] = set()
        self._waiting: OrderedDict[asyncio.Future[Slot], str] = OrderedDict()

    async def take(self, session: str) -> Slot:
        """Waits for a slot; whoever gets one must `give_back` it. A cancelled wait holds nothing."""
        mine: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting[mine] = session
        self._serve()
        try:
            return await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._waiting.pop(mine, None)
            else:  # the slot and the cancellation arrived in the same turn of the loop
                self.give_back(mine.result())
            raise

    def give_back(self, slot: Slot) -> None:
        self._busy.remove(slot.number)
        self._serve()

    def _serve(self) -> None:
        for waiter, session in list(self._waiting.items()):
            if len(self._busy) == self._at_once:
                return
            slot = self._free_for(session)
            if slot is None or waiter.done():
                continue
            del self._waiting[waiter]
            self._busy.add(slot.number)
            self._owners[slot.number] = session
            self._owners.move_to_end(slot.number)
            waiter.set_result(slot)

    def _free_for(self, session: str) -> Slot | None:
        """Its own slot, else the longest unused; None while its own is busy."""
        for number, owner in self._owners.items():
            if owner and owner == session:
                return None if number in self._busy else Slot(number, is_own=True)
        return next(Slot(number, is_own=False) for number in self._owners if number not in self._busy)
