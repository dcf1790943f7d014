"""The callers' side over a handle that follows a script, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayActorError

from conversation.errors import StageFailed, StageLate, StageLost
from conversation.stages import FRAME_SAMPLES
from deployments.calls import (
    BEGINNINGS,
    CALLS_IN_FLIGHT,
    MAX_ROWS,
    MAX_ROWS_BYTES,
    VAD_DEADLINE_S,
    RemoteVad,
    call,
    stream,
)
from deployments.vad.rows import Rows
from tests import virtual_time

Answer = Callable[[Rows], Awaitable[tuple[bytes, bytes]]]

SILENCE = np.zeros((1, FRAME_SAMPLES), np.float32)


class ScriptedResponse:
    """A call under way, as a Serve handle gives it."""

    def __init__(self, answer: Awaitable[tuple[bytes, bytes]]) -> None:
        self._task = asyncio.ensure_future(answer)
        self._replica_result_future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, tuple[bytes, bytes]]:
        return self._task.__await__()

    def cancel(self) -> None:
        self._task.cancel()


class ScriptedHandle:
    """Answers every call with `answer`, and counts."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.rows: list[int] = []
        self.in_flight = self.most_in_flight = 0

    def options(self, **_: object) -> ScriptedHandle:
        return self

    def remote(self, rows: Rows) -> ScriptedResponse:
        self.rows.append(len(rows))
        return ScriptedResponse(self._counted(rows))

    async def _counted(self, rows: Rows) -> tuple[bytes, bytes]:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(rows)
        finally:
            self.in_flight -= 1


async def ones(rows: Rows) -> tuple[bytes, bytes]:
    await asyncio.sleep(0.01)
    return np.ones(len(rows), np.float32).tobytes(), np.zeros((len(rows), 2), np.float32).tobytes()


def remote(handle: ScriptedHandle) -> RemoteVad:
    return RemoteVad(handle)


async def failures(vad: RemoteVad, count: int) -> list[BaseException]:
    asked = await asyncio.gather(*(vad.step(SILENCE, [None]) for _ in range(count)), return_exceptions=True)
    return [answer for answer in asked if isinstance(answer, BaseException)]


def test_there_are_never_more_calls_in_flight_than_help() -> None:
    async def listen() -> ScriptedHandle:
        handle = ScriptedHandle(ones)
        vad = remote(handle)

        async def frames(offset_s: float) -> None:
            await asyncio.sleep(offset_s)
            for _ in range(20):
                await vad.step(SILENCE, [None])

        await asyncio.gather(*(frames(number / 1000) for number in range(32)))
        return handle

    handle = virtual_time.run(listen())
    assert sum(handle.rows) == 32 * 20
    assert handle.most_in_flight == CALLS_IN_FLIGHT


def test_a_call_carries_no_more_rows_than_fit() -> None:
    async def listen() -> ScriptedHandle:
        handle = ScriptedHandle(ones)
        assert not await failures(remote(handle), MAX_ROWS + 1)
        return handle

    assert virtual_time.run(listen()).rows == [MAX_ROWS, 1]


def test_large_states_make_the_calls_smaller() -> None:
    """As large as they may be: 64 KB."""

    async def answer(rows: Rows) -> tuple[bytes, bytes]:
        await asyncio.sleep(0.01)
        return np.ones(len(rows), np.float32).tobytes(), bytes(len(rows) * 2**16)

    async def listen() -> ScriptedHandle:
        handle = ScriptedHandle(answer)
        vad = remote(handle)
        _, [state] = await vad.step(SILENCE, [None])
        await asyncio.gather(*(vad.step(SILENCE, [state]) for _ in range(100)))
        return handle

    rows = virtual_time.run(listen()).rows
    assert sum(rows) == 101
    assert max(rows) * 2**16 < MAX_ROWS_BYTES


def test_a_call_is_made_for_nobody_in_particular() -> None:
    """Serve cancels a call with the request that it finds in the context; this one is made for many."""
    session: ContextVar[str] = ContextVar("session")
    found: list[str | None] = []

    async def look(rows: Rows) -> tuple[bytes, bytes]:
        found.append(session.get(None))
        return await ones(rows)

    async def listen() -> None:
        vad = remote(ScriptedHandle(look))
        session.set("mine")
        await vad.step(SILENCE, [None])
        await vad.step(SILENCE, [None])

    virtual_time.run(listen())
    assert found == [None, None]


def test_a_lost_replica_costs_one_more_attempt() -> None:
    attempts = iter([RayActorError(), None])

    async def once_lost(rows: Rows) -> tuple[bytes, bytes]:
        if (trouble := next(attempts)) is not None:
            raise trouble
        return await ones(rows)

    async def listen() -> list[BaseException]:
        return await failures(remote(ScriptedHandle(once_lost)), 3)

    assert virtual_time.run(listen()) == []


