"""A model and the words judge whether the speaker has finished; the silence decides while they have not."""

from __future__ import annotations

import pytest

from conversation.endpointing import LONGEST_WAIT_MS, WITHOUT_A_MODEL
from conversation.errors import StageLost
from conversation.events import OutputAudio, SpeechStopped
from conversation.scripted import Line
from conversation.settings import Eagerness, Settings, Tuning, TurnDetection
from tests.scenarios.screenplay import Play, Seen

SPEECH_ENDS_S = 2.2

RULE_S, FINISHED_S, DOUBTFUL_S, UNFINISHED_S = 0.5, 0.2, 1.0, 4.0
"""The silence that ends the turn: nobody can say; both say so; in doubt; neither says so, with the usual
eagerness."""
BLOCK_S = 0.016
"""Where a voice fell is known so well."""


def question(
    *verdicts: Line | str,
    words: Line | str = "what time is it",
    eagerness: Eagerness = "medium",
    tuning: Tuning | None = None,
    settled: bool = True,
) -> Play:
    """Four words, then a pause that is judged.

    Args:
        settled: the answer is prepared once.
    """
    settings = Settings(transcribe=True, turn_detection=TurnDetection(eagerness=eagerness))
    answers = ["It is noon."] * (1 if settled else 2)
    play = Play(asr=[words], llm=answers, settings=settings, turn=verdicts, tuning=tuning)
    return play.user_speaks(1.0, SPEECH_ENDS_S)


def waited_s(seen: Seen) -> float:
    """From the end of speech to the end of the turn."""
    return round(seen.times_s(SpeechStopped)[0] - SPEECH_ENDS_S, 3)


def about(rule_s: float) -> object:
    return pytest.approx(rule_s, abs=BLOCK_S)


@pytest.mark.parametrize(
    ("sound", "words", "wait_s"),
    [
        ("0.9", "what time is it", FINISHED_S),
        ("0.9", "what time is it?", FINISHED_S),
        ("0.9", "it is half past,", DOUBTFUL_S),
        ("0.9", "tell me about the", DOUBTFUL_S),
        ("0.1", "what time is it?", RULE_S),
        ("0.1", "what time is it", DOUBTFUL_S),
        ("0.1", "it is half past,", DOUBTFUL_S),
        ("0.1", "tell me about the", UNFINISHED_S),
    ],
)
def test_the_sound_and_the_words_are_two_witnesses(sound: str, words: str, wait_s: float) -> None:
    assert waited_s(question(sound, words=words).run(until_s=8.0)) == about(wait_s)


def test_a_turn_that_is_over_is_answered_at_once() -> None:
    seen = question("0.9").run(until_s=5.0)
    assert seen.times_s(OutputAudio)[0] == seen.times_s(SpeechStopped)[0]


def test_a_pause_is_judged_once() -> None:
    play = question("0.1", words="tell me about the")
    play.run(until_s=8.0)
    assert len(play.turn.asked) == 1


def test_how_long_an_unfinished_turn_is_waited_for_is_up_to_the_eagerness() -> None:
    for eagerness, wait_ms in LONGEST_WAIT_MS.items():
        seen = question("0.1", words="tell me about the", eagerness=eagerness).run(until_s=12.0)
        assert waited_s(seen) == about(wait_ms / 1000)


def test_a_doubtful_one_is_never_waited_for_longer() -> None:
    patient = Tuning(doubtful_ms=9000)
    seen = question("0.1", eagerness="high", tuning=patient).run(until_s=12.0)
    assert waited_s(seen) == about(LONGEST_WAIT_MS["high"] / 1000)


def test_an_eager_agent_is_content_with_less() -> None:
    assert waited_s(question("0.4", eagerness="high").run(until_s=5.0)) == about(FINISHED_S)
    assert waited_s(question("0.6", eagerness="low").run(until_s=5.0)) == about(DOUBTFUL_S)
    clause = question("0.9", words="it is half past,", eagerness="high")
    assert waited_s(clause.run(until_s=5.0)) == about(FINISHED_S)


def test_a_patient_agent_answers_at_once_only_what_is_surely_over() -> None:
    assert waited_s(question("0.9", eagerness="low").run(until_s=5.0)) == about(DOUBTFUL_S)
    asked = question("0.9", words="what time is it?", eagerness="low")
    assert waited_s(asked.run(until_s=5.0)) == about(FINISHED_S)


