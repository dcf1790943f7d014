"""What is played, what a listener hears, and what is made of it; the playing itself needs a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.antiphon import Antiphon
from bench.client import Client, Noted, Signal
from bench.headset import HZ, Played, Speaker
from bench.speech import Recording, Utterance, levels_db
from bench.turns.heard import Obedience, Order, Span, heard, longest_gap_s
from bench.turns.items import Sentence, longest_dip, mixed, questions, with_pause
from bench.turns.lost import Comparison, lost_samples
from bench.turns.results import (
    Found,
    OverlapResult,
    SentenceResult,
    Window,
    look_up_overlap,
    look_up_sentence,
)
from bench.turns.scores import cut_offs, misses, outcomes, reactions, stops, waits
from bench.turns.targets import Target, targets
from bench.turns.told import line, shown, told
from conversation.audio import Audio, Samples


def sound(seconds: float, level: float = 0.5) -> Samples:
    return np.full(round(seconds * HZ), level, np.float32)


# --- what a listener hears


def chunks(*came_s: float, each_s: float = 0.1) -> list[Played]:
    return [Played(at_s, at_s, sound(each_s)) for at_s in came_s]


LEAD = chunks(1.0, 1.0, 1.1, 1.2)
"""0.4 s of sound, sent at most 0.2 s ahead."""

HOLD: list[tuple[float, Order]] = [(1.25, "hold"), (1.65, "resume")]


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("holds", [Span(1.0, 1.25), Span(1.65, 1.8)]),
        ("flushes", [Span(1.0, 1.4)]),
        ("keeps", [Span(1.0, 1.4)]),
    ],
)
def test_only_who_obeys_a_hold_falls_silent_at_once_and_nothing_is_lost(
    client: Obedience, expected: list[Span]
) -> None:
    spans = heard(LEAD, HOLD, client)
    assert [pytest.approx((span.begin_s, span.end_s)) for span in expected] == [
        (span.begin_s, span.end_s) for span in spans
    ]
    assert sum(span.end_s - span.begin_s for span in spans) == pytest.approx(0.4)


def test_who_keeps_playing_hears_a_gap_only_until_more_comes() -> None:
    spans = heard([*LEAD, *chunks(1.66)], HOLD, "keeps")
    assert longest_gap_s(spans, 1.2, 2.0) == pytest.approx(0.26)
    assert longest_gap_s(heard([*LEAD, *chunks(1.66)], HOLD, "holds"), 1.2, 2.0) == pytest.approx(0.4)


@pytest.mark.parametrize(("client", "last_s"), [("holds", 1.25), ("flushes", 1.3), ("keeps", 1.4)])
def test_a_verdict_ends_what_each_client_hears(client: Obedience, last_s: float) -> None:
    spans = heard(LEAD, [(1.25, "hold"), (1.3, "drop")], client)
    assert spans[-1].end_s == pytest.approx(last_s)


def test_what_comes_after_a_drop_is_heard() -> None:
    spans = heard([*LEAD, *chunks(2.0)], [(1.25, "hold"), (1.3, "drop")], "holds")
    assert spans[-1].end_s == pytest.approx(2.1)


# --- what is played


def utterance(*pieces: tuple[float, float]) -> Utterance:
    """Of (seconds, level)."""
    samples = np.concatenate([sound(*piece) for piece in pieces])
    recording = Recording("cards", "one", "made here", Audio(samples, HZ))
    lead, tail = pieces[0][0], pieces[-1][0]
    return Utterance(recording, 0, recording.audio, round(lead * HZ), len(samples) - round(tail * HZ))


ROOM = (0.2, 0.0005)


def test_a_pause_is_put_where_the_speech_dips_longest_and_lasts_as_long_as_was_asked() -> None:
    clip = utterance(ROOM, (0.5, 0.3), (0.1, 0.001), (0.3, 0.3), (0.15, 0.001), (0.5, 0.3), ROOM)
    dip = longest_dip(clip)
    assert dip is not None
    assert [mark / HZ for mark in dip] == pytest.approx([1.1, 1.25])
    item = with_pause(clip, dip, 700)
    assert item.pause_s == pytest.approx((1.1, 1.8))
    assert item.end_s == pytest.approx(clip.end_s + 0.55)
    assert len(item.audio) == len(clip.audio) + round(0.55 * HZ)
    assert levels_db(item.audio)[111:179].max() < -55
    assert item.pause_is == "inserted"


def test_an_utterance_that_hardly_dips_gets_no_pause() -> None:
    assert longest_dip(utterance(ROOM, (0.7, 0.3), (0.05, 0.001), (0.7, 0.3), ROOM)) is None


def test_a_dip_near_an_end_is_no_place_for_a_pause() -> None:
    assert longest_dip(utterance(ROOM, (0.1, 0.3), (0.2, 0.001), (1.5, 0.3), ROOM)) is None


def test_groups_are_spread_evenly() -> None:
    assert mixed([["a"] * 4, ["b"] * 2]) == ["a", "b", "a", "a", "b", "a"]


def test_what_a_machine_said_is_labelled_so() -> None:
    """People's recordings have to be fetched, and are not looked at here."""
    assert {item.origin for item in questions()} == {"synthetic"}


