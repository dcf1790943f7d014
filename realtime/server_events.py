"""What a client is told: events of a conversation as events of the protocol.

One event of the conversation may be several on the wire. The order within them, and every name, is that of
the recorded hosted service; a test validates each one against the types of the official SDK.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import singledispatchmethod
from typing import Any, Literal

from conversation.errors import ClientError
from conversation.events import (
    Event,
    InputCleared,
    InputCommitted,
    InputTimedOut,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    OutputArguments,
    OutputAudio,
    OutputDone,
    OutputFilled,
    OutputHeld,
    OutputResumed,
    OutputStarted,
    OutputText,
    Response,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
    TurnTimed,
)
from conversation.items import CallItem, Item, MessageItem, new_id
from conversation.stages import Usage
from realtime.encodings import ENCODINGS, PCM, Encoding, OutgoingAudio
from realtime.items import to_wire
from realtime.session_object import SessionObject
from realtime.session_shape import Extensions
from realtime.shapes import WIRE_HZ

EventType = Literal[
    "session.created",
    "session.updated",
    "error",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
    "antiphon.output.hold",
    "antiphon.output.resume",
    "antiphon.filler",
    "antiphon.turn.timing",
]
"""All that is ever sent."""

NOTES: Mapping[EventType, str] = {
    "session.created": "first of all",
    "session.updated": "the whole session in force",
    "error": "see below",
    "input_audio_buffer.speech_started": "`audio_start_ms` counts audio received, padding included",
    "input_audio_buffer.timeout_triggered": "`idle_timeout_ms` after an answer was heard; the silence "
    "becomes an item, and is answered",
    "conversation.item.done": "not of an answer that was deleted while it was said",
    "conversation.item.truncated": "with the position in force, after clamping",
    "conversation.item.input_audio_transcription.delta": "while the user speaks: a prefix of the final text, "
    "as a rule",
    "conversation.item.input_audio_transcription.completed": "`usage` by duration",
    "response.created": "at once where the client asked for it",
    "response.output_audio.delta": "in the output format, sent little ahead of its playback",
    "response.done": "exactly once for each `response.created`; nothing of the response follows",
    "antiphon.output.hold": "extension, see below",
    "antiphon.output.resume": "extension, see below",
    "antiphon.filler": "extension, see below",
    "antiphon.turn.timing": "extension, see below",
}
"""What docs/protocol.md says of some."""

Fields = dict[str, Any]
Told = Iterable[tuple[EventType, Fields]]


class ServerEvents:
    """Writes one session's events, as JSON texts, each with an id of its own."""

    def __init__(self) -> None:
        self._extensions = Extensions()
        """Those that the session has switched on."""
        self._held: set[str] = set()
        """Responses that the client was told to hold."""
        self._conversation_id = new_id("conv")
        self._id_prefix = f"event_{secrets.token_hex(6)}"
        self._written = 0
        self._encoding = PCM
        self._encodings: dict[str, Encoding] = {}
        """Of responses in progress, by their ids: a session may change its own meanwhile."""
        self._spoken: dict[str, OutgoingAudio] = {}
        """Responses in progress whose output is speech, by their ids."""
        self._aside: set[str] = set()
        """Responses in progress that are out of band: their items are not the conversation's."""

    def of(self, event: Event) -> list[str]:
        return [self._text(kind, fields) for kind, fields in self._told(event)]

    def session_created(self, session: SessionObject) -> str:
        self._encoding, self._extensions = session.output_encoding, session.extensions
        return self._text("session.created", {"session": session.on_the_wire()})

    def session_updated(self, session: SessionObject) -> str:
        self._encoding, self._extensions = session.output_encoding, session.extensions
        return self._text("session.updated", {"session": session.on_the_wire()})

    def item_retrieved(self, item: Item, sound: bytes | None) -> str:
        return self._text("conversation.item.retrieved", {"item": to_wire(item, sound)})

    def error(self, error: ClientError, event_id: str | None) -> str:
        """`event_id` is that of the client's event, not of this one."""
        return self._error("invalid_request_error", error.code, error.message, error.param, event_id)

    def server_error(self, message: str, event_id: str | None) -> str:
        """The client's event was fine, and still could not be carried out."""
        return self._error("server_error", None, message, None, event_id)

    def _error(
        self, kind: str, code: str | None, message: str, param: str | None, event_id: str | None
    ) -> str:
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        return self._text("error", {"error": error})

    def _text(self, kind: EventType, fields: Fields) -> str:
        # Escaped to ASCII: a lone surrogate that a client sent inside free JSON still makes a valid frame.
        self._written += 1
        return json.dumps({"type": kind, "event_id": f"{self._id_prefix}{self._written:06d}", **fields})

    @singledispatchmethod
    def _told(self, event: Event) -> Told:
        raise TypeError(f"no such event: {event!r}")

    # --- the user's side

    @_told.register
    def _(self, event: SpeechStarted) -> Told:
        fields = {"item_id": event.item_id, "audio_start_ms": event.audio_start_ms}
        yield "input_audio_buffer.speech_started", fields

    @_told.register
    def _(self, event: SpeechStopped) -> Told:
        fields = {"item_id": event.item_id, "audio_end_ms": event.audio_end_ms}
        yield "input_audio_buffer.speech_stopped", fields

    @_told.register
    def _(self, event: InputTimedOut) -> Told:
        yield "input_audio_buffer.timeout_triggered", asdict(event)

    @_told.register
    def _(self, event: InputCommitted) -> Told:
        fields = {"item_id": event.item_id, "previous_item_id": event.previous_item_id}
        yield "input_audio_buffer.committed", fields

    @_told.register
    def _(self, event: InputCleared) -> Told:
        yield "input_audio_buffer.cleared", {}

    @_told.register
    def _(self, event: TranscriptionDelta) -> Told:
        fields = {"item_id": event.item_id, "content_index": event.content_index, "delta": event.delta}
        yield "conversation.item.input_audio_transcription.delta", fields

    @_told.register
    def _(self, event: TranscriptionCompleted) -> Told:
        yield (
            "conversation.item.input_audio_transcription.completed",
            {
                "item_id": event.item_id,
                "content_index": event.content_index,
                "transcript": event.transcript,
                "usage": {"type": "duration", "seconds": event.duration_s},
            },
        )

    @_told.register
    def _(self, event: TranscriptionFailed) -> Told:
        error = {"type": "server_error", "code": "transcription_failed", "message": event.message}
        fields = {"item_id": event.item_id, "content_index": event.content_index, "error": error}
        yield "conversation.item.input_audio_transcription.failed", fields

    # --- the history

    @_told.register
    def _(self, event: ItemAdded) -> Told:
        fields = {"previous_item_id": event.previous_item_id, "item": to_wire(event.item)}
        yield "conversation.item.added", fields
        yield "conversation.item.done", fields

    @_told.register
    def _(self, event: ItemTruncated) -> Told:
        fields = {"item_id": event.item_id, "content_index": 0, "audio_end_ms": event.audio_end_ms}
        yield "conversation.item.truncated", fields

    @_told.register
    def _(self, event: ItemDeleted) -> Told:
        yield "conversation.item.deleted", {"item_id": event.item_id}

    # --- the agent's side

    @_told.register
    def _(self, event: ResponseStarted) -> Told:
        encoding = ENCODINGS[event.response.encoding or self._encoding.name]
        self._encodings[event.response.id] = encoding
        if event.response.modality == "audio":
            self._spoken[event.response.id] = OutgoingAudio(encoding)
        if event.response.aside:
            self._aside.add(event.response.id)
        yield "response.created", {"response": self._response(event.response)}

    @_told.register
    def _(self, event: OutputStarted) -> Told:
        item = to_wire(event.item)
        yield "response.output_item.added", {**_in_response(event), "item": item}
        if event.response_id not in self._aside:
            yield "conversation.item.added", {"previous_item_id": event.previous_item_id, "item": item}
        if isinstance(event.item, MessageItem):
            part = self._part(event.response_id, "")
            yield "response.content_part.added", {**_place(event, event.item.id), "part": part}

    @_told.register
    def _(self, event: OutputText) -> Told:
        kind: EventType = (
            "response.output_audio_transcript.delta"
            if event.modality == "audio"
            else "response.output_text.delta"
        )
        yield kind, {**_place(event, event.item_id), "delta": event.delta}

    @_told.register
    def _(self, event: OutputAudio) -> Told:
        sound = self._spoken[event.response_id].feed(event.audio)
        yield from _sound(_place(event, event.item_id), sound)

    @_told.register
    def _(self, event: OutputArguments) -> Told:
        fields = {"item_id": event.item_id, "call_id": event.call_id, "delta": event.delta}
        yield "response.function_call_arguments.delta", {**_in_response(event), **fields}

    @_told.register
    def _(self, event: OutputDone) -> Told:
        item = to_wire(event.item)
        yield from self._content_done(event)
        if event.response_id not in self._aside and not event.deleted:
            yield "conversation.item.done", {"previous_item_id": event.previous_item_id, "item": item}
        yield "response.output_item.done", {**_in_response(event), "item": item}

    def _content_done(self, event: OutputDone) -> Told:
        place = _place(event, event.item.id)
        if isinstance(event.item, CallItem):
            call = event.item.call
            fields = {"item_id": event.item.id, "call_id": call.call_id, "name": call.name}
            yield (
                "response.function_call_arguments.done",
                {**_in_response(event), **fields, "arguments": call.arguments},
            )
        elif isinstance(event.item, MessageItem):
            text = event.item.text
            if event.response_id in self._spoken:
                rest = self._spoken[event.response_id].end()
                if not event.cancelled and event.response_id not in self._held:  # who holds drops it
                    yield from _sound(place, rest)
                yield "response.output_audio.done", place
                yield "response.output_audio_transcript.done", {**place, "transcript": text}
            else:
                yield "response.output_text.done", {**place, "text": text}
            yield "response.content_part.done", {**place, "part": self._part(event.response_id, text)}

    @_told.register
    def _(self, event: ResponseDone) -> Told:
        yield "response.done", {"response": self._response(event.response)}
        self._spoken.pop(event.response.id, None)
        self._encodings.pop(event.response.id, None)
        self._aside.discard(event.response.id)
        self._held.discard(event.response.id)

    @_told.register
    def _(self, event: OutputHeld) -> Told:
        if self._extensions.hold:
            self._held.add(event.response_id)
            yield "antiphon.output.hold", {"response_id": event.response_id}

    @_told.register
    def _(self, event: OutputResumed) -> Told:
        if event.response_id in self._held:  # also where the client has switched it off meanwhile
            self._held.remove(event.response_id)
            yield "antiphon.output.resume", {"response_id": event.response_id}

    @_told.register
    def _(self, event: OutputFilled) -> Told:
        if self._extensions.events:
            yield "antiphon.filler", asdict(event)

    @_told.register
    def _(self, event: TurnTimed) -> Told:
        if self._extensions.events:
            fields = {"response_id": event.response_id, "timing": asdict(event.timing)}
            yield "antiphon.turn.timing", fields

    def _part(self, response_id: str, text: str) -> Fields:
        """A part as `response.content_part.*` names it, which is not as items do."""
        if response_id in self._spoken:
            return {"type": "audio", "transcript": text}
        return {"type": "text", "text": text}

    def _format(self, response: Response) -> Fields:
        encoding = self._encodings[response.id]
        return {"type": encoding.name, **({"rate": WIRE_HZ} if encoding is PCM else {})}

    def _response(self, response: Response) -> Fields:
        return {
            "object": "realtime.response",
            "id": response.id,
            "status": response.status,
            "status_details": _status_details(response),
            "output": [to_wire(item) for item in response.output],
            "conversation_id": None if response.aside else self._conversation_id,
            "output_modalities": [response.modality],
            "max_output_tokens": response.max_output_tokens or "inf",
            "audio": {"output": {"format": self._format(response), "voice": response.voice}},
            "usage": None if response.status == "in_progress" else _usage(response.usage),
            "metadata": None if response.metadata is None else dict(response.metadata),
        }


