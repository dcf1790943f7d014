import pytest

from conversation.barge_in import Judge, Overlap, Verdict
from conversation.settings import BargeIn, Tuning

STOPS, PASSES = Verdict.STOPS, Verdict.PASSES
WAYS: tuple[BargeIn, ...] = ("speech", "words")


def verdict(overlap: Overlap, by: BargeIn = "speech", tuning: Tuning | None = None) -> Verdict | None:
    return Judge(tuning or Tuning()).verdict(overlap, by)


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize(
    "text",
    ["Stop.", "Wait a sec", "no", "hold on, please", "Uh, excuse me", "等一下", "停!", "好的，等等", "不是"],
)
def test_a_word_that_means_stop_does_at_once(text: str, by: BargeIn) -> None:
    assert verdict(Overlap(text), by) is STOPS


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize(
    "text",
    [
        "Uh-huh.",
        "Mm-hmm,",
        "uh huh",
        "Yeah. Right, right.",
        "I see",
        "Oh, really?",
        "Okay, got it.",
        "嗯嗯",
        "对对对",
        "好的，明白了。",
    ],
)
def test_backchannels_pass_when_they_are_over(text: str, by: BargeIn) -> None:
    assert verdict(Overlap(text), by) is None
    assert verdict(Overlap(text, is_over=True), by) is PASSES


@pytest.mark.parametrize("by", WAYS)
def test_words_that_are_none_stop_when_they_are_over(by: BargeIn) -> None:
    assert verdict(Overlap("Paris", is_over=True), by) is STOPS
    assert verdict(Overlap("yeah but Paris", is_over=True), by) is STOPS
    assert verdict(Overlap("巴黎", is_over=True), by) is STOPS


@pytest.mark.parametrize("by", WAYS)
def test_two_words_stop_at_once_and_one_when_it_was_there_twice(by: BargeIn) -> None:
    assert verdict(Overlap("what about"), by) is STOPS
    assert verdict(Overlap("nice"), by) is None
    assert verdict(Overlap("what"), by) is None
    assert verdict(Overlap("what", before="yeah"), by) is None
    assert verdict(Overlap("what", before="why"), by) is STOPS


@pytest.mark.parametrize("by", WAYS)
def test_a_short_sound_without_words_passes(by: BargeIn) -> None:
    assert verdict(Overlap(), by) is None
    assert verdict(Overlap(is_over=True), by) is PASSES
    assert verdict(Overlap("...", is_over=True), by) is PASSES


def test_a_long_sound_without_words_stops_unless_only_words_do() -> None:
    assert verdict(Overlap(is_long=True), "speech") is STOPS
    assert verdict(Overlap(is_long=True), "words") is PASSES


@pytest.mark.parametrize("by", WAYS)
def test_a_long_row_of_backchannels_passes(by: BargeIn) -> None:
    assert verdict(Overlap("yeah right yeah okay", is_long=True), by) is PASSES


@pytest.mark.parametrize("by", WAYS)
def test_a_single_word_that_lasts_stops(by: BargeIn) -> None:
    assert verdict(Overlap("extraordinary", is_long=True), by) is STOPS


def test_the_words_are_the_operators_to_choose() -> None:
    finnish = Tuning(backchannels=("joo", "niin"), stop_words=("seis",))
    assert verdict(Overlap("Joo, niin niin.", is_over=True), tuning=finnish) is PASSES
    assert verdict(Overlap("Seis!"), tuning=finnish) is STOPS
    assert verdict(Overlap("uh-huh", is_over=True), tuning=finnish) is STOPS
