"""The web side of the ingress: who is let in, and Starlette's WebSocket as the wire knows sockets.

Knows HTTP; knows neither Ray nor what is said over the socket.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from conversation.errors import ClientError
from deployments.ingress.client_secrets import PREFIX, ClientSecrets, opening_for
from deployments.ingress.keys import Keys, Refusal, shown
from realtime.beta import BetaSocket, Kind, secret_answer, secret_error, secret_request
from realtime.session import NO_FRAME, Hangup, Opening, Socket

SUBPROTOCOL = "realtime"
"""What a browser asks for, since it cannot set headers: the Realtime API's own name."""

BETA_HEADER = "realtime=v1"
"""In `OpenAI-Beta`: the client speaks the beta dialect."""
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
"""The same, from a browser."""

LONGEST_BODY = 100_000
"""Of a request, in bytes: many times a client secret's session."""

ENDED_S = 1.0
"""How long it may take to learn why nothing can be sent any more."""

RETRY_AFTER_S = 5
"""When a client that found the server full may try again: about the time of a short turn."""


def refusal_of_page(client: HTTPConnection, *, keyed: bool, origins: Collection[str]) -> Any:
    """The HTTP answer to a page that may not talk to this server, or None.

    Args:
        keyed: whether this server also asks for a key.
        origins: allowed besides this server's own.
    """
    origin = client.headers.get("origin")
    if not origin or origin in origins:
        return None
    host = client.headers.get("host", "")
    if is_own(origin, host) and (keyed or names_an_address(host)):
        return None
    return PlainTextResponse(
        f"Pages of {origin} may not talk to this server; add it to ingress.origins to allow it.\n", 403
    )


def opening_of(socket: WebSocket, keys: Keys, secrets: ClientSecrets) -> Opening | Refusal:
    """How a client comes in, by its key, its client secret and its query; or why it may not."""
    query, subprotocols = socket.query_params, socket.scope["subprotocols"]
    extensions, model = _extensions(query), query.get("model")
    key = shown(socket.headers, subprotocols)
    if key is not None and key.startswith(PREFIX):
        session = secrets.read(key)
        return session if isinstance(session, Refusal) else opening_for(session, model, extensions)
    stranger = keys.refusal(socket.headers, subprotocols)
    if stranger is not None:
        return stranger
    return Opening(
        model or "antiphon", transcription=query.get("intent") == "transcription", antiphon=extensions
    )


def _extensions(query: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What an address asks of `session.antiphon`: ``&antiphon``, or ``&antiphon=hold`` for that as well."""
    if "antiphon" not in query:
        return None
    return {"events": True, "hold": True} if query["antiphon"] == "hold" else {"events": True}


async def new_secret(request: Request, keys: Keys, secrets: ClientSecrets) -> Response:
    """`POST /v1/realtime/client_secrets`."""
    stranger = keys.refusal(request.headers, ())
    if stranger is not None:
        return _error(401, stranger.error)
    try:
        return JSONResponse(secrets.made(await _json(request)))
    except ClientError as error:
        return _error(400, error)


async def new_beta_session(request: Request, keys: Keys, secrets: ClientSecrets, kind: Kind) -> Response:
    """`POST /v1/realtime/sessions` and `/transcription_sessions`: a client secret in the beta dialect."""
    stranger = keys.refusal(request.headers, ())
    if stranger is not None:
        return _error(401, stranger.error)
    try:
        return JSONResponse(secret_answer(secrets.made(secret_request(await _json(request), kind))))
    except ClientError as error:
        return _error(400, secret_error(error))


async def _json(request: Request) -> Any:
    """The body; None when there is none. Raises ClientError."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_BODY:
            raise ClientError("string_above_max_length", f"The body is longer than {LONGEST_BODY} bytes.")
    try:
        return json.loads(body) if body.strip() else None
    except ValueError:
        raise ClientError("invalid_json", "The body is not JSON.") from None


def _error(status: int, error: ClientError) -> Response:
    fields = {
        "type": "invalid_request_error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
    }
    return JSONResponse({"error": fields}, status)


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
        self._gone: tuple[int, str] | None = None
        """How it ended, once that has been read: reader and writer both want to know."""

    async def receive(self) -> str | bytes:
        if self._gone is not None:
            raise Hangup(*self._gone)
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self._gone = message.get("code") or NO_FRAME, message.get("reason") or ""
            raise Hangup(*self._gone)
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def send(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as error:  # Starlette's word for: it is closed already
            raise await self._ended() from error

    async def _ended(self) -> Hangup:
        """How, which stands behind all that the client sent before; nobody wants that any more."""
        try:
            async with asyncio.timeout(ENDED_S):
                while True:
                    await self.receive()
        except Hangup as gone:
            return gone
        except TimeoutError:
            return Hangup(NO_FRAME, "nothing can be sent")

    async def close(self, code: int, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            try:
                await self._socket.close(code, reason)
            except (WebSocketDisconnect, RuntimeError):
                return  # the client was faster


def wire(socket: WebSocket) -> Socket:
    """The client at a socket, in whichever dialect it speaks."""
    plain = StarletteSocket(socket)
    return BetaSocket(plain) if _speaks_beta(socket) else plain


def _speaks_beta(socket: WebSocket) -> bool:
    features = socket.headers.get("openai-beta", "").replace(" ", "").split(",")
    return BETA_HEADER in features or BETA_SUBPROTOCOL in socket.scope["subprotocols"]