def _sound(place: Fields, sound: bytes) -> Told:
    if sound:
        yield "response.output_audio.delta", {**place, "delta": base64.b64encode(sound).decode("ascii")}


Output = OutputStarted | OutputText | OutputAudio | OutputArguments | OutputDone


def _in_response(event: Output) -> Fields:
    return {"response_id": event.response_id, "output_index": event.output_index}


def _place(event: Output, item_id: str) -> Fields:
    return {**_in_response(event), "item_id": item_id, "content_index": 0}


def _status_details(response: Response) -> Fields | None:
    if response.status == "failed":
        failure = response.failure
        code, message = (
            (failure.code, failure.message) if failure else ("server_error", "The response failed.")
        )
        return {"type": "failed", "error": {"type": "server_error", "code": code, "message": message}}
    if response.status in ("cancelled", "incomplete"):
        reason = {"reason": response.reason} if response.reason else {}
        return {"type": response.status, **reason}
    return None


def _usage(usage: Usage | None) -> Fields:
    """Tokens of the language model. Speech is recognised and synthesised outside it, so all of them are text.

    A response that ended before the model counted says zero: clients read these fields of every response.
    """
    tokens = usage or Usage(0, 0)
    return {
        "total_tokens": tokens.input_tokens + tokens.output_tokens,
        "input_tokens": tokens.input_tokens,
        "output_tokens": tokens.output_tokens,
        "input_token_details": {
            "text_tokens": tokens.input_tokens,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": tokens.cached_tokens,
            "cached_tokens_details": {
                "text_tokens": tokens.cached_tokens,
                "audio_tokens": 0,
                "image_tokens": 0,
            },
        },
        "output_token_details": {"text_tokens": tokens.output_tokens, "audio_tokens": 0},
    }
