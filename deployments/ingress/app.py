"""The web side of the ingress: who is let in, and Starlette's WebSocket as the wire knows sockets.

Knows HTTP; knows neither Ray nor what is said over the socket.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from realtime.session import Hangup

SUBPROTOCOL = "realtime"
"""What a browser asks for, since it cannot set headers: the Realtime API's own name."""

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Of one message: the Realtime API allows 15 MiB of audio an event, which are 20 MiB in base64."""

RETRY_AFTER_S = 5
"""When a client that found the server full may try again: about the time of a short turn."""


def refusal(socket: WebSocket, *, sessions: int, max_sessions: int, origins: Collection[str]) -> Any:
    """The HTTP answer to an upgrade that is not to be, or None."""
    origin = socket.headers.get("origin")
    if origin and not is_own(origin, socket.headers.get("host", ""), origins):
        return PlainTextResponse(
            f"Pages of {origin} may not talk to this server; add it to ingress.origins to allow it.\n", 403
        )
    if sessions >= max_sessions:
        return PlainTextResponse(
            f"All {max_sessions} sessions are taken.\n", 503, headers={"Retry-After": str(RETRY_AFTER_S)}
        )
    return None


def is_own(origin: str, host: str, others: Collection[str]) -> bool:
    """Whether a page of `origin` may open a session: it came from this server, or is listed."""
    return urlsplit(origin).netloc.lower() == host.lower() or origin in others


class StarletteSocket:
    """A Starlette WebSocket as `realtime.session.Socket`."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Hangup
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's word for: it is closed already
            raise Hangup from error

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            try:
                await self._socket.close(code, reason)
            except (WebSocketDisconnect, RuntimeError):
                return  # the client was faster


def set_uvicorn_limits() -> None:
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
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,
            )

    uvicorn.Config = Config  # type: ignore[assignment,misc]


def _unwatched(app: Any) -> Any:
    async def pass_on(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            scope["headers"] = [*scope["headers"], (b"x-request-disconnect-disabled", b"?1")]
        await app(scope, receive, send)

    return pass_on
