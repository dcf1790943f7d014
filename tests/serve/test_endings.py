"""How a socket ends, over real sockets on the event loop that the ingress has, without Ray.

Whatever goes wrong, the client is told by a code, or, where the line is gone, the log is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection

from conversation.scripted import Line, ScriptedAsr, ScriptedLlm, ScriptedTts, ScriptedVad
from conversation.settings import Settings, Tuning
from conversation.stages import Stages
from deployments.ingress.app import wire
from deployments.ingress.transport import Connection
from realtime.limits import Limits
from realtime.session import Opening, converse

WITHIN_S = 10.0
Application = Callable[[WebSocket], Awaitable[None]]
Scene = Callable[[ClientConnection], Awaitable[None]]
STORY = "Once upon a time there was a little dog. It lived in a big house by the sea, and so did its friends."


class Server(uvicorn.Server):
    """As Serve has it: without signals and without a log."""

    def __init__(self, application: Application, **options: Any) -> None:
        routes = Starlette(routes=[WebSocketRoute("/", application)])
        super().__init__(
            uvicorn.Config(routes, port=0, ws=Connection, lifespan="off", log_config=None, **options)
        )
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    @asynccontextmanager
    async def up(self) -> AsyncIterator[str]:
        """Gives its address."""
        serving = asyncio.create_task(self._serve())
        try:
            await self._listening.wait()
            yield f"ws://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}/"
        finally:
            self.should_exit = True
            await serving


def play(application: Application, scene: Scene, **options: Any) -> None:
    """Serves one client, who plays the scene, and waits until nothing of its connection is left."""

    async def whole() -> None:
        ended = asyncio.Event()

        async def served(socket: WebSocket) -> None:
            try:
                await application(socket)
            finally:
                ended.set()

        async with Server(served, **options).up() as url, asyncio.timeout(WITHIN_S):
            client = await websockets.connect(url)
            await scene(client)
            await ended.wait()
            client.transport.abort()
            await client.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


async def conversing(socket: WebSocket) -> None:
    """As the ingress does it."""
    await socket.accept()
    stages = Stages(
        ScriptedVad(), ScriptedAsr(script=[]), ScriptedLlm(script=[Line(STORY)], repeat=True), ScriptedTts()
    )
    await converse(wire(socket), stages, Opening("m"), defaults=Settings(), tuning=Tuning(), limits=Limits())


async def code_of(client: ClientConnection) -> int | None:
    """That of the close frame; None where there was none."""
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await client.recv()
    return client.protocol.close_rcvd.code if client.protocol.close_rcvd else None


async def speaking(client: ClientConnection) -> None:
    """Until the agent does."""
    await client.send('{"type": "response.create"}')
    while "response.output_audio.delta" not in str(await client.recv()):
        pass


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = ("realtime", "deployments", "conversation")
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith(ours)
    ]


@pytest.mark.parametrize("fault", [None, TypeError("a defect"), asyncio.CancelledError()])
def test_an_application_that_ends_without_a_close_is_closed_with_1011(
    caplog: pytest.LogCaptureFixture, fault: BaseException | None
) -> None:
    async def application(socket: WebSocket) -> None:
        await socket.accept()
        if fault is not None:
            raise fault

    async def scene(client: ClientConnection) -> None:
        assert await code_of(client) == 1011

    play(application, scene)
    assert "without a close frame" in warnings(caplog)[-1]


def test_a_server_that_goes_down_closes_with_1012(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> None:
        async with asyncio.timeout(WITHIN_S):
            async with Server(conversing).up() as url:
                client = await websockets.connect(url)
                await speaking(client)
            assert await code_of(client) == 1012

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())
    assert "1012" in warnings(caplog)[0]


@pytest.mark.parametrize("spoken_to", [False, True])
@pytest.mark.parametrize("code", [1000, 1001, 4000])
def test_a_client_that_takes_its_leave_is_nobody_s_trouble(
    caplog: pytest.LogCaptureFixture, code: int, spoken_to: bool
) -> None:
    async def scene(client: ClientConnection) -> None:
        if spoken_to:
            await speaking(client)
        await client.close(code)

    play(conversing, scene)
    assert warnings(caplog) == []


@pytest.mark.parametrize("spoken_to", [False, True])
@pytest.mark.parametrize("unread", [0, 200])
def test_a_line_that_is_gone_is_logged_with_the_session(
    caplog: pytest.LogCaptureFixture, spoken_to: bool, unread: int
) -> None:
    async def scene(client: ClientConnection) -> None:
        if spoken_to:
            await speaking(client)
        for _ in range(unread):
            await client.send('{"type": "input_audio_buffer.clear"}')
        client.transport.abort()

    play(conversing, scene)
    [told] = warnings(caplog)
    assert told.startswith("sess_")
    assert "the connection was lost: 1006 without a close frame" in told


def test_a_client_that_answers_no_ping_is_closed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(client: ClientConnection) -> None:
        client.transport.pause_reading()

    play(conversing, scene, ws_ping_interval=0.05, ws_ping_timeout=0.1)
    [told] = warnings(caplog)
    assert told.startswith("sess_")
    assert "1011 neither a pong nor anything else came in time" in told


def test_a_message_that_is_too_long_is_closed_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(client: ClientConnection) -> None:
        await client.send("x" * 2000)
        assert await code_of(client) == 1009

    play(conversing, scene, ws_max_size=1000)
    [told] = warnings(caplog)
    assert told.startswith("sess_")
    assert "1009" in told
