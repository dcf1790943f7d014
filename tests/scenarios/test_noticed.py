"""What people notice of a conversation: that its beginning is heard, that they may talk for long, that
somebody is still there, and how soon they hear a first word."""

from __future__ import annotations

import numpy as np
import pytest

from conversation.events import InputCommitted, InputTimedOut, OutputAudio, SpeechStopped, TurnTimed
from conversation.scripted import CHARACTER_S, LOUD, Line
from conversation.settings import Settings, TurnDetection
from conversation.words import letters
from tests.scenarios.screenplay import Play, detection

STORY = "Once upon a time there was a little dog who lived in a big house by the sea."


def loud_s(play: Play, turn: int) -> tuple[float, float]:
    """Of what is kept of a turn: how much is before the first loud sample, and how much is loud."""
    sound = play.conversation.sound(play.seen.of(InputCommitted)[turn].item_id)
    assert sound is not None
    loud = np.flatnonzero(np.abs(sound.samples) > LOUD)
    return loud[0] / sound.rate_hz, len(loud) / sound.rate_hz


# --- the first syllable


@pytest.mark.parametrize("start_s", [1.0, 1.02, 1.04, 1.06])
@pytest.mark.parametrize("padding_ms", [0, 100, 300, 1000])
def test_a_turn_begins_before_its_first_sound_and_loses_none(start_s: float, padding_ms: int) -> None:
    settings = Settings(transcribe=True, turn_detection=detection(padding_ms=padding_ms))
    play = Play(asr=["what time is it"], llm=["It is noon."], settings=settings)
    play.user_speaks(start_s, start_s + 1.2).run(until_s=6.0)
    before_s, whole_s = loud_s(play, 0)
    assert whole_s == pytest.approx(1.2)
    assert padding_ms / 1000 <= before_s + 1e-6 <= padding_ms / 1000 + 0.032


@pytest.mark.parametrize("barge_in", ["any_sound", "speech", "words"])
@pytest.mark.parametrize("start_s", [4.0, 4.02, 4.06])
def test_so_does_one_that_was_weighed_over_the_agents_voice(start_s: float, barge_in: str) -> None:
    chosen = TurnDetection.model_validate({"barge_in": barge_in})
    settings = Settings(transcribe=True, turn_detection=chosen)
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."], settings=settings)
    play.user_speaks(1.0, 2.2).user_speaks(start_s, start_s + 1.2).run(until_s=9.0)
    before_s, whole_s = loud_s(play, 1)
    assert whole_s == pytest.approx(1.2)
    assert 0.3 <= before_s + 1e-6 <= 0.332


def test_words_after_a_backchannel_bring_it_along() -> None:
    """It passed, and the agent went on; then it became a turn, from its true beginning."""
    play = Play(
        asr=["tell me a story", "yeah right yeah right but what about the cat"], llm=[STORY, "Alright."]
    )
    play.user_speaks(1.0, 2.2).user_speaks(4.0, 7.0).run(until_s=12.0)
    assert loud_s(play, 1)[1] == pytest.approx(3.0)
    assert play.seen.understood[1] == "yeah right yeah right but what about the cat"


# --- a long monologue


def test_who_talks_for_two_minutes_is_one_turn_and_every_word_of_it_is_understood() -> None:
    """With pauses for breath, shorter than the silence that ends a turn."""
    words = " ".join(f"word{number}" for number in range(400))
    play = Play(asr=[words], llm=["That was a lot."], repeat=True)
    for stretch in range(40):
        play.user_speaks(1.0 + 3.4 * stretch, 4.0 + 3.4 * stretch)
    seen = play.run(until_s=142.0)
    assert seen.understood == [words]
    assert len(seen.of(SpeechStopped)) == 1
    assert seen.said == "That was a lot."


# --- somebody is still there


def test_a_cough_in_the_silence_makes_it_wait_anew() -> None:
    idle = Settings(transcribe=True, turn_detection=TurnDetection(idle_timeout_ms=5000))
    play = Play(asr=["what time is it", ""], llm=["It is noon.", "Are you there?"], settings=idle)
    seen = play.user_speaks(1.0, 2.2).user_speaks(6.0, 6.2).lines_may_be_left().run(until_s=12.5)
    [timed_out_s] = seen.times_s(InputTimedOut)
    assert 11.2 <= timed_out_s <= 12.0


# --- the first word


def test_a_long_first_sentence_is_heard_after_a_few_words_and_without_a_gap() -> None:
    """The language model writes 20 words a second, and without a comma for two and a half."""
    text = " ".join(["unpunctuated"] * 2 + ["words"] * 48) + "."
    seen = Play(asr=["go on"], llm=[Line(text, each_s=0.05)]).user_speaks(1.0, 1.6).run(until_s=25.0)
    [timed] = seen.of(TurnTimed)
    assert timed.timing.clause_ms is not None
    assert timed.timing.llm_first_ms is not None
    assert timed.timing.clause_ms - timed.timing.llm_first_ms <= 400
    assert len(seen.heard()) == 1
    assert seen.times_s(OutputAudio)[0] == seen.times_s(SpeechStopped)[0]


@pytest.mark.parametrize(
    "text",
    [
        "Well, that depends on where you are and on what you would like to see there in the first place.",
        "It is half past nine in Paris and half past eight in London because of the time zones between them.",
        "The most important thing to know about it is that nobody has ever seen one in broad daylight.",
        "今天天气很好，所以我们可以一起出去走走，看看公园里的花，然后再找个地方吃饭。",
    ],
)
def test_the_first_clause_takes_no_longer_to_say_than_people_wait_for_the_rest(text: str) -> None:
    """Its sound is made in one go before it is heard: three seconds at most, whatever is written."""
    play = Play(asr=["go on"], llm=[text]).user_speaks(1.0, 1.6)
    play.run(until_s=25.0)
    assert letters(play.tts.said[0]) * CHARACTER_S <= 3.0
    assert "".join(play.tts.said).replace(" ", "") == text.replace(" ", "")