# --- results


def noted(at_s: float, signal: Signal, response: str | None = None, text: str | None = None) -> Noted:
    return Noted(at_s, {"type": signal}, signal, response, None, text)


def client(*notes: Noted, **answers: list[Played]) -> Client:
    """Each chunk of an answer is a note too."""
    made = Client(Antiphon())
    sounds = [
        noted(chunk.came_s, "sound", response) for response, played in answers.items() for chunk in played
    ]
    made.notes += sorted([*notes, *sounds], key=lambda note: note.at_s)
    for response, played in answers.items():
        speaker = made.speakers.setdefault(response, Speaker())
        for chunk in played:
            speaker.play(chunk.samples, chunk.came_s)
    return made


SENTENCE = Sentence("s", "human", Audio(sound(4), HZ), 0.5, 3.5, (1.5, 2.3), "natural")
SAID = Window(10.5, 13.5, 0, 99)
"""From loop time 10 on."""


def sentence_result() -> SentenceResult:
    return SentenceResult("antiphon", 1, "s", "human", 800, "natural", True)


def test_an_answer_after_the_true_end_is_a_wait() -> None:
    result = sentence_result()
    session = client(noted(13.9, "stopped"), noted(13.95, "understood", text="hi"), a=chunks(14.0))
    look_up_sentence(result, SENTENCE, session, SAID)
    assert (result.cut_off, result.wait_ms, result.understood) == (False, 500.0, ["hi"])


def test_a_turn_that_is_taken_in_the_pause_is_a_cut_off_even_if_nothing_is_heard() -> None:
    result = sentence_result()
    look_up_sentence(result, SENTENCE, client(noted(12.1, "stopped"), a=chunks(14.0)), SAID)
    assert (result.cut_off, result.taken_ms, result.wait_ms) == (True, 600.0, 500.0)
    assert not result.heard_early


def test_an_agent_that_is_heard_in_the_pause_has_cut_in() -> None:
    result = sentence_result()
    look_up_sentence(result, SENTENCE, client(a=chunks(12.0)), SAID)
    assert (result.cut_off, result.taken_ms, result.wait_ms) == (True, 500.0, None)
    assert result.heard_early


def overlap_result(**changes: Any) -> OverlapResult:
    return replace(OverlapResult("antiphon", 1, "o", "interruption", "human", 1.0, 500.0), **changes)


OVER = Window(20.0, 20.5, 0, 99)
ANSWER = chunks(*np.arange(19.0, 20.2, 0.1), each_s=0.1)


def looked_up(*notes: Noted, **answers: list[Played]) -> OverlapResult:
    result, session = overlap_result(), client(*notes, **answers)
    look_up_overlap(result, session, "a", replace(OVER, until=len(session.notes)))
    return result


def test_an_interruption_is_held_and_then_stopped() -> None:
    result = looked_up(
        noted(20.1, "hold", "a"),
        noted(20.4, "drop"),
        noted(20.41, "cut off", "a"),
        a=ANSWER,
        b=chunks(21.5),
    )
    assert (result.outcome, result.hold_ms, result.verdict_ms) == ("stopped", 100.0, 400.0)
    assert result.silence_ms == pytest.approx({"holds": 100.0, "flushes": 200.0, "keeps": 200.0})
    assert result.answered


def test_what_is_dismissed_leaves_a_gap_and_no_silence() -> None:
    result = looked_up(noted(20.1, "hold", "a"), noted(20.5, "resume", "a"), a=[*ANSWER, *chunks(20.5, 20.6)])
    assert (result.outcome, result.resumed_ms) == ("held and resumed", 500.0)
    assert result.gap_ms == pytest.approx({"holds": 400.0, "flushes": 300.0, "keeps": 300.0})
    assert not result.silence_ms
    assert not result.answered


def test_what_nobody_minds_is_ignored() -> None:
    assert looked_up(a=[*ANSWER, *chunks(20.2, 20.3)]).outcome == "ignored"


def test_a_hold_that_ends_in_nothing_is_told() -> None:
    assert looked_up(noted(20.1, "hold", "a"), a=ANSWER).outcome == "left held"


def test_orders_before_the_onset_are_of_something_else() -> None:
    assert looked_up(noted(19.5, "hold", "a"), noted(19.6, "resume", "a"), a=ANSWER).outcome == "ignored"


