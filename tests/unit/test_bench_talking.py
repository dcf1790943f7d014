from __future__ import annotations

from typing import Any

import pytest

from bench.antiphon import Antiphon
from bench.client import Client, Noted, Signal
from bench.headset import HZ, Speaker
from bench.speech import room_noise
from bench.talking import Spoken, look_up
from bench.waiting import TurnResult

OVER, ANSWER = "resp_1", "resp_2"


def note(at_s: float, signal: Signal | None = None, kind: str = "", **fields: Any) -> Noted:
    event = {"type": kind, **fields.pop("event", {})}
    return Noted(at_s, event, signal, **fields)


def scene(*, held: bool = False, how: Signal = "cut off") -> tuple[Client, Spoken]:
    """The user speaks at 5.0 s over an answer of which the client has audio until 5.4 s."""
    speaker = Speaker()
    speaker.play(room_noise(round(1.4 * HZ), -20), 4.0)
    client = Client(Antiphon(), speakers={OVER: speaker, ANSWER: Speaker()})
    client.notes += [
        note(4.5, "stopped", item="item_before"),
        *([note(5.1, "hold", response=OVER)] if held else []),
        note(5.12, "drop", item="item_user"),
        note(5.13, how, response=OVER),
        note(6.5, "stopped", item="item_user"),
        note(6.6, "understood", item="item_before", text="No"),
        note(6.7, "understood", item="item_user", text="Yes"),
        note(7.0, kind="antiphon.turn.timing", response=ANSWER, event={"timing": {"asked_ms": 170.0}}),
        note(7.0, "sound", response=ANSWER),
        note(7.1, "said", response=ANSWER, text="Well,"),
        note(9.0, "understood", item="item_later", text="Maybe"),
    ]
    result = TurnResult("antiphon", 1, "reading/1", 1.5, interrupts=True)
    return client, Spoken(result, since=1, onset_s=5.0, silent_s=6.5, over=OVER, response=ANSWER)


def test_when_an_answer_was_last_heard_depends_on_the_client() -> None:
    client, turn = scene(held=True)
    look_up(client, turn)
    assert turn.result.stop_ms == pytest.approx({"holds": 100, "flushes": 120, "keeps": 400})
    assert (turn.result.hold_ms, turn.result.verdict_ms) == pytest.approx((100, 130))


def test_without_a_hold_a_client_that_holds_is_one_that_drops() -> None:
    client, turn = scene()
    look_up(client, turn)
    assert turn.result.stop_ms == pytest.approx({"holds": 120, "flushes": 120, "keeps": 400})
    assert turn.result.hold_ms is None


def test_an_answer_that_ended_by_itself_was_not_stopped() -> None:
    client, turn = scene(how="ended")
    look_up(client, turn)
    assert (turn.result.stop_ms, turn.result.verdict_ms) == ({}, None)


def test_what_was_understood_and_said_is_that_of_this_turn() -> None:
    client, turn = scene()
    look_up(client, turn)
    assert (turn.result.heard, turn.result.answer) == ("Yes", "Well,")
    assert turn.result.server_ms == {"asked_ms": 170.0}


def test_a_turn_in_several_pieces_is_understood_as_all_of_them() -> None:
    client, turn = scene()
    client.notes.insert(5, note(6.65, "understood", text="Oh."))
    look_up(client, turn)
    assert turn.result.heard == "Oh. Yes"


def test_a_turn_without_answer_keeps_what_was_understood() -> None:
    client, turn = scene()
    turn.response = None
    look_up(client, turn)
    assert (turn.result.heard, turn.result.answer, turn.result.server_ms) == ("Yes Maybe", None, {})
