"""Streams that are given up when they are late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from conversation.errors import StageLate

T = TypeVar("T")


async def punctual(
    stream: AsyncGenerator[T, None], stage: str, first_s: float, next_s: float
) -> AsyncGenerator[T, None]:
    """The items of `stream`. Raises StageLate when the first or a later one does not come in time.

    Closed, cancelled or late, it closes `stream`.
    """
    async with aclosing(stream):
        patience_s = first_s
        while True:
            try:
                async with asyncio.timeout(patience_s):
                    item = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise StageLate(stage, f"nothing came for {patience_s:g} s") from None
            yield item
            patience_s = next_s
