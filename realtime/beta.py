"""The beta dialect of the Realtime API, for clients from before it was generally available.

A translation at the edge: what such a client sends is put into today's words before a session reads it, and
what it is told into those of the beta. The session never hears of it. Nothing is judged here: an event that
is wrong stays wrong, the session says so, and its error names the field as the client does.

Sources: `openai.types.beta.realtime` of openai 3.54.0; the clients @livekit/agents-plugin-openai 2.0.0 and
openai-realtime-api-beta as published.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from conversation.errors import ClientError
from realtime.parse import decode
from realtime.session import Socket

Fields = dict[str, Any]
Kind = Literal["realtime", "transcription"]

_HEARD = {
    "input_audio_format": "audio.input.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
}
_SPOKEN = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "output_audio_format": "audio.output.format",
    "tool_choice": "tool_choice",
}
_SESSION = {
    **_HEARD,
    **_SPOKEN,
    "speed": "audio.output.speed",
    "max_response_output_tokens": "max_output_tokens",
}
"""Where a field of the session is today."""

_REQUESTED = {**_SPOKEN, "max_response_output_tokens": "max_output_tokens"}
"""The same of the response in `response.create`; some clients call the last one as it is called today."""

_PLACES = {"session": _SESSION, "response": _REQUESTED}

_WITHOUT_EFFECT = {"temperature"}
"""Gone from the protocol: accepted as ever, and not echoed."""
_NOT_HEARD = {*_WITHOUT_EFFECT, "modalities", "client_secret"}
"""Beside those, what a transcription session no longer has."""

_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_PARTS = {"text": "output_text", "audio": "output_audio"}
"""What an assistant said, as a part of an item; `response.content_part.*` names it alike in both dialects."""

_EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
"""Server events by today's names."""

_UNTOLD = {"conversation.item.done"}
"""An item is created when it is added, ahead of its parts and deltas, since clients look it up with each of
those. That it is done is told by `response.output_item.done`, in both dialects."""

_APPEND = '"input_audio_buffer.append"'
_HEAD = '{"type": "'
"""How server events begin: realtime/server_events.py."""
_HEAD_CHARS = 200


class BetaSocket:
    """A client that speaks the beta dialect, as a session's Socket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        return from_beta(await self._socket.receive())

    async def send(self, text: str) -> None:
        told = to_beta(text)
        if told is not None:
            await self._socket.send(told)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)


def from_beta(frame: str | bytes) -> str | bytes:
    """A client's frame. Sound comes 50 times a second, and is told by a look at the beginning."""
    if isinstance(frame, bytes) or _APPEND in frame[:_HEAD_CHARS]:
        return frame
    try:
        event = decode(frame)
        return json.dumps(event) if _translated(event) else frame
    except (ClientError, RecursionError):
        return frame  # the session meets the same fault


def to_beta(text: str) -> str | None:
    """A server event; None where the dialect has none like it. Sound is not parsed."""
    kind, quote, rest = text.removeprefix(_HEAD).partition('"')
    if kind in _UNTOLD:
        return None
    rewrite = _REWRITTEN.get(kind)
    if rewrite is not None:
        event: Fields = json.loads(text)
        rewrite(event)
        return json.dumps(event)
    return f"{_HEAD}{_EVENTS[kind]}{quote}{rest}" if kind in _EVENTS else text


def secret_request(body: Any, kind: Kind) -> Any:
    """The body of `POST /v1/realtime/sessions` or `/transcription_sessions` as that of `/client_secrets`."""
    if not isinstance(body, dict | None):
        return body
    session = {**(body or {})}
    terms = session.pop("client_secret", None)
    asked: Fields = {"session": _nested_session(session, kind)}
    if isinstance(terms, dict):
        return {**{_TERMS.get(name, name): value for name, value in terms.items()}, **asked}
    return asked if terms is None else {**asked, "client_secret": terms}


def secret_answer(answer: Fields) -> Fields:
    """The answer of `/client_secrets` as that to the request above."""
    secret = {"value": answer["value"], "expires_at": answer["expires_at"]}
    return {**_flat_session(answer["session"]), "client_secret": secret}


def secret_error(error: ClientError) -> ClientError:
    """What is wrong with such a request. Its fields are those of the session itself."""
    message, param = _as_named(error.message, error.param)
    if param is None or param == "client_secret":
        return ClientError(error.code, message, param)
    name = f"client_secret.{param}" if param.startswith("expires_after") else param.removeprefix("session.")
    return ClientError(error.code, message.replace(param, name), name)


_TERMS = {"expires_at": "expires_after"}
"""The package's types call it either way."""


# --- what a client sends


def _translated(event: Fields) -> bool:
    """Whether there was anything to change in it."""
    match event:
        case {"type": "session.update", "session": dict(session)}:
            event["session"] = _nested_session(session, "realtime")
        case {"type": "transcription_session.update", "session": dict(session)}:
            event["type"], event["session"] = "session.update", _nested_session(session, "transcription")
        case {"type": "response.create", "response": dict(response)}:
            event["response"] = _nested(response, _REQUESTED, _WITHOUT_EFFECT)
            if isinstance(items := response.get("input"), list):
                event["response"]["input"] = [_item(item, _PARTS) for item in items]
        case {"type": "conversation.item.create", "item": dict(item)}:
            event["item"] = _item(item, _PARTS)
        case _:
            return False
    return True


