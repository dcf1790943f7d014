"""From a frame to a typed client event, in two steps, so that an error can name the event it answers.

`decode` gives the JSON object, `typed` its meaning. Both raise ClientError and nothing else, whatever the
frame holds, and neither works long on a frame that was made to be slow.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, TypeAdapter

from conversation.errors import ClientError
from realtime.client_events import CLIENT_EVENT_TYPES, Append, ClientEvent, InputAudioBufferAppend, TypedEvent
from realtime.validation import Kinds, checked

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Of audio in one append, after decoding: the protocol's limit."""

_MAX_APPEND_CHARS = 4 * math.ceil(MAX_APPEND_BYTES / 3)

_MAX_VALUES = 50_000
"""Told by their commas before a frame is parsed: audio has none, a text of 500 000 characters has fewer."""

_MAX_DEPTH = 32

EVENT_KINDS = Kinds(
    CLIENT_EVENT_TYPES,
    later=("output_audio_buffer.clear",),
    remedy="it is for WebRTC and SIP. On a WebSocket, send 'response.cancel' and "
    "'conversation.item.truncate'.",
)

_TYPED: TypeAdapter[TypedEvent] = TypeAdapter(
    Annotated[
        TypedEvent,
        Field(discriminator="type"),
        BeforeValidator(EVENT_KINDS),
    ]
)
_APPEND = TypeAdapter(InputAudioBufferAppend)

_APPEND_KEYS = ({"type", "audio"}, {"type", "audio", "event_id"})


def decode(frame: str | bytes) -> dict[str, Any]:
    """The JSON object in `frame`. Raises ClientError `invalid_event` or `invalid_json`."""
    if isinstance(frame, bytes):
        raise ClientError(
            "invalid_event", "Expected a text WebSocket message; binary frames are not supported."
        )
    if len(frame) > _MAX_VALUES and frame.count(",") > _MAX_VALUES:
        raise ClientError("invalid_event", f"Invalid event: more than {_MAX_VALUES} values in one event.")
    try:
        event = _JSON.decode(frame)
    except (ValueError, RecursionError) as error:
        raise ClientError(
            "invalid_json", f"Invalid event: failed to parse JSON value. {_first_line(error)}"
        ) from None
    if not isinstance(event, dict):
        raise ClientError("invalid_event", "Invalid event: expected a JSON object.")
    return event


def typed(event: dict[str, Any]) -> ClientEvent:
    """What a decoded event means. Raises ClientError, its `param` naming the field that is wrong."""
    if event.get("type") == "input_audio_buffer.append":
        return _append(event)
    if _deeper_than(event, _MAX_DEPTH):
        raise ClientError("invalid_event", f"Invalid event: nested deeper than {_MAX_DEPTH} levels.")
    return checked(_TYPED, event)


def event_id(event: dict[str, Any]) -> str | None:
    """The id that an error must echo, if the event has a usable one."""
    given = event.get("event_id")
    return given if isinstance(given, str) else None


def _append(event: dict[str, Any]) -> Append:
    """The fast path: no pydantic unless something is wrong."""
    keys = event.keys()
    audio = event.get("audio")
    if not (type(audio) is str and keys in _APPEND_KEYS):
        audio = checked(_APPEND, event).audio
    return Append(sound_bytes(audio, "audio"))


def sound_bytes(audio: str, param: str) -> bytes:
    """Sound out of base64. Raises ClientError, with `param`, for what is none or too long."""
    if len(audio) > _MAX_APPEND_CHARS:
        raise ClientError(
            "string_above_max_length",
            f"Invalid '{param}': there may be at most {MAX_APPEND_BYTES} bytes of audio. Send it in parts.",
            param,
        )
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ClientError(
            "invalid_value",
            f"Invalid '{param}'. Expected base64-encoded audio bytes in the session's input format, but this "
            f"is not base64: {error}.",
            param,
        ) from None


def _deeper_than(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth == 0 or any(_deeper_than(inner, depth - 1) for inner in value.values())
    if isinstance(value, list):
        return depth == 0 or any(_deeper_than(inner, depth - 1) for inner in value)
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise ValueError(f"The number {text[:20]} is too large.")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


_JSON = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
