from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from conversation.audio import Audio, join
from conversation.stages import SpeechPart, Tts, Word, WordTimes
from conversation.words import words
from tests.contracts.conftest import called

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHORT, LONG = "Good morning.", "Good morning to you all, and to everybody who is listening at home."
SPOKEN_WITHIN_S = 30.0


@pytest_asyncio.fixture(loop_scope="session")
async def tts(tts_candidate: Any) -> Tts:
    made: Tts = await called(tts_candidate)
    return made


async def parts(tts: Tts, text: str, voice: str = "default", speed: float = 1.0) -> list[SpeechPart]:
    async with asyncio.timeout(SPOKEN_WITHIN_S), aclosing(tts.speak(text, voice, speed)) as stream:
        return [part async for part in stream]


async def spoken(tts: Tts, text: str, voice: str = "default", speed: float = 1.0) -> list[Audio]:
    return [part for part in await parts(tts, text, voice, speed) if isinstance(part, Audio)]


async def timed(tts: Tts, text: str, speed: float = 1.0) -> tuple[list[Word], float]:
    """The words with their times, and how long the sound is."""
    found = await parts(tts, text, speed=speed)
    times = [word for part in found if isinstance(part, WordTimes) for word in part.words]
    return times, duration_s([part for part in found if isinstance(part, Audio)])


def duration_s(chunks: list[Audio]) -> float:
    return sum(chunk.duration_s for chunk in chunks)


async def test_speech_comes_in_chunks_of_one_rate(tts: Tts) -> None:
    chunks = await spoken(tts, LONG)
    assert len(chunks) > 1
    whole = join(chunks, chunks[0].rate_hz)
    assert whole.samples.dtype == np.float32
    assert whole.samples.ndim == 1
    assert np.abs(whole.samples).max() <= 1
    assert np.abs(whole.samples).max() > 0.01
    assert all(len(chunk) for chunk in chunks)


async def test_a_longer_text_takes_longer(tts: Tts) -> None:
    assert duration_s(await spoken(tts, SHORT)) < duration_s(await spoken(tts, LONG))


@pytest.mark.parametrize("text", ["", " ", "...", "?!"])
async def test_what_cannot_be_spoken_gives_nothing(tts: Tts, text: str) -> None:
    assert [part for part in await parts(tts, text) if isinstance(part, Audio)] == []


@pytest.mark.parametrize("speed", [1.0, 1.5])
@pytest.mark.parametrize("text", [SHORT, LONG, "Well — Dr. Smith paid $42.50 at 5:30. Did he? Yes!"])
async def test_the_times_of_words_are_those_of_every_word_or_of_none(
    tts: Tts, text: str, speed: float
) -> None:
    times, ends_s = await timed(tts, text, speed)
    if times:
        assert [word.text for word in times] == [word.group() for word in words(text)]
        edges = [edge_s for word in times for edge_s in (word.start_s, word.end_s)]
        assert edges == sorted(edges), "one word after another"
        assert edges[0] >= 0
        assert times[-1].start_s < ends_s
        assert edges[-1] == pytest.approx(ends_s, abs=0.3), "the last word ends with the sound"


async def test_an_unknown_voice_is_spoken_by_the_default_one(tts: Tts) -> None:
    assert await spoken(tts, SHORT, voice="nobody-has-this-name")


async def test_twice_the_speed_takes_about_half_the_time(tts: Tts) -> None:
    once, twice = duration_s(await spoken(tts, LONG)), duration_s(await spoken(tts, LONG, speed=2.0))
    assert 0.35 < twice / once < 0.7


async def test_a_voice_that_is_interrupted_speaks_again(tts: Tts) -> None:
    async with aclosing(tts.speak(LONG, "default")) as chunks:
        await anext(chunks)
    assert duration_s(await spoken(tts, SHORT)) > 0.2


async def test_several_texts_at_once_are_spoken_whole(tts: Tts) -> None:
    alone = duration_s(await spoken(tts, SHORT))
    together = await asyncio.gather(*(spoken(tts, SHORT) for _ in range(3)))
    assert [duration_s(chunks) for chunks in together] == pytest.approx([alone] * 3, rel=0.5)
