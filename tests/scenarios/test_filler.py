"""What the agent says while an answer, or the tool that it waits for, is late.

The user's turn is over at about 2.7 s, and the language model has been at work since 2.3 s; with 1.5 s of
patience a filler comes at 4.2 s. "One moment." takes 0.66 s to say.
"""

from __future__ import annotations

from functools import partial

import pytest

from conversation.conversation import Conversation
from conversation.errors import ClientError, StageFailed
from conversation.events import (
    OutputAudio,
    OutputDone,
    OutputFilled,
    OutputHeld,
    OutputResumed,
    OutputStarted,
    OutputText,
    ResponseDone,
    ResponseStarted,
    SpeechStopped,
    TurnTimed,
)
from conversation.filler import PHRASES
from conversation.items import CallOutputItem, MessageItem
from conversation.scripted import Line, Lines
from conversation.settings import Filler, HintSettings, ResponseRequest, Settings
from conversation.stages import Message, Tool, ToolCall
from tests.scenarios.screenplay import Play, Seen

FILLER = Filler(after_ms=1500)
FILLED = Settings(transcribe=True, filler=FILLER)
LATE = Line("It is noon.", first_s=3.0)

WEATHER = Tool("weather", "Tells the weather.", {"type": "object"})
CALL = ToolCall("call_1", "weather", '{"city": "Paris"}')
PATIENT = Settings(transcribe=True, tools=(WEATHER,), filler=Filler(after_ms=1500, tools=True))
OUTPUT = CallOutputItem("output_1", "call_1", "12 degrees, rain")


def asks(*llm: Line | str, settings: Settings = FILLED, tts: Lines = (), turns: int = 1) -> Play:
    asr = ["what time is it", "and how late in Tokyo", "and in Rome"][:turns]
    return Play(asr=asr, llm=llm, tts=tts, settings=settings).user_speaks(1.0, 2.2)


def fillers(seen: Seen) -> list[float]:
    return seen.times_s(OutputFilled)


def due_s(seen: Seen) -> float:
    return pytest.approx(seen.times_s(SpeechStopped)[0] + 1.5, abs=0.005)  # type: ignore[return-value]


def items(seen: Seen) -> list[MessageItem]:
    return [done.item for done in seen.of(OutputDone) if isinstance(done.item, MessageItem)]


# --- the language model is late


def test_an_answer_that_is_late_begins_with_a_filler_in_the_same_message() -> None:
    seen = asks(LATE).run(until_s=9.0)

    [filled] = seen.of(OutputFilled)
    assert fillers(seen) == [due_s(seen)]
    assert seen.times_s(OutputAudio)[0] == due_s(seen)
    assert filled.audio_ms == 660
    assert [event.delta for event in seen.of(OutputText)] == ["One moment. ", "It is noon."]
    assert seen.ends == [("completed", None)]
    [item] = items(seen)
    assert (item.id, item.text, item.meant) == (
        filled.item_id,
        "One moment. It is noon.",
        "It is noon.",
    )


def test_its_sound_is_told_in_the_timing_and_is_not_that_of_the_answer() -> None:
    [timed] = asks(LATE).run(until_s=9.0).of(TurnTimed)
    timing = timed.timing
    assert timing.released_ms is not None
    assert timing.filler_ms == pytest.approx(timing.released_ms + 1500, abs=1)
    assert timing.llm_first_ms is not None
    assert timing.first_audio_ms == pytest.approx(timing.llm_first_ms, abs=1)


def test_the_language_model_does_not_read_its_fillers() -> None:
    play = asks(LATE, "Nine.", turns=2).user_speaks(8.0, 9.5)
    play.run(until_s=13.0)
    assert [(message.role, message.text) for message in play.llm.asked[1]][1:] == [
        ("user", "what time is it"),
        ("assistant", "It is noon."),
        ("user", "and how late in Tokyo"),
    ]


@pytest.mark.parametrize("first_s", [0.0, 1.0, 1.7])
def test_an_answer_that_comes_in_time_has_none(first_s: float) -> None:
    seen = asks(Line("It is noon.", first_s=first_s)).run(until_s=9.0)
    assert not fillers(seen)
    assert seen.said == "It is noon."


def test_without_the_setting_there_is_none() -> None:
    seen = asks(LATE, settings=Settings(transcribe=True)).run(until_s=9.0)
    assert seen.said == "It is noon."


