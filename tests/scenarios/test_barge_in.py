"""A sound over the agent's voice: it is held, weighed, and stops the agent or is forgotten.

The story begins at 2.7 s; the user makes a sound at 4.0 s. The recogniser hears a word in 0.3 s.
"""

from __future__ import annotations

import numpy as np
import pytest

from conversation.audio import Samples
from conversation.conversation import Conversation
from conversation.errors import ClientError, StageLost
from conversation.events import (
    InputCommitted,
    OutputAudio,
    OutputHeld,
    OutputResumed,
    OutputText,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    TranscriptionDelta,
)
from conversation.items import MessageItem
from conversation.scripted import Line, Lines
from conversation.settings import BargeIn, ResponseRequest, Settings, Tuning, TurnDetection
from tests.scenarios.screenplay import Play, Seen

STORY = "Once upon a time there was a little dog who lived in a big house by the sea."
SOUND_S = 4.0


def story(
    *sounds: Line | str,
    by: BargeIn = "speech",
    lasts_s: float = 0.6,
    answers: Lines = (),
    tuning: Tuning | None = None,
    holds: bool = False,
    paced: bool = True,
) -> Play:
    """The agent tells a story, and at SOUND_S the user makes a sound."""
    chosen = Settings(transcribe=True, turn_detection=TurnDetection(barge_in=by), holds=holds, paced=paced)
    play = Play(asr=["tell me a story", *sounds], llm=[STORY, *answers], settings=chosen, tuning=tuning)
    return play.user_speaks(1.0, 2.2).user_speaks(SOUND_S, SOUND_S + lasts_s)


def story_alone() -> Seen:
    return Play(asr=["tell me a story"], llm=[STORY]).user_speaks(1.0, 2.2).run(until_s=12.0)


def samples(seen: Seen) -> Samples:
    return np.concatenate([event.audio.samples for event in seen.of(OutputAudio)])


def after(seen: Seen, time_s: float) -> float:
    """When audio was sent first after that."""
    return next(sent for sent in seen.times_s(OutputAudio) if sent > time_s)


# --- the agent goes on


def test_a_backchannel_makes_a_gap_and_nothing_else() -> None:
    seen = story("uh-huh yeah").run(until_s=12.0)
    assert seen.ends == [("completed", None)]
    assert len(seen.of(SpeechStarted)) == len(seen.of(InputCommitted)) == 1  # those of the question
    assert seen.understood == ["tell me a story"]
    assert seen.said.strip() == STORY


def test_it_falls_silent_at_the_first_frame_and_goes_on_from_the_same_sample() -> None:
    seen = story("uh-huh yeah").run(until_s=12.0)
    [held_s], [resumed_s] = seen.times_s(OutputHeld), seen.times_s(OutputResumed)
    assert held_s == SOUND_S + 0.04  # 32 ms of it, in chunks of 20 ms
    assert SOUND_S + 0.6 <= resumed_s <= SOUND_S + 0.8  # a pause after the sound
    assert after(seen, held_s) >= resumed_s
    assert np.array_equal(samples(seen), samples(story_alone()))


def test_a_cough_has_no_words_and_passes() -> None:
    seen = story("", lasts_s=0.3).run(until_s=12.0)
    assert seen.ends == [("completed", None)]
    assert len(seen.of(OutputResumed)) == 1


def test_a_cough_before_the_first_word_does_not_silence_the_answer() -> None:
    play = Play(asr=["tell me a story", ""], llm=[Line(STORY, first_s=2.0)]).user_speaks(1.0, 2.2)
    seen = play.user_speaks(3.0, 3.3).run(until_s=15.0)
    assert seen.ends == [("completed", None)]
    assert seen.said.strip() == STORY


def test_a_client_that_holds_loses_nothing_and_the_ledger_stands_still() -> None:
    """The user stops it for good soon after the agent went on: what was heard is what was played."""
    play = story("uh-huh yeah", "stop that right now", answers=["Alright."], holds=True)
    seen = play.user_speaks(5.5, 6.7).run(until_s=12.0)
    heard = [message.text for message in play.llm.asked[1] if message.role == "assistant"][-1]
    played_s = seen.times_s(OutputHeld)[0] - seen.times_s(OutputAudio)[0]
    played_s += seen.times_s(OutputHeld)[1] - seen.times_s(OutputResumed)[0]
    assert abs(len(heard.removesuffix(" —")) - played_s / 0.06) <= 6  # within a word


