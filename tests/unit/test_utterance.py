import asyncio
from typing import Any

import pytest

from conversation.audio import HEARING_HZ, Audio, silence
from conversation.errors import StageFailed, StageLate
from conversation.scripted import Line, ScriptedAsr, tone
from conversation.stages import Hints, Transcript
from conversation.utterance import Utterance
from tests import virtual_time


class Partials:
    """A recogniser that changes its mind: each step it hears the next text."""

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    async def step(
        self, audio: Audio, memory: Any, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, None]:
        return Transcript(self._texts.pop(0)), None


def utterance(asr: Any) -> Utterance:
    return Utterance("item_1", asr, deadline_s=1.0)


async def news(speech: Utterance) -> str:
    await speech.listen()
    return speech.news()


@pytest.mark.parametrize(
    ("partials", "told"),
    [
        (["what", "what time", "what time is"], ["", "what", " time"]),
        (["wha", "what time", "what time is it"], ["", "", "what time"]),
        (["what time", "what time"], ["", "what time"]),
        (["what time is", "what rhyme is", "what rhyme is it"], ["", "what", " rhyme is"]),
        (["what", "what", "that is it"], ["", "what", ""]),
        (["hello", ""], ["", ""]),
        (["今天", "今天天气", "今天天气很好"], ["", "今天", "天气"]),
    ],
)
async def test_words_are_told_once_two_partials_agree_on_them(partials: list[str], told: list[str]) -> None:
    speech = utterance(Partials(*partials))
    assert [await news(speech) for _ in partials] == told


async def test_the_rest_completes_what_was_told() -> None:
    speech = utterance(Partials("what", "what"))
    deltas = [await news(speech), await news(speech)]
    assert "".join(deltas) + speech.rest("what time is it") == "what time is it"
    assert speech.rest("that time") == ""


async def test_what_was_kept_from_the_client_is_told_with_the_next_words() -> None:
    speech = utterance(Partials("what", "what time", "what time is"))
    await speech.listen()
    await speech.listen()
    assert await news(speech) == "what time"


async def test_a_cancelled_partial_has_not_happened() -> None:
    speech = utterance(ScriptedAsr(script=["one two three four"]))
    speech.add(tone(0.6))
    partial = asyncio.ensure_future(speech.listen())
    partial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await partial

    speech.add(tone(0.6))
    speech.finish(asyncio.create_task)

    assert (await speech.transcript()).text == "one two three four"


async def test_a_final_transcript_that_was_not_final_is_made_anew() -> None:
    speech = utterance(ScriptedAsr(script=["one two three four"] * 2))
    speech.add(tone(0.6))
    speech.finish(asyncio.create_task)
    first = (await speech.transcript()).text
    speech.reopen()
    speech.add(silence(0.3, HEARING_HZ))
    speech.add(tone(0.6))
    speech.finish(asyncio.create_task)

    assert (first, (await speech.transcript()).text) == ("one two", "one two three four")


async def test_everybody_who_asks_is_told_of_the_error_and_nobody_else() -> None:
    speech = utterance(ScriptedAsr(script=[Line("one", raises=StageFailed("asr", "deaf"))]))
    speech.add(tone(0.6))
    speech.finish(asyncio.create_task)

    for _ in range(2):
        with pytest.raises(StageFailed, match="deaf"):
            await speech.transcript()


def test_a_recogniser_that_hangs_is_late() -> None:
    async def hang() -> None:
        speech = utterance(ScriptedAsr(script=[Line("one", hangs=True)]))
        speech.add(tone(0.6))
        speech.finish(asyncio.create_task)
        with pytest.raises(StageLate, match="within 1 s"):
            await speech.transcript()

    virtual_time.run(hang())