def test_one_that_is_still_being_made_when_the_answer_begins_is_never_heard() -> None:
    """It would take a second; the first clause is there after half of it."""
    play = asks(Line("It is noon.", first_s=2.4), tts=[Line(first_s=1.0), Line(first_s=0.1)])
    seen = play.run(until_s=9.0)
    assert play.tts.said == ["One moment.", "It is noon."]
    assert not fillers(seen)
    assert seen.said == "It is noon."
    assert 4.7 <= seen.times_s(OutputAudio)[0] < 5.0


def test_one_that_is_heard_is_heard_to_its_end_and_then_the_answer_follows() -> None:
    """The answer is ready in the middle of it."""
    seen = asks(Line("It is noon.", first_s=2.2)).run(until_s=9.0)
    assert fillers(seen) == [due_s(seen)]
    [(start_s, end_s)] = seen.heard()
    assert start_s == due_s(seen)
    assert end_s - start_s == pytest.approx(0.66 + 0.66)


def test_after_one_the_agent_waits_for_the_answer_and_says_no_other() -> None:
    seen = asks(Line("It is noon.", first_s=8.0)).run(until_s=14.0)
    assert fillers(seen) == [due_s(seen)]
    assert [start_s for start_s, _ in seen.heard()] == [due_s(seen), pytest.approx(10.3, abs=0.1)]


def test_who_speaks_over_it_interrupts_it_and_the_model_reads_nothing_of_it() -> None:
    play = asks(LATE, "Nine.", turns=2)
    seen = play.user_speaks(4.4, 5.9).run(until_s=9.0)
    assert seen.ends == [("cancelled", "turn_detected"), ("completed", None)]
    assert [message.role for message in play.llm.asked[1]] == ["system", "user", "user"]
    [kept, _] = [item for item in play_history(play) if item.role == "assistant"]
    assert kept.status == "incomplete"
    assert kept.text
    assert "One moment.".startswith(kept.text)


def test_a_sound_when_it_is_due_is_weighed_first() -> None:
    """A cough that is over when the answer is still to come."""
    play = Play(asr=["what time is it", ""], llm=[Line("It is noon.", first_s=4.0)], settings=FILLED)
    seen = play.user_speaks(1.0, 2.2).user_speaks(4.1, 4.4).run(until_s=9.0)
    [held_s], [resumed_s] = seen.times_s(OutputHeld), seen.times_s(OutputResumed)
    assert held_s < seen.times_s(SpeechStopped)[0] + 1.5 < resumed_s
    assert fillers(seen) == [resumed_s]
    assert seen.ends == [("completed", None)]


def play_history(play: Play) -> list[MessageItem]:
    history = play.conversation._session.history
    return [item for item in history.items() if isinstance(item, MessageItem)]


def test_of_an_answer_that_is_cut_short_after_it_the_model_reads_what_was_heard() -> None:
    """It takes 0.66 s; 0.33 s more are "It is"."""
    line = Line("It is noon in Paris and in Rome.", first_s=2.2)
    play = asks(line, "Nine.", turns=2)
    play.at(7.0, lambda c: c.truncate_item(items(play.seen)[0].id, 660 + 330))
    play.user_speaks(8.0, 9.5).run(until_s=13.0)
    assert play.llm.asked[1][2] == Message("assistant", "It is —")


def test_a_voice_that_cannot_say_it_is_no_failure() -> None:
    tts = [Line(raises=StageFailed("tts", "no")), Line()]
    seen = asks(LATE, tts=tts).run(until_s=9.0)
    assert not fillers(seen)
    assert seen.ends == [("completed", None)]
    assert seen.said == "It is noon."


def test_a_call_needs_no_words_before_it() -> None:
    """It is being written when a filler would be due."""
    line = Line(calls=(CALL,), first_s=0.0, each_s=3.0)
    seen = asks(line, settings=PATIENT.model_copy(update={"filler": FILLER})).run(until_s=9.0)
    assert not fillers(seen)
    assert seen.tells_of_items() == ['weather({"city": "Paris"})']


