"""An event loop whose clock moves only when every task is waiting.

Minutes of conversation pass in milliseconds, always in the same order, and a deadlock is an error instead of
a test that hangs.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class DeadlockError(AssertionError):
    """Every task waits for something that no timer and no task will bring."""


class _NeverBlocks(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's clock to the next timer."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise DeadlockError("nothing is scheduled and nothing is ready")
            self.loop.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _NeverBlocks()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
