"""Whole sessions of a client that speaks the beta dialect, much as LiveKit's Node plugin 2.0.0 leads them."""

from __future__ import annotations

import asyncio
from typing import Any

from conversation.scripted import Line
from conversation.stages import ToolCall
from realtime.session import Opening
from tests.scenarios.wire import STORY, Scene, Wire, play, text_item

OPTIONS: dict[str, Any] = {
    "model": "gpt-realtime",
    "voice": "marin",
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "modalities": ["text", "audio"],
    "turn_detection": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "create_response": True,
        "interrupt_response": True,
    },
    "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
    "temperature": 0.8,
    "tool_choice": "auto",
    "max_response_output_tokens": "inf",
}
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}

TRANSCRIBED = "conversation.item.input_audio_transcription"


def beta(scene: Scene, **script: Any) -> Wire:
    """The model is one that the types of the beta know."""
    return play(scene, **{"opening": Opening("gpt-realtime"), **script}, beta=True)


def test_a_spoken_turn() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=OPTIONS)
        await wire.voice((1.0, 2.2), until_s=3.0)
        await wire.until("response.done")

    wire = beta(scene, asr=["how are you today"], llm=["Very well, thank you."])

    told = [event["type"] for event in wire.sent if not event["type"].startswith(TRANSCRIBED)]
    spoken = {"response.audio.delta", "response.audio_transcript.delta"}
    assert spoken < set(told)
    assert [kind for kind in told if kind not in spoken] == [
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.created",
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    user, agent = (event["item"] for event in wire.of("conversation.item.created"))
    [heard] = wire.of(f"{TRANSCRIBED}.completed")
    assert (user["id"], heard["transcript"]) == (heard["item_id"], "how are you today")
    assert (agent["role"], agent["content"], agent["status"]) == ("assistant", [], "in_progress")
    done = wire.of("response.done")[0]["response"]
    assert (done["voice"], done["output_audio_format"]) == ("marin", "pcm16")
    [said] = done["output"]
    assert said["id"] == agent["id"]
    assert said["content"] == [{"type": "audio", "transcript": "Very well, thank you."}]


def test_typed_words_are_answered_in_text() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session={"modalities": ["text"], "turn_detection": None})
        said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Welcome."}]}
        wire.say("conversation.item.create", item={"id": "theirs", **said})
        wire.say("conversation.item.create", item=text_item("Hello.", "mine"))
        wire.say("response.create", response={"metadata": {"client_event_id": "7"}, "temperature": 1.0})
        await wire.until("response.done")
        wire.say("conversation.item.retrieve", item_id="theirs")
        await wire.until("conversation.item.retrieved")

    wire = beta(scene, llm=["Hello to you."])

    assert wire.story[1:] == [
        "session.updated",
        "conversation.item.created",
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.text.delta",
        "response.text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
        "conversation.item.retrieved",
    ]
    [session] = [event["session"] for event in wire.of("session.updated")]
    assert (session["modalities"], session["turn_detection"]) == (["text"], None)
    created = [event["item"]["id"] for event in wire.of("conversation.item.created")]
    assert (created[:2], len(set(created))) == (["theirs", "mine"], 3)
    assert wire.of("response.created")[0]["response"]["metadata"] == {"client_event_id": "7"}
    done = wire.of("response.done")[0]["response"]
    assert (done["modalities"], done["metadata"]) == (["text"], {"client_event_id": "7"})
    assert done["output"][0]["content"] == [{"type": "text", "text": "Hello to you."}]
    assert wire.sent[-1]["item"]["content"] == [{"type": "text", "text": "Welcome."}]


def test_a_call() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session={"tools": [TOOL], "tool_choice": "auto"})
        wire.say("conversation.item.create", item=text_item("What is there?"))
        wire.say("response.create")
        done = await wire.until("response.function_call_arguments.done")
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "A dog."}
        wire.say("conversation.item.create", item=output)
        await wire.until("response.done")
        wire.say("response.create", response={"modalities": ["text"]})
        await wire.until("response.done", 2)

    call = Line(calls=(ToolCall("call_1", "look", "{}"),))
    wire = beta(scene, llm=[call, "There is a dog."])

    assert not wire.errors
    [told] = [event["item"] for event in wire.of("response.output_item.done") if event["output_index"] == 0][
        :1
    ]
    assert (told["type"], told["call_id"], told["name"]) == ("function_call", "call_1", "look")
    assert told["id"] in [event["item"]["id"] for event in wire.of("conversation.item.created")]
    assert wire.of("response.text.done")[0]["text"] == "There is a dog."


def test_barge_in() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=OPTIONS)
        voice = asyncio.create_task(wire.voice((1.0, 2.2), (4.0, 5.2), until_s=7.0))
        await wire.until("input_audio_buffer.speech_started", 2)
        item_id = wire.of("response.output_item.added")[0]["item"]["id"]
        wire.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=60_000)
        await wire.until("response.done", 2)
        await voice

    wire = beta(scene, asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    assert not wire.errors
    first, second = (event["response"] for event in wire.of("response.done"))
    assert (first["status"], first["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert first["output"][0]["status"] == "incomplete"
    assert second["status"] == "completed"
    assert wire.of("conversation.item.truncated")


def test_an_error_names_the_event_and_the_field_and_the_session_lives() -> None:
    async def scene(wire: Wire) -> None:
        ids.append(wire.say("session.update", session={"voice": "marin", "bogus": 1}))
        ids.append(wire.say("session.update", session={"input_audio_format": "mp3"}))
        ids.append(wire.say("response.create", response={"modalities": ["smell"]}))
        ids.append(wire.say("nope"))
        ids.append(wire.say("response.cancel"))
        wire.say("session.update", session={"instructions": "Sing."})
        await wire.until("session.updated")

    ids: list[str] = []
    wire = beta(scene)

    told = [(error["event_id"], error["param"]) for error in wire.errors]
    params = ["session.bogus", "session.input_audio_format", "response.modalities[0]", "type", None]
    assert told == list(zip(ids, params, strict=True))
    assert wire.errors[-1]["message"].startswith("Cancellation failed")
    [updated] = wire.of("session.updated")
    assert (updated["session"]["voice"], updated["session"]["instructions"]) == ("default", "Sing.")


def test_a_session_that_only_listens() -> None:
    async def scene(wire: Wire) -> None:
        update = {"input_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1"}}
        wire.say("transcription_session.update", session=update)
        await wire.voice((1.0, 2.2), until_s=3.0)
        await wire.until(f"{TRANSCRIBED}.completed")

    wire = beta(scene, asr=["how are you today"], opening=Opening(transcription=True))

    assert wire.story[:2] == ["transcription_session.created", "transcription_session.updated"]
    assert len(wire.of("conversation.item.created")) == 1
    assert not [kind for kind in wire.story if kind.startswith("response")]
