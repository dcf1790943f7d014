"""What waits to be sent to a client, with a bound: a client that does not read costs only itself."""

from __future__ import annotations

import asyncio
from typing import NoReturn


class ClientTooSlow(Exception):
    """The client does not read what is sent to it."""


class Outbox:
    """Texts in order. `put` never waits and never fails; what is over the bound ends the session."""

    def __init__(self, limit_chars: int) -> None:
        self._limit_chars = limit_chars
        self._held_chars = 0
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self._full = asyncio.Event()

    def put(self, text: str) -> None:
        """After an overflow, drops: the session is ending."""
        if self._full.is_set():
            return
        if self._held_chars + len(text) > self._limit_chars:
            self._full.set()
            return
        self._held_chars += len(text)
        self._texts.put_nowait(text)

    async def next(self) -> str:
        """Waits for the next text."""
        text = await self._texts.get()
        self._held_chars -= len(text)
        return text

    def empty(self) -> bool:
        return self._texts.empty()

    async def overflow(self) -> NoReturn:
        """Waits for ever, or raises ClientTooSlow as soon as the bound is passed."""
        await self._full.wait()
        raise ClientTooSlow(f"more than {self._limit_chars} characters are waiting to be read")
