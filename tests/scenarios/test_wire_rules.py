"""The protocol's rules, one by one, where a client would notice: items, truncation, responses, errors."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from conversation.audio import to_pcm16
from conversation.errors import StageFailed
from conversation.scripted import Line, tone
from conversation.stages import Message, ToolCall
from tests.scenarios.wire import STORY, TEXT_ONLY, WIRE_HZ, Wire, play, text_item

SLOW = Line("one two three four five six seven", each_s=0.3)
SOUND = {"type": "input_audio", "audio": base64.b64encode(to_pcm16(tone(0.9, WIRE_HZ))).decode()}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALL = ToolCall("call_1", "weather", "{}")


def said(*content: dict[str, Any], item_id: str = "said") -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": "user", "content": list(content)}


def reference(item_id: str) -> dict[str, Any]:
    return {"type": "item_reference", "id": item_id}


def truncate(wire: Wire, item_id: str, audio_end_ms: int, content_index: int = 0) -> None:
    place = {"item_id": item_id, "content_index": content_index}
    wire.say("conversation.item.truncate", **place, audio_end_ms=audio_end_ms)


# --- where items stand


def test_items_stand_where_the_client_puts_them() -> None:
    async def scene(wire: Wire) -> None:
        places = {"a": None, "first": "root", "second": "first", "last": ""}
        for item_id, after in places.items():
            wire.say("conversation.item.create", item=text_item("Hi.", item_id), previous_item_id=after)
        wire.say("conversation.item.create", item=text_item("Hi.", "lost"), previous_item_id="nobody")
        await wire.until("error")

    wire = play(scene)
    told = {event["item"]["id"]: event["previous_item_id"] for event in wire.of("conversation.item.done")}
    assert told == {"a": None, "first": None, "second": "first", "last": "a"}
    [error] = wire.errors
    assert (error["code"], error["param"]) == ("item_create_invalid_previous_item_id", "previous_item_id")


def test_an_item_created_while_the_agent_answers_stands_after_the_answer() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=TEXT_ONLY)
        wire.say("response.create")
        running = (await wire.until("response.output_item.added"))["item"]["id"]
        wire.say("conversation.item.retrieve", item_id=running)
        wire.say("conversation.item.create", item=text_item("And?", "mine"))
        await wire.until("response.done")

    wire = play(scene, llm=[SLOW])
    assert not wire.errors
    running = wire.of("conversation.item.retrieved")[0]["item"]
    assert (running["status"], running["role"]) == ("in_progress", "assistant")
    assert wire.of("conversation.item.done")[0]["previous_item_id"] == running["id"]
    assert wire.of("response.done")[0]["response"]["status"] == "completed"


def test_a_deleted_id_may_be_used_again() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("conversation.item.create", item=text_item("Hi.", "mine"))
        wire.say("conversation.item.delete", item_id="mine")
        wire.say("conversation.item.create", item=text_item("Hello.", "mine"))
        wire.say("conversation.item.create", item=text_item("Hello.", "mine"))
        await wire.until("error")

    wire = play(scene)
    assert len(wire.of("conversation.item.done")) == 2
    assert [error["code"] for error in wire.errors] == ["item_create_duplicate_item_id"]


def test_an_answer_that_is_deleted_while_it_is_said_does_not_come_back() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        item_id = (await wire.until("response.output_item.added"))["item"]["id"]
        wire.say("conversation.item.delete", item_id=item_id)
        truncate(wire, item_id, 100)
        await wire.until("response.done")
        wire.say("conversation.item.retrieve", item_id=item_id)
        await wire.until("error", 2)

    wire = play(scene, llm=[STORY])
    assert not wire.of("conversation.item.done")
    assert wire.of("response.output_item.done")[0]["item"]["status"] == "completed"
    codes = [error["code"] for error in wire.errors]
    assert codes == ["item_truncate_invalid_item_id", "item_retrieve_invalid_item_id"]


def test_nothing_goes_on_in_an_item_that_a_client_brings() -> None:
    """`in_progress` has no effect: the call is over, and the model is shown it."""
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=TEXT_ONLY)
        wire.say("conversation.item.create", item={**call, "status": "in_progress"})
        await wire.until("conversation.item.done")

    wire = play(scene)
    assert wire.of("conversation.item.done")[0]["item"]["status"] == "completed"


def test_sound_in_several_parts_of_an_item_is_written_down_once() -> None:
    async def scene(wire: Wire) -> None:
        item = said({"type": "input_text", "text": "Listen:"}, SOUND, SOUND)
        wire.say("conversation.item.create", item=item)
        await wire.until("conversation.item.input_audio_transcription.completed")
        wire.say("conversation.item.retrieve", item_id="said")
        await wire.until("conversation.item.retrieved")

    wire = play(scene, asr=["one two three four five six"])
    told = [event for event in wire.sent if "input_audio_transcription" in event["type"]]
    assert [event["content_index"] for event in told] == [1, 1]
    text, first, second = wire.of("conversation.item.retrieved")[0]["item"]["content"]
    assert (first["transcript"], second["transcript"]) == ("one two three four five six", "")
    assert len(base64.b64decode(first["audio"])) == round(2 * 0.9 * WIRE_HZ) * 2
    assert "audio" not in text
    assert "audio" not in second


def test_words_of_a_deleted_item_are_nobody_s() -> None:
    """Its id was given to another meanwhile."""

    async def scene(wire: Wire) -> None:
        wire.say("conversation.item.create", item=said(SOUND))
        wire.say("conversation.item.delete", item_id="said")
        wire.say("conversation.item.create", item=said(SOUND))
        await wire.until("conversation.item.input_audio_transcription.completed")
        wire.say("conversation.item.delete", item_id="said")
        await asyncio.sleep(5)

    wire = play(scene, asr=[Line("no no no", first_s=1.0), Line("one two three", first_s=1.0)])
    completed = wire.of("conversation.item.input_audio_transcription.completed")
    assert [event["transcript"] for event in completed] == ["one two three"]


# --- truncation


def test_only_speech_of_the_agent_can_be_truncated() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("conversation.item.create", item=text_item("Hi.", "mine"))
        truncate(wire, "mine", 100)
        truncate(wire, "nobody", 100)
        wire.say("session.update", session=TEXT_ONLY)
        wire.say("response.create")
        truncate(wire, (await wire.until("response.output_item.added"))["item"]["id"], 100)
        truncate(wire, "mine", 100, content_index=1)
        await wire.until("response.done")

    wire = play(scene, llm=[SLOW])
    not_speech = (None, "Only model output audio messages can be truncated", "item_id")
    missing = "Error truncating item: the item with id 'nobody' does not exist."
    told = [(error["code"], error["message"], error["param"]) for error in wire.errors]
    assert told[:3] == [not_speech, ("item_truncate_invalid_item_id", missing, "item_id"), not_speech]
    assert (told[3][0], told[3][2]) == ("integer_above_max_value", "content_index")
    assert not wire.of("conversation.item.truncated")


def test_an_answer_cannot_be_cut_where_no_sound_of_it_was_sent() -> None:
    """Its message begins before a call; of the answer before it, a second was sent."""

    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        await wire.until("response.done")
        wire.say("session.update", session={"type": "realtime", "tools": [WEATHER]})
        wire.say("response.create")
        truncate(wire, (await wire.until("response.output_item.added", 2))["item"]["id"], 700)
        await wire.until("conversation.item.truncated")

    asks = Line("Let me look.", calls=(CALL,))
    wire = play(scene, llm=["Good morning to you all.", asks], tts=["", Line(first_s=1.0)])
    assert wire.of("conversation.item.truncated")[0]["audio_end_ms"] == 0


# --- responses


def test_what_is_referred_to_is_answered_with_its_words() -> None:
    """Also where they are still being found out when the response is asked for."""

    async def scene(wire: Wire) -> None:
        wire.say("conversation.item.create", item=said(SOUND))
        text = {"conversation": "none", "output_modalities": ["text"]}
        wire.say("response.create", response={**text, "input": [reference("said")]})
        await wire.until("response.done")

    wire = play(scene, asr=[Line("one two three", first_s=1.0)], llm=["Four."])
    assert wire.llm.asked == [(Message("system", ""), Message("user", "one two three"))]


@pytest.mark.parametrize("conversation", ["auto", "none"])
def test_what_cannot_be_answered_is_named(conversation: str) -> None:
    async def scene(wire: Wire) -> None:
        for given in (reference("gone"), {**said(SOUND), "id": None}):
            items = [text_item("Hi."), given]
            wire.say("response.create", response={"conversation": conversation, "input": items})
        await wire.until("error", 2)

    wire = play(scene)
    assert [(error["code"], error["param"]) for error in wire.errors] == [
        ("invalid_value", "response.input[1].id"),
        ("unsupported_value", "response.input[1].content"),
    ]
    assert [error["event_id"] for error in wire.errors] == ["client_0", "client_1"]
    assert not wire.of("response.created")


def test_cancelling_without_an_id_means_the_conversation_s_response() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create", response={"conversation": "none"})
        aside = (await wire.until("response.created"))["response"]["id"]
        wire.say("response.cancel")
        await wire.until("error")
        wire.say("response.create")
        await wire.until("response.created", 2)
        wire.say("response.cancel", response_id="nobody")
        await wire.until("error", 2)
        wire.say("response.cancel")
        await wire.until("response.done")
        wire.say("response.cancel", response_id=aside)
        await wire.until("response.done", 2)

    wire = play(scene, llm=[SLOW, SLOW])
    told = [(error["code"], error["param"]) for error in wire.errors]
    assert told == [("response_cancel_not_active", None), ("response_cancel_not_active", "response_id")]
    created = [event["response"]["id"] for event in wire.of("response.created")]
    done = [event["response"] for event in wire.of("response.done")]
    assert [response["id"] for response in done] == created[::-1]
    cancelled = {"type": "cancelled", "reason": "client_cancelled"}
    assert [response["status_details"] for response in done] == [cancelled, cancelled]


def test_a_second_response_is_refused_and_the_first_goes_on() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        wire.say("response.create")
        await wire.until("response.done")

    wire = play(scene, llm=["Well."])
    [error] = wire.errors
    assert error["code"] == "conversation_already_has_active_response"
    assert wire.of("response.created")[0]["response"]["id"] in error["message"]
    assert wire.of("response.done")[0]["response"]["status"] == "completed"


def test_a_response_that_was_asked_for_comes_at_once_and_has_its_end_even_before_its_first_word() -> None:
    """The user's words are not known yet when more of them interrupt."""

    async def scene(wire: Wire) -> None:
        await wire.voice((0.1, 1.0), until_s=1.2)
        wire.say("input_audio_buffer.commit")
        wire.say("response.create", response={"metadata": {"of": "mine"}})
        created = await wire.until("response.created")
        assert created["response"]["metadata"] == {"of": "mine"}
        assert not wire.of("conversation.item.input_audio_transcription.completed")
        await wire.voice((0.1, 1.0), until_s=1.1)

    wire = play(scene, asr=[Line("how are you", first_s=3.0)], llm=["Well."], repeat=True)
    [done] = (event["response"] for event in wire.of("response.done"))
    assert (done["status_details"], done["output"]) == ({"type": "cancelled", "reason": "turn_detected"}, [])