# --- scores


def test_people_and_machines_are_counted_apart() -> None:
    said = [
        replace(sentence_result(), cut_off=True),
        sentence_result(),
        replace(sentence_result(), origin="synthetic", pause_is="synthesised"),
    ]
    assert {name: (cut.count, cut.of) for name, cut in cut_offs(said).items()} == {
        "human, all": (1, 2),
        "synthetic, all": (0, 1),
        "human, natural pause": (1, 2),
        "synthetic, synthesised pause": (0, 1),
    }


def test_an_end_that_is_answered_late_or_never_is_missed_and_a_fragment_has_none() -> None:
    said = [
        replace(sentence_result(), wait_ms=400.0),
        replace(sentence_result(), wait_ms=3100.0),
        sentence_result(),
        replace(sentence_result(), whole=False),
        replace(sentence_result(), cut_off=True),
    ]
    assert (misses(said)["human"].count, misses(said)["human"].of) == (2, 3)
    assert (found := waits(said)["human"]) is not None
    assert found["n"] == 2


OVERLAPS = [
    overlap_result(
        outcome="stopped", hold_ms=100.0, verdict_ms=400.0, silence_ms={"holds": 100.0, "flushes": 410.0}
    ),
    overlap_result(outcome="ignored"),
    overlap_result(outcome="not played"),
    overlap_result(kind="backchannel", origin="synthetic", outcome="held and resumed", resumed_ms=500.0),
    overlap_result(kind="backchannel", origin="synthetic", outcome="stopped"),
]


def test_what_could_not_be_played_counts_for_nothing_but_is_told() -> None:
    assert {name: (share.count, share.of) for name, share in stops(OVERLAPS).items()} == {
        "interruption, human": (1, 2),
        "backchannel, synthetic": (1, 2),
    }
    assert outcomes(OVERLAPS)["interruption, human"] == {"stopped": 1, "ignored": 1, "not played": 1}


def test_reactions_are_those_to_interruptions_that_stopped_the_agent() -> None:
    rows = reactions(OVERLAPS)
    assert (hold := rows["human: hold"]) is not None
    assert (hold["n"], hold["p50"]) == (1, 100.0)


def test_a_target_is_missed_by_the_difference() -> None:
    assert Target("t", 150, 171.25, "ms", 3).missed_by == 21.2
    assert Target("t", 150, 120, "ms", 3).missed_by == 0
    assert Target("t", 80, 50, "%", 4, at_least=True).missed_by == 30
    assert Target("t", 80, None, "%", 0, at_least=True).missed_by is None


def test_targets_are_told_with_the_peers_silence_of_the_same_run() -> None:
    peers = [overlap_result(outcome="stopped", silence_ms={"holds": 300.0, "flushes": 300.0, "keeps": 500.0})]
    said = [replace(sentence_result(), cut_off=True), sentence_result()]
    told = {target.name: target for target in targets(said, OVERLAPS, peers, 0)}
    assert told["human: silence, beside the peer's, p50"].limit == 300
    assert told["human: silence, beside the peer's, p50"].missed_by == 0
    assert told["human: false cut-offs in pauses of 600 to 900 ms"].missed_by == 45
    assert told["human: interruptions stop it"].missed_by == 45
    assert told["synthetic: backchannels ignored"].missed_by == 30
    assert told["samples lost when an answer resumes"].missed_by == 0


def comparison(**changes: Any) -> Comparison:
    return replace(Comparison(["cough"], 1, 1, False, 100, 100, 0, True), **changes)


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        ([comparison()], 0),
        ([comparison(), comparison(samples=90, lost=10, exact=False)], 10),
        ([comparison(samples=103, lost=-3, exact=False)], 3),
        ([comparison(exact=False)], 1),
        ([comparison(holds=0, resumes=0)], None),
        ([comparison(stopped=True, lost=None, exact=None)], None),
    ],
)
def test_lost_samples_are_told_only_of_answers_that_were_held_and_came_to_their_end(
    found: list[Comparison], lost: int | None
) -> None:
    assert lost_samples(found) == lost


def test_what_was_found_is_told_by_system_and_can_be_read() -> None:
    found = Found([sentence_result(), replace(sentence_result(), system="pipecat")], OVERLAPS)
    report = told(found, [comparison()])
    assert list(report["systems"]) == ["antiphon", "pipecat"]
    assert [len(report[part]) for part in ("sentences", "overlaps", "resumed_answers")] == [2, 5, 1]
    text = shown(report)
    assert "backchannel, synthetic                 1 of   2" in text
    assert "missed by 30" in text
    assert line(OVERLAPS[0]).split()[:7] == ["antiphon", "1", "o", "stopped", "100", "400", "-"]
