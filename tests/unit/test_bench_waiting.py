from __future__ import annotations

import pytest

from bench.report import percentiles, table
from bench.turns.scores import CLIENTS
from bench.waiting import PARTS, TurnResult, counts, tables

SERVER_MS = {
    "asked_ms": 170.0,
    "transcript_ms": 250.0,
    "llm_first_ms": 400.0,
    "clause_ms": 450.0,
    "tts_first_ms": 600.0,
    "released_ms": 512.0,
    "first_audio_ms": 600.0,
}


def turn(*, interrupts: bool = False, **changes: object) -> TurnResult:
    result = TurnResult("antiphon", 1, "reading/1", 2.0, interrupts)
    result.outcome, result.voice_to_voice_ms, result.first_delta_ms = "answered", 720.0, 700.0
    result.server_ms = dict(SERVER_MS)
    for name, value in changes.items():
        setattr(result, name, value)
    return result


def test_percentiles_leave_out_what_is_missing() -> None:
    assert percentiles([None, 10.0, 20.0, 30.0]) == {"n": 3, "p50": 20, "p90": 28, "min": 10, "max": 30}


def test_nothing_has_no_percentiles() -> None:
    assert percentiles([None]) is None


def test_a_table_has_a_line_for_each_row_even_without_numbers() -> None:
    heading, first, second = table({"one": percentiles([1234.4]), "two": None}).splitlines()
    assert heading.split() == ["p50", "p90", "min", "max", "n"]
    assert first.split() == ["one", "1234", "1234", "1234", "1234", "1"]
    assert second.split() == ["two", "-", "-", "-", "-", "-"]


@pytest.mark.parametrize("released_ms", [512.0, 650.0], ids=["the sound was late", "the sound was ready"])
def test_the_parts_add_up_to_the_wait(released_ms: float) -> None:
    first_audio_ms = max(released_ms, SERVER_MS["tts_first_ms"])
    result = turn(server_ms={**SERVER_MS, "released_ms": released_ms, "first_audio_ms": first_audio_ms})
    parts = [part(result) for part in PARTS.values()]
    assert sum(part for part in parts if part is not None) == pytest.approx(720.0)


def test_turns_that_interrupt_and_turns_without_answer_are_counted_apart() -> None:
    results = [
        turn(),
        turn(voice_to_voice_ms=820.0),
        turn(
            interrupts=True, voice_to_voice_ms=2000.0, hold_ms=90.0, stop_ms={"holds": 95.0, "keeps": 300.0}
        ),
        turn(outcome="answered too early", voice_to_voice_ms=-500.0),
        TurnResult("antiphon", 2, "reading/2", 2.0, interrupts=False),
    ]
    waits = tables(results, {"end": [100.0]})["voice to voice"]
    assert waits["in quiet"] == percentiles([720.0, 820.0])
    assert waits["after an interruption"] == percentiles([2000.0])
    stops = tables(results, {"end": [100.0]})["stop, after the onset of the user's voice"]
    assert stops[CLIENTS["holds"]] == percentiles([95.0])
    assert stops[CLIENTS["keeps"]] == percentiles([300.0])
    assert stops[CLIENTS["flushes"]] is None
    assert stops["told to hold"] == percentiles([90.0])
    assert counts(results)["turns in quiet"] == 4
    assert counts(results)["answered too early"] == 1
    assert counts(results)["no answer"] == 1


def test_turns_on_a_machine_that_did_not_keep_up_are_also_left_out() -> None:
    results = [turn(microphone_late_ms=5.0), turn(microphone_late_ms=200.0, voice_to_voice_ms=1500.0)]
    waits = tables(results, {})["voice to voice"]
    assert waits["in quiet"] == percentiles([720.0, 1500.0])
    assert waits["in quiet, while the machine kept up"] == percentiles([720.0])


def test_a_sound_that_waited_for_the_end_of_the_turn_was_ready_early() -> None:
    ready = turn(server_ms={**SERVER_MS, "tts_first_ms": 500.0})
    assert counts([turn(), ready])["in quiet, first sound ready before the turn was over"] == 1