@pytest.mark.parametrize(
    ("error", "expected", "calls"), [(RayActorError(), StageLost, 2), (ValueError("no"), StageFailed, 1)]
)
def test_what_goes_on_failing_is_told_to_everybody_in_the_call(
    error: Exception, expected: type[Exception], calls: int
) -> None:
    async def fail(rows: Rows) -> tuple[bytes, bytes]:
        raise error

    async def listen() -> tuple[list[BaseException], ScriptedHandle]:
        handle = ScriptedHandle(fail)
        return await failures(remote(handle), 3), handle

    failed, handle = virtual_time.run(listen())
    assert [type(failure) for failure in failed] == [expected] * 3
    assert len({id(failure) for failure in failed}) == 3
    assert handle.rows == [3] * calls


def test_both_attempts_share_one_deadline() -> None:
    async def slowly_lost(rows: Rows) -> tuple[bytes, bytes]:
        await asyncio.sleep(VAD_DEADLINE_S * 0.75)
        raise RayActorError

    async def listen() -> tuple[list[BaseException], float]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        failed = await failures(remote(ScriptedHandle(slowly_lost)), 1)
        return failed, loop.time() - began_s

    failed, took_s = virtual_time.run(listen())
    assert [type(failure) for failure in failed] == [StageLate]
    assert took_s == pytest.approx(VAD_DEADLINE_S, abs=0.01)


def test_a_listener_who_leaves_before_the_call_does_not_travel() -> None:
    async def listen() -> ScriptedHandle:
        handle = ScriptedHandle(ones)
        vad = remote(handle)
        asked = [asyncio.create_task(vad.step(SILENCE, [None])) for _ in range(4)]
        await asyncio.sleep(0)
        asked[0].cancel()
        await asyncio.wait(asked)
        return handle

    assert virtual_time.run(listen()).rows == [3]


def test_a_late_call_is_cancelled() -> None:
    async def never(rows: Rows) -> tuple[bytes, bytes]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def listen() -> ScriptedHandle:
        handle = ScriptedHandle(never)
        assert [type(failure) for failure in await failures(remote(handle), 2)] == [StageLate] * 2
        await asyncio.sleep(0.1)
        return handle

    assert virtual_time.run(listen()).in_flight == 0


OVERTAKEN = RuntimeError("Unexpected error (StatusCode.OK): .")
"""What Serve raises of a call whose end came in before its beginning."""


class ScriptedStream:
    """Gives its items one by one, and raises those that are errors."""

    def __init__(self, *items: object) -> None:
        self._items = list(items)
        self._replica_result_future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.is_cancelled = False

    async def __anext__(self) -> object:
        if not self._items:
            raise StopAsyncIteration
        item = self._items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def __await__(self) -> Generator[Any, None, object]:
        return self.__anext__().__await__()

    def cancel(self) -> None:
        self.is_cancelled = True


class ScriptedMethod:
    """Answers its calls with these, in order."""

    def __init__(self, *answers: ScriptedStream) -> None:
        self.answers, self.asked = answers, 0

    def remote(self, *_: object) -> ScriptedStream:
        self.asked += 1
        return self.answers[self.asked - 1]


async def read(method: Any) -> list[object]:
    return [item async for item in stream("tts", method)]


async def test_a_stream_that_was_over_before_it_was_seen_to_begin_is_asked_for_again() -> None:
    method = ScriptedMethod(ScriptedStream(OVERTAKEN), ScriptedStream("a", "b"))
    assert await read(method) == ["a", "b"]
    assert all(answer.is_cancelled for answer in method.answers)


async def test_it_is_not_asked_for_for_ever() -> None:
    method = ScriptedMethod(*(ScriptedStream(OVERTAKEN) for _ in range(BEGINNINGS)))
    with pytest.raises(StageLost, match="over before"):
        await read(method)
    assert method.asked == BEGINNINGS


async def test_a_stream_of_which_something_was_read_is_not_asked_for_again() -> None:
    method = ScriptedMethod(ScriptedStream("a", OVERTAKEN), ScriptedStream("b"))
    with pytest.raises(StageLost):
        await read(method)
    assert method.asked == 1


async def test_a_unary_call_that_was_over_before_it_was_seen_to_begin_is_asked_again() -> None:
    method: Any = ScriptedMethod(ScriptedStream(OVERTAKEN), ScriptedStream("answer"))
    assert await call("vad", method, deadline_s=1.0) == "answer"
