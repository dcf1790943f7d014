"""Whatever a client does, and in whatever order: the session lives, and its responses keep their promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tests.scenarios.wire import PUSH_TO_TALK, STORY, TEXT_ONLY, Wire, play, text_item

Move = tuple[Any, ...]


def vad(**fields: Any) -> dict[str, Any]:
    return {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", **fields}}}}


def _last_item(wire: Wire) -> str:
    items = [event["item"]["id"] for event in wire.of("conversation.item.added")]
    return items[-1] if items else "item_x"


MOVES: dict[str, Callable[[Wire], object]] = {
    "commit": lambda wire: wire.say("input_audio_buffer.commit"),
    "clear": lambda wire: wire.say("input_audio_buffer.clear"),
    "respond": lambda wire: wire.say("response.create"),
    "cancel": lambda wire: wire.say("response.cancel"),
    "push to talk": lambda wire: wire.say("session.update", session=PUSH_TO_TALK),
    "keep talking": lambda wire: wire.say("session.update", session=vad(interrupt_response=False)),
    "keep quiet": lambda wire: wire.say("session.update", session=vad(create_response=False)),
    "text only": lambda wire: wire.say("session.update", session=TEXT_ONLY),
    "type": lambda wire: wire.say("conversation.item.create", item=text_item("Hi.", "mine")),
    "delete": lambda wire: wire.say("conversation.item.delete", item_id=_last_item(wire)),
    "retrieve": lambda wire: wire.say("conversation.item.retrieve", item_id=_last_item(wire)),
    "truncate": lambda wire: wire.say(
        "conversation.item.truncate", item_id=_last_item(wire), content_index=0, audio_end_ms=500
    ),
}

ANYTHING = st.lists(
    st.tuples(st.just("append"), st.sampled_from([0.04, 0.3, 2.0]), st.booleans())
    | st.tuples(st.just("wait"), st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0]))
    | st.tuples(st.sampled_from(sorted(MOVES))),
    max_size=25,
)


def check(moves: list[Move]) -> None:
    async def scene(wire: Wire) -> None:
        for move in moves:
            match move:
                case ("append", duration_s, loud):
                    wire.append(duration_s, level=0.2 if loud else 0.0)
                case ("wait", duration_s):
                    await asyncio.sleep(duration_s)
                case (name,):
                    MOVES[name](wire)
        await asyncio.sleep(60)
        assert wire.closed is None

    wire = play(scene, asr=["how are you today my friend", "yes"], llm=[STORY, "Well.", ""], repeat=True)

    created = [event["response"]["id"] for event in wire.of("response.created")]
    assert [event["response"]["id"] for event in wire.of("response.done")] == created
    assert not [error for error in wire.errors if error["type"] == "server_error"]
    for response_id in created:
        of_it = [event for event in wire.sent if _response(event) == response_id]
        assert (of_it[0]["type"], of_it[-1]["type"]) == ("response.created", "response.done")


def _response(event: dict[str, Any]) -> Any:
    return event.get("response_id") or event.get("response", {}).get("id")


@effort(max_examples=60, deadline=None)
@given(ANYTHING)
def test_a_session_survives_anything(moves: list[Move]) -> None:
    check(moves)


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param(
            [("wait", 0.0), ("append", 0.04, True), ("append", 0.3, False), ("wait", 0.0), ("commit",)],
            id="commit-while-listening-for-more",
        ),
        pytest.param([("append", 0.3, True), ("wait", 3.0), ("delete",)], id="delete-what-is-being-said"),
        pytest.param(
            [
                *[("append", 2.0, True), ("respond",), ("wait", 3.0), ("wait", 3.0)],
                *[("respond",), ("append", 0.3, True)],
            ],
            id="interrupt-what-fails-in-the-same-moment",
        ),
    ],
)
def test_a_session_survives_what_once_ended_it(moves: list[Move]) -> None:
    check(moves)
