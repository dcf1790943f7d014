"""The web side of the ingress: who is let in, and Starlette's WebSocket as the wire knows sockets.

Knows HTTP; knows neither Ray nor what is said over the socket.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from realtime.session import Hangup

SUBPROTOCOL = "realtime"
"""What a browser asks for, since it cannot set headers: the Realtime API's own name."""

RETRY_AFTER_S = 5
"""When a client that found the server full may try again: about the time of a short turn."""


def refusal_of_page(socket: WebSocket, *, keyed: bool, origins: Collection[str]) -> Any:
    """The HTTP answer to a page that may not talk to this server, or None.

    Args:
        keyed: whether this server also asks for a key.
        origins: allowed besides this server's own.
    """
    origin = socket.headers.get("origin")
    if not origin or origin in origins:
        return None
    host = socket.headers.get("host", "")
    if is_own(origin, host) and (keyed or names_an_address(host)):
        return None
    return PlainTextResponse(
        f"Pages of {origin} may not talk to this server; add it to ingress.origins to allow it.\n", 403
    )


def refusal_when_full(sessions: int, max_sessions: int) -> Any:
    """The HTTP answer to a client more than there is room for, or None."""
    if sessions < max_sessions:
        return None
    return PlainTextResponse(
        f"All {max_sessions} sessions are taken.\n", 503, headers={"Retry-After": str(RETRY_AFTER_S)}
    )


def is_own(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from the server that it called `host`."""
    return urlsplit(origin).netloc.lower() == host.lower()


def names_an_address(host: str) -> bool:
    """Whether `host` is this machine's name for itself or an IP address.

    Any other name may be somebody else's that was made to point here (DNS rebinding): his page would seem to
    be ours. Where keys are asked for, it has none.
    """
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


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
