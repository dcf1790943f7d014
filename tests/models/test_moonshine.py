from __future__ import annotations

import asyncio
import threading
from typing import Any

import jiwer
import numpy as np
import pytest

from bench.speech.recordings import TWO_CITIES
from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.errors import ConfigError, StageFailed
from deployments import weights
from deployments.asr.moonshine import Moonshine


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    weights.fetch("moonshine-tiny-en")
    return Moonshine()


def plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def cut_at_pauses(audio: Audio, about_s: float) -> list[Audio]:
    """Pieces of 0.5..1.5 times that length, cut where 0.2 s around are the most quiet."""
    window = HEARING_HZ // 5
    loudness = np.convolve(audio.samples**2, np.ones(window), "same")
    shortest, longest = int(about_s * 0.5 * HEARING_HZ), int(about_s * 1.5 * HEARING_HZ)
    cuts = [0]
    while len(audio) - cuts[-1] > longest:
        start = cuts[-1] + shortest
        cuts.append(start + int(loudness[start : cuts[-1] + longest].argmin()))
    return [audio[start:end] for start, end in zip(cuts, [*cuts[1:], len(audio)], strict=True)]


def seconds(audio: Audio, start_s: float, end_s: float) -> Audio:
    return audio[round(start_s * HEARING_HZ) : round(end_s * HEARING_HZ)]


@pytest.mark.parametrize("about_s", [4.0, 10.0])
async def test_a_reading_is_written_down(moonshine: Moonshine, two_cities: Audio, about_s: float) -> None:
    transcripts = await moonshine.transcribe(cut_at_pauses(two_cities, about_s))
    heard = " ".join(transcript.text for transcript in transcripts)
    assert jiwer.wer(plain(TWO_CITIES), plain(heard)) < 0.1
    assert transcripts[0].language == "en"


async def test_a_segment_has_the_same_words_alone_and_among_others(
    moonshine: Moonshine, two_cities: Audio, beckett: Audio
) -> None:
    segments = [*cut_at_pauses(seconds(two_cities, 0, 14), 2), silence(1, HEARING_HZ), seconds(beckett, 0, 3)]
    together = await moonshine.transcribe(segments)
    alone = [(await moonshine.transcribe([segment]))[0] for segment in segments]
    assert together == alone


async def test_a_segment_that_grew_is_not_written_from_scratch(
    moonshine: Moonshine, two_cities: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    decode = moonshine._decoder.run

    def counted(inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
        runs.append(inputs["input_ids"].size)
        return decode(inputs, *rest, **named)

    monkeypatch.setattr(moonshine._decoder, "run", counted)
    whole = seconds(two_cities, 33, 38)
    [from_scratch] = await moonshine.transcribe([whole])
    runs_from_scratch = len(runs)
    [early] = await moonshine.transcribe([whole[: 4 * HEARING_HZ]])
    runs.clear()
    [grown] = await moonshine.transcribe([whole])

    assert early.text != grown.text
    assert plain(grown.text) == plain(from_scratch.text)
    assert len(runs) < runs_from_scratch / 2


async def test_a_draft_of_other_words_changes_nothing(
    moonshine: Moonshine, two_cities: Audio, beckett: Audio
) -> None:
    """Two segments that begin with the same sound and go on with different words."""
    beginning = seconds(beckett, 0, 0.5)
    one = join([beginning, seconds(two_cities, 0, 4)], HEARING_HZ)
    other = join([beginning, seconds(two_cities, 24, 29)], HEARING_HZ)
    [alone] = await Moonshine().transcribe([other])
    [_, after_one] = await moonshine.transcribe([one, other])
    assert plain(after_one.text) == plain(alone.text)


async def test_thirty_seconds_are_written_to_the_end(moonshine: Moonshine, two_cities: Audio) -> None:
    [transcript] = await moonshine.transcribe([seconds(two_cities, 0, 30)])
    assert "the best of times" in transcript.text
    assert "the other way" in transcript.text


@pytest.mark.parametrize("rms", [0.0, 1e-4, 1e-3, 0.03])
@pytest.mark.parametrize("duration_s", [0.0, 0.5, 2.0])
async def test_silence_and_a_hum_have_no_words(moonshine: Moonshine, duration_s: float, rms: float) -> None:
    times_s = np.arange(round(duration_s * HEARING_HZ)) / HEARING_HZ
    hum = rms * np.sqrt(2) * np.sin(2 * np.pi * 100 * times_s)
    [transcript] = await moonshine.transcribe([Audio(hum.astype(np.float32), HEARING_HZ)])
    assert transcript.text == ""
    assert transcript.language is None


@pytest.mark.parametrize("samples", [1, 160, 1600])
async def test_the_shortest_segment_is_no_mistake(
    moonshine: Moonshine, two_cities: Audio, samples: int
) -> None:
    [transcript] = await moonshine.transcribe([two_cities[HEARING_HZ : HEARING_HZ + samples]])
    assert len(transcript.text) < 20


async def test_a_cancelled_caller_stops_the_model_in_the_middle_of_a_step(
    moonshine: Moonshine, two_cities: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder is held at its door until the caller is gone, and then ends by itself."""
    loop, at_the_door, caller_is_gone = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    ends = asyncio.Queue[str]()
    encode = moonshine._encoder.run

    def held(inputs: dict[str, Any], options: Any) -> Any:
        loop.call_soon_threadsafe(at_the_door.set)
        assert caller_is_gone.wait(30)
        try:
            frames = encode(inputs, options=options)
        except StageFailed as error:
            loop.call_soon_threadsafe(ends.put_nowait, error.reason)
            raise
        loop.call_soon_threadsafe(ends.put_nowait, "heard it all")
        return frames

    monkeypatch.setattr(moonshine._encoder, "run", held)
    async with asyncio.timeout(30):
        task = asyncio.create_task(moonshine.transcribe([seconds(two_cities, 0, 30)]))
        await at_the_door.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        caller_is_gone.set()
        assert "terminate flag" in await ends.get()


async def test_a_short_segment_does_not_wait_for_a_long_one(moonshine: Moonshine, two_cities: Audio) -> None:
    order: list[str] = []

    async def transcribe(name: str, segment: Audio) -> None:
        await moonshine.transcribe([segment])
        order.append(name)

    async with asyncio.timeout(30), asyncio.TaskGroup() as callers:
        callers.create_task(transcribe("long", seconds(two_cities, 0, 20)))
        callers.create_task(transcribe("short", seconds(two_cities, 0, 2)))
    assert order == ["short", "long"]


async def test_another_rate_is_refused(moonshine: Moonshine) -> None:
    with pytest.raises(StageFailed, match="16000 Hz, got 24000 Hz"):
        await moonshine.transcribe([silence(1, 24_000)])


async def test_a_segment_that_is_too_long_is_refused(moonshine: Moonshine) -> None:
    with pytest.raises(StageFailed, match=r"may last 30 s, got 31\.0 s"):
        await moonshine.transcribe([silence(31, HEARING_HZ)])


def test_weights_that_are_no_model_are_a_mistake_in_the_configuration(recordings: object) -> None:
    with pytest.raises(ConfigError, match=r"encoder_model\.ort"):
        Moonshine(weights=str(recordings))
