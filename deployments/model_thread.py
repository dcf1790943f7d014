"""One model, one thread: blocking model work without holding the event loop.

A model is asked for one step at a time (a batch, a chunk, a few tokens). Steps of several callers take turns
on the thread, so a long stream never shuts the others out, and a caller that was cancelled gives the thread
back at the end of the step under way. A plain `asyncio.to_thread` would leave that step running beside the
next one. This module knows no model and no Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_END = object()


class ModelThread:
    """The thread that a model lives on."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """One step. Cancelled before its turn it never runs; cancelled later, its result is dropped."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: step(*args, **kwargs))

    async def stream(self, start: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """The items of the iterator that `start` makes; each is one step, and so is making it.

        When closed or cancelled, the iterator is closed on the thread, if it is a generator, before anybody
        else's next step.
        """
        iterator: Iterator[T] | None = None

        def step() -> T | object:
            nonlocal iterator
            if iterator is None:
                iterator = start()
            return next(iterator, _END)

        def close() -> None:
            if iterator is not None and hasattr(iterator, "close"):
                iterator.close()

        try:
            while (item := await self.run(step)) is not _END:
                yield item  # type: ignore[misc]  # not _END, therefore T
        finally:
            self._executor.submit(close)

    def close(self) -> None:
        """Lets the step under way end; steps still waiting are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
