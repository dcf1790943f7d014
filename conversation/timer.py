"""One timer, which can be begun anew and called off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """Runs from `begin` until it is over or somebody says `end`.

    Args:
        over: told when the time is over.
    """

    def __init__(self, over: Callable[[], None]) -> None:
        self._over = over
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, patience_s: float) -> None:
        """`over` is called in so many seconds, once; what was begun before is called off."""
        self.end()
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._over)

    def end(self) -> None:
        """Nobody is called. Without effect when it does not run."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
