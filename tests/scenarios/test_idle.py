"""A client that wants the agent to speak again when nobody says anything."""

from __future__ import annotations

import pytest

from conversation.conversation import Conversation
from conversation.errors import ClientError
from conversation.events import InputCommitted, InputTimedOut, OutputAudio, ResponseDone, ResponseStarted
from conversation.settings import ResponseRequest, Settings, TurnDetection
from tests.scenarios.screenplay import Play

IDLE = Settings(transcribe=True, turn_detection=TurnDetection(idle_timeout_ms=5000))


def question(*answers: str, settings: Settings = IDLE) -> Play:
    return Play(asr=["what time is it"], llm=answers, settings=settings).user_speaks(1.0, 2.2)


def test_after_an_answer_was_heard_and_a_long_silence_it_speaks_again() -> None:
    play = question("It is noon.", "Are you there?").lines_may_be_left()
    seen = play.run(until_s=11.0)

    [timed_out] = seen.of(InputTimedOut)
    heard_s = seen.times_s(OutputAudio)[0] + len("It is noon.") * 0.06
    assert abs(seen.times_s(InputTimedOut)[0] - (heard_s + 5.0)) < 0.05
    assert seen.of(InputCommitted)[1].item_id == timed_out.item_id
    assert timed_out.audio_end_ms - timed_out.audio_start_ms > 5000
    assert seen.said == "It is noon.Are you there?"
    assert [message.text for message in play.llm.asked[1][1:]] == ["what time is it", "It is noon."]


def test_nothing_happens_before_the_first_answer() -> None:
    assert not Play(settings=IDLE).run(until_s=20.0).of(ResponseStarted)


def test_it_waits_anew_after_each_answer() -> None:
    play = question("It is noon.", "Hello?", "Goodbye.").lines_may_be_left()
    assert len(play.run(until_s=16.5).of(InputTimedOut)) == 2


def test_whoever_speaks_is_waited_for() -> None:
    play = Play(asr=["what time is it", "thank you"], llm=["It is noon.", "Sure."], settings=IDLE)
    seen = play.user_speaks(1.0, 2.2).user_speaks(7.0, 7.6).run(until_s=11.0)
    assert not seen.of(InputTimedOut)


def test_a_response_asked_for_begins_the_wait_anew() -> None:
    play = question("It is noon.", "Or a little later.", "So.").lines_may_be_left()
    seen = play.at(7.0, lambda c: c.respond(ResponseRequest())).run(until_s=12.0)
    assert not seen.of(InputTimedOut)
    assert len(seen.of(ResponseDone)) == 2


def test_a_commit_of_nothing_does_not_end_the_wait() -> None:
    def commit(conversation: Conversation) -> None:
        with pytest.raises(ClientError, match="buffer too small"):
            conversation.commit()

    play = question("It is noon.", "Are you there?").lines_may_be_left().at(7.0, commit)
    assert len(play.run(until_s=11.0).of(InputTimedOut)) == 1


def test_a_client_that_does_not_want_it_is_left_alone() -> None:
    for detection in (TurnDetection(), None):
        settings = IDLE.model_copy(update={"turn_detection": detection})
        play = Play(llm=["Hello."], settings=settings).at(1.0, lambda c: c.respond(ResponseRequest()))
        assert not play.run(until_s=20.0).of(InputTimedOut)