def test_a_call_after_one_stands_after_it() -> None:
    line = Line("Let me look.", calls=(CALL,), first_s=3.0)
    play = asks(line, "Rain.", settings=PATIENT.model_copy(update={"filler": FILLER}))
    play.at(9.0, lambda c: output_and_answer(c))
    seen = play.run(until_s=12.0)
    assert [type(event.item).__name__ for event in seen.of(OutputStarted)][:2] == ["MessageItem", "CallItem"]
    assert play.llm.asked[1][2] == Message("assistant", "Let me look.", (CALL,))


def test_an_answer_to_be_read_has_none() -> None:
    seen = asks(LATE, settings=FILLED.model_copy(update={"modality": "text"})).run(until_s=9.0)
    assert seen.said == "It is noon."


def test_an_answer_beside_the_conversation_has_none() -> None:
    play = Play(llm=[LATE], settings=FILLED)
    play.at(1.0, lambda c: c.respond(ResponseRequest(aside=True)))
    assert play.run(until_s=9.0).said == "It is noon."


def test_the_phrases_come_one_after_another() -> None:
    settings = Settings(transcribe=True, filler=Filler(after_ms=1500, phrases=("Hm.", "Well.")))
    play = asks(*[LATE] * 3, settings=settings, turns=3).user_speaks(8.0, 9.5).user_speaks(15.0, 16.2)
    play.run(until_s=22.0)
    assert play.tts.said == ["Hm.", "It is noon.", "Well.", "It is noon.", "Hm.", "It is noon."]


@pytest.mark.parametrize(
    ("language", "says"),
    [("zh", "稍等一下。It is noon."), ("zh-TW", "稍等一下。It is noon."), ("fr", "One moment. It is noon.")],
)
def test_they_are_in_the_language_of_the_session(language: str, says: str) -> None:
    settings = Settings(transcribe=True, filler=FILLER, hints=HintSettings(language=language))
    assert asks(LATE, settings=settings).run(until_s=9.0).said == says


def test_every_language_has_several() -> None:
    assert all(len(set(phrases)) >= 3 for phrases in PHRASES.values())


# --- a tool is late


def output_and_answer(conversation: Conversation) -> None:
    conversation.add_item(OUTPUT, None)
    conversation.respond(ResponseRequest())


def calls(*llm: Line | str, settings: Settings = PATIENT, tts: Lines = (), turns: int = 1) -> Play:
    """The response with the call is over at 2.7 s."""
    return asks(Line(calls=(CALL,)), *llm, settings=settings, tts=tts, turns=turns)


def test_while_a_tool_is_late_the_agent_says_a_filler_by_itself() -> None:
    play = calls("Rain, alas.").at(8.0, output_and_answer)
    seen = play.run(until_s=12.0)

    assert fillers(seen) == [due_s(seen)]
    assert [(event.response.status, len(event.response.output)) for event in seen.of(ResponseDone)] == [
        ("completed", 1)
    ] * 3
    assert [item.text for item in items(seen)] == ["One moment.", "Rain, alas."]
    assert play.llm.asked[1][1:] == (
        Message("user", "what time is it"),
        Message("assistant", "", (CALL,)),
        Message("tool", "12 degrees, rain", call_id="call_1"),
    )
    assert len(seen.of(TurnTimed)) == 1  # of the answer alone


def test_a_tool_in_time_needs_none() -> None:
    seen = calls("Rain, alas.").at(4.0, output_and_answer).run(until_s=9.0)
    assert not fillers(seen)


def test_an_output_is_enough_whoever_asks_for_an_answer_and_when() -> None:
    play = calls("Rain, alas.").at(4.0, lambda c: c.add_item(OUTPUT, None))
    seen = play.at(8.0, lambda c: c.respond(ResponseRequest())).run(until_s=12.0)
    assert not fillers(seen)


def test_an_output_that_came_while_the_agent_still_spoke_is_enough() -> None:
    words = "Let me look that up for you, it takes but a moment."
    play = asks(Line(words, calls=(CALL,)), settings=PATIENT).at(3.0, lambda c: c.add_item(OUTPUT, None))
    assert not fillers(play.run(until_s=12.0))


def test_what_the_agent_said_with_the_call_is_heard_first() -> None:
    """Two seconds of speech; patience begins after it."""
    words = "Let me look that up for you, it takes but a moment."
    seen = asks(Line(words, calls=(CALL,)), settings=PATIENT).run(until_s=12.0)
    assert fillers(seen) == [pytest.approx(seen.heard()[0][1] + 1.5, abs=0.01)]


