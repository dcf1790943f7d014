from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from conversation.audio import Audio
from conversation.errors import ClientError
from conversation.events import (
    Event,
    Failure,
    InputCleared,
    InputCommitted,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    OutputAudio,
    OutputDone,
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
from conversation.items import AudioPart, ItemStatus, MessageItem, TextPart
from conversation.settings import Modality, Settings
from conversation.stages import Usage
from conversation.timing import TurnTiming
from realtime.server_events import ServerEvents
from realtime.session_object import new_session
from tests.stock_events import stock_event

USER = MessageItem("item_u", "user", (TextPart("Hello."),))
SPOKEN = MessageItem("item_s", "user", (AudioPart(None),))
SAMPLES = np.array([0.0, 0.5, -1.0, 2.0], np.float32)


def told(*events: Event, antiphon: dict[str, bool] | None = None) -> list[dict[str, Any]]:
    """What a stock client is told, or one with extensions, every event of it judged."""
    server, session = ServerEvents(), new_session("sess_1", "m", Settings())
    if antiphon is not None:
        session = session.updated({"type": "realtime", "antiphon": antiphon}, voice_locked=False)
    stock_event(server.session_created(session))
    return [stock_event(text) for event in events for text in server.of(event)]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def answer(
    modality: Modality, heard: str = "Hi there.", *, status: Any = "completed", reason: Any = None
) -> list[Event]:
    """One response, from its start to its end."""
    part = AudioPart(heard) if modality == "audio" else TextPart(heard)
    item_status: ItemStatus = "completed" if status == "completed" else "incomplete"
    begun = MessageItem("item_a", "assistant", (), "in_progress")
    done = MessageItem("item_a", "assistant", (part,), item_status)
    response = Response("resp_1", modality, "anna", metadata={"client_event_id": "7"})
    end = Response(
        "resp_1",
        modality,
        "anna",
        metadata={"client_event_id": "7"},
        status=status,
        reason=reason,
        output=(done,),
        usage=Usage(30, 4, 20) if status == "completed" else None,
    )
    audio: list[Event] = [OutputAudio("resp_1", "item_a", Audio(SAMPLES, 24_000))]
    return [
        ResponseStarted(response),
        OutputStarted("resp_1", begun, "item_u"),
        OutputText("resp_1", "item_a", "Hi ", modality),
        *(audio if modality == "audio" else []),
        OutputText("resp_1", "item_a", "there.", modality),
        OutputDone("resp_1", done, "item_u"),
        ResponseDone(end),
    ]


TEXT_ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
SPOKEN_ANSWER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def test_text_in_text_out() -> None:
    events = told(ItemAdded(USER, None), *answer("text"))
    assert types(events) == ["conversation.item.added", "conversation.item.done", *TEXT_ANSWER]
    added, part = events[4], events[5]
    assert added["item"] == {
        "id": "item_a",
        "object": "realtime.item",
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    assert added["previous_item_id"] == "item_u"
    assert part["part"] == {"type": "text", "text": ""}
    assert events[8]["text"] == "Hi there."
    assert events[9]["part"] == {"type": "text", "text": "Hi there."}
    assert events[10]["item"]["content"] == [{"type": "output_text", "text": "Hi there."}]


def test_audio_out() -> None:
    events = told(*answer("audio"))
    assert types(events) == SPOKEN_ANSWER
    assert events[3]["part"] == {"type": "audio", "transcript": ""}
    assert events[8]["transcript"] == "Hi there."
    assert events[9]["part"] == {"type": "audio", "transcript": "Hi there."}
    assert events[10]["item"] == events[11]["item"] == events[12]["response"]["output"][0]
    assert events[10]["item"]["content"] == [{"type": "output_audio", "transcript": "Hi there."}]


def test_an_audio_delta_is_pcm16_in_base64() -> None:
    delta = told(*answer("audio"))[5]["delta"]
    assert np.frombuffer(base64.b64decode(delta), "<i2").tolist() == [0, 16384, -32768, 32767]


def test_a_telephone_hears_mu_law() -> None:
    """The resampler's tail comes before the sound is done."""
    sound = Audio(np.zeros(2400, np.float32), 24_000)
    response = Response("resp_1", "audio", "anna", encoding="audio/pcmu")
    begun = MessageItem("item_a", "assistant", (), "in_progress")
    events = told(
        ResponseStarted(response),
        OutputStarted("resp_1", begun, None),
        OutputText("resp_1", "item_a", "Hm.", "audio"),
        OutputAudio("resp_1", "item_a", sound),
        OutputDone("resp_1", replace(begun, parts=(AudioPart("Hm."),), status="completed"), None),
        ResponseDone(replace(response, status="completed")),
    )
    deltas = [base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"]
    assert b"".join(deltas) == b"\xff" * 800
    formats = [e["response"]["audio"]["output"]["format"] for e in events if "response" in e]
    assert formats == [{"type": "audio/pcmu"}] * 2


def test_a_telephone_hears_no_tail_of_an_answer_that_was_cancelled() -> None:
    """Its client has dropped what it was given, and would play it after that."""
    sound, begun = Audio(np.zeros(2400, np.float32), 24_000), MessageItem("item_a", "assistant", ())
    response = Response("resp_1", "audio", "anna", encoding="audio/pcmu")
    heard: list[Event] = [
        ResponseStarted(response),
        OutputStarted("resp_1", begun, None),
        OutputAudio("resp_1", "item_a", sound),
    ]
    sent = len(types(told(*heard)))
    assert types(told(*heard, OutputDone("resp_1", begun, None, cancelled=True)))[sent] == (
        "response.output_audio.done"
    )
    assert types(told(*heard, OutputDone("resp_1", begun, None)))[sent] == "response.output_audio.delta"


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_all_events_of_a_response_agree_on_its_ids_and_indexes(modality: Modality) -> None:
    events = told(*answer(modality))
    assert {event["response_id"] for event in events if "response_id" in event} == {"resp_1"}
    assert {event["response"]["id"] for event in events if "response" in event} == {"resp_1"}
    assert {event["item_id"] for event in events if "item_id" in event} == {"item_a"}
    assert {event["item"]["id"] for event in events if "item" in event} == {"item_a"}
    in_response = [event for event in events if event["type"].startswith("response.o")]
    assert {event["output_index"] for event in in_response} == {0}
    assert {event["content_index"] for event in events if "item_id" in event} == {0}


def test_event_ids_are_unique_in_a_session_and_between_sessions() -> None:
    ids = [event["event_id"] for _ in range(2) for event in told(*answer("audio"))]
    assert len(set(ids)) == len(ids)


def test_a_response_is_created_open_and_done_with_its_usage() -> None:
    events = told(*answer("audio"))
    created, done = events[0]["response"], events[-1]["response"]
    assert created == {
        "object": "realtime.response",
        "id": "resp_1",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": created["conversation_id"],
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "anna"}},
        "usage": None,
        "metadata": {"client_event_id": "7"},
    }
    assert created["conversation_id"].startswith("conv_")
    assert done["metadata"] == {"client_event_id": "7"}
    assert done["conversation_id"] == created["conversation_id"]
    assert done["usage"] == {
        "total_tokens": 34,
        "input_tokens": 30,
        "output_tokens": 4,
        "input_token_details": {
            "text_tokens": 30,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 20,
            "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 4, "audio_tokens": 0},
    }


def test_a_turn_taken_by_voice() -> None:
    events = told(
        SpeechStarted("item_s", 320),
        TranscriptionDelta("item_s", "How "),
        SpeechStopped("item_s", 1780),
        InputCommitted("item_s", "item_u"),
        ItemAdded(SPOKEN, "item_u"),
        *answer("audio")[:3],
        TranscriptionCompleted("item_s", "How are you?", 1.46),
        *answer("audio")[3:],
    )
    assert types(events)[:6] == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert (events[0]["audio_start_ms"], events[2]["audio_end_ms"]) == (320, 1780)
    assert {event["item_id"] for event in events[:4]} == {"item_s"}
    assert events[3]["previous_item_id"] == events[4]["previous_item_id"] == "item_u"
    assert events[4]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    [completed] = [event for event in events if event["type"].endswith("transcription.completed")]
    assert completed["usage"] == {"type": "duration", "seconds": 1.46}
    assert types(events[6:]) == [
        *SPOKEN_ANSWER[:5],
        "conversation.item.input_audio_transcription.completed",
        *SPOKEN_ANSWER[5:],
    ]


def test_push_to_talk() -> None:
    events = told(InputCommitted("item_s", None), ItemAdded(SPOKEN, None), InputCleared())
    assert types(events) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "input_audio_buffer.cleared",
    ]
    assert events[0]["previous_item_id"] is None


@pytest.mark.parametrize("reason", ["turn_detected", "client_cancelled"])
def test_an_interrupted_answer_closes_what_is_open_with_what_was_sent(reason: str) -> None:
    events = told(*answer("audio", "Hi", status="cancelled", reason=reason), ItemTruncated("item_a", 740))
    assert types(events) == [*SPOKEN_ANSWER, "conversation.item.truncated"]
    item, done = events[10]["item"], events[12]["response"]
    assert item["status"] == "incomplete"
    assert item["content"] == [{"type": "output_audio", "transcript": "Hi"}]
    assert (done["status"], done["status_details"]) == ("cancelled", {"type": "cancelled", "reason": reason})
    assert done["usage"]["total_tokens"] == 0
    assert (events[13]["content_index"], events[13]["audio_end_ms"]) == (0, 740)


def test_a_spoken_answer_that_never_got_a_word_out_still_closes_as_speech() -> None:
    empty = MessageItem("item_a", "assistant", (), "incomplete")
    start, begun, *_ = answer("audio")
    events = told(start, begun, OutputDone("resp_1", empty, None))
    assert types(events)[4:] == SPOKEN_ANSWER[7:-1]
    assert events[6]["part"] == {"type": "audio", "transcript": ""}


def test_an_answer_cut_off_by_its_limit_is_incomplete() -> None:
    done = told(*answer("text", status="incomplete", reason="max_output_tokens"))[-1]["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}


def test_a_failed_response_says_what_failed() -> None:
    failed = Response("resp_1", "audio", "anna", status="failed", failure=Failure("tts_failed", "No voice."))
    _, event = told(ResponseStarted(replace(failed, status="in_progress")), ResponseDone(failed))
    error = {"type": "server_error", "code": "tts_failed", "message": "No voice."}
    assert event["response"]["status_details"] == {"type": "failed", "error": error}


def test_a_failed_transcription_has_no_null() -> None:
    [event] = told(TranscriptionFailed("item_s", "asr: late"))
    assert event["error"] == {"type": "server_error", "code": "transcription_failed", "message": "asr: late"}


def test_a_deleted_item() -> None:
    [event] = told(ItemDeleted("item_u"))
    assert (event["type"], event["item_id"]) == ("conversation.item.deleted", "item_u")


@pytest.mark.parametrize(
    ("item", "content"),
    [
        (USER, [{"type": "input_text", "text": "Hello."}]),
        (SPOKEN, [{"type": "input_audio", "transcript": None}]),
        (MessageItem("i", "user", (AudioPart("Yes."),)), [{"type": "input_audio", "transcript": "Yes."}]),
        (MessageItem("i", "system", (TextPart("Be kind."),)), [{"type": "input_text", "text": "Be kind."}]),
        (MessageItem("i", "assistant", (TextPart("No."),)), [{"type": "output_text", "text": "No."}]),
        (MessageItem("i", "assistant", (AudioPart(None),)), [{"type": "output_audio", "transcript": ""}]),
    ],
)
def test_a_retrieved_item_of_any_kind(item: MessageItem, content: list[dict[str, Any]]) -> None:
    event = stock_event(ServerEvents().item_retrieved(item, None))
    assert event["type"] == "conversation.item.retrieved"
    assert event["item"]["content"] == content


def test_a_retrieved_item_brings_its_sound() -> None:
    item = MessageItem("i", "user", (AudioPart("Yes."),))
    event = stock_event(ServerEvents().item_retrieved(item, b"\1\2"))
    assert event["item"]["content"] == [{"type": "input_audio", "transcript": "Yes.", "audio": "AQI="}]


def test_an_error_carries_the_field_and_the_event_it_answers() -> None:
    text = ServerEvents().error(ClientError("invalid_value", "No.", "item.role"), "mine")
    assert stock_event(text)["error"] == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "No.",
        "param": "item.role",
        "event_id": "mine",
    }


def test_a_turn_s_timing_is_told_only_to_those_who_asked() -> None:
    timed = TurnTimed("resp_1", TurnTiming(first_audio_ms=412.5))
    assert told(timed) == []
    [event] = told(timed, antiphon={"events": True})
    assert event["type"] == "antiphon.turn.timing"
    assert event["timing"]["first_audio_ms"] == 412.5


def test_a_session_may_ask_for_what_only_this_server_tells() -> None:
    server, timed = ServerEvents(), TurnTimed("resp_1", TurnTiming(first_audio_ms=412.5))
    session = new_session("sess_1", "m", Settings())
    stock_event(server.session_created(session))
    assert server.of(timed) == []
    for asked, told in (({"events": True}, 1), ({"events": False}, 0), ({}, 0), (None, 0)):
        session = session.updated({"type": "realtime", "antiphon": asked}, voice_locked=False)
        stock_event(server.session_updated(session))
        assert len(server.of(timed)) == told


def test_a_hold_is_told_to_those_who_obey_it_and_nothing_else_is() -> None:
    events: list[Event] = [OutputHeld("resp_1"), OutputResumed("resp_1"), TurnTimed("resp_1", TurnTiming())]
    assert told(*events, antiphon={"events": False}) == []
    assert types(told(*events, antiphon={"events": True})) == ["antiphon.turn.timing"]
    held, resumed = told(*events, antiphon={"hold": True})
    assert (held["type"], held["response_id"]) == ("antiphon.output.hold", "resp_1")
    assert (resumed["type"], resumed["response_id"]) == ("antiphon.output.resume", "resp_1")


def test_who_was_told_to_hold_is_told_to_go_on_and_nobody_else() -> None:
    server, session = ServerEvents(), new_session("sess_1", "m", Settings())

    def switch(*, on: bool) -> None:
        nonlocal session
        session = session.updated({"type": "realtime", "antiphon": {"hold": on}}, voice_locked=False)
        server.session_updated(session)

    switch(on=False)
    assert server.of(OutputHeld("resp_1")) == []
    switch(on=True)
    assert server.of(OutputResumed("resp_1")) == []
    assert len(server.of(OutputHeld("resp_1"))) == 1
    switch(on=False)
    assert len(server.of(OutputResumed("resp_1"))) == 1


def test_every_event_of_a_conversation_can_be_told() -> None:
    assert set(get_args(Event)) <= set(vars(ServerEvents)["_told"].dispatcher.registry)
