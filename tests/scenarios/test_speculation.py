"""Answers are prepared in a pause: what a session may spend on that, when it yields to those who wait, and
that nothing of it is told before the turn is over.

The user speaks from 1.0 s to 2.2 s. At 2.3 s that is a pause, in which the answer is prepared, and at 2.7 s
the turn is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import pytest

from conversation.errors import StageLost
from conversation.events import (
    OutputArguments,
    OutputAudio,
    OutputStarted,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TurnTimed,
)
from conversation.items import MessageItem, TextPart
from conversation.scripted import Line, Lines, ScriptedLlm
from conversation.settings import (
    Modality,
    ResponseRequest,
    Settings,
    SpeculationBudget,
    Tuning,
    TurnDetection,
)
from conversation.stages import Message, ReplyParams, ReplyPart, TextDelta, Tool, ToolCall, Usage
from conversation.timing import TurnTiming
from conversation.workload import Need, Work, Workload
from tests.scenarios.screenplay import Play, Seen, run_together

IN_THE_PAUSE_S, AFTER_THE_END_S = 2.5, 2.8
SLOW = Line("It is noon.", first_s=0.25)
"""Its first words come in the silence; without speculation they would come after the turn's end."""
STORY = (
    "One day a dog went out. It met a cat that it knew from before. They walked to the sea. Then they slept."
)


class SlowReader(ScriptedLlm):
    """Never comes to the end of a prompt that it is only to read."""

    begun = reading = 0

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        if params.max_tokens == 0:
            self.begun += 1
            self.reading += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.reading -= 1
        async with aclosing(super().reply(messages, tools, params)) as parts:
            async for part in parts:
                yield part


