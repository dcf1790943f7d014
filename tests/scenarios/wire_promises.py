"""What the protocol promises, checked over everything that one session sent, whatever was said to it."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.scenarios.wire import Wire

Event = dict[str, Any]

BYTES_A_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}

UNSENT_MS = 2.5
"""Of an answer in G.711 that was interrupted: what the resampler kept back, which is 2 ms, is not sent."""

DELTAS = {
    "response.output_text": "text",
    "response.output_audio_transcript": "transcript",
    "response.function_call_arguments": "arguments",
}
"""Streams of text, and where their end repeats the whole."""

ANSWERS = {
    "session.update": "session.updated",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.truncate": "conversation.item.truncated",
    "conversation.item.delete": "conversation.item.deleted",
}
"""What is asked, and what comes of it alone: this or an error, once."""


@dataclass
class _Output:
    """An item of a response, as its events tell it."""

    item_id: str
    texts: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    audio_bytes: int = 0
    is_filled: bool = False
    done: Event | None = None


@dataclass
class _Response:
    response: Event
    outputs: list[_Output] = field(default_factory=list)
    is_held: bool = False

    @property
    def is_aside(self) -> bool:
        return self.response["conversation_id"] is None


class Promises:
    """Feed it every event in order; raises AssertionError at the first that breaks a promise."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._open: dict[str, _Response] = {}
        self.done: dict[str, Event] = {}
        self._items: dict[str, bool] = {}
        """Those in the conversation by id, and whether they are done."""
        self._aside_items: set[str] = set()
        self._sound_ms: dict[str, float] = {}
        """How much was sent of each spoken item that is over."""
        self._format = ""
        self._extensions: dict[str, Any] = {}
        self._speaking: str | None = None
        self._written: set[str] = set()

    def take(self, event: Event) -> None:
        assert event["event_id"] not in self._ids, "an event id came twice"
        assert (event["type"] == "session.created") is not bool(self._ids), "session.created is first, once"
        self._ids.add(event["event_id"])
        kind: str = event["type"]
        if kind == "error":
            assert event["error"]["type"] == "invalid_request_error", event
        elif kind.startswith("response."):
            self._of_response(kind, event)
        elif kind.startswith("conversation.item.input_audio_transcription"):
            self._of_transcript(kind, event)
        elif kind.startswith("conversation.item"):
            self._of_item(kind, event)
        elif kind.startswith("input_audio_buffer"):
            self._of_input(kind, event)
        elif kind.startswith("antiphon"):
            self._of_extensions(kind, event)
        elif kind.startswith("session"):
            output = event["session"]["audio"].get("output")
            self._format = output["format"]["type"] if output else "audio/pcm"
            self._extensions = event["session"].get("antiphon", {})

    def end(self) -> None:
        assert not self._open, f"never done: {self._open}"
        assert all(self._items.values()), f"never done: {self._items}"

    # --- responses

    def _of_response(self, kind: str, event: Event) -> None:
        response = event.get("response", {})
        response_id = event.get("response_id") or response["id"]
        if kind == "response.created":
            assert response_id not in {*self._open, *self.done}, "a response id came twice"
            assert (response["status"], response["output"]) == ("in_progress", [])
            self._open[response_id] = _Response(response)
            assert sum(not running.is_aside for running in self._open.values()) <= 1, "two at once"
            return
        assert response_id in self._open, f"{kind} outside its response"
        running = self._open[response_id]
        if kind == "response.done":
            self._response_done(running, response)
        elif kind == "response.output_item.added":
            assert event["output_index"] == len(running.outputs)
            assert event["item"]["status"] == "in_progress"
            running.outputs.append(_Output(event["item"]["id"]))
        else:
            self._of_output(kind, event, running)

    def _response_done(self, running: _Response, response: Event) -> None:
        del self._open[response["id"]]
        self.done[response["id"]] = response
        same = ("id", "conversation_id", "metadata", "output_modalities", "max_output_tokens", "audio")
        assert {name: response[name] for name in same} == {name: running.response[name] for name in same}
        assert response["output"] == [output.done for output in running.outputs], (
            "output_item.done is missing"
        )
        details = response["status_details"]
        assert (details is None) is (response["status"] == "completed")
        assert details is None or details["type"] == response["status"]

    def _of_output(self, kind: str, event: Event, running: _Response) -> None:
        output = running.outputs[event["output_index"]]
        assert output.item_id == event.get("item_id", event.get("item", {}).get("id"))
        assert output.done is None, f"{kind} after its item was done"
        stream, _, step = kind.rpartition(".")
        if kind == "response.output_item.done":
            self._output_done(event["item"], output, running)
        elif kind == "response.content_part.added":
            output.texts["part"] = ""
        elif kind == "response.content_part.done":
            assert output.ended, "a part is done before what is in it"
            [whole] = (output.texts[name] for name in output.ended & set(DELTAS))
            assert event["part"].get("text", event["part"].get("transcript")) == whole
        elif step == "delta":
            assert stream not in output.ended, f"{kind} after its end"
            assert stream == "response.function_call_arguments" or "part" in output.texts
            if stream == "response.output_audio":
                assert event["delta"], "no sound in a delta of sound"
                assert not running.is_held, "sound while the client holds"
                output.audio_bytes += len(base64.b64decode(event["delta"]))
            else:
                output.texts[stream] = output.texts.get(stream, "") + event["delta"]
        elif step == "done":
            assert stream not in output.ended, f"{kind} twice"
            output.ended.add(stream)
            if stream in DELTAS:
                told = output.texts.setdefault(stream, "")
                assert event[DELTAS[stream]] == told, "deltas do not add up"

    def _output_done(self, item: Event, output: _Output, running: _Response) -> None:
        assert item["status"] in ("completed", "incomplete")
        told = [output.texts[name] for name in output.ended & set(DELTAS)]
        if item["type"] == "function_call":
            assert [item["arguments"]] == told
        else:
            assert [part.get("text", part.get("transcript")) for part in item["content"]] == told
        output.done = item
        sent_as = running.response["audio"]["output"]["format"]["type"]
        self._sound_ms[output.item_id] = output.audio_bytes / BYTES_A_MS[sent_as]
        if running.is_aside:
            self._aside_items.add(output.item_id)

    # --- what only this server tells

    def _of_extensions(self, kind: str, event: Event) -> None:
        assert event["response_id"] in self._open, f"{kind} outside its response"
        running = self._open[event["response_id"]]
        if kind == "antiphon.output.hold":
            assert self._extensions.get("hold"), "a hold for a client that did not ask for it"
            assert not running.is_held, "held twice"
            running.is_held = True
        elif kind == "antiphon.output.resume":
            assert running.is_held, "a resume without a hold"
            running.is_held = False
        else:
            assert self._extensions.get("events"), f"{kind} for a client that did not ask for it"
        if kind == "antiphon.filler":
            [output] = (output for output in running.outputs if output.item_id == event["item_id"])
            assert not output.is_filled, "two fillers in one item"
            assert not output.audio_bytes, "a filler is announced before it sounds"
            assert event["audio_ms"] > 0
            output.is_filled = True

    # --- the conversation

    def _of_item(self, kind: str, event: Event) -> None:
        item_id = event.get("item_id") or event["item"]["id"]
        step = kind.removeprefix("conversation.item.")
        assert item_id not in self._aside_items, f"{kind} of an item out of band"
        before = event.get("previous_item_id")
        assert before is None or before in self._items, f"{kind} after what is not there"
        if step == "added":
            assert item_id not in self._items, "an item id came twice"
            self._items[item_id] = False
        else:
            assert item_id in self._items, f"{kind} of what is not there"
        if step == "done":
            assert not self._items[item_id], "an item was done twice"
            assert event["item"]["status"] != "in_progress"
            self._items[item_id] = True
        elif step == "deleted":
            del self._items[item_id]
            self._sound_ms.pop(item_id, None)
            self._written.discard(item_id)
        elif step == "retrieved":
            self._retrieved(event["item"])

    def _retrieved(self, item: Event) -> None:
        sounds = [part["audio"] for part in item.get("content", ()) if "audio" in part]
        if item["id"] not in self._sound_ms or not sounds:
            return
        sent_ms, kept_ms = (
            self._sound_ms[item["id"]],
            len(base64.b64decode(sounds[0])) / BYTES_A_MS[self._format],
        )
        assert kept_ms <= sent_ms + UNSENT_MS, "more was kept than was sent"
        assert item["status"] == "incomplete" or kept_ms >= sent_ms - 1, "less was kept than was sent"

    def _of_transcript(self, kind: str, event: Event) -> None:
        assert event["item_id"] not in self._written, f"{kind} after the end of a transcript"
        if not kind.endswith("delta"):
            assert event["item_id"] in self._items, f"{kind} of what is not there"
            self._written.add(event["item_id"])

    def _of_input(self, kind: str, event: Event) -> None:
        step = kind.removeprefix("input_audio_buffer.")
        if step == "speech_started":
            self._speaking = event["item_id"]
        elif step == "speech_stopped":
            assert event["item_id"] == self._speaking, "another's speech stopped"
            self._speaking = None
        elif step == "committed":
            assert event["item_id"] not in self._items
            before = event["previous_item_id"]
            assert before is None or before in self._items


def check_promises(wire: Wire) -> None:
    """Of a session at rest: nothing is being answered any more."""
    promises = Promises()
    for event in wire.sent:
        promises.take(event)
    promises.end()
    refused = Counter(event["error"]["event_id"] for event in wire.of("error"))
    assert set(refused) <= set(wire.said), "an error of no event of the client's"
    assert max(refused.values(), default=1) == 1, "two errors of one event"
    for asked, answer in ANSWERS.items():
        accepted = [said for said in _said(wire, asked) if said["event_id"] not in refused]
        assert len(wire.of(answer)) == len(accepted), answer
    answered = Counter((done["metadata"] or {}).get("of") for done in promises.done.values())
    for said in _said(wire, "response.create"):
        assert answered[said["event_id"]] == (said["event_id"] not in refused), (
            "asked for once, answered once"
        )
    created = {event["item"]["id"] for event in wire.of("conversation.item.added")}
    for said in _said(wire, "conversation.item.create"):
        assert said["event_id"] in refused or said["item"]["id"] in created, "an item was swallowed"


def _said(wire: Wire, kind: str) -> list[Event]:
    return [said for said in wire.said.values() if said["type"] == kind]
