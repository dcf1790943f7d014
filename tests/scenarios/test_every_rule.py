"""Each rule of the policy is met in some scenario; here are those that no other is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from conversation.conversation import Conversation
from conversation.errors import ClientError
from conversation.events import (
    InputCommitted,
    InputTimedOut,
    OutputAudio,
    OutputHeld,
    OutputResumed,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
)
from conversation.items import MessageItem, TextPart
from conversation.policy import POLICY, Action, Happening, Rule
from conversation.reply import Reply
from conversation.scripted import tone
from conversation.settings import ResponseRequest, Settings, TurnDetection
from tests.scenarios.screenplay import Play
from tests.scenarios.test_filler import calls, output_and_answer

STORY = "Once upon a time there was a little dog who lived in a big house by the sea."


def question(*later: str, llm: tuple[str, ...] = (STORY,), settings: Settings | None = None) -> Play:
    """Asked from 1.0 to 2.2 s; the story is told from 2.7 to 7.5 s."""
    return Play(asr=["tell me a story", *later], llm=llm, settings=settings).user_speaks(1.0, 2.2)


def test_who_neither_interrupts_nor_is_answered_may_pause_and_go_on_over_the_agent() -> None:
    settings = Settings(turn_detection=TurnDetection(interrupt_response=False, create_response=False))
    play = question("and what then", settings=settings).at(2.9, lambda c: c.respond(ResponseRequest()))
    seen = play.user_speaks(4.0, 4.3).user_speaks(4.5, 5.1).run(until_s=12.0)
    assert seen.ends == [("completed", None)]
    assert len(seen.of(SpeechStarted)) == 2


def test_a_client_that_clears_its_input_in_a_pause_is_not_answered() -> None:
    seen = question().at(2.4, Conversation.clear_input).run(until_s=6.0)
    assert not seen.of(ResponseStarted)


def test_clearing_or_committing_while_the_agent_speaks_leaves_it_alone() -> None:
    settings = Settings(turn_detection=TurnDetection(interrupt_response=False, create_response=False))
    play = question("and what then", settings=settings).at(2.9, lambda c: c.respond(ResponseRequest()))
    play.user_speaks(4.0, 4.6).at(4.64, Conversation.commit).at(5.0, Conversation.clear_input)
    assert play.run(until_s=12.0).ends == [("completed", None)]


def test_a_sound_that_turns_out_to_be_a_turn_after_the_answer_was_cancelled_is_one() -> None:
    play = question("what about the cat", llm=(STORY, "Alright.")).user_speaks(4.0, 5.2)
    seen = play.at(4.15, lambda c: c.cancel_response(None)).run(until_s=9.0)
    assert seen.ends == [("cancelled", "client_cancelled"), ("completed", None)]
    assert len(seen.of(SpeechStarted)) == 2


def test_a_long_silence_is_noted_by_nobody_who_answers_only_when_asked() -> None:
    settings = Settings(turn_detection=TurnDetection(idle_timeout_ms=5000, create_response=False))
    play = question(settings=settings).at(2.9, lambda c: c.respond(ResponseRequest()))
    assert not play.run(until_s=20.0).of(InputTimedOut)


def test_an_item_that_comes_while_the_agent_is_held_changes_nothing() -> None:
    told = MessageItem("item_told", "user", (TextPart("The dog is brown."),))
    play = question("uh-huh yeah").user_speaks(4.0, 4.6).at(4.3, lambda c: c.add_item(told, None))
    assert play.run(until_s=12.0).ends == [("completed", None)]


def test_an_answer_asked_for_in_the_first_64_ms_of_a_sound_waits_for_what_that_is() -> None:
    play = question("what about the cat", llm=(STORY, STORY, "Alright.")).user_speaks(9.0, 10.2)
    seen = play.at(9.05, lambda c: c.respond(ResponseRequest())).run(until_s=14.0)
    assert seen.ends == [("completed", None), ("cancelled", "turn_detected"), ("completed", None)]
    assert seen.of(OutputAudio)[-1].response_id != seen.of(ResponseDone)[1].response.id


def test_one_asked_for_in_a_click_is_given_at_once() -> None:
    play = question(llm=(STORY, "Alright.")).user_speaks(9.0, 9.02)
    seen = play.at(9.05, lambda c: c.respond(ResponseRequest())).run(until_s=14.0)
    assert seen.ends == [("completed", None)] * 2
    assert not seen.of(OutputHeld)


def test_a_commit_in_a_murmur_neither_stops_the_agent_nor_leaves_it_held() -> None:
    """What is committed has come in one piece, and nobody has listened to it yet."""

    def send_and_commit(conversation: Conversation) -> None:
        with contextlib.suppress(StopIteration):
            conversation.hear(tone(0.2)).send(None)
        conversation.commit()

    play = question("and what then").user_speaks(4.0, 4.04).at(4.05, send_and_commit)
    seen = play.run(until_s=12.0)
    assert seen.ends == [("completed", None)]
    assert len(seen.of(InputCommitted)) == 2
    [held_s], [resumed_s] = seen.times_s(OutputHeld), seen.times_s(OutputResumed)
    assert held_s < 4.05 < resumed_s < 4.12


def test_a_click_that_nobody_talks_over_is_no_turn() -> None:
    seen = question().user_speaks(9.0, 9.02).run(until_s=12.0)
    assert len(seen.of(SpeechStarted)) == 1


def test_what_is_prepared_cannot_be_cancelled_since_nobody_knows_of_it() -> None:
    refused: list[str | None] = []

    def cancel(conversation: Conversation) -> None:
        with pytest.raises(ClientError) as error:
            conversation.cancel_response(None)
        refused.append(error.value.code)

    seen = question().at(2.4, cancel).run(until_s=12.0)
    assert refused == ["response_cancel_not_active"]
    assert seen.ends == [("completed", None)]


def test_an_answer_asked_for_while_a_filler_is_held_follows_it() -> None:
    """It is said from 4.2 s on, while a tool is late."""
    play = calls("Rain, alas.", turns=2).user_speaks(4.3, 4.42).at(4.4, output_and_answer)
    seen = play.run(until_s=9.0)
    assert len(seen.of(OutputHeld)) == 1
    assert seen.ends == [("completed", None)] * 3
    assert seen.said == "One moment.Rain, alas."


def test_every_rule_of_the_policy_was_met(rules_met: set[tuple[Happening, Reply, Action]]) -> None:
    for (event, reply), rule in POLICY.items():
        for action in _actions(rule):
            assert (event, reply, action) in rules_met, f"{event}, {reply}: no scenario leads to {action}"


def _actions(rule: Rule | None) -> Iterator[Action]:
    while rule is not None:
        yield rule.then
        if rule.when is not None and rule.otherwise is None:
            yield Action.NOTHING
        rule = rule.otherwise
