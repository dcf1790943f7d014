from __future__ import annotations

from typing import Any

import pytest

from bench.antiphon import Antiphon
from bench.client import Client, Noted
from bench.headset import HZ, Speaker
from bench.latency import Spoken, look_up
from bench.report import percentiles
from bench.speech import room_noise
from bench.waiting import TurnResult

OVER, ANSWER = "resp_1", "resp_2"


def note(at_s: float, kind: str, **fields: Any) -> Noted:
    return Noted(at_s, {"type": kind, **fields})


def scene(status_of_the_first: str) -> tuple[Client, Spoken]:
    """The user speaks at 5.0 s over an answer of which the client has audio until 5.4 s."""
    speaker = Speaker()
    speaker.play(room_noise(round(1.4 * HZ), -20), 4.0)
    client = Client(Antiphon(), speakers={OVER: speaker, ANSWER: Speaker()})
    client.notes += [
        note(4.5, "input_audio_buffer.committed", item_id="item_before"),
        note(5.12, "input_audio_buffer.speech_started", item_id="item_user"),
        note(5.13, "response.done", response={"id": OVER, "status": status_of_the_first}),
        note(6.5, "input_audio_buffer.committed", item_id="item_user"),
        note(6.6, "conversation.item.input_audio_transcription.completed", item_id="other", transcript="No"),
        note(
            6.7,
            "conversation.item.input_audio_transcription.completed",
            item_id="item_user",
            transcript="Yes",
        ),
        note(7.0, "antiphon.turn.timing", response_id=ANSWER, timing={"asked_ms": 170.0}),
        note(7.1, "response.output_audio_transcript.done", response_id=ANSWER, transcript="Well,"),
    ]
    result = TurnResult(1, "reading/1", 1.5, interrupts=True)
    return client, Spoken(result, since=1, onset_s=5.0, over=OVER, response=ANSWER)


def test_an_answer_is_stopped_by_the_event_or_when_its_audio_has_run_out() -> None:
    client, turn = scene("cancelled")
    look_up(client, turn)
    assert turn.result.stop_flushing_ms == pytest.approx(120)
    assert turn.result.stop_keeping_ms == pytest.approx(400)


def test_an_answer_that_ended_by_itself_was_not_stopped() -> None:
    client, turn = scene("completed")
    look_up(client, turn)
    assert percentiles([turn.result.stop_flushing_ms, turn.result.stop_keeping_ms]) is None


def test_what_was_understood_and_said_is_that_of_this_turn() -> None:
    client, turn = scene("cancelled")
    look_up(client, turn)
    assert (turn.result.heard, turn.result.answer) == ("Yes", "Well,")
    assert turn.result.server_ms == {"asked_ms": 170.0}


def test_a_turn_without_answer_keeps_what_was_understood() -> None:
    client, turn = scene("cancelled")
    turn.response = None
    look_up(client, turn)
    assert (turn.result.heard, turn.result.answer, turn.result.server_ms) == ("Yes", None, {})