def test_a_response_that_ends_otherwise_says_why() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create", response={"max_output_tokens": 2, "metadata": {"a": "b"}})
        await wire.until("response.done")
        wire.say("response.create")
        await wire.until("response.done", 2)

    wire = play(scene, llm=["one two three", Line("oh", raises=StageFailed("llm", "no more"))])
    short, failed = (event["response"] for event in wire.of("response.done"))
    assert short["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert [item["status"] for item in short["output"]] == ["incomplete"]
    assert short["metadata"] == {"a": "b"}
    assert short["usage"]["output_tokens"] == short["usage"]["output_token_details"]["text_tokens"] == 2
    error = {"type": "server_error", "code": "llm_failed", "message": "llm: no more"}
    assert failed["status_details"] == {"type": "failed", "error": error}


# --- the session


def test_an_update_with_anything_wrong_in_it_changes_nothing() -> None:
    def update(**fields: Any) -> dict[str, Any]:
        return {"type": "realtime", "instructions": "New.", **fields}

    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        await wire.until("response.done")
        for wrong in (
            {"audio": {"output": {"voice": "another"}}},
            {"audio": {"output": {"speed": 9}}},
            {"output_modalities": ["text", "audio"]},
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}},
            {"type": "transcription"},
            {"tools": [{"type": "mcp"}]},
        ):
            wire.say("session.update", session=update(**wrong))
        wire.say("session.update", session={"type": "realtime", "audio": None, "tools": None})
        await wire.until("session.updated")

    wire = play(scene, llm=["Well."])
    assert [(error["code"], error["param"]) for error in wire.errors] == [
        ("cannot_update_voice", "session.audio.output.voice"),
        ("integer_above_max_value", "session.audio.output.speed"),
        ("invalid_value", "session.output_modalities"),
        ("integer_below_min_value", "session.audio.input.format.rate"),
        ("invalid_value", "session.type"),
        ("unsupported_value", "session.tools[0].type"),
    ]
    assert wire.of("session.updated")[0]["session"] == wire.sent[0]["session"]


def test_interrupted_speech_is_closed_part_by_part_with_what_was_sent() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        await wire.until("response.output_audio.delta")
        await asyncio.sleep(1.0)
        wire.say("response.cancel")
        await wire.until("response.done")

    wire = play(scene, llm=[STORY])
    assert wire.story[-6:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    told = "".join(event["delta"] for event in wire.of("response.output_audio_transcript.delta"))
    [done] = wire.of("response.done")
    assert wire.of("response.output_audio_transcript.done")[0]["transcript"] == told
    assert done["response"]["output"][0]["content"][0]["transcript"] == told
    assert done["response"]["output"][0]["status"] == "incomplete"
