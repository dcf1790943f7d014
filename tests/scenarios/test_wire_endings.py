"""However a session ends: its client is told by a code, and, unless it took its leave, the log by a line."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from conversation.scripted import ScriptedAsr, ScriptedLlm, ScriptedTts, ScriptedVad
from conversation.settings import Settings, Tuning
from conversation.stages import Stages, Vad
from realtime.limits import Limits
from realtime.session import Hangup, Opening, converse
from tests import virtual_time
from tests.scenarios.wire import Wire, play


async def served(wire: Wire, vad: Vad | None = None, opening: Opening | None = None) -> None:
    stages = Stages(vad or ScriptedVad(), ScriptedAsr(script=[]), ScriptedLlm(script=[]), ScriptedTts())
    await converse(
        wire,
        stages,
        opening or Opening("m"),
        defaults=Settings(),
        tuning=Tuning(),
        limits=Limits(),
    )


def test_a_secret_whose_session_cannot_be_any_more_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> Wire:
        wire = Wire()
        await served(wire, opening=Opening("m", session={"type": "realtime", "instructions": 5}))
        return wire

    wire = virtual_time.run(whole())
    assert [error["code"] for error in wire.errors] == ["invalid_type"]
    assert wire.closed == (1008, "The session of this client secret cannot be.")
    assert "its secret sets what cannot be" in caplog.text


def test_a_defect_before_the_first_event_closes_with_1011(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("a defect")

    monkeypatch.setattr("realtime.session.Conversation", broken)

    async def whole() -> Wire:
        wire = Wire()
        await served(wire)
        return wire

    assert virtual_time.run(whole()).closed == (1011, "The server had an internal error.")
    assert re.search(r"sess_\w+: the session failed", caplog.text)


def test_a_part_of_a_session_that_dies_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    """A task group takes a cancellation for nothing, also one that nobody asked for: it would be deaf."""

    class Lost(ScriptedVad):
        async def step(self, frames: Any, states: Any) -> Any:
            raise asyncio.CancelledError

    async def whole() -> Wire:
        wire = Wire()
        wire.append(0.1)
        async with asyncio.timeout(60):
            await served(wire, Lost())
        return wire

    wire = virtual_time.run(whole())
    assert wire.closed == (1011, "The server had an internal error.")
    assert wire.sent[0]["session"]["id"] in caplog.text
    assert "conversation was cancelled by nobody" in caplog.text


@pytest.mark.parametrize(("code", "closed"), [(1006, 1011), (1009, None)])
def test_a_connection_that_is_lost_is_logged(
    caplog: pytest.LogCaptureFixture, code: int, closed: int | None
) -> None:
    class Lost(Wire):
        async def receive(self) -> str | bytes:
            raise Hangup(code, "the reason")

    async def whole() -> Wire:
        wire = Lost()
        await served(wire)
        return wire

    wire = virtual_time.run(whole())
    assert (wire.closed and wire.closed[0]) == closed
    assert re.search(rf"sess_\w+: the connection was lost: {code} the reason", caplog.text)


def test_a_client_that_takes_its_leave_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(wire: Wire) -> None:
        await wire.until("session.created")

    play(scene)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_session_that_is_cancelled_twice_closes_all_the_same() -> None:
    """Who takes the server down does not wait for ever."""

    class Stubborn(ScriptedVad):
        async def step(self, frames: Any, states: Any) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(5.0)

    async def whole() -> Wire:
        wire = Wire()
        wire.append(0.1)
        serving = asyncio.create_task(served(wire, Stubborn()))
        await wire.until("session.created")
        await asyncio.sleep(1.0)
        for _ in range(2):
            serving.cancel()
            await asyncio.sleep(1.0)
        assert serving.done()
        await asyncio.sleep(10.0)
        return wire

    wire = virtual_time.run(whole())
    assert wire.closed is not None
    assert wire.closed[0] == 1012
