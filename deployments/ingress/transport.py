"""uvicorn as sessions need it: larger frames, no compression, and connections that surely end.

Knows uvicorn and, by one header, Serve; nothing of sessions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Of one message: the Realtime API allows 15 MiB of audio an event, which are 20 MiB in base64."""

LINGER_S = 5.0
"""For the last bytes to a client, and for its answer to a close."""

_log = logging.getLogger(__name__)


class Connection(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose end does not depend on what its client does.

    uvicorn 0.54 waits without bound until everything written was sent before it takes note that a connection
    is over: a client that reads nothing, or whose network is gone, would hold its session for ever. And it
    counts only pongs as life, which may lie behind minutes of audio that it does not read itself.

    And it closes the socket without a close frame when the application ends without one, whatever went wrong
    in it, of which Serve lets uvicorn's log say nothing. Here there is always a frame or a disconnect with a
    code: 1006, as RFC 6455 has it, where the line went away without one; uvicorn says 1005.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._application, self.app = self.app, self._served
        self._heard_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.close_timeout = LINGER_S
        self._heard_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        self._heard_s = self.loop.time()
        super().data_received(data)

    def keepalive_timeout(self) -> None:
        """No pong came. The client is gone, unless something else came, or it is we who do not read."""
        assert self.ping_timeout is not None
        if self.read_paused or self.loop.time() - self._heard_s < self.ping_timeout:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        reason = "neither a pong nor anything else came in time"
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1011, "reason": reason})

    def connection_lost(self, exc: Exception | None) -> None:
        if self.conn.close_rcvd is None and not self.close_sent:
            reason = "without a close frame" + (f": {exc}" if exc else "")
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006, "reason": reason})
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # it is a few bytes, and the last ones
        await super().send(message)

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(LINGER_S, self.transport.abort)

    async def _served(self, scope: Any, receive: Any, send: Any) -> None:
        """The application; however it ends, the client is told."""
        try:
            await self._application(scope, receive, send)
        except BaseException:
            _log.exception("a connection of %s failed", self.client)
            raise
        finally:
            if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
                _log.warning(
                    "a connection of %s ended without a close frame: it is closed with 1011", self.client
                )
                self.conn.send_close(1011, "The server had an internal error.")
                self.transport.write(b"".join(self.conn.data_to_send()))
                self.close_sent = True


def set_uvicorn_limits(*, ping_every_s: float, pong_within_s: float) -> None:
    """Gives the server that Serve is about to start the limits that Serve has no settings for.

    Serve starts uvicorn in the ingress replica once the deployment's constructor is done, which is where this
    is called; the class is pickled by value, so doing it at import reaches another process. Frames may be
    larger and are not compressed (audio does not shrink, and each frame would cost time). And a WebSocket is
    not watched for its end: Serve would read ahead of the session to see it, without bound.
    """

    class Config(uvicorn.Config):
        def __init__(self, app: Any, **options: Any) -> None:
            make = app
            super().__init__(
                lambda: _unwatched(make()),
                **options,
                ws=Connection,
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,
                ws_ping_interval=ping_every_s,
                ws_ping_timeout=pong_within_s,
            )

    uvicorn.Config = Config  # type: ignore[assignment,misc]


def _unwatched(app: Any) -> Any:
    async def pass_on(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            scope["headers"] = [*scope["headers"], (b"x-request-disconnect-disabled", b"?1")]
        await app(scope, receive, send)

    return pass_on
