"""The agent calls functions of the client's."""

from __future__ import annotations

from typing import Any

from conversation.conversation import Conversation
from conversation.events import (
    ItemAdded,
    OutputArguments,
    OutputAudio,
    OutputDone,
    OutputStarted,
    ResponseDone,
)
from conversation.items import CallItem, CallOutputItem
from conversation.scripted import Line
from conversation.settings import ResponseRequest, Settings
from conversation.stages import Message, Tool, ToolCall
from tests.scenarios.screenplay import Play, Seen, detection

WEATHER = Tool("weather", "Tells the weather.", {"type": "object"})
OFFERED = Settings(transcribe=True, tools=(WEATHER,))
CALL = ToolCall("call_1", "weather", '{"city": "Paris"}')
OUTPUT = CallOutputItem("output_1", "call_1", "12 degrees, rain")


def asked(line: Line | str, *more: Line | str, settings: Settings = OFFERED) -> Play:
    return Play(asr=["how is the weather"], llm=[line, *more], settings=settings).user_speaks(1.0, 2.2)


def output_and_answer(conversation: Conversation) -> None:
    conversation.add_item(OUTPUT, None)
    conversation.respond(ResponseRequest())


def places(seen: Seen) -> list[tuple[str, int]]:
    return [(type(event.item).__name__, event.output_index) for event in seen.of(OutputStarted)]


def test_a_call_is_told_piece_by_piece_and_then_whole() -> None:
    seen = asked(Line(calls=(CALL,))).run(until_s=6.0)

    assert "".join(event.delta for event in seen.of(OutputArguments)) == CALL.arguments
    assert seen.tells_of_items() == ['weather({"city": "Paris"})']
    assert seen.ends == [("completed", None)]
    assert not seen.of(OutputAudio)
    [done] = seen.of(ResponseDone)
    assert [type(item) for item in done.response.output] == [CallItem]


def test_its_output_asks_for_no_answer_and_the_next_answer_knows_both() -> None:
    play = asked(Line(calls=(CALL,)), "Rain, alas.").at(6.0, output_and_answer)
    seen = play.run(until_s=9.0)

    assert [event.item for event in seen.of(ItemAdded)][-1] == OUTPUT
    assert seen.said == "Rain, alas."
    assert play.llm.asked[1][1:] == (
        Message("user", "how is the weather"),
        Message("assistant", "", (CALL,)),
        Message("tool", "12 degrees, rain", call_id="call_1"),
    )


def test_a_call_does_not_wait_for_what_is_said_before_it() -> None:
    """Two seconds of speech; the call is there when its first word is heard."""
    words = "Let me look that up for you, it takes but a moment."
    play = asked(Line(words, calls=(CALL,)), "Rain.").at(6.0, output_and_answer)
    seen = play.run(until_s=9.0)

    assert places(seen)[:2] == [("MessageItem", 0), ("CallItem", 1)]
    call_s, message_s = seen.times_s(OutputDone)[:2]
    assert call_s <= seen.times_s(OutputAudio)[0]
    assert message_s > call_s + 2.0
    assert seen.tells_of_items()[:2] == ['weather({"city": "Paris"})', words]
    assert [type(item).__name__ for item in seen.of(ResponseDone)[0].response.output] == [
        "MessageItem",
        "CallItem",
    ]
    assert play.llm.asked[1][2] == Message("assistant", words, (CALL,))


def test_several_calls_are_one_message_to_the_model() -> None:
    other = ToolCall("call_2", "weather", '{"city": "Rome"}')

    def outputs(conversation: Conversation) -> None:
        conversation.add_item(CallOutputItem("output_2", "call_2", "sun"), None)
        output_and_answer(conversation)

    play = asked(Line(calls=(CALL, other)), "Rain here, sun there.").at(5.0, outputs)
    seen = play.run(until_s=8.0)

    assert places(seen)[:2] == [("CallItem", 0), ("CallItem", 1)]
    assert [(m.role, m.tool_calls, m.text) for m in play.llm.asked[1][2:]] == [
        ("assistant", (CALL, other), ""),
        ("tool", (), "12 degrees, rain"),
        ("tool", (), "sun"),
    ]


def test_nothing_is_called_before_the_turn_is_over() -> None:
    """The user goes on after a pause in which the answer was prepared."""
    play = asked(Line(calls=(CALL,)), Line(calls=(CALL,))).user_speaks(2.5, 3.4)
    seen = play.run(until_s=6.0)

    assert len(seen.of(ResponseDone)) == 1
    assert seen.times_s(OutputStarted)[0] > 3.4


def test_a_call_without_an_output_is_kept_from_the_model() -> None:
    play = asked(Line("One moment.", calls=(CALL,)), "Never mind.").at(
        6.0, lambda conversation: conversation.respond(ResponseRequest())
    )
    play.run(until_s=9.0)

    assert play.llm.asked[1][1:] == (
        Message("user", "how is the weather"),
        Message("assistant", "One moment."),
    )


def test_a_call_that_breaks_off_counts_for_nothing() -> None:
    line = Line(calls=(CALL,), each_s=1.0)
    play = asked(line, "Never mind.").at(3.0, lambda c: c.cancel_response(None))
    seen = play.at(5.0, output_and_answer).run(until_s=8.0)

    [broken_off] = [event.item for event in seen.of(OutputDone) if isinstance(event.item, CallItem)]
    assert broken_off.status == "incomplete"
    assert CALL.arguments.startswith(broken_off.call.arguments)
    assert seen.ends[0] == ("cancelled", "client_cancelled")
    assert [message.role for message in play.llm.asked[1]] == ["system", "user"]


def test_a_finished_call_outlives_the_interruption_of_its_words() -> None:
    words = "Let me look that up for you, it takes but a moment or two or three."
    play = Play(
        asr=["how is the weather", "and quickly"],
        llm=[Line(words, calls=(CALL,)), "Rain."],
        settings=OFFERED.model_copy(update={"turn_detection": detection()}),
    )
    play.user_speaks(1.0, 2.2).at(3.5, lambda c: c.add_item(OUTPUT, None)).user_speaks(4.0, 5.0)
    play.run(until_s=9.0)

    roles = [(m.role, len(m.tool_calls)) for m in play.llm.asked[-1]]
    assert roles == [("system", 0), ("user", 0), ("assistant", 1), ("tool", 0), ("user", 0)]
    assert play.llm.asked[-1][2].text.endswith("—")


def test_a_response_may_bring_its_own_functions() -> None:
    def respond(**given: Any) -> Any:
        return lambda conversation: conversation.respond(ResponseRequest(**given))

    play = Play(llm=[Line(calls=(CALL,)), Line("No.", calls=(CALL,))], settings=OFFERED)
    play.settings = Settings()
    seen = play.at(1.0, respond(tools=(WEATHER,))).at(2.0, respond()).run(until_s=4.0)
    assert seen.tells_of_items() == ['weather({"city": "Paris"})', "No."]


def test_where_one_must_be_called_and_none_can_be_the_response_fails() -> None:
    settings = OFFERED.model_copy(update={"tool_choice": "required"})
    seen = asked("It is fine.", settings=settings).run(until_s=6.0)
    assert [status for status, _ in seen.ends] == ["failed"]
