"""This project's server as a client meets it: the Realtime protocol, JSON with PCM in base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence

from bench.client import JSON, Message, Signal, Taken
from bench.headset import HZ
from conversation.audio import from_pcm16

SIGNALS: dict[str, Signal] = {
    "session.updated": "ready",
    "response.output_audio.delta": "sound",
    "input_audio_buffer.speech_started": "drop",
    "input_audio_buffer.committed": "stopped",
    "antiphon.output.hold": "hold",
    "antiphon.output.resume": "resume",
    "conversation.item.input_audio_transcription.completed": "understood",
    "response.output_audio_transcript.done": "said",
}
"""By the type of the event; response.done is one of two. On speech_started most clients drop their audio."""


def asked(turn_detection: JSON | None) -> JSON:
    """A session with transcripts and without fillers, whose client holds when told to; None: the server's own
    turn detection.

    What a client hears that obeys no hold can be reckoned from the same session: see bench/turns/heard.py.
    """
    hearing: JSON = {"transcription": {"model": "default"}}
    if turn_detection is not None:
        hearing["turn_detection"] = turn_detection
    return {"audio": {"input": hearing}, "antiphon": {"events": True, "hold": True, "filler": None}}


class Antiphon:
    """A `Wire`. Settings are those of `session.update`."""

    microphone_hz = HZ

    def address(self, url: str) -> str:
        return f"{url}/v1/realtime?model=antiphon&antiphon=timing"

    def greeting(self, settings: JSON) -> Sequence[Message]:
        return [_event("session.update", session={"type": "realtime", **settings})]

    def spoken(self, pcm: bytes) -> Message:
        return _event("input_audio_buffer.append", audio=base64.b64encode(pcm).decode("ascii"))

    def cancel(self) -> Message:
        return _event("response.cancel")

    def taken(self, message: Message) -> Iterator[Taken]:
        event: JSON = json.loads(message)
        kind = event["type"]
        response, item = event.get("response_id"), event.get("item_id")
        if kind == "response.done":
            response = event["response"]["id"]
            status = event["response"]["status"]
            yield Taken(event, "cut off" if status == "cancelled" else "ended", response)
            return
        delta = event.pop("delta") if kind == "response.output_audio.delta" else None
        sound = None if delta is None else from_pcm16(base64.b64decode(delta), HZ).samples
        yield Taken(event, SIGNALS.get(kind), response, item, event.get("transcript"), sound)


def _event(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})
