"""Whole sessions over an in-memory socket, in virtual time: what a stock client sends and is sent."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from conversation.audio import Audio, to_pcm16
from conversation.conversation import Conversation
from conversation.errors import ImpossibleMove
from conversation.scripted import Line, ScriptedAsr, ScriptedLlm, ScriptedTts, ScriptedVad, tone
from conversation.settings import Deadlines, Filler, Settings, Tuning
from conversation.stages import Hints, Stages
from conversation.utterance import STEP_S
from realtime.limits import Limits
from realtime.parse import MAX_APPEND_BYTES
from realtime.session import Opening, converse
from tests import virtual_time
from tests.scenarios.wire import CHUNK_S, PUSH_TO_TALK, STORY, TEXT_ONLY, WIRE_HZ, Wire, play, text_item
from tests.scenarios.wire_promises import check_promises


def test_a_spoken_turn_is_answered_in_speech() -> None:
    async def scene(wire: Wire) -> None:
        await wire.voice((1.0, 2.2), until_s=3.0)
        await wire.until("response.done")

    wire = play(scene, asr=["how are you today"], llm=["Very well, thank you."])

    deltas = "conversation.item.input_audio_transcription.delta"
    completed = "conversation.item.input_audio_transcription.completed"
    told = [kind for kind in wire.story if kind not in (deltas, completed)]
    assert told[:7] == [
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert told[-6:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    [heard] = wire.of(completed)
    assert heard["transcript"] == "how are you today"
    assert wire.of("conversation.item.added")[0]["item"]["id"] == heard["item_id"]
    [done] = wire.of("response.output_audio_transcript.done")
    assert done["transcript"] == "Very well, thank you."
    said = "".join(event["delta"] for event in wire.of("response.output_audio_transcript.delta"))
    assert said == "Very well, thank you."


def test_onset_and_end_are_counted_in_audio_written() -> None:
    async def scene(wire: Wire) -> None:
        await wire.voice((1.0, 2.2), until_s=3.0)
        await wire.until("response.done")

    wire = play(scene, asr=["how are you today"], llm=["Well."])

    [started] = wire.of("input_audio_buffer.speech_started")
    [stopped] = wire.of("input_audio_buffer.speech_stopped")
    assert started["audio_start_ms"] == pytest.approx(1000 - 300, abs=64)
    assert stopped["audio_end_ms"] == pytest.approx(2200 + 500, abs=64)


def test_typed_words_are_answered_in_text() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=TEXT_ONLY)
        wire.say("conversation.item.create", item=text_item("Hello.", "mine"), previous_item_id="root")
        wire.say("response.create", response={"metadata": {"client_event_id": "7"}, "instructions": None})
        await wire.until("response.done")

    wire = play(scene, llm=["Hello to you."])

    assert wire.story == [
        "session.created",
        "session.updated",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert wire.of("conversation.item.added")[0]["item"]["id"] == "mine"
    assert wire.of("response.created")[0]["response"]["metadata"] == {"client_event_id": "7"}
    done = wire.of("response.done")[0]["response"]
    assert done["metadata"] == {"client_event_id": "7"}
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "Hello to you."}]


def test_push_to_talk() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=PUSH_TO_TALK)
        await wire.until("session.updated")
        for _ in range(30):
            wire.append(CHUNK_S)
        wire.say("input_audio_buffer.commit")
        await wire.until("conversation.item.done")
        wire.say("response.create")
        await wire.until("response.done")

    wire = play(scene, asr=["how are you today"], llm=["Well."])

    assert not wire.of("input_audio_buffer.speech_started")
    assert [kind for kind in wire.story if "transcription" not in kind][:6] == [
        "session.created",
        "session.updated",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    await_text = wire.of("conversation.item.input_audio_transcription.completed")[0]
    assert await_text["transcript"] == "how are you today"
    assert await_text["usage"]["seconds"] == pytest.approx(1.2, abs=0.001)


def test_push_to_talk_may_drop_what_was_said() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=PUSH_TO_TALK)
        wire.append(1.0)
        wire.say("input_audio_buffer.clear")
        wire.say("input_audio_buffer.commit")
        await wire.until("error")

    wire = play(scene)

    assert wire.story == ["session.created", "session.updated", "input_audio_buffer.cleared", "error"]
    assert wire.errors[0]["code"] == "input_audio_buffer_commit_empty"


def test_barge_in_as_stock_clients_do_it() -> None:
    async def scene(wire: Wire) -> None:
        voice = asyncio.create_task(wire.voice((1.0, 2.2), (4.0, 5.2), until_s=7.0))
        await wire.until("input_audio_buffer.speech_started", 2)
        item_id = wire.of("response.output_item.added")[0]["item"]["id"]
        wire.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=60_000)
        wire.say("conversation.item.retrieve", item_id=item_id)
        await wire.until("response.done", 2)
        await voice

    wire = play(scene, asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    assert not wire.errors
    first, second = (event["response"] for event in wire.of("response.done"))
    assert (first["status"], first["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert second["status"] == "completed"
    [truncated] = wire.of("conversation.item.truncated")
    assert truncated["audio_end_ms"] < 60_000
    [retrieved] = wire.of("conversation.item.retrieved")
    assert retrieved["item"]["status"] == "incomplete"
    types = [event["type"] for event in wire.sent]
    assert types.index("response.done") < types.index("response.created", types.index("response.done"))


@pytest.mark.parametrize("antiphon", [None, {"events": True}, {"hold": True}])
@pytest.mark.parametrize(("sound", "ends"), [("uh-huh", ["completed"]), ("stop", ["cancelled", "completed"])])
def test_a_hold_is_told_to_those_who_obey_it(
    antiphon: dict[str, Any] | None, sound: str, ends: list[str]
) -> None:
    async def scene(wire: Wire) -> None:
        voice = asyncio.create_task(wire.voice((1.0, 2.2), (4.0, 4.4), until_s=10.0))
        await wire.until("response.done", len(ends))
        await voice

    wire = play(
        scene, asr=["tell me a story", sound], llm=[STORY, "Alright."][: len(ends)], antiphon=antiphon
    )

    holds = [kind for kind in wire.story if kind.startswith("antiphon.output")]
    if antiphon != {"hold": True}:
        assert not holds
    else:
        resumed = ["antiphon.output.resume"] if ends == ["completed"] else []
        assert holds == ["antiphon.output.hold", *resumed]
    assert [event["response"]["status"] for event in wire.of("response.done")] == ends
    check_promises(wire)


def test_a_client_may_cancel() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("conversation.item.create", item=text_item("A story, please."))
        wire.say("response.create")
        await wire.until("response.output_audio.delta")
        wire.say("response.cancel")
        await wire.until("response.done")
        wire.say("response.cancel")
        await wire.until("error")

    wire = play(scene, llm=[STORY])

    done = wire.of("response.done")[0]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert wire.errors[0]["code"] == "response_cancel_not_active"
    assert wire.errors[0]["message"].startswith("Cancellation failed")


def test_errors_name_their_event_and_the_session_lives() -> None:
    async def scene(wire: Wire) -> None:
        wire.frame("{")
        wire.frame(b"\x00")
        ids.append(wire.say("nope"))
        ids.append(wire.say("session.update", session={"type": "realtime", "bogus_field": 1}))
        ids.append(wire.say("conversation.item.retrieve", item_id="item_x"))
        ids.append(wire.say("conversation.item.delete", item_id="item_x"))
        ids.append(wire.say("conversation.item.truncate", item_id="item_x", content_index=0, audio_end_ms=0))
        wire.say("conversation.item.create", item=text_item("One.", "twice"))
        ids.append(wire.say("conversation.item.create", item=text_item("Two.", "twice")))
        ids.append(wire.say("conversation.item.truncate", item_id="twice", content_index=0, audio_end_ms=0))
        ids.append(wire.say("input_audio_buffer.append", audio="!"))
        wire.say("session.update", session={"type": "realtime"})
        await wire.until("session.updated")

    ids: list[str] = []
    wire = play(scene)

    assert [error["code"] for error in wire.errors] == [
        "invalid_json",
        "invalid_event",
        "invalid_value",
        "unknown_parameter",
        "item_retrieve_invalid_item_id",
        "item_delete_invalid_item_id",
        "item_truncate_invalid_item_id",
        "item_create_duplicate_item_id",
        None,
        "invalid_value",
    ]
    assert [error["event_id"] for error in wire.errors] == [None, None, *ids]
    assert wire.closed is None


def test_an_item_may_be_deleted_and_made_again_with_its_id() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("conversation.item.create", item=text_item("One.", "mine"))
        wire.say("conversation.item.delete", item_id="mine")
        wire.say("conversation.item.create", item=text_item("Two.", "mine"), previous_item_id="")
        wire.say("conversation.item.retrieve", item_id="mine")
        await wire.until("conversation.item.retrieved")

    wire = play(scene)

    assert not wire.errors
    assert wire.sent[-1]["item"]["content"][0]["text"] == "Two."


def test_the_voice_is_locked_once_it_was_heard() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=voice("anna"))
        wire.say("conversation.item.create", item=text_item("Hi."))
        wire.say("response.create")
        await wire.until("response.done")
        wire.say("session.update", session=voice("ben"))
        await wire.until("error")

    def voice(name: str) -> dict[str, Any]:
        return {"type": "realtime", "audio": {"output": {"voice": name}}}

    wire = play(scene, llm=["Hi."])

    assert wire.of("response.created")[0]["response"]["audio"]["output"]["voice"] == "anna"
    assert wire.errors[0]["code"] == "cannot_update_voice"


def test_odd_bytes_and_long_appends_lose_nothing() -> None:
    pcm = to_pcm16(tone(3.0, WIRE_HZ))

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=PUSH_TO_TALK)
        for start, end in [(0, 1), (1, 4), (4, 4), (4, 4 + 2001), (2005, len(pcm))]:
            wire.say("input_audio_buffer.append", audio=base64.b64encode(pcm[start:end]).decode())
        wire.say("input_audio_buffer.commit")
        await wire.until("conversation.item.input_audio_transcription.completed")

    wire = play(scene, asr=["one two three four five six seven eight nine ten"])

    [completed] = wire.of("conversation.item.input_audio_transcription.completed")
    assert completed["usage"]["seconds"] == pytest.approx(3.0, abs=0.0001)


def test_timing_is_told_to_those_who_asked_for_extensions() -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        await wire.until("response.done")

    assert play(scene, llm=["Hi."], antiphon={"events": True}).of("antiphon.turn.timing")
    assert not play(scene, llm=["Hi."]).of("antiphon.turn.timing")


@pytest.mark.parametrize("antiphon", [None, {"hold": True}, {"events": True}])
def test_a_filler_is_said_to_all_and_told_to_those_who_asked_for_extensions(
    antiphon: dict[str, Any] | None,
) -> None:
    async def scene(wire: Wire) -> None:
        wire.say("response.create")
        await wire.until("response.done")

    late = Line("Hi.", first_s=3.0)
    wire = play(scene, llm=[late], settings=Settings(filler=Filler(after_ms=1000)), antiphon=antiphon)

    [done] = wire.of("response.done")
    [part] = done["response"]["output"][0]["content"]
    assert part["transcript"] == "One moment. Hi."
    fillers = wire.of("antiphon.filler")
    if antiphon != {"events": True}:
        assert not fillers
        return
    [filler] = fillers
    assert filler["item_id"] == done["response"]["output"][0]["id"]
    sounds = [base64.b64decode(event["delta"]) for event in wire.of("response.output_audio.delta")]
    assert len(b"".join(sounds)) // 48 == filler["audio_ms"] + 180


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.5, 2.5, 3.0, 4.5])
def test_a_hang_up_at_any_time_leaves_nothing(after_s: float) -> None:
    async def scene(wire: Wire) -> None:
        voice = asyncio.create_task(wire.voice((1.0, 2.2), until_s=5.0))
        await asyncio.sleep(after_s)
        voice.cancel()

    wire = play(scene, asr=["tell me a story"], llm=[STORY])

    assert wire.closed is None


@pytest.mark.parametrize("client_leaves_too", [False, True])
def test_a_cancelled_session_closes_with_1012_and_leaves_nothing(client_leaves_too: bool) -> None:
    async def whole() -> Wire:
        wire = Wire()
        stages = Stages(
            ScriptedVad(), ScriptedAsr(script=[]), ScriptedLlm(script=[Line(hangs=True)]), ScriptedTts()
        )
        serving = asyncio.create_task(
            converse(
                wire,
                stages,
                Opening("m"),
                defaults=Settings(),
                tuning=Tuning(),
                limits=Limits(),
            )
        )
        wire.say("response.create")
        await wire.until("session.created")
        if client_leaves_too:
            wire.hang_up()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return wire

    wire = virtual_time.run(whole())
    assert wire.closed is not None
    assert wire.closed[0] == 1012


def test_a_client_that_never_reads_is_closed_once_too_much_waits() -> None:
    async def scene(wire: Wire) -> None:
        wire.reads = False
        while wire.closed is None:
            wire.say("nope")
            await asyncio.sleep(0)

    wire = play(scene, limits=Limits(unread_chars=100_000))

    assert wire.closed == (1008, "The client does not read what it is sent.")
    assert not wire.sent


def test_a_client_that_reads_may_send_a_burst() -> None:
    async def scene(wire: Wire) -> None:
        for _ in range(200):
            wire.say("nope")
        await wire.until("error", 200)

    assert play(scene, limits=Limits(unread_chars=10_000)).closed is None


def test_a_client_that_reads_nothing_for_long_is_closed_however_little_waits() -> None:
    async def scene(wire: Wire) -> None:
        wire.reads = False
        await asyncio.sleep(Limits().unread_s + 1)
        assert wire.closed is not None

    assert play(scene).closed == (1008, "The client does not read what it is sent.")


IMPATIENT = Tuning(backlog_s=2.0, deadlines=Deadlines(vad_s=0.5))


def test_a_client_that_is_too_fast_for_a_while_is_waited_for() -> None:
    async def scene(wire: Wire) -> None:
        for _ in range(40):
            wire.append(1.0, level=0.0)
        wire.say("session.update", session={"type": "realtime"})
        await wire.until("session.updated")

    assert play(scene, tuning=IMPATIENT, limits=Limits(pressing_s=60.0)).closed is None


def test_a_client_that_stays_too_fast_for_long_is_closed() -> None:
    class Deaf(ScriptedVad):
        async def step(self, frames: Any, states: Any) -> Any:
            await asyncio.Event().wait()

    async def whole() -> Wire:
        wire = Wire()
        stages = Stages(Deaf(), ScriptedAsr(script=[]), ScriptedLlm(script=[]), ScriptedTts())
        begun_s = asyncio.get_running_loop().time()
        for _ in range(60):
            wire.append(1.0)
        await converse(
            wire,
            stages,
            Opening("m"),
            defaults=Settings(),
            tuning=IMPATIENT,
            limits=Limits(pressing_s=60.0),
        )
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(60.0, abs=1.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return wire

    wire = virtual_time.run(whole())
    assert wire.closed == (1008, "Audio came faster than it can be listened to, for too long.")


def test_the_longest_append_is_understood_by_a_slow_recogniser_piece_by_piece() -> None:
    given_s: list[float] = []

    class Slow(ScriptedAsr):
        async def step(self, audio: Audio, memory: Any, *, final: bool, hints: Hints = Hints()) -> Any:
            given_s.append(audio.duration_s)
            await asyncio.sleep(1.0)
            return await super().step(audio, memory, final=final)

    async def scene(wire: Wire) -> None:
        wire.say("session.update", session=PUSH_TO_TALK)
        wire.say("input_audio_buffer.append", audio=base64.b64encode(bytes(MAX_APPEND_BYTES)).decode())
        wire.append(1.2)
        wire.say("input_audio_buffer.commit")
        await wire.until("conversation.item.input_audio_transcription.completed")

    wire = play(scene, asr=Slow(script=["how are you today"]))

    [completed] = wire.of("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "how are you today"
    assert completed["usage"]["seconds"] == pytest.approx(MAX_APPEND_BYTES / 48_000 + 1.2, abs=0.01)
    assert max(given_s) <= STEP_S


def test_a_defect_that_an_event_meets_costs_the_event(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def impossible(*_: object) -> None:
        raise ImpossibleMove("the reply is idle: there can be no such thing")

    monkeypatch.setattr(Conversation, "clear_input", impossible)
    ids: list[str] = []

    async def scene(wire: Wire) -> None:
        ids.append(wire.say("input_audio_buffer.clear"))
        wire.say("session.update", session={"type": "realtime"})
        await wire.until("session.updated")

    wire = play(scene)

    assert [(error["type"], error["event_id"]) for error in wire.errors] == [("server_error", ids[0])]
    assert wire.sent[0]["session"]["id"] in caplog.text


def test_a_fault_of_ours_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedVad):
        async def step(self, frames: Any, states: Any) -> Any:
            raise RuntimeError("a defect")

    async def whole() -> Wire:
        wire = Wire()
        stages = Stages(Broken(), ScriptedAsr(script=[]), ScriptedLlm(script=[]), ScriptedTts())
        wire.append(0.1)
        await converse(
            wire,
            stages,
            Opening("m"),
            defaults=Settings(),
            tuning=Tuning(),
            limits=Limits(),
        )
        return wire

    wire = virtual_time.run(whole())
    assert wire.closed == (1011, "The server had an internal error.")
    assert wire.sent[0]["session"]["id"] in caplog.text
