"""A model judges whether the speaker has finished; the silence decides while it has not answered."""

from __future__ import annotations

from conversation.endpointing import LONGEST_WAIT_MS, WITHOUT_A_MODEL
from conversation.errors import StageLost
from conversation.events import OutputAudio, SpeechStopped
from conversation.scripted import Line, Lines
from conversation.settings import Eagerness, Settings, Tuning, TurnDetection
from tests.scenarios.screenplay import Play, Seen

SPEECH_ENDS_S = 2.2


def question(
    *verdicts: Line | str, eagerness: Eagerness = "medium", turn: Lines | None = None, settled: bool = True
) -> Play:
    """`settled`: the answer is prepared once."""
    settings = Settings(transcribe=True, turn_detection=TurnDetection(eagerness=eagerness))
    answers = ["It is noon."] * (1 if settled else 2)
    play = Play(asr=["what time is it"], llm=answers, settings=settings, turn=turn or verdicts)
    return play.user_speaks(1.0, SPEECH_ENDS_S)


def waited_s(seen: Seen) -> float:
    """From the end of speech to the end of the turn, which falls on the frame that is nearest to the rule."""
    return round(seen.times_s(SpeechStopped)[0] - SPEECH_ENDS_S, 3)


def test_a_finished_turn_is_over_at_once() -> None:
    seen = question("0.9").run(until_s=5.0)
    assert 0.18 <= waited_s(seen) <= 0.23
    assert seen.times_s(OutputAudio)[0] == seen.times_s(SpeechStopped)[0]


def test_an_unfinished_one_is_waited_for_and_asked_about_again() -> None:
    play = question("0.1", "0.2", "0.9")
    seen = play.run(until_s=5.0)
    assert 0.6 <= waited_s(seen) <= 0.7  # a first pause of 96 ms, and twice 250 ms
    assert len(play.turn.asked) == 3


def test_what_stays_unfinished_ends_at_last() -> None:
    for eagerness, wait_s in LONGEST_WAIT_MS.items():
        seen = question(eagerness=eagerness, turn=["0.1"] * 40).lines_may_be_left().run(until_s=12.0)
        assert wait_s / 1000 <= waited_s(seen) <= wait_s / 1000 + 0.1


def test_an_eager_agent_is_content_with_less() -> None:
    assert waited_s(question("0.4", eagerness="high").run(until_s=5.0)) < 0.3
    assert waited_s(question("0.6", "0.9", eagerness="low").run(until_s=5.0)) > 0.3


def test_while_the_model_has_not_answered_the_silence_decides() -> None:
    seen = question(Line("0.1", first_s=0.9)).run(until_s=5.0)
    assert 0.5 <= waited_s(seen) <= 0.55


def test_a_model_that_fails_or_is_late_leaves_it_to_the_silence() -> None:
    for verdict in (Line(raises=StageLost("turn", "its replica died")), Line(hangs=True)):
        assert 0.5 <= waited_s(question(verdict).run(until_s=5.0)) <= 0.55


def test_one_that_fails_after_a_first_answer_does_so_too() -> None:
    seen = question("0.1", Line(raises=StageLost("turn", "its replica died"))).run(until_s=5.0)
    assert 0.5 <= waited_s(seen) <= 0.6


def test_a_speaker_who_goes_on_is_judged_anew() -> None:
    """The pause is long enough for the answer to be prepared, and for a second question."""
    play = question("0.1", "0.1", "0.9", settled=False).user_speaks(2.6, 3.2)
    seen = play.run(until_s=6.0)
    assert len(seen.of(SpeechStopped)) == 1
    assert 0.18 <= seen.times_s(SpeechStopped)[0] - 3.2 <= 0.23


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
