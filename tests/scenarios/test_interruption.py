from collections.abc import AsyncIterator
from typing import Any

import pytest

from conversation.conversation import Conversation
from conversation.events import (
    OutputAudio,
    OutputDone,
    OutputStarted,
    OutputText,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
)
from conversation.items import MessageItem, TextPart
from conversation.scripted import Line, ScriptedTts
from conversation.settings import ResponseRequest, Settings, Tuning
from conversation.stages import SpeechPart, WordTimes
from tests.scenarios.screenplay import Play, Seen, detection

STORY = "Once upon a time there was a little dog who lived in a big house by the sea."


def assistant_text(play: Play, prompt: int) -> str:
    """What the language model was told the agent had said last."""
    return [message.text for message in play.llm.asked[prompt] if message.role == "assistant"][-1]


def onset_s(seen: Seen, number: int) -> float:
    return seen.times_s(SpeechStarted)[number]


def test_the_users_voice_stops_the_agents() -> None:
    """The story begins at 2.7 s, the user speaks over it at 4.0 s."""
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.2).run(until_s=9.0)

    assert seen.ends == [("cancelled", "turn_detected"), ("completed", None)]
    assert onset_s(seen, 1) <= 4.5  # a verdict: at its onset, it was held
    assert seen.heard()[0][1] <= 4.1 + 0.2  # what was sent ahead


def test_the_client_is_told_in_the_same_moment_and_nothing_follows() -> None:
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.2).run(until_s=9.0)

    interrupted_s = seen.times_s(ResponseDone)[0]
    assert interrupted_s == onset_s(seen, 1)
    events = [event for _, event in seen.events]
    later = events[events.index(seen.of(ResponseDone)[0]) : events.index(seen.of(ResponseStarted)[1])]
    assert not any(isinstance(event, OutputAudio | OutputText) for event in later)
    order = seen.kinds[seen.kinds.index("OutputAudio") :]
    assert order.index("SpeechStarted") < order.index("OutputDone") < order.index("ResponseDone")


def test_the_history_keeps_what_was_heard_and_says_that_it_broke_off() -> None:
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.2).run(until_s=9.0)

    heard_s = seen.heard()[0][1] - seen.heard()[0][0]
    heard = assistant_text(play, 1)
    assert heard.endswith(" —")
    assert STORY.startswith(heard.removesuffix(" —"))
    assert abs(len(heard.removesuffix(" —")) - heard_s / 0.06) <= 6  # within a word of what was played


@pytest.mark.parametrize(
    ("interrupted_s", "heard"),
    [(4.0, "Well, —"), (4.6, "Well, —"), (4.8, "Well, there —"), (5.0, "Well, there was —")],
)
def test_the_history_keeps_the_words_that_the_voice_says_were_heard(interrupted_s: float, heard: str) -> None:
    """The story begins at 2.7 s. Its voice dwells on the first word for 2 s and on the others for 0.2 s; by
    letters, three words would have been heard at 4.0 s. It takes 80 ms to notice the user."""
    dwelling = Line(durations_s=(2.0, 0.2, 0.2, 0.2, 0.2))
    play = Play(
        asr=["tell me a story", "stop that right now"],
        llm=["Well, there was a dog. And a cat.", "Alright."],
        tts=[dwelling, Line(), Line()],
    )

    seen = play.user_speaks(1.0, 2.2).user_speaks(interrupted_s, interrupted_s + 1.2).run(until_s=12.0)

    assert seen.heard()[0][0] == 2.71
    assert assistant_text(play, 1) == heard