def test_a_long_row_of_backchannels_is_followed_while_the_agent_goes_on() -> None:
    seen = story("yeah yeah yeah yeah yeah", lasts_s=1.5).run(until_s=14.0)
    assert seen.ends == [("completed", None)]
    [resumed_s] = seen.times_s(OutputResumed)
    assert resumed_s <= SOUND_S + 0.85


def test_one_that_turns_into_words_stops_the_agent_after_all() -> None:
    seen = story("yeah yeah yeah what about the cat", lasts_s=2.1, answers=["Alright."]).run(until_s=14.0)
    assert seen.ends[0] == ("cancelled", "turn_detected")
    assert len(seen.of(OutputResumed)) == 1
    assert seen.understood[1] == "yeah yeah yeah what about the cat"


def test_a_hum_passes_where_only_words_stop_and_stops_where_speech_does() -> None:
    seen = story("", by="words", lasts_s=1.5).run(until_s=14.0)
    assert seen.ends == [("completed", None)]
    assert seen.times_s(OutputResumed)[0] <= SOUND_S + 0.85
    seen = story("", by="speech", lasts_s=1.5).run(until_s=14.0)
    assert seen.ends[0] == ("cancelled", "turn_detected")
    assert seen.times_s(ResponseDone)[0] <= SOUND_S + 0.85


def test_the_history_knows_nothing_of_a_sound_that_passed() -> None:
    play = story("uh-huh yeah", "and then", answers=["The end."]).user_speaks(9.0, 9.6)
    play.run(until_s=14.0)
    assert [message.text for message in play.llm.asked[1]][1:] == ["tell me a story", STORY, "and then"]


# --- the agent stops


def test_words_stop_it_within_half_a_second() -> None:
    seen = story("what about the cat", lasts_s=1.2, answers=["Alright."]).run(until_s=12.0)
    assert seen.ends == [("cancelled", "turn_detected"), ("completed", None)]
    assert seen.times_s(SpeechStarted)[1] <= SOUND_S + 0.6
    assert after(seen, SOUND_S + 0.12) > seen.times_s(SpeechStarted)[1]  # nothing was sent meanwhile
    assert not seen.of(OutputResumed)


def test_stop_does_so_at_its_first_word() -> None:
    seen = story("stop", lasts_s=0.4, answers=["Alright."]).run(until_s=12.0)
    assert seen.times_s(SpeechStarted)[1] <= SOUND_S + 0.35


def test_the_verdict_comes_with_the_true_onset() -> None:
    seen = story("what about the cat", lasts_s=1.2, answers=["Alright."]).run(until_s=12.0)
    started = seen.of(SpeechStarted)[1]
    assert abs(started.audio_start_ms - (SOUND_S * 1000 - 300)) <= 40  # 300 ms of padding
    assert seen.understood[1] == "what about the cat"


def test_a_short_question_is_answered_as_soon_as_any_other() -> None:
    """Its verdict comes in the pause, and the answer is prepared from there on."""
    seen = story("why", lasts_s=0.3, answers=[Line("Because.", first_s=0.2)]).run(until_s=12.0)
    assert seen.ends == [("cancelled", "turn_detected"), ("completed", None)]
    assert after(seen, SOUND_S + 0.5) - (SOUND_S + 0.3) <= 0.6


def test_the_client_hears_of_words_only_once_they_are_a_turn() -> None:
    seen = story("what about the cat by the way", lasts_s=2.1, answers=["Alright."]).run(until_s=12.0)
    started_s = seen.times_s(SpeechStarted)[1]
    assert not any(SOUND_S <= told < started_s for told in seen.times_s(TranscriptionDelta))
    told = "".join(delta.delta for delta in seen.of(TranscriptionDelta)[1:])
    assert told.endswith("what about the cat by the way")


def test_any_sound_stops_it_at_once_where_that_is_wanted() -> None:
    seen = story("uh-huh yeah", by="any_sound", answers=["Alright."]).run(until_s=12.0)
    assert seen.ends[0] == ("cancelled", "turn_detected")
    assert seen.times_s(SpeechStarted)[1] <= SOUND_S + 0.12
    assert not seen.of(OutputHeld)


