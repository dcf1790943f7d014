"""Waits, after an answer, for a user who says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Waiting:
    """One timer. It runs from the end of an answer until anybody does anything.

    Args:
        over: told when nothing has happened for so long.
    """

    def __init__(self, over: Callable[[], None]) -> None:
        self._over = over
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, patience_s: float) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._over)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
