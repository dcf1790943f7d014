"""Whatever a client does, and in whatever order: the session lives, and keeps every promise of the protocol.

ANTIPHON_EXAMPLES says how many sessions are played; `make test-fuzz` plays many.
"""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from conversation.audio import to_pcm16
from conversation.errors import StageFailed
from conversation.scripted import Line, Lines, tone
from conversation.stages import ToolCall
from realtime.session import Opening
from tests.scenarios.wire import PUSH_TO_TALK, STORY, TEXT_ONLY, WIRE_HZ, Wire, play, text_item
from tests.scenarios.wire_promises import check_promises

EXAMPLES = int(os.environ.get("ANTIPHON_EXAMPLES", "80"))

Move = tuple[Any, ...]

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALLS = (ToolCall("call_1", "weather", '{"city": "Paris"}'), ToolCall("call_2", "weather", "{}"))
SOUND = base64.b64encode(to_pcm16(tone(0.6, WIRE_HZ))).decode()

ASR: Lines = [
    "how are you today my friend",
    Line("yes", first_s=0.3),
    Line("no", raises=StageFailed("asr", "no")),
]
LLM: Lines = [
    STORY,
    Line("Let me look.", calls=CALLS, each_s=0.05),
    "Well.",
    Line("", calls=CALLS[:1]),
    "",
    Line("One moment. And", each_s=0.3, raises=StageFailed("llm", "no")),
]
TTS: Lines = ["", "", Line(first_s=0.3, each_s=0.1), "", Line(raises=StageFailed("tts", "no"))]


def vad(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": {"type": "server_vad", **fields}}}}


def sounds(kind: str, side: str) -> dict[str, Any]:
    return {"audio": {side: {"format": {"type": kind}}}}


SAYS = [{"type": "input_audio", "audio": SOUND}]

UPDATES: list[dict[str, Any]] = [
    PUSH_TO_TALK,
    vad(),
    vad(interrupt_response=False),
    vad(create_response=False),
    vad(idle_timeout_ms=5000, silence_duration_ms=200),
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}}},
    TEXT_ONLY,
    {"output_modalities": ["audio"]},
    {"tools": [WEATHER]},
    {"tools": [WEATHER], "tool_choice": "required"},
    {"tools": [], "tool_choice": "auto"},
    {"max_output_tokens": 3},
    {"audio": {"output": {"voice": "another"}}, "instructions": "New."},
    {"audio": {"output": {"speed": 1.5}}},
    {"audio": {"input": {"transcription": None}}},
    {"audio": {"input": {"transcription": {"model": "any", "language": "en"}}}},
    *[vad(antiphon={"barge_in": barge_in}) for barge_in in ("any_sound", "speech", "words", None)],
    *[
        {"antiphon": antiphon}
        for antiphon in (
            {"events": True, "hold": True},
            {"hold": False, "speculate": False},
            {"paced": False},
            {"events": True, "filler": {"after_ms": 500, "tools": True}},
            {"filler": None},
            None,
        )
    ],
    *[
        sounds(kind, side)
        for kind in ("audio/pcm", "audio/pcmu", "audio/pcma")
        for side in ("input", "output")
    ],
]

WHICH = st.integers(0, 4)
"""Of the items that the client has seen, counted from the last."""

INPUTS = st.lists(
    st.tuples(st.just("refer"), WHICH) | st.just(("say", "Hello?")) | st.just(("sound", SOUND)), max_size=3
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none", "none"]),
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "input": INPUTS,
        "tools": st.just([WEATHER]),
        "tool_choice": st.sampled_from(["auto", "none", "required", {"type": "function", "name": "weather"}]),
        "max_output_tokens": st.sampled_from([2, "inf"]),
        "instructions": st.just("Be brief."),
        "audio": st.just({"output": {"voice": "another", "format": {"type": "audio/pcmu"}}}),
    },
)

PARTS = st.sampled_from(
    [
        {"type": "input_text", "text": "Hi."},
        {"type": "input_audio", "audio": SOUND},
        {"type": "input_audio", "transcript": "Hi."},
    ]
)
ITEMS = (
    st.lists(PARTS, max_size=3).map(lambda parts: {"type": "message", "role": "user", "content": parts})
    | st.sampled_from(CALLS).map(
        lambda call: {"type": "function_call_output", "call_id": call.call_id, "output": "12"}
    )
    | st.just({"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"})
    | st.just(
        {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hm."}]}
    )
)

SOME_TIME = st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0])

MOVES = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([0.04, 0.3, 2.0]), st.booleans()),
    st.tuples(st.just("speak"), st.sampled_from([0.05, 0.5, 1.5])),
    st.tuples(st.just("wait"), SOME_TIME),
    st.tuples(st.just("wait"), SOME_TIME),
    st.tuples(st.sampled_from(["commit", "clear", "cancel"])),
    st.tuples(st.just("update"), st.sampled_from(UPDATES)),
    st.tuples(st.just("respond"), RESPONSES),
    st.tuples(st.just("respond"), st.just({})),
    st.tuples(st.just("cancel one"), WHICH),
    st.tuples(
        st.just("create"), ITEMS, st.sampled_from(["a", "b", "c"]), st.sampled_from([None, "root", "a"])
    ),
    st.tuples(st.sampled_from(["delete", "retrieve"]), WHICH),
    st.tuples(st.just("truncate"), WHICH, st.sampled_from([0, 500, 60_000])),
)


def seen(wire: Wire, which: int) -> str:
    """The id of an item, also of one that was deleted or is out of band."""
    added = [event["item"]["id"] for event in wire.sent if event["type"].endswith("item.added")]
    return added[-1 - which] if which < len(added) else "nobody"