def _nested_session(session: Fields, kind: Kind) -> Fields:
    if kind == "transcription":
        return {"type": kind, **_nested(session, _HEARD, _NOT_HEARD)}
    return {"type": kind, **_nested(session, _SESSION, _WITHOUT_EFFECT)}


def _nested(flat: Fields, places: Mapping[str, str], gone: set[str]) -> Fields:
    nested = {name: value for name, value in flat.items() if name not in places and name not in gone}
    for name, place in places.items():
        if name in flat:
            _put(nested, place, _TODAY.get(name, _as_it_is)(flat[name]))
    return nested


def _put(fields: Fields, place: str, value: Any) -> None:
    *way, last = place.split(".")
    for name in way:
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields = fields[name]
    fields[last] = value


def _item(item: Any, parts: Mapping[str, str]) -> Any:
    """An item, the parts of what an assistant said renamed."""
    match item:
        case {"role": "assistant", "content": list(content)}:
            return {**item, "content": [_part(part, parts) for part in content]}
    return item


def _part(part: Any, parts: Mapping[str, str]) -> Any:
    match part:
        case {"type": str(kind)} if kind in parts:
            return {**part, "type": parts[kind]}
    return part


def _modalities(given: Any) -> Any:
    return ["audio"] if given in (["text", "audio"], ["audio", "text"]) else given


def _format(given: Any) -> Any:
    if given is None:
        return None
    return {"type": _FORMATS.get(given, given) if isinstance(given, str) else given}


def _tool_choice(given: Any) -> Any:
    """A function was chosen by its bare name, or as in chat completions."""
    match given:
        case "auto" | "none" | "required":
            return given
        case str(name):
            return {"type": "function", "name": name}
        case {"type": "function", "function": {"name": name}}:
            return {"type": "function", "name": name}
    return given


def _as_it_is(given: Any) -> Any:
    return given


_TODAY: Mapping[str, Callable[[Any], Any]] = {
    "modalities": _modalities,
    "input_audio_format": _format,
    "output_audio_format": _format,
    "tool_choice": _tool_choice,
}


# --- what it is told


def _session_event(event: Fields) -> None:
    session = event["session"]
    if session["type"] == "transcription":
        event["type"] = f"transcription_{event['type']}"
    event["session"] = _flat_session(session)


def _flat_session(session: Fields) -> Fields:
    flat = _flat(session, _SESSION)
    del flat["type"]
    return flat


def _flat(nested: Fields, places: Mapping[str, str]) -> Fields:
    today = {place.partition(".")[0] for place in places.values()}
    flat = {name: value for name, value in nested.items() if name not in today}
    for name, place in places.items():
        holder, _, last = place.rpartition(".")
        fields: Any = nested
        for step in filter(None, holder.split(".")):
            fields = fields.get(step, {})
        if last in fields:
            flat[name] = _BETA.get(name, _as_it_is)(fields[last])
    return flat


def _response_event(event: Fields) -> None:
    response = event["response"]
    flat = _flat(response, _SPOKEN)
    event["response"] = {**flat, "output": [_item(item, _BETA_PARTS) for item in response["output"]]}


def _item_event(event: Fields) -> None:
    event["type"] = _EVENTS.get(event["type"], event["type"])
    event["item"] = _item(event["item"], _BETA_PARTS)


def _error_event(event: Fields) -> None:
    error = event["error"]
    error["message"], error["param"] = _as_named(error["message"], error["param"])


def _as_named(message: str, param: str | None) -> tuple[str, str | None]:
    """An error about a field, as the client calls that and its values."""
    for today, beta in _BETA_WORDS.items():
        message = message.replace(today, beta)
    if param is None:
        return message, None
    named = _path(param)
    return message.replace(param, named), named


def _path(param: str) -> str:
    """``session.audio.input.turn_detection.threshold`` as ``session.turn_detection.threshold``."""
    scope, _, field = param.partition(".")
    for name, place in _PLACES.get(scope, {}).items():
        if field == place or field.startswith((f"{place}.", f"{place}[")):
            rest = "" if name.endswith("_format") else field[len(place) :]
            return f"{scope}.{name}{rest}"
    return param


_BETA_FORMATS = {today: beta for beta, today in _FORMATS.items()}
_BETA_PARTS = {today: beta for beta, today in _PARTS.items()}
_BETA_WORDS = {
    **{f"'{today}'": f"'{beta}'" for today, beta in [*_BETA_FORMATS.items(), *_BETA_PARTS.items()]},
    "['audio']": "['text', 'audio']",
}
"""In messages, with the quotes around them."""

_BETA: Mapping[str, Callable[[Any], Any]] = {
    "modalities": lambda today: ["text", "audio"] if today == ["audio"] else today,
    "input_audio_format": lambda today: _BETA_FORMATS[today["type"]],
    "output_audio_format": lambda today: _BETA_FORMATS[today["type"]],
}

_REWRITTEN: Mapping[str, Callable[[Fields], None]] = {
    "session.created": _session_event,
    "session.updated": _session_event,
    "error": _error_event,
    "conversation.item.added": _item_event,
    "conversation.item.retrieved": _item_event,
    "response.created": _response_event,
    "response.output_item.added": _item_event,
    "response.output_item.done": _item_event,
    "response.done": _response_event,
}