def test_what_is_not_paced_cannot_be_held() -> None:
    seen = story("uh-huh yeah", paced=False, answers=["Alright."]).run(until_s=12.0)
    assert not seen.of(OutputHeld)
    assert seen.times_s(SpeechStarted)[1] <= SOUND_S + 0.12


# --- a murmur: less than an onset


CLICK_S = 0.02


def click(*, holds: bool = False) -> Play:
    return story(lasts_s=CLICK_S, holds=holds)


@pytest.mark.parametrize("holds", [True, False])
def test_a_click_makes_a_gap_of_a_frame_or_two(holds: bool) -> None:
    seen = click(holds=holds).run(until_s=12.0)
    [held_s], [resumed_s] = seen.times_s(OutputHeld), seen.times_s(OutputResumed)
    assert held_s == SOUND_S + 0.04
    assert resumed_s - held_s == pytest.approx(0.04)
    assert seen.ends == [("completed", None)]
    assert len(seen.of(SpeechStarted)) == 1  # that of the question
    assert np.array_equal(samples(seen), samples(story_alone()))


def test_who_does_not_hold_hears_nothing_of_it() -> None:
    assert click().run(until_s=12.0).heard() == story_alone().heard()


def test_a_client_that_goes_mute_in_a_murmur_is_not_waited_for_for_ever() -> None:
    play = story(lasts_s=0.04).client_sends_nothing(SOUND_S + 0.04, 12.0)
    seen = play.run(until_s=12.0)
    assert seen.times_s(OutputResumed) == [pytest.approx(SOUND_S + 0.04 + Tuning().mute_s)]
    assert seen.ends == [("completed", None)]


def test_a_vad_that_fails_in_a_murmur_leaves_it_at_that() -> None:
    """It hears the first 126 frames, of which the last is the voice's first, and not the next."""
    trouble = [*([Line()] * 126), Line(raises=StageLost("vad", "its replica died"))]
    play = Play(asr=["tell me a story"], llm=[STORY], vad=trouble).user_speaks(1.0, 2.2)
    seen = play.user_speaks(SOUND_S, SOUND_S + 0.06).run(until_s=12.0)
    [held_s], [resumed_s] = seen.times_s(OutputHeld), seen.times_s(OutputResumed)
    assert (held_s, resumed_s) == (SOUND_S + 0.04, SOUND_S + 0.08)
    assert seen.ends == [("completed", None)]


def test_a_client_that_clears_its_input_in_a_murmur_lets_the_agent_go_on() -> None:
    seen = story(lasts_s=0.04).at(SOUND_S + 0.05, Conversation.clear_input).run(until_s=12.0)
    assert seen.times_s(OutputResumed) == [SOUND_S + 0.05]
    assert seen.ends == [("completed", None)]


def test_a_murmur_is_too_short_to_be_committed() -> None:
    def commit(conversation: Conversation) -> None:
        with pytest.raises(ClientError, match="buffer too small"):
            conversation.commit()

    seen = story(lasts_s=0.02).at(SOUND_S + 0.05, commit).run(until_s=12.0)
    assert len(seen.of(OutputHeld)) == len(seen.of(OutputResumed)) == 1
    assert seen.ends == [("completed", None)]


def test_a_murmur_over_an_answer_that_was_cancelled_is_a_turn_like_any_other() -> None:
    play = story("what about the cat", lasts_s=1.2, answers=["Alright."])
    seen = play.at(SOUND_S + 0.05, lambda conversation: conversation.cancel_response(None)).run(until_s=12.0)
    assert seen.ends == [("cancelled", "client_cancelled"), ("completed", None)]
    assert seen.understood[1] == "what about the cat"


# --- trouble, and a client that acts meanwhile


def test_words_that_come_late_are_not_waited_for() -> None:
    """The last words take 3 s: what was understood before decides when the sound is due."""
    seen = story(Line("uh-huh yeah", first_s=3.0)).run(until_s=14.0)
    assert seen.ends == [("completed", None)]
    assert seen.times_s(OutputResumed)[0] <= SOUND_S + 1.2


def test_a_recogniser_that_fails_leaves_it_to_the_length() -> None:
    lost = Line("", raises=StageLost("asr", "its replica died"))
    seen = story(lost, lasts_s=0.3).run(until_s=12.0)
    assert seen.ends == [("completed", None)]


