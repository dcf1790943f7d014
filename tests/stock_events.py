"""Judges server events as a stock client would: by the types of the official SDK, and by what it rejects.

Every server event that a test produces goes through `stock_event`. Exempt are the `antiphon.*` events, which
the SDK cannot know.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

BEYOND_THE_SDK = {"session.id", "session.object", "session.expires_at"}
"""Recorded of the hosted service, but not in the SDK's types. Any other unknown field is a misspelling."""

EXTENSIONS = {
    "session.antiphon",
    "session.audio.input.turn_detection.antiphon",
    "session.turn_detection.antiphon",
}
"""Told to who has set them; tests/unit/test_realtime_extensions.py sees to it that nobody else is."""

BEYOND_THE_BETA = {
    "session.object",
    "session.expires_at",
    "session.truncation",
    "session.prompt",
    "session.include",
    "session.input_audio_transcription.languages",
    "session.input_audio_transcription.keywords",
    "session.input_audio_transcription.delay",
    "session.input_audio_noise_reduction.strength",
    "session.turn_detection.idle_timeout_ms",
    "name",
    "usage",
    "response.usage.input_token_details.image_tokens",
    "response.usage.input_token_details.cached_tokens_details",
}
"""What came to the protocol later, or was never in the types; clients of the beta are told it as well."""

AFTER_THE_BETA = {"input_audio_buffer.timeout_triggered"}
WITH_A_SECRET = {"transcription_session.created", "transcription_session.updated"}
"""In the types these two have a client secret, as if made over HTTP."""


def stock_event(text: str) -> dict[str, Any]:
    """The event, if a stock client would take it. Raises AssertionError or ValidationError."""
    event: dict[str, Any] = json.loads(text)
    if event["type"].startswith("antiphon."):
        return event
    typed = _server_event().validate_python(event, strict=True)
    assert typed.type == event["type"]
    unknown = set(_unknown_fields(typed, "")) - BEYOND_THE_SDK - EXTENSIONS
    assert not unknown, f"{event['type']}: fields that the protocol does not have: {unknown}"
    _check_nulls(event, "")
    return event


def beta_event(text: str) -> dict[str, Any]:
    """The same of a client that speaks the beta dialect."""
    event: dict[str, Any] = json.loads(text)
    if event["type"].startswith("antiphon.") or event["type"] in AFTER_THE_BETA | WITH_A_SECRET:
        return event
    typed = _beta_event().validate_python(event, strict=True)
    assert typed.type == event["type"]
    unknown = set(_unknown_fields(typed, "")) - BEYOND_THE_BETA - EXTENSIONS
    assert not unknown, f"{event['type']}: fields that the beta does not have: {unknown}"
    _check_nulls(event, "")
    return event


@functools.cache
def _server_event() -> TypeAdapter[Any]:
    return TypeAdapter(RealtimeServerEvent)


@functools.cache
def _beta_event() -> TypeAdapter[Any]:
    return TypeAdapter(BetaServerEvent)


def _unknown_fields(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for inner in value:
            yield from _unknown_fields(inner, path)
    if not isinstance(value, BaseModel):
        return
    for name in value.model_extra or {}:
        yield f"{path}.{name}".strip(".")
    for name in type(value).model_fields:
        yield from _unknown_fields(getattr(value, name), f"{path}.{name}".strip("."))


def _check_nulls(value: Any, path: str) -> None:
    """Items and parts have no null but the transcript of input audio: JavaScript clients reject them."""
    if isinstance(value, list):
        for inner in value:
            _check_nulls(inner, path)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if inner is None and path.split(".")[-1] in ("item", "part", "content", "output"):
            heard = value.get("type") == "input_audio" and name == "transcript"
            assert heard, f"null at {path}.{name}"
        _check_nulls(inner, f"{path}.{name}")
    if value.get("type") == "input_audio":
        assert "transcript" in value, f"no transcript at {path}"