@pytest.mark.parametrize("filler", [None, FILLER])
def test_a_client_that_does_not_expect_it_hears_none(filler: Filler | None) -> None:
    play = calls("Rain.", settings=PATIENT.model_copy(update={"filler": filler})).at(8.0, output_and_answer)
    seen = play.run(until_s=12.0)
    assert not fillers(seen)
    assert len(seen.of(ResponseStarted)) == 2


def test_an_answer_asked_for_while_it_is_said_follows_it_without_overlap() -> None:
    seen = calls("Rain, alas.").at(4.4, output_and_answer).run(until_s=9.0)
    assert [item.text for item in items(seen)] == ["One moment.", "Rain, alas."]
    assert seen.ends == [("completed", None)] * 3
    [(start_s, end_s)] = seen.heard()
    assert end_s - start_s == pytest.approx(0.66 + 0.66)


def test_a_second_one_asked_for_is_refused_as_ever() -> None:
    refused: list[str | None] = []

    def again(conversation: Conversation) -> None:
        with pytest.raises(ClientError) as caught:
            conversation.respond(ResponseRequest())
        refused.append(caught.value.code)

    seen = calls("Rain, alas.").at(4.4, output_and_answer).at(4.5, again).run(until_s=9.0)
    assert refused == ["conversation_already_has_active_response"]
    assert len(seen.ends) == 3


def test_one_that_is_still_being_made_when_an_answer_is_asked_for_is_never_heard() -> None:
    tts = [Line(first_s=1.0), Line()]
    play = calls("Rain, alas.", tts=tts).at(4.5, output_and_answer)
    seen = play.run(until_s=9.0)
    assert play.tts.said == ["One moment.", "Rain, alas."]
    assert not fillers(seen)
    assert seen.times_s(OutputAudio)[0] == 4.5


def test_a_voice_that_cannot_say_it_leaves_no_trace() -> None:
    seen = calls(tts=[Line(raises=StageFailed("tts", "no"))]).run(until_s=9.0)
    assert len(seen.of(ResponseStarted)) == 1


def test_who_speaks_first_is_answered_instead() -> None:
    seen = calls("Nine.", turns=2).user_speaks(3.5, 5.0).run(until_s=9.0)
    assert not fillers(seen)
    assert seen.said == "Nine."


def test_who_speaks_over_it_interrupts_it() -> None:
    seen = calls("Nine.", turns=2).user_speaks(4.4, 5.9).run(until_s=9.0)
    assert seen.ends == [("completed", None), ("cancelled", "turn_detected"), ("completed", None)]


def test_who_speaks_over_it_interrupts_the_answer_that_was_to_follow() -> None:
    """It was asked for before, and would talk over the user."""
    play = calls("Nine.", turns=2).at(4.3, output_and_answer).user_speaks(4.4, 5.9)
    seen = play.run(until_s=9.0)
    interrupted = ("cancelled", "turn_detected")
    assert seen.ends == [("completed", None), interrupted, interrupted, ("completed", None)]
    assert seen.said.endswith("Nine.")


def test_who_cancels_while_it_is_said_cancels_what_follows_unless_only_it_is_named() -> None:
    def cancel(conversation: Conversation, *, by_id: bool) -> None:
        conversation.cancel_response(play.seen.of(ResponseStarted)[-1].response.id if by_id else None)

    for by_id, last in ((False, ("cancelled", "client_cancelled")), (True, ("completed", None))):
        play = calls("Rain.").at(4.3, output_and_answer).lines_may_be_left()
        seen = play.at(4.5, partial(cancel, by_id=by_id)).run(until_s=9.0)
        assert seen.ends == [("completed", None), ("cancelled", "client_cancelled"), last]


def test_the_client_may_cancel_it_as_any_response() -> None:
    play = calls().at(4.4, lambda c: c.cancel_response(None))
    assert play.run(until_s=9.0).ends == [("completed", None), ("cancelled", "client_cancelled")]


def test_switched_off_meanwhile_it_is_not_said() -> None:
    play = calls().at(3.0, lambda c: c.configure(PATIENT.model_copy(update={"filler": None})))
    assert not fillers(play.run(until_s=9.0))
