"""Client secrets (`ek_…`): what a page may be given instead of an API key.

A secret is signed, not remembered: it carries its session and when it expires, and any replica of the ingress
that has the same API keys can read it. It hides nothing: who holds one can read the instructions in it.
Knows HTTP's bodies; neither sockets nor Ray.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from itsdangerous import BadData, URLSafeSerializer
from pydantic import Field, TypeAdapter

from conversation.errors import ClientError
from conversation.items import new_id
from conversation.settings import Settings
from deployments.ingress.keys import Keys, Refusal
from realtime.session import Opening, opened
from realtime.validation import Wire, checked

PREFIX = "ek_"

LONGEST_SECRET = 6_000
"""Characters. It travels in a header, and proxies allow 8 to 16 KB for all of them."""

_NO_KEYS = "a server without API keys lets in everybody it can be reached by"


class ExpiresAfter(Wire):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class SecretRequest(Wire):
    """The body of `POST /v1/realtime/client_secrets`."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] | None = None
    """As in a `session.update`; checked by realtime/session_object.py."""


_REQUEST = TypeAdapter(SecretRequest)


class ClientSecrets:
    """Makes and reads them."""

    def __init__(self, keys: Keys, defaults: Settings) -> None:
        self._defaults = defaults
        self._signed = URLSafeSerializer(keys.digests() or _NO_KEYS, salt="antiphon client secret")

    def made(self, body: Any) -> dict[str, Any]:
        """The answer to a request for one. Raises ClientError."""
        request = checked(_REQUEST, body if body is not None else {})
        given = {"type": "realtime", **(request.session or {})}
        session = opened(opening_for(given), new_id("sess"), self._defaults)
        expires_at = round(time.time()) + request.expires_after.seconds
        value = PREFIX + self._signed.dumps({"session": given, "expires_at": expires_at})
        if len(value) > LONGEST_SECRET:
            raise ClientError(
                "string_above_max_length",
                f"This session makes a secret of {len(value)} characters; a header holds {LONGEST_SECRET}. "
                "Shorten its instructions and tools, or let the client send them in a 'session.update'.",
                "session",
            )
        return {"value": value, "expires_at": expires_at, "session": session.on_the_wire()}

    def read(self, secret: str) -> Mapping[str, Any] | Refusal:
        """The session that a secret stands for."""
        try:
            content = self._signed.loads(secret.removeprefix(PREFIX))
        except BadData:
            return _refusal("This client secret is none of this server's.")
        if content["expires_at"] < time.time():
            return _refusal("This client secret has expired: ask for a new one.")
        session: Mapping[str, Any] = content["session"]
        return session


def opening_for(
    session: Mapping[str, Any], model: str | None = None, antiphon: Mapping[str, Any] | None = None
) -> Opening:
    """How a client comes in whose secret stands for `session`; its own choice of a model counts."""
    named = session.get("model")
    return Opening(
        model or (named if isinstance(named, str) else "") or "antiphon",
        transcription=session.get("type") == "transcription",
        session=session,
        antiphon=antiphon,
    )


def _refusal(why: str) -> Refusal:
    return Refusal(ClientError("invalid_api_key", why), "invalid_request_error.invalid_api_key")