def test_times_that_come_after_the_sound_are_known_to_a_later_truncate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The voice dwells on the first word for 2 s; by letters, two words would have been heard in 1.5 s."""
    chunks = ScriptedTts._chunks

    async def times_last(tts: ScriptedTts, *args: Any) -> AsyncIterator[SpeechPart]:
        parts = [part async for part in chunks(tts, *args)]
        for part in sorted(parts, key=lambda part: isinstance(part, WordTimes)):
            yield part

    monkeypatch.setattr(ScriptedTts, "_chunks", times_last)
    play = Play(
        asr=["tell me a story", "and then"],
        llm=["Well, there was a dog.", "Alright."],
        tts=[Line(durations_s=(2.0, 0.2, 0.2, 0.2, 0.2)), Line()],
    )

    play.user_speaks(1.0, 2.2).user_speaks(6.5, 7.4)
    play.at(6.0, lambda c: c.truncate_item(play.seen.of(OutputStarted)[-1].item.id, 1500))
    play.run(until_s=10.0)

    assert assistant_text(play, 1) == "Well, —"


def test_the_end_that_is_told_carries_the_text_that_was_sent() -> None:
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.2).run(until_s=9.0)

    done = seen.of(OutputDone)[0]
    sent = [event.delta for event in seen.of(OutputText) if event.item_id == done.item.id]
    assert seen.tells_of_items()[0] == "".join(sent)
    assert STORY.startswith("".join(sent))
    assert done.item.status == "incomplete"


def test_interrupted_while_thinking_the_agent_says_nothing() -> None:
    """The language model needs 2 s; the user goes on after 1."""
    play = Play(
        asr=["tell me a story", "about a little dog"], llm=[Line("Once", first_s=2.0), "There was a dog."]
    )

    seen = play.user_speaks(1.0, 2.2).user_speaks(3.2, 4.4).run(until_s=9.0)

    assert seen.said == "There was a dog."
    assert seen.ends == [("cancelled", "turn_detected"), ("completed", None)]
    assert [message.text for message in play.llm.asked[1]][1:] == ["tell me a story", "about a little dog"]


def test_interrupted_before_the_transcript_the_response_leaves_no_trace() -> None:
    play = Play(asr=[Line("tell me a story", first_s=2.0), "about a little dog"], llm=["There was a dog."])

    seen = play.user_speaks(1.0, 2.2).user_speaks(3.2, 4.4).run(until_s=12.0)

    assert seen.ends == [("completed", None)]
    assert [message.text for message in play.llm.asked[0]][1:] == ["tell me a story", "about a little dog"]


def test_interrupted_at_the_last_syllable_after_all_was_sent() -> None:
    """The answer lasts 0.66 s from 2.7 s; all of it is sent by 3.16 s, the user speaks at 3.14 s."""
    answers = ["It is noon.", "You are welcome."]
    play = Play(asr=["what time is it", "thank you very much"], llm=answers, tuning=Tuning(lead_ms=200))

    seen = play.user_speaks(1.0, 2.2).user_speaks(3.14, 4.34).run(until_s=9.0)

    assert seen.ends == [("completed", None), ("completed", None)]
    assert assistant_text(play, 1) == "It is —"


def test_speech_after_the_last_syllable_cuts_nothing() -> None:
    play = Play(asr=["what time is it", "thank you very much"], llm=["It is noon.", "You are welcome."])

    play.user_speaks(1.0, 2.2).user_speaks(3.6, 4.8).run(until_s=9.0)

    assert assistant_text(play, 1) == "It is noon."


def test_the_clients_word_on_what_was_played_counts() -> None:
    """The client played 0.4 s, "Once u", and says so while the user still speaks."""
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.2)
    play.at(4.5, lambda c: c.truncate_item(play.seen.of(OutputStarted)[-1].item.id, 400))
    play.run(until_s=9.0)

    assert assistant_text(play, 1) == "Once —"


def test_a_truncate_that_comes_while_the_agent_speaks_counts_at_the_interruption() -> None:
    play = Play(asr=["tell me a story", "stop that right now"], llm=[STORY, "Alright."])

    play.user_speaks(1.0, 2.2).user_speaks(4.0, 5.2)
    play.at(3.9, lambda c: c.truncate_item(play.seen.of(OutputStarted)[-1].item.id, 400))
    play.run(until_s=9.0)

    assert assistant_text(play, 1) == "Once —"


def test_with_interrupt_response_off_the_agent_speaks_on_and_answers_afterwards() -> None:
    play = Play(
        asr=["tell me a story", "and then a song"],
        llm=[STORY, "La la la."],
        settings=Settings(transcribe=True, turn_detection=detection(interrupt=False)),
    )

    seen = play.user_speaks(1.0, 2.2).user_speaks(3.0, 4.2).run(until_s=12.0)

    assert seen.ends == [("completed", None), ("completed", None)]
    assert seen.said == STORY + "La la la."
    first_done_s = seen.times_s(ResponseDone)[0]
    assert first_done_s <= seen.times_s(ResponseStarted)[1] < first_done_s + 0.1


def test_a_client_can_cancel() -> None:
    play = Play(asr=["tell me a story"], llm=[STORY])

    seen = play.user_speaks(1.0, 2.2).at(4.0, lambda c: c.cancel_response(None)).run(until_s=9.0)

    assert seen.ends == [("cancelled", "client_cancelled")]
    assert seen.times_s(ResponseDone) == [4.0]


def test_a_response_asked_for_while_the_user_speaks_and_the_turn_answered_after_it() -> None:
    play = Play(asr=["what time is it now then"], llm=["Hello there.", "It is noon."])

    play.user_speaks(1.0, 3.0).at(1.5, lambda c: c.respond(ResponseRequest(instructions="Greet.")))
    seen = play.run(until_s=9.0)

    assert seen.said == "Hello there.It is noon."
    assert seen.ends == [("completed", None), ("completed", None)]
    assert [message.text for message in play.llm.asked[0]] == ["Greet."]
    assert play.llm.asked[1][-1].text.startswith("what time is it")


def test_a_response_asked_for_in_a_pause_replaces_the_one_prepared() -> None:
    play = Play(asr=["what time is it"], llm=[Line("Prepared.", hangs=True), "Hello there.", "It is noon."])

    play.user_speaks(1.0, 2.2).at(2.5, lambda c: c.respond(ResponseRequest()))
    seen = play.run(until_s=9.0)

    assert seen.said == "Hello there.It is noon."


def test_a_text_item_is_answered_when_the_client_asks() -> None:
    play = Play(llm=["Hello there."])

    def write(conversation: Conversation) -> None:
        conversation.add_item(MessageItem("item_1", "user", (TextPart("Hi!"),)), None)
        conversation.respond(ResponseRequest(modality="text"))

    seen = play.at(0.5, write).run(until_s=2.0)

    assert seen.said == "Hello there."
    assert play.llm.asked[0][-1].text == "Hi!"