def given_input(wire: Wire, kind: str, what: Any) -> dict[str, Any]:
    if kind == "refer":
        return {"type": "item_reference", "id": seen(wire, what)}
    if kind == "say":
        return text_item(what)
    return {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": what}]}


class Client:
    """Makes the moves, and waits for the voices that it began."""

    def __init__(self, wire: Wire, voices: asyncio.TaskGroup, *, listens_only: bool) -> None:
        self._wire, self._voices = wire, voices
        self.listens_only = listens_only

    async def make(self, move: Move) -> None:  # noqa: C901  # one case a move
        wire = self._wire
        match move:
            case ("append", duration_s, loud):
                wire.append(duration_s, level=0.2 if loud else 0.0)
            case ("speak", duration_s):
                self._voices.create_task(wire.voice((0.1, 0.1 + duration_s), until_s=duration_s + 0.8))
            case ("wait", duration_s):
                await asyncio.sleep(duration_s)
            case ("commit" | "clear" as what,):
                wire.say(f"input_audio_buffer.{what}")
            case ("cancel",):
                wire.say("response.cancel")
            case ("cancel one", which):
                created = [event["response"]["id"] for event in wire.of("response.created")]
                wire.say("response.cancel", response_id=created[-1 - which] if which < len(created) else "x")
            case ("update", session):
                kind = "transcription" if self.listens_only else "realtime"
                wire.say("session.update", session={**session, "type": kind})
            case ("respond", response):
                self.respond(**response)
            case ("create", item, item_id, after):
                wire.say("conversation.item.create", item={**item, "id": item_id}, previous_item_id=after)
            case ("delete" | "retrieve" as what, which):
                wire.say(f"conversation.item.{what}", item_id=seen(wire, which))
            case ("truncate", which, audio_end_ms):
                place = {"item_id": seen(wire, which), "content_index": 0}
                wire.say("conversation.item.truncate", **place, audio_end_ms=audio_end_ms)

    def respond(self, **response: Any) -> str:
        """Each is told apart by the id of the event that asked for it."""
        if "input" in response:
            response["input"] = [given_input(self._wire, *each) for each in response["input"]]
        next_id = f"client_{len(self._wire.said)}"
        assert (
            self._wire.say("response.create", response={**response, "metadata": {"of": next_id}}) == next_id
        )
        return next_id


def check(moves: list[Move], *, listens_only: bool = False) -> None:
    async def scene(wire: Wire) -> None:
        async with asyncio.TaskGroup() as voices:
            client = Client(wire, voices, listens_only=listens_only)
            for move in [("update", {"tools": [WEATHER]}), *moves]:
                await client.make(move)
        await client.make(("update", PUSH_TO_TALK))
        await asyncio.sleep(60)
        assert wire.closed is None
        await still_answers(wire, client)

    check_promises(
        play(scene, asr=ASR, llm=LLM, tts=TTS, repeat=True, opening=Opening(transcription=listens_only))
    )


async def still_answers(wire: Wire, client: Client) -> None:
    """Every item is asked for, too: what is kept of its sound is to be what was sent."""
    for event in wire.of("conversation.item.added"):
        wire.say("conversation.item.retrieve", item_id=event["item"]["id"])
    await client.make(("clear",))
    await wire.until("input_audio_buffer.cleared", len(wire.of("input_audio_buffer.cleared")) + 1)
    asked = client.respond(conversation="none", output_modalities=["text"])
    await asyncio.sleep(60)
    refused = [error["event_id"] for error in wire.errors]
    assert client.listens_only is (asked in refused)


@effort(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MOVES, max_size=25), st.sampled_from([False] * 9 + [True]))
def test_a_session_keeps_its_promises_whatever_a_client_does(moves: list[Move], listens_only: bool) -> None:
    check(moves, listens_only=listens_only)


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param(
            [("wait", 0.0), ("append", 0.04, True), ("append", 0.3, False), ("wait", 0.0), ("commit",)],
            id="commit-while-listening-for-more",
        ),
        pytest.param(
            [("append", 0.3, True), ("wait", 3.0), ("delete", 0)],
            id="delete-what-is-being-said",
        ),
        pytest.param(
            [
                *[("append", 2.0, True), ("respond", {}), ("wait", 3.0), ("wait", 3.0)],
                *[("respond", {}), ("append", 0.3, True)],
            ],
            id="interrupt-what-fails-in-the-same-moment",
        ),
        pytest.param(
            [
                ("respond", {"output_modalities": ["text"]}),
                ("update", {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}),
            ],
            id="another-format-while-a-text-is-written",
        ),
        pytest.param(
            [("respond", {}), ("wait", 0.05), ("delete", 0), ("truncate", 0, 0)],
            id="truncate-what-was-deleted-while-it-was-said",
        ),
        pytest.param(
            [
                *[("speak", 0.05)] * 4,
                *[("respond", {}), ("append", 0.04, True)],
                ("create", {"type": "message", "role": "user", "content": SAYS}, "a", None),
                *[("wait", 0.05), ("commit",), ("respond", {})],
            ],
            id="commit-while-an-answer-is-held-that-calls-a-function",
        ),
        pytest.param(
            [
                *[("speak", 0.05)] * 4,
                ("update", {"antiphon": {"events": True, "hold": True}}),
                ("respond", {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}),
            ],
            id="interrupt-what-is-held-and-resampled",
        ),
        pytest.param(
            [("append", 0.04, True), ("speak", 0.05), ("speak", 0.05), ("respond", {})],
            id="interrupt-what-was-asked-for-and-has-not-begun",
        ),
    ],
)
def test_what_once_broke_a_session_or_a_promise(moves: list[Move]) -> None:
    check(moves)
