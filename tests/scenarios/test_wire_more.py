"""What fewer clients do: functions, responses out of band, the telephone, sound in items."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from conversation.audio import silence, to_pcm16
from conversation.scripted import Line, tone
from conversation.settings import Settings
from conversation.stages import ToolCall
from realtime.encodings import ENCODINGS, written
from realtime.limits import Limits
from realtime.session import Opening
from tests.scenarios.wire import PUSH_TO_TALK, TEXT_ONLY, WIRE_HZ, Wire, play, text_item

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALL = ToolCall("call_1", "weather", '{"city": "Paris"}')


def sound_of(events: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(event["delta"]) for event in events)


def test_a_function_is_called_and_its_output_answered() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session={**TEXT_ONLY, "tools": [WEATHER]})
        wire.say("conversation.item.create", item=text_item("How is the weather?"))
        wire.say("response.create")
        await wire.until("response.done")
        output = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
        wire.say("conversation.item.create", item=output)
        await wire.until("conversation.item.done", 3)
        wire.say("response.create")
        await wire.until("response.done", 2)

    wire = play(scene, llm=[Line(calls=(CALL,)), "Rain, alas."])

    start = wire.story.index("response.created")
    assert wire.story[start : start + 8] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    [told] = wire.of("response.function_call_arguments.done")
    assert (told["name"], told["call_id"], told["arguments"]) == ("weather", "call_1", CALL.arguments)
    [called] = wire.of("response.done")[0]["response"]["output"]
    assert (called["type"], called["status"], called["name"]) == ("function_call", "completed", "weather")
    assert len(wire.of("response.created")) == 2  # nothing followed the output by itself
    assert wire.of("response.output_text.done")[0]["text"] == "Rain, alas."


def test_a_response_out_of_band_says_nothing_of_the_conversation() -> None:
    async def scene(wire: Wire) -> None:
        given = {"conversation": "none", "output_modalities": ["text"], "metadata": {"for": "me"}}
        wire.say("response.create", response={**given, "input": [text_item("Hello?")]})
        await wire.until("response.done")

    wire = play(scene, llm=["Hi."])
    assert not [kind for kind in wire.story if kind.startswith("conversation.item")]
    [created], [done] = wire.of("response.created"), wire.of("response.done")
    assert created["response"]["conversation_id"] is done["response"]["conversation_id"] is None
    assert done["response"]["metadata"] == {"for": "me"}
    assert done["response"]["output"][0]["content"] == [{"type": "output_text", "text": "Hi."}]


def test_a_telephone_is_understood_and_answered() -> None:
    law = ENCODINGS["audio/pcmu"]
    format_ = {"format": {"type": "audio/pcmu"}}

    async def scene(wire: Wire) -> None:
        wire.say(
            "session.update", session={"type": "realtime", "audio": {"input": format_, "output": format_}}
        )
        for sound in (tone(1.2, WIRE_HZ), silence(1.0, WIRE_HZ)):
            wire.say("input_audio_buffer.append", audio=base64.b64encode(written(sound, law)).decode())
        await wire.until("response.done")

    wire = play(scene, asr=["how are you today"], llm=["Well."])
    completed = "conversation.item.input_audio_transcription.completed"
    assert wire.of(completed)[0]["transcript"] == "how are you today"
    spoken = len("Well.") * 0.06
    assert len(sound_of(wire.of("response.output_audio.delta"))) == round(spoken * 8000)


STORY = "Once upon a time there was a little dog who lived in a big house by the sea."
TELEPHONE = {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}


def storytelling(
    *sounds: str, session: dict[str, Any] = TELEPHONE, antiphon: dict[str, Any] | None = None
) -> Wire:
    """The agent tells a story, and the user may make a sound over it at 4 s."""

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=session)
        overlap = [(4.0, 4.4)] if sounds else []
        await wire.voice((1.0, 2.2), *overlap, until_s=12.0)

    stops = "stop" in sounds
    answers = [STORY, "Alright."] if stops else [STORY]
    return play(scene, asr=["tell me a story", *sounds], llm=answers, antiphon=antiphon)


@pytest.mark.parametrize("antiphon", [None, {"hold": True}])
def test_over_the_telephone_a_pause_costs_no_sample(antiphon: dict[str, Any] | None) -> None:
    paused, alone = storytelling("uh-huh", antiphon=antiphon), storytelling()
    in_pcm = storytelling(session={"type": "realtime"})
    assert story_of(paused) == story_of(alone)
    assert len(story_of(alone)) * 6 == len(story_of(in_pcm))
    assert longest_gap_s(paused) > 0.3 > longest_gap_s(alone)


@pytest.mark.parametrize("antiphon", [None, {"hold": True}])
def test_over_the_telephone_nothing_follows_an_interruption(antiphon: dict[str, Any] | None) -> None:
    wire = storytelling("stop", antiphon=antiphon)
    kinds = [event["type"] for event in wire.sent]
    stopped = kinds.index("input_audio_buffer.speech_started", kinds.index("response.created"))
    ended = kinds.index("response.done")
    assert wire.sent[ended]["response"]["status"] == "cancelled"
    assert "response.output_audio.delta" in kinds[:stopped]
    assert "response.output_audio.delta" not in kinds[stopped:ended]


def story_of(wire: Wire) -> bytes:
    return sound_of(wire.of("response.output_audio.delta"))


def longest_gap_s(wire: Wire) -> float:
    told = zip(wire.times_s, wire.sent, strict=True)
    times_s = [time_s for time_s, event in told if event["type"] == "response.output_audio.delta"]
    return max(later - sooner for sooner, later in pairwise(times_s))


def test_one_response_may_sound_otherwise() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create", response={"audio": {"output": {"format": {"type": "audio/pcma"}}}})
        await wire.until("response.done")

    wire = play(scene, llm=["Well."])
    assert wire.of("response.created")[0]["response"]["audio"]["output"]["format"] == {"type": "audio/pcma"}
    assert len(sound_of(wire.of("response.output_audio.delta"))) == round(len("Well.") * 0.06 * 8000)


def test_items_are_retrieved_with_their_sound() -> None:
    pcm = to_pcm16(tone(0.9, WIRE_HZ))

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=PUSH_TO_TALK)
        wire.say("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
        wire.say("input_audio_buffer.commit")
        wire.say("response.create")
        done = await wire.until("response.done")
        wire.say("conversation.item.retrieve", item_id=wire.of("conversation.item.added")[0]["item"]["id"])
        wire.say("conversation.item.retrieve", item_id=done["response"]["output"][0]["id"])
        await wire.until("conversation.item.retrieved", 2)

    wire = play(scene, asr=["one two three"], llm=["Four."])
    heard, said = (event["item"]["content"][0] for event in wire.of("conversation.item.retrieved"))
    assert (heard["type"], heard["transcript"]) == ("input_audio", "one two three")
    assert len(base64.b64decode(heard["audio"])) == len(pcm)
    assert base64.b64decode(said["audio"]) == sound_of(wire.of("response.output_audio.delta"))


def test_of_an_interrupted_answer_what_was_heard_is_retrieved() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        added = await wire.until("response.output_item.added")
        await wire.voice((1.0, 1.6), until_s=1.5)
        wire.say("conversation.item.truncate", item_id=added["item"]["id"], content_index=0, audio_end_ms=500)
        wire.say("conversation.item.retrieve", item_id=added["item"]["id"])
        await wire.until("conversation.item.retrieved")

    wire = play(scene, asr=["stop it"], llm=["One two three four five six seven.", "Yes."], repeat=True)
    part = wire.of("conversation.item.retrieved")[0]["item"]["content"][0]
    assert len(base64.b64decode(part["audio"])) == 500 * 48
    assert "One two three four five six seven.".startswith(part["transcript"])


def test_an_item_may_bring_its_sound() -> None:
    sound = base64.b64encode(to_pcm16(tone(0.9, WIRE_HZ))).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound}]}

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=TEXT_ONLY)
        wire.say("conversation.item.create", item=item)
        wire.say("response.create")
        await wire.until("response.done")

    wire = play(scene, asr=["one two three"], llm=["Four."], settings=Settings(transcribe=True))
    [told] = wire.of("conversation.item.input_audio_transcription.completed")
    assert told["transcript"] == "one two three"
    assert wire.of("conversation.item.added")[0]["item"]["content"] == [
        {"type": "input_audio", "transcript": None}
    ]


def test_what_is_no_sound_in_an_item_is_refused() -> None:
    async def scene(wire: Wire) -> None:
        part = {"type": "input_audio", "audio": "not base64!"}
        wire.say("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        await wire.until("error")

    wire = play(scene)
    assert (wire.errors[0]["code"], wire.errors[0]["param"]) == ("invalid_value", "item.content")


def test_silence_in_either_law_is_silence() -> None:
    for name in ("audio/pcmu", "audio/pcma"):
        law = ENCODINGS[name]
        assert np.abs(law.decode(written(silence(0.1, WIRE_HZ), law), 8000).samples).max() < 0.001


# --- sessions that only listen, and those that end


def test_a_session_that_only_listens_answers_nothing() -> None:
    async def scene(wire: Wire) -> None:
        await wire.voice((1.0, 2.2), until_s=3.0)
        wire.say("response.create")
        await wire.until("error")

    wire = play(scene, asr=["how are you today"], opening=Opening(transcription=True))
    assert wire.story[:1] == ["session.created"]
    session = wire.sent[0]["session"]
    assert session["object"] == "realtime.transcription_session"
    assert not {"model", "output_modalities", "tools"} & set(session)
    assert "create_response" not in session["audio"]["input"]["turn_detection"]
    [told] = wire.of("conversation.item.input_audio_transcription.completed")
    assert told["transcript"] == "how are you today"
    assert not [kind for kind in wire.story if kind.startswith("response")]
    assert "no responses" in wire.errors[0]["message"]


def test_a_session_that_only_listens_may_be_changed_but_not_its_kind() -> None:
    hints = {"transcription": {"model": "m", "language": "zh"}, "turn_detection": None}

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session={"type": "transcription", "audio": {"input": hints}})
        wire.say("session.update", session={"type": "realtime"})
        wire.say("session.update", session={"type": "transcription", "instructions": "Sing."})
        await wire.until("error", 2)

    wire = play(scene, opening=Opening(transcription=True))
    heard = wire.of("session.updated")[0]["session"]["audio"]["input"]
    assert (heard["turn_detection"], heard["transcription"]["language"]) == (None, "zh")
    assert [error["param"] for error in wire.errors] == ["session.type", "session.instructions"]


def test_what_a_client_secret_sets_is_what_the_session_begins_with() -> None:
    given = {"type": "realtime", "instructions": "Sing.", "audio": {"output": {"voice": "anna"}}}
    wire = play(no_scene, opening=Opening("m", session=given))
    session = wire.sent[0]["session"]
    assert (session["instructions"], session["audio"]["output"]["voice"]) == ("Sing.", "anna")


async def no_scene(wire: Wire) -> None:
    await wire.until("session.created")


def test_a_session_ends_when_its_time_is_over() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        await wire.until("error")

    wire = play(scene, llm=[Line("Wait.", hangs=True)], limits=Limits(session_s=30.0))
    assert wire.errors[0]["code"] == "session_expired"
    assert wire.closed == (1001, "Your session hit the maximum duration of 0.5 minutes.")
