"""Responses out of band: beside the conversation, and without a trace in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conversation.asides import AT_ONCE
from conversation.conversation import Conversation
from conversation.errors import ClientError, StageLost
from conversation.events import OutputAudio, OutputText, ResponseDone, ResponseStarted
from conversation.items import ItemReference, MessageItem, TextPart
from conversation.scripted import Line
from conversation.settings import ResponseRequest
from conversation.stages import Message
from tests.scenarios.screenplay import Play

CLASSIFY = MessageItem("note", "user", (TextPart("Is it a question?"),))


def respond(**given: Any) -> Callable[[Conversation], None]:
    return lambda conversation: conversation.respond(ResponseRequest(**given))


def test_it_leaves_nothing_in_the_conversation() -> None:
    play = Play(llm=["Yes.", "Hello."])
    play.at(1.0, respond(aside=True, modality="text", input=(CLASSIFY,))).at(2.0, respond())
    seen = play.run(until_s=4.0)

    first, second = seen.of(ResponseDone)
    assert (first.response.aside, second.response.aside) == (True, False)
    assert play.llm.asked[0][1:] == (Message("user", "Is it a question?"),)
    assert play.llm.asked[1][1:] == ()


def test_it_may_know_the_conversation() -> None:
    play = Play(asr=["what time is it"], llm=["It is noon.", "A question."]).user_speaks(1.0, 2.2)
    play.at(5.0, respond(aside=True, modality="text")).run(until_s=7.0)
    assert [m.text for m in play.llm.asked[1][1:]] == ["what time is it", "It is noon."]


def test_it_runs_beside_an_answer_and_is_not_interrupted() -> None:
    story = "Once upon a time there was a dog. It lived by the sea. " * 3
    play = Play(asr=["go on", "stop it"], llm=[story, Line("A long, long thought.", each_s=1.0), "Yes."])
    play.user_speaks(1.0, 1.6).at(3.0, respond(aside=True, modality="text")).user_speaks(4.0, 4.6)
    seen = play.run(until_s=9.0)

    ends = [(done.response.aside, done.response.status) for done in seen.of(ResponseDone)]
    assert ends == [(False, "cancelled"), (False, "completed"), (True, "completed")]


def test_references_are_looked_up_and_only_the_given_is_answered() -> None:
    play = Play(llm=["Noted."])
    play.at(0.5, lambda c: c.add_item(CLASSIFY, None)).at(
        0.6, lambda c: c.add_item(MessageItem("other", "user", (TextPart("Not this."),)), None)
    )
    play.at(1.0, respond(input=(ItemReference("note"),), modality="text")).run(until_s=2.0)
    assert play.llm.asked[0][1:] == (Message("user", "Is it a question?"),)


def test_a_reference_to_nothing_is_refused() -> None:
    play = Play().at(1.0, respond(aside=True, input=(ItemReference("nowhere"),)))
    with pytest.raises(ClientError, match="no item with id 'nowhere'"):
        play.run(until_s=2.0)


def test_each_can_be_cancelled_by_its_id() -> None:
    ids: list[str] = []
    play = Play(llm=[Line("One two three.", each_s=1.0), Line("Four five six.", each_s=1.0)])

    def cancel(conversation: Conversation) -> None:
        ids.extend(started.response.id for started in play.seen.of(ResponseStarted))
        conversation.cancel_response(ids[0])

    play.at(1.0, respond(aside=True, modality="text")).at(1.0, respond(aside=True, modality="text"))
    seen = play.at(2.5, cancel).run(until_s=6.0)
    assert {done.response.id: done.response.status for done in seen.of(ResponseDone)} == {
        ids[0]: "cancelled",
        ids[1]: "completed",
    }


def test_there_are_not_more_than_so_many_at_once() -> None:
    play = Play(llm=[Line("Wait.", hangs=True)] * AT_ONCE)
    for _ in range(AT_ONCE):
        play.at(1.0, respond(aside=True, modality="text"))
    play.at(1.5, respond(aside=True, modality="text"))
    with pytest.raises(ClientError, match="out of band are in progress"):
        play.run(until_s=3.0)


def test_it_is_spoken_as_fast_as_it_is_made() -> None:
    """Six seconds of speech, without a conversation's pacing; the client may do with it what it wants."""
    text = "This sentence is here to be spoken. " * 3
    seen = Play(llm=[text.strip()]).at(1.0, respond(aside=True)).run(until_s=3.0)
    assert seen.audio_s() > 5
    assert seen.times_s(OutputAudio)[-1] < 1.2
    assert "".join(event.delta for event in seen.of(OutputText)) == text.strip()


def test_one_that_fails_costs_nothing_else() -> None:
    play = Play(llm=[Line(raises=StageLost("llm", "its replica died")), "Hello."])
    play.at(1.0, respond(aside=True, modality="text")).at(2.0, respond())
    seen = play.run(until_s=4.0)
    assert [status for status, _ in seen.ends] == ["failed", "completed"]
