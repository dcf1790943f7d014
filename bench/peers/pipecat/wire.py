"""Pipecat as its clients meet it: protobuf frames over a WebSocket, and RTVI messages in them.

The client announces itself as Pipecat's own client libraries do, and the bot then tells what it hears and
says. Source of the fields' numbers: src/pipecat/frames/frames.proto in https://github.com/pipecat-ai/pipecat
(1.14); of the messages: https://docs.pipecat.ai/client/rtvi-standard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.client import JSON, Message, Taken
from bench.headset import HZ
from conversation.audio import from_pcm16

_MICROPHONE_HZ = 16_000
"""What Pipecat's pipelines take by default, and Silero and Smart Turn with them."""

_PROTOCOL = "2.0.0"
"""Of RTVI, as a client of today announces it."""

_FIELDS = {
    "AudioRawFrame": {
        "audio": (3, "TYPE_BYTES"),
        "sample_rate": (4, "TYPE_UINT32"),
        "num_channels": (5, "TYPE_UINT32"),
    },
    "MessageFrame": {"data": (1, "TYPE_STRING")},
    "InterruptionFrame": {"id": (1, "TYPE_UINT64")},
}
_FRAMES = {
    "audio": (2, "AudioRawFrame"),
    "message": (4, "MessageFrame"),
    "interruption": (5, "InterruptionFrame"),
}
"""Those of the kinds of frames that a client of speech meets."""


NEW_ANSWER = ("user-stopped-speaking", "bot-llm-started")
"""Messages after which sound is that of another answer."""


def _frame_class() -> Any:
    """The class of `pipecat.Frame`, a choice between the kinds of frames."""
    file = descriptor_pb2.FileDescriptorProto(name="pipecat_frames.proto", package="pipecat", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.add(name=field, number=number, type=kind, label="LABEL_OPTIONAL")
    frame = file.message_type.add(name="Frame")
    frame.oneof_decl.add(name="frame")
    for field, (number, name) in _FRAMES.items():
        frame.field.add(
            name=field,
            number=number,
            type="TYPE_MESSAGE",
            type_name=f".pipecat.{name}",
            label="LABEL_OPTIONAL",
            oneof_index=0,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("pipecat.Frame"))


Frame = _frame_class()


class Pipecat:
    """A `Wire`. Answers have no ids there: they are numbered, from the first sound of each to its end.

    A chunk of an answer may still follow its interruption. It is that answer's until the user's turn is over
    or the language model begins another.

    A session has no settings: what there is to choose is chosen when the bot is started.
    """

    microphone_hz = _MICROPHONE_HZ

    def __init__(self) -> None:
        self._answer, self._sounding, self._interrupted = 0, False, False

    def address(self, url: str) -> str:
        return f"{url}/ws-client"

    def greeting(self, settings: JSON) -> Sequence[Message]:
        about = {"library": "antiphon-bench", "library_version": "1"}
        ready = {
            "label": "rtvi-ai",
            "type": "client-ready",
            "id": "1",
            "data": {"version": _PROTOCOL, "about": about},
        }
        return [_frame(message={"data": json.dumps(ready)})]

    def spoken(self, pcm: bytes) -> Message:
        return _frame(audio={"audio": pcm, "sample_rate": _MICROPHONE_HZ, "num_channels": 1})

    def cancel(self) -> Message:
        return _frame(interruption={"id": 1})

    def taken(self, message: Message) -> Iterator[Taken]:
        frame = Frame.FromString(message)
        match frame.WhichOneof("frame"):
            case "audio":
                yield self._sound(frame.audio)
            case "interruption":
                yield Taken({"type": "interruption"}, "drop")
                self._interrupted = self._sounding or self._interrupted
                yield from self._over("cut off", {"type": "interruption"})
            case "message":
                yield from self._told(json.loads(frame.message.data))

    def _sound(self, audio: Any) -> Taken:
        if audio.sample_rate != HZ:
            raise ValueError(f"the bot speaks at {audio.sample_rate} Hz; expected its default, {HZ} Hz")
        if not self._sounding and not self._interrupted:
            self._answer, self._sounding = self._answer + 1, True
        return Taken({"type": "audio"}, "sound", str(self._answer), sound=from_pcm16(audio.audio, HZ).samples)

    def _told(self, told: JSON) -> Iterator[Taken]:
        data = told.get("data") or {}
        self._interrupted = self._interrupted and told["type"] not in NEW_ANSWER
        match told["type"]:
            case "bot-ready":
                yield Taken(told, "ready")
            case "user-transcription" if data["final"]:
                yield Taken(told, "understood", text=data["text"])
            case "bot-tts-text":
                yield Taken(told, "said", str(self._answer + (not self._sounding)), text=data["text"])
            case "user-stopped-speaking":
                yield Taken(told, "stopped")
            case "bot-stopped-speaking":
                yield from self._over("ended", told)
            case _:
                yield Taken(told)

    def _over(self, how: Any, event: JSON) -> Iterator[Taken]:
        if self._sounding:
            self._sounding = False
            yield Taken(event, how, str(self._answer))
        else:
            yield Taken(event)


def _frame(**kind: JSON) -> bytes:
    encoded: bytes = Frame(**kind).SerializeToString()
    return encoded