def test_a_client_that_clears_its_input_lets_the_agent_go_on() -> None:
    seen = story(lasts_s=0.12).at(SOUND_S + 0.13, Conversation.clear_input).run(until_s=12.0)
    assert seen.ends == [("completed", None)]
    assert len(seen.of(OutputResumed)) == 1


def test_a_client_that_commits_says_that_it_is_a_turn() -> None:
    play = story("uh-huh yeah", lasts_s=0.3).at(SOUND_S + 0.34, Conversation.commit).lines_may_be_left()
    seen = play.run(until_s=12.0)
    assert seen.ends[0] == ("cancelled", "turn_detected")
    assert SOUND_S < seen.times_s(SpeechStarted)[1] <= seen.times_s(SpeechStopped)[1] <= SOUND_S + 0.34


def test_a_commit_of_too_little_is_refused_and_changes_nothing() -> None:
    """Without padding, a sound is shorter than what can be committed when it is first held."""
    settings = Settings(transcribe=True, turn_detection=TurnDetection(prefix_padding_ms=0))

    def play() -> Play:
        play = Play(asr=["tell me a story", "uh-huh yeah"], llm=[STORY], settings=settings)
        return play.user_speaks(1.0, 2.2).user_speaks(SOUND_S, SOUND_S + 0.6)

    def commit(conversation: Conversation) -> None:
        with pytest.raises(ClientError, match="buffer too small") as refused:
            conversation.commit()
        refusals.append(refused.value.code)

    refusals: list[str | None] = []
    alone = play().run(until_s=12.0)
    held_s = alone.times_s(OutputHeld)[0]
    seen = play().at(held_s + 0.005, commit).run(until_s=12.0)
    assert refusals == ["input_audio_buffer_commit_empty"]
    assert [(time_s, type(event)) for time_s, event in seen.events] == [
        (time_s, type(event)) for time_s, event in alone.events
    ]
    assert seen.ends == [("completed", None)]


def test_while_it_is_held_no_other_response_can_begin_and_it_can_be_cancelled() -> None:
    refused: list[str | None] = []

    def ask(conversation: Conversation) -> None:
        with pytest.raises(ClientError) as error:
            conversation.respond(ResponseRequest())
        refused.append(error.value.code)

    play = story("uh-huh yeah").at(SOUND_S + 0.2, ask)
    seen = play.at(SOUND_S + 0.3, lambda conversation: conversation.cancel_response(None)).run(until_s=12.0)
    assert refused == ["conversation_already_has_active_response"]
    assert seen.ends == [("cancelled", "client_cancelled")]
    assert len(seen.of(SpeechStarted)) == 1  # the sound was nothing all the same


def test_an_answer_that_fails_while_it_is_held_ends_all_the_same() -> None:
    story_lines = [Line(STORY, each_s=0.1, raises=StageLost("llm", "its replica died"))]
    play = Play(asr=["tell me a story", "uh-huh yeah"], llm=story_lines).user_speaks(1.0, 2.2)
    seen = play.user_speaks(3.6, 4.2).run(until_s=12.0)
    assert seen.times_s(OutputHeld)[0] < seen.times_s(ResponseDone)[0] < 4.2
    assert [status for status, _ in seen.ends] == ["failed"]


def test_a_written_answer_is_held_too() -> None:
    settings = Settings(transcribe=True, modality="text")
    lines = [Line(STORY, each_s=0.2)]
    play = Play(asr=["tell me a story", "uh-huh yeah"], llm=lines, settings=settings)
    seen = play.user_speaks(1.0, 2.2).user_speaks(SOUND_S, SOUND_S + 0.6).run(until_s=12.0)
    [held_s], [resumed_s] = seen.times_s(OutputHeld), seen.times_s(OutputResumed)
    assert not any(held_s < told < resumed_s for told in seen.times_s(OutputText))
    assert seen.said.strip() == STORY


def test_a_hold_ends_before_the_answer_does() -> None:
    """The sound comes over the last piece: the end is told when it has passed."""
    play = Play(asr=["hello", "uh-huh yeah"], llm=["A short one."]).user_speaks(1.0, 1.3)
    seen = play.user_speaks(2.2, 2.8).run(until_s=8.0)
    assert seen.kinds.index("OutputResumed") < seen.kinds.index("ResponseDone")
    assert isinstance(seen.of(ResponseDone)[0].response.output[0], MessageItem)