class Chunky(ScriptedLlm):
    """Writes nine tokens at once."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        if params.max_tokens != 0:
            yield TextDelta("This goes out in a single delta, all of it.")
            yield Usage(1, 9)


def question(*answers: Line | str, **given: object) -> Play:
    play = Play(asr=["what time is it"], llm=answers, **given)  # type: ignore[arg-type]
    return play.user_speaks(1.0, 2.2)


def unfinished(answer: Line | str) -> Play:
    """The speaker stops in the middle of a sentence, for good."""
    settings = Settings(transcribe=True, turn_detection=TurnDetection(eagerness="medium"))
    play = Play(asr=["I would like the"], llm=[answer], turn=["0.1"], settings=settings)
    return play.user_speaks(1.0, 2.2)


def hesitant(pauses: int, *, llm: Lines, tuning: Tuning | None = None) -> Play:
    """One turn, with so many pauses of 240 ms in it."""
    play = Play(asr=["and so on " * 10], llm=llm, tuning=tuning)
    for number in range(pauses + 1):
        play.user_speaks(1.0 + 0.84 * number, 1.6 + 0.84 * number)
    return play


def timing(seen: Seen) -> TurnTiming:
    [timed] = seen.of(TurnTimed)
    return timed.timing


def was_prepared(seen: Seen) -> bool:
    """The first sound came with the end of the turn."""
    return seen.times_s(OutputAudio)[0] == seen.times_s(SpeechStopped)[0]


# --- behind the gate


def test_what_is_released_answers_the_words_that_are_told() -> None:
    play = question(SLOW)

    seen = play.run(until_s=6.0)

    assert was_prepared(seen)
    assert [prompt[-1].text for prompt in play.llm.asked] == seen.understood == ["what time is it"]


def test_a_speaker_who_goes_on_is_answered_once_and_to_all_of_it() -> None:
    """0.3 s of pause, in which an answer to the first half was prepared."""
    play = Play(asr=["what time is it in Paris now"], llm=["It is noon.", "It is one."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(2.5, 3.4).run(until_s=7.0)

    assert len(seen.of(SpeechStarted)) == len(seen.of(ResponseStarted)) == 1
    assert [prompt[-1].text for prompt in play.llm.asked] == [
        "what time is it",
        "what time is it in Paris now",
    ]
    assert seen.understood == ["what time is it in Paris now"]
    assert seen.said == "It is one."


def test_after_a_long_unfinished_pause_the_answer_is_there_at_once() -> None:
    """By its sound and its words it goes on: four seconds are waited."""
    play = unfinished(Line(STORY, first_s=0.25, each_s=0.05))

    seen = play.run(until_s=20.0)

    assert seen.times_s(SpeechStopped)[0] >= 6.2
    assert was_prepared(seen)
    assert seen.said == STORY
    assert len(play.llm.asked) == 1


def test_behind_the_gate_only_the_beginning_is_spoken() -> None:
    """With the second clause it is two seconds; so that waits, and a third is not begun."""
    spoken: list[list[str]] = []
    play = unfinished("Once there was a little dog. It met a cat that it knew. They went to the sea.")
    play.at(6.0, lambda _: spoken.append([*play.tts.said]))

    seen = play.run(until_s=20.0)

    assert spoken == [["Once there was a little dog.", "It met a cat that it knew."]]
    assert play.tts.said[2:] == ["They went to the sea."]
    assert seen.ends == [("completed", None)]


def test_so_much_of_it_as_is_set() -> None:
    spoken: list[list[str]] = []
    play = question(STORY, tuning=Tuning(prepared_s=0.5))
    play.at(2.65, lambda _: spoken.append([*play.tts.said]))

    play.run(until_s=12.0)

    assert spoken == [["One day a dog went out."]]


def test_a_call_is_not_told_before_the_turn_is_over() -> None:
    call = ToolCall("call_1", "weather", '{"city": "Paris"}')
    settings = Settings(tools=(Tool("weather", "Tells the weather.", {"type": "object"}),))
    play = question(Line(calls=(call,)), settings=settings)

    seen = play.run(until_s=5.0)

    assert min(seen.times_s(OutputArguments) + seen.times_s(OutputStarted)) == seen.times_s(SpeechStopped)[0]
    assert seen.tells_of_items() == ['weather({"city": "Paris"})']


def test_a_call_that_was_prepared_in_vain_is_never_told() -> None:
    call = ToolCall("call_1", "weather", '{"city": "Paris"}')
    settings = Settings(tools=(Tool("weather", "Tells the weather.", {"type": "object"}),))
    play = Play(
        asr=["how is the weather no wait"], llm=[Line(calls=(call,)), "I am waiting."], settings=settings
    )

    seen = play.user_speaks(1.0, 2.2).user_speaks(2.5, 3.4).run(until_s=7.0)

    assert not seen.of(OutputArguments)
    assert seen.tells_of_items() == ["I am waiting."]


# --- what was prepared must be an answer to what is there in the end


def test_an_item_that_comes_in_the_pause_is_answered_too() -> None:
    item = MessageItem("item_1", "user", (TextPart("And in Rome?"),))
    play = question("It is noon.", "It is noon in both.")

    seen = play.at(IN_THE_PAUSE_S, lambda c: c.add_item(item, None)).run(until_s=6.0)

    assert seen.said == "It is noon in both."
    assert "And in Rome?" in [message.text for message in play.llm.asked[1]]


def test_instructions_that_come_in_the_pause_are_followed() -> None:
    play = question("It is noon.", "Noon, my liege.")
    polite = Settings(transcribe=True, instructions="Be polite.")

    seen = play.at(IN_THE_PAUSE_S, lambda c: c.configure(polite)).run(until_s=6.0)

    assert seen.said == "Noon, my liege."
    assert play.llm.asked[1][0].text == "Be polite."


def test_settings_that_change_nothing_change_nothing() -> None:
    play = question(SLOW)

    seen = play.at(IN_THE_PAUSE_S, lambda c: c.configure(Settings(transcribe=True))).run(until_s=6.0)

    assert was_prepared(seen)


# --- the budget of a session


def test_a_session_can_go_without() -> None:
    seen = question(SLOW, settings=Settings(transcribe=True, speculate=False)).run(until_s=6.0)

    assert not was_prepared(seen)
    assert not timing(seen).prepared


def test_after_three_answers_in_vain_the_turn_is_waited_for() -> None:
    play = hesitant(5, llm=["In vain."] * 3 + [SLOW])

    seen = play.run(until_s=9.0)

    assert len(play.llm.asked) == 4
    assert not was_prepared(seen)
    assert timing(seen).in_vain.answers == 3


def test_the_next_turn_starts_afresh() -> None:
    play = Play(asr=["one two three four", "one two three"], llm=["In vain.", "Yes.", SLOW])
    play.tuning = Tuning(speculation_budget=SpeculationBudget(per_turn=1))

    seen = play.user_speaks(1.0, 1.6).user_speaks(1.84, 2.4).user_speaks(5.0, 6.0).run(until_s=9.0)

    first, second = (timed.timing for timed in seen.of(TurnTimed))
    assert (first.prepared, first.in_vain.answers) == (False, 1)
    assert (second.prepared, second.in_vain.answers) == (True, 0)


def test_words_written_in_vain_use_up_the_minutes_allowance() -> None:
    """Eight are one too many. A minute later there is room again."""
    budget = SpeculationBudget(tokens_per_min=7)
    play = Play(
        asr=["one two three four", "one two three", "one two three"],
        llm=["One two three four, five six seven eight.", SLOW, SLOW, SLOW],
        tuning=Tuning(speculation_budget=budget),
    )
    play.user_speaks(1.0, 1.6).user_speaks(1.84, 2.4)

    seen = play.user_speaks(8.0, 9.0).user_speaks(70.0, 71.0).lines_may_be_left().run(until_s=75.0)

    assert [timed.timing.prepared for timed in seen.of(TurnTimed)] == [False, False, True]
    assert seen.of(TurnTimed)[0].timing.in_vain.tokens == 8


@pytest.mark.parametrize(
    ("llm", "tokens"), [(ScriptedLlm(script=[Line("one two three", hangs=True), SLOW]), 3), (Chunky(), 9)]
)
def test_they_are_counted_by_the_model_if_it_came_to_that_else_by_its_deltas(
    llm: ScriptedLlm, tokens: int
) -> None:
    play = hesitant(1, llm=())
    play.llm = llm

    assert timing(play.run(until_s=7.0)).in_vain.tokens == tokens


def test_so_does_speech() -> None:
    budget = SpeculationBudget(speech_s_per_min=0.5)
    play = hesitant(1, llm=["In vain, alas.", SLOW], tuning=Tuning(speculation_budget=budget))

    seen = play.run(until_s=6.0)

    assert not timing(seen).prepared
    assert timing(seen).in_vain.speech_s >= 0.5


def test_what_is_heard_costs_nothing() -> None:
    budget = SpeculationBudget(tokens_per_min=3, speech_s_per_min=1.0)
    play = Play(
        asr=["what time is it", "thank you very much"],
        llm=["It is noon, as it is each day.", SLOW],
        tuning=Tuning(speculation_budget=budget),
    )

    seen = play.user_speaks(1.0, 2.2).user_speaks(7.0, 8.2).run(until_s=12.0)

    assert all(timed.timing.prepared for timed in seen.of(TurnTimed))


# --- room: one place for answers that are being computed


def test_a_released_answer_tells_that_it_was_prepared() -> None:
    assert timing(question(SLOW).run(until_s=6.0)).prepared


def test_nothing_is_prepared_while_others_are_waited_for() -> None:
    workload = Workload(places=1)
    other = Work(workload)
    play = question(SLOW, workload=workload).at(1.5, lambda _: other.begin())

    seen = play.at(AFTER_THE_END_S, lambda _: other.end()).run(until_s=6.0)

    assert not was_prepared(seen)
    assert seen.said == "It is noon."


def test_nor_read_ahead() -> None:
    workload = Workload(places=1)
    other = Work(workload)
    play = question(SLOW, workload=workload).at(0.5, lambda _: other.begin())

    play.run(until_s=6.0)

    assert play.llm.read_ahead == []


def test_reading_ahead_gives_way_to_whoever_waits() -> None:
    workload = Workload(places=1)
    other = Work(workload)
    reading: list[int] = []
    play = question("It is noon.", workload=workload)
    play.llm = reader = SlowReader(script=["It is noon."])
    for time_s in (1.49, 1.51, 2.2):
        play.at(time_s, lambda _: reading.append(reader.reading))

    play.at(1.5, lambda _: other.begin()).run(until_s=6.0)

    assert reading == [1, 0, 0]


def test_what_a_session_reads_ahead_next_takes_the_place_of_what_it_read_before() -> None:
    play = Play(asr=["what time is it"], workload=Workload(places=1)).user_speaks(1.0, 2.2)
    play.llm = reader = SlowReader()

    play.run(until_s=2.2)

    assert reader.begun >= 3
    assert reader.reading == 0  # it was hung up


def test_and_to_what_is_prepared() -> None:
    workload = Workload(places=1)
    other = Work(workload)
    gave_way_s: list[float] = []
    play = question(SLOW, workload=workload)
    play.at(0.5, lambda _: other.read_ahead(lambda: gave_way_s.append(asyncio.get_running_loop().time())))

    seen = play.run(until_s=6.0)

    assert was_prepared(seen)
    assert 2.2 < gave_way_s[0] < 2.4


def test_what_is_prepared_gives_way_to_an_answer_that_somebody_waits_for() -> None:
    """Its own turn is answered all the same, once it is over."""
    workload = Workload(places=1)
    other = Work(workload)
    play = question(Line("In vain.", hangs=True), SLOW, workload=workload)
    open_streams: list[int] = []
    play.at(IN_THE_PAUSE_S, lambda _: other.begin())
    play.at(IN_THE_PAUSE_S + 0.01, lambda _: open_streams.append(play.llm.open_streams))

    seen = play.run(until_s=6.0)

    assert open_streams == [0]
    assert seen.said == "It is noon."
    assert (timing(seen).prepared, timing(seen).in_vain.answers) == (False, 1)


def test_of_two_sessions_the_one_that_pauses_makes_room_for_the_one_that_waits() -> None:
    """The first is in a pause when the second, who pressed a key, asks; both are answered."""
    workload = Workload(places=1)
    pausing = question(Line("In vain.", hangs=True), SLOW, workload=workload)
    pressing = Play(llm=["Yes."], settings=Settings(turn_detection=None), workload=workload)
    pressing.at(IN_THE_PAUSE_S, lambda c: c.respond(ResponseRequest()))

    one, other = run_together(pausing, pressing, until_s=6.0)

    assert timing(one).in_vain.answers == 1
    assert one.said == "It is noon."
    assert other.said == "Yes."
    assert other.times_s(OutputAudio)[0] == IN_THE_PAUSE_S


def test_of_two_that_pause_at_the_same_moment_one_is_prepared() -> None:
    workload = Workload(places=1)
    plays = question(SLOW, workload=workload), question(SLOW, workload=workload)

    saw = run_together(*plays, until_s=6.0)

    assert sorted(was_prepared(seen) for seen in saw) == [False, True]


def test_what_is_ready_does_not_give_way() -> None:
    """It costs nothing any more."""
    workload = Workload(places=1)
    other = Work(workload)
    play = question(STORY, workload=workload).at(IN_THE_PAUSE_S, lambda _: other.begin())

    seen = play.run(until_s=15.0)

    assert was_prepared(seen)
    assert seen.said == STORY


def test_a_released_answer_is_one_that_somebody_waits_for() -> None:
    """It goes on to be computed after its release, so nobody else prepares meanwhile."""
    workload = Workload(places=1)
    room: list[bool] = []
    play = question(Line(STORY, each_s=0.1), workload=workload)
    for time_s in (1.5, IN_THE_PAUSE_S, AFTER_THE_END_S, 12.0):
        play.at(time_s, lambda _: room.append(workload.has_room(Need.PREPARED)))

    play.run(until_s=15.0)

    assert room == [True, False, False, True]


def test_it_does_not_give_way() -> None:
    workload = Workload(places=1)
    other = Work(workload)
    play = question(Line(STORY, each_s=0.1), workload=workload).at(AFTER_THE_END_S, lambda _: other.begin())

    assert play.run(until_s=15.0).said == STORY


@pytest.mark.parametrize(("modality", "time_s"), [("audio", 4.0), ("text", IN_THE_PAUSE_S)])
def test_what_is_computed_takes_no_place_while_it_is_heard_or_waits(
    modality: Modality, time_s: float
) -> None:
    workload = Workload(places=1)
    room: list[bool] = []
    play = question(STORY, workload=workload, settings=Settings(modality=modality))
    play.at(time_s, lambda _: room.append(workload.has_room(Need.PREPARED)))

    seen = play.run(until_s=15.0)

    assert room == [True]
    assert seen.said == STORY


def test_who_asks_in_the_pause_gets_the_place_of_what_was_prepared() -> None:
    play = question(Line("In vain.", hangs=True), "It is noon.", workload=Workload(places=1))
    play.at(IN_THE_PAUSE_S, lambda c: c.respond(ResponseRequest())).lines_may_be_left()

    assert play.run(until_s=2.7).said == "It is noon."


def test_an_answer_out_of_band_is_waited_for_too() -> None:
    workload = Workload(places=1)
    room: list[bool] = []
    play = Play(llm=[Line("Written.", first_s=1.0)], workload=workload)
    play.at(1.0, lambda c: c.respond(ResponseRequest(aside=True, modality="text")))
    for time_s in (1.5, 2.5):
        play.at(time_s, lambda _: room.append(workload.has_room(Need.PREPARED)))

    play.run(until_s=4.0)

    assert room == [False, True]


FOR_EVER = Line("It is", hangs=True)
ENDS: dict[str, tuple[Line, Callable[[Play], Play]]] = {
    "hang up": (FOR_EVER, lambda play: play),
    "cancel": (FOR_EVER, lambda play: play.at(3.0, lambda c: c.cancel_response(None))),
    "interruption": (FOR_EVER, lambda play: play.user_speaks(3.0, 3.8)),
    "failure": (Line(raises=StageLost("llm", "its replica died")), lambda play: play),
}


@pytest.mark.parametrize("end", ENDS)
def test_however_an_answer_ends_its_place_is_free_again(end: str) -> None:
    workload = Workload(places=1)
    line, ended = ENDS[end]
    room: list[bool] = []
    play = Play(asr=["what time is it", "stop"], llm=[line], workload=workload).user_speaks(1.0, 2.2)
    play.at(2.9, lambda _: room.append(workload.has_room(Need.PREPARED)))

    ended(play).lines_may_be_left().run(until_s=3.8)

    assert room == [end == "failure"]
    assert workload.has_room(Need.PREPARED)


# --- load: with many sessions, the first thing to go


def test_one_out_of_band_that_is_cancelled_takes_no_place() -> None:
    workload = Workload(places=1)
    play = Play(llm=[FOR_EVER], workload=workload)
    play.at(1.0, lambda c: c.respond(ResponseRequest(aside=True, modality="text")))
    play.at(2.0, lambda c: c.cancel_response(play.seen.of(ResponseStarted)[0].response.id))
    room: list[bool] = []
    for time_s in (1.5, 2.5):
        play.at(time_s, lambda _: room.append(workload.has_room(Need.PREPARED)))

    play.run(until_s=3.0)

    assert room == [False, True]


def test_with_many_sessions_nothing_is_prepared_nor_read_ahead() -> None:
    workload = Workload(sessions_at_ease=1)
    plays = question(SLOW, workload=workload), Play(workload=workload)

    seen, _ = run_together(*plays, until_s=6.0)

    assert not was_prepared(seen)
    assert plays[0].llm.read_ahead == []


def test_with_few_it_is() -> None:
    workload = Workload(sessions_at_ease=2)
    plays = question(SLOW, workload=workload), Play(workload=workload)

    seen, _ = run_together(*plays, until_s=6.0)

    assert was_prepared(seen)


# --- the count


def test_a_session_says_at_its_end_what_it_prepared(caplog: pytest.LogCaptureFixture) -> None:
    workload = Workload(places=1)
    other = Work(workload)
    play = Play(
        asr=["one two three four", "what time is it"], llm=["In vain, alas.", SLOW, SLOW], workload=workload
    )
    play.user_speaks(1.0, 1.6).user_speaks(1.84, 2.4).user_speaks(6.0, 7.2)
    play.at(6.5, lambda _: other.begin())

    with caplog.at_level(logging.INFO, "conversation"):
        play.run(until_s=10.0)

    assert caplog.messages[-1] == (
        "session play: 2 answers prepared, 1 of them heard; 1 in vain (3 tokens, 0.8 s of speech), "
        "0 of these gave way; not prepared: 0 over budget, 1 under load"
    )


def test_an_answer_that_is_interrupted_before_it_is_heard_is_no_hit(caplog: pytest.LogCaptureFixture) -> None:
    play = Play(asr=["what time is it", "no wait"], llm=[Line("It is noon.", first_s=3.0)])
    play.user_speaks(1.0, 2.2).user_speaks(3.5, 4.2).lines_may_be_left()

    with caplog.at_level(logging.INFO, "conversation"):
        seen = play.run(until_s=4.2)

    assert seen.of(ResponseDone)[0].response.reason == "turn_detected"
    assert "1 answers prepared, 0 of them heard; 0 in vain" in caplog.messages[-1]