def test_while_the_model_has_not_answered_the_silence_decides() -> None:
    seen = question(Line("0.1", first_s=0.9)).run(until_s=5.0)
    assert waited_s(seen) == about(RULE_S)


def test_a_model_that_is_late_still_shortens_the_silence() -> None:
    """It is asked when a pause of 0.1 s is noticed, and the turn is over in the moment it answers."""
    seen = question(Line("0.9", first_s=0.3)).run(until_s=5.0)
    assert waited_s(seen) == about(0.42)
    later = question(Line("0.9", first_s=0.31)).run(until_s=5.0)
    assert waited_s(later) == pytest.approx(waited_s(seen) + 0.01, abs=0.001)


def test_a_model_that_fails_or_is_late_leaves_it_to_the_silence() -> None:
    for verdict in (Line(raises=StageLost("turn", "its replica died")), Line(hangs=True)):
        assert waited_s(question(verdict).run(until_s=5.0)) == about(RULE_S)


def test_what_sounds_finished_waits_for_its_words() -> None:
    seen = question("0.9", words=Line("what time is it", first_s=0.25)).run(until_s=5.0)
    assert waited_s(seen) == about(0.37)


def test_but_no_longer_than_the_silence_rule() -> None:
    seen = question("0.9", words=Line("tell me about the", first_s=3.0)).run(until_s=8.0)
    assert waited_s(seen) == about(RULE_S)


def test_what_sounds_unfinished_waits_in_any_case() -> None:
    seen = question("0.1", words=Line("tell me about the", first_s=3.0)).run(until_s=8.0)
    assert waited_s(seen) == about(DOUBTFUL_S)


def test_without_words_the_sound_decides() -> None:
    for sound, wait_s in (("0.9", FINISHED_S), ("0.1", DOUBTFUL_S)):
        failing = Line("", raises=StageLost("asr", "its replica died"))
        seen = question(sound, words=failing).lines_may_be_left().run(until_s=5.0)
        assert waited_s(seen) == about(wait_s)


def test_a_speaker_who_goes_on_is_judged_anew() -> None:
    """The pause is long enough for the answer to be prepared."""
    play = question("0.1", "0.9", settled=False).user_speaks(2.6, 3.2)
    seen = play.run(until_s=6.0)
    assert len(seen.of(SpeechStopped)) == 1
    assert seen.times_s(SpeechStopped)[0] - 3.2 == about(FINISHED_S)


def test_a_pause_of_900_ms_inside_a_sentence_is_waited_out() -> None:
    """Where the words or the sound are against an end."""
    for sound, words in (("0.1", "what time is it"), ("0.9", "tell me about the")):
        play = question(sound, "0.9", words=words + " train to town", settled=False).user_speaks(3.1, 4.0)
        assert len(play.run(until_s=7.0).of(SpeechStopped)) == 1


def test_it_hears_the_end_of_what_was_said_and_the_silence() -> None:
    play = Play(
        asr=["one two three four five"],
        llm=["Yes."],
        turn=["0.9"],
        settings=Settings(turn_detection=TurnDetection(eagerness="high")),
    )
    play.user_speaks(1.0, 15.0).lines_may_be_left().run(until_s=17.0)
    assert play.turn.asked == [8.0]


def test_who_does_not_want_it_is_not_judged() -> None:
    play = Play(asr=["what time is it"], llm=["It is noon."], turn=["0.9"], settings=Settings())
    seen = play.user_speaks(1.0, SPEECH_ENDS_S).lines_may_be_left().run(until_s=5.0)
    assert play.turn.asked == []
    assert waited_s(seen) >= 0.5


def test_without_a_model_an_eager_agent_waits_less_and_a_patient_one_more() -> None:
    for eagerness, times in WITHOUT_A_MODEL.items():
        settings = Settings(turn_detection=TurnDetection(eagerness=eagerness))
        play = Play(asr=["what time is it"], llm=["It is noon."], settings=settings, tuning=Tuning())
        seen = play.user_speaks(1.0, SPEECH_ENDS_S).run(until_s=5.0)
        assert 0.5 * times - 0.02 <= waited_s(seen) <= 0.5 * times + 0.04
