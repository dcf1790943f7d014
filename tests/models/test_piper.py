"""deployments/tts/piper.py, with the laptop's voice."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from statistics import median

import jiwer
import numpy as np
import onnxruntime
import pytest
import soxr

from bench.word_times import pause_ends_s
from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.errors import ConfigError
from deployments import weights
from deployments.asr.moonshine import Moonshine
from deployments.tts.piper import Piper
from deployments.tts.streaming_graphs import streaming_graphs, voice_file
from tests.speech import said, sound, times

RATE_HZ = 22_050
SENTENCE = "The quick brown fox jumps over the lazy dog near the river."
PARAGRAPH = (
    "Please remember to bring a warm jacket, because the evenings in the mountains are cold. "
    "We will meet at the station in the morning, and we will have breakfast on the train. "
    "The museum opens at nine, so there is plenty of time."
)


@pytest.fixture(scope="module")
def voice_directory() -> Path:
    return weights.fetch("piper-joe")


@pytest.fixture(scope="module")
def piper(voice_directory: Path) -> Iterator[Piper]:
    onnxruntime.set_seed(1)  # the voice samples its durations and its timbre
    piper = Piper(weights=str(voice_directory))
    yield piper
    piper.close()


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    weights.fetch("moonshine-tiny-en")
    return Moonshine()


async def spoken(piper: Piper, text: str, speed: float = 1.0, voice: str = "") -> Audio:
    return sound(await said(piper, text, voice, speed), RATE_HZ)


async def heard(moonshine: Moonshine, audio: Audio) -> str:
    at_16_khz = Audio(soxr.resample(audio.samples, audio.rate_hz, HEARING_HZ), HEARING_HZ)
    [transcript] = await moonshine.transcribe([at_16_khz])
    return words(transcript.text)


def words(text: str) -> str:
    return re.sub(r"[^a-z' ]", "", text.lower().replace("-", " "))


async def test_what_it_says_is_understood(piper: Piper, moonshine: Moonshine) -> None:
    texts = [SENTENCE, "Sure, one moment.", "Could you tell me what time the next train leaves?", PARAGRAPH]
    transcripts = [await heard(moonshine, await spoken(piper, text)) for text in texts]
    assert jiwer.wer([words(text) for text in texts], transcripts) < 0.2, transcripts


async def test_numbers_abbreviations_and_quotes_are_read_out(piper: Piper, moonshine: Moonshine) -> None:
    audio = await spoken(piper, 'Mr. Brown said, "call me again", at 5:30 p.m. on Sunday.')
    transcript = await heard(moonshine, audio)  # which writes the time in digits
    assert jiwer.wer("mr brown said call me again at pm on sunday", transcript) < 0.35, transcript


@pytest.fixture
def runs(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an item, a number of frames, for each chunk that the vocoder is asked for."""
    vocoder = piper._default._vocoder
    asked: list[int] = []
    run = vocoder.run

    def counted(inputs, *args, **kwargs):  # type: ignore[no-untyped-def]
        asked.append(next(iter(inputs.values())).shape[2])
        return run(inputs, *args, **kwargs)

    monkeypatch.setattr(vocoder, "run", counted)
    return asked


async def test_the_first_chunk_comes_before_the_rest_is_computed(piper: Piper, runs: list[int]) -> None:
    async with aclosing(piper.speak(SENTENCE, "")) as chunks:
        first = await anext(chunks)
        assert isinstance(first, Audio), "the sound waits for no times"
        assert len(runs) == 1
        rest = [chunk async for chunk in chunks]
    assert len(runs) > 4
    assert first.duration_s < sound(rest, RATE_HZ).duration_s / 5


async def test_a_cancelled_stream_frees_the_thread(
    piper: Piper, moonshine: Moonshine, runs: list[int]
) -> None:
    started = asyncio.Event()

    async def listen() -> None:
        async for _ in piper.speak(PARAGRAPH, ""):
            started.set()

    listener = asyncio.create_task(listen())
    await started.wait()
    listener.cancel()
    await asyncio.wait([listener])
    await piper._thread.run(lambda: None)  # behind whatever the cancelled call still had there
    assert len(runs) <= 3, "one chunk was heard, one may have been under way"
    runs.clear()
    assert jiwer.wer(words(SENTENCE), await heard(moonshine, await spoken(piper, SENTENCE))) < 0.3


async def test_sessions_take_turns_and_do_not_mix(piper: Piper, moonshine: Moonshine) -> None:
    texts = [SENTENCE, "Could you tell me what time the next train leaves, please?"]
    order: list[int] = []

    async def session(number: int) -> Audio:
        parts = []
        async for part in piper.speak(texts[number], ""):
            order.append(number)
            parts.append(part)
        return sound(parts, RATE_HZ)

    audios = await asyncio.gather(session(0), session(1))
    turns = len(list(itertools.groupby(order)))
    assert turns > 4, order
    transcripts = [await heard(moonshine, audio) for audio in audios]
    assert jiwer.wer([words(text) for text in texts], transcripts) < 0.2, transcripts


def test_chunks_together_are_the_whole(piper: Piper) -> None:
    voice = piper._default
    latent, _ = voice.latent("ðə kwˈɪk bɹˈaʊn fˈɑːks dʒˈʌmps, ˌoʊvɚ ðə lˈeɪzi dˈɑːɡ.", 1.0)
    [whole] = voice.decode(latent, iter([latent.shape[2]]))
    chunks = list(voice.decode(latent, itertools.cycle([16, 5, 40, 1])))
    assert len(chunks) > 4
    assert np.abs(np.concatenate(chunks) - whole).max() < 1 / 32768, "the step of PCM16"


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0])
async def test_speed_scales_the_length(piper: Piper, speed: float) -> None:
    natural, scaled = await spoken(piper, SENTENCE), await spoken(piper, SENTENCE, speed)
    # The durations are sampled, and the pauses at the ends are cut to the same length.
    assert 0.8 < scaled.duration_s * speed / natural.duration_s < 1.25


async def test_words_begin_where_the_sound_does_after_a_pause(piper: Piper) -> None:
    parts = await said(piper, "Well, maybe, if you like, some other day, we can go there, together.")
    begin_s = [word.start_s for before, word in pairwise(times(parts)) if before.text.endswith(",")]
    ends_s = pause_ends_s(sound(parts, RATE_HZ))
    off_s = [min(abs(end_s - at_s) for end_s in ends_s) for at_s in begin_s]
    assert len(off_s) == 5
    assert median(off_s) < 0.04
    assert max(off_s) < 0.15


async def test_up_to_the_end_of_a_word_the_words_before_it_are_heard(
    piper: Piper, moonshine: Moonshine
) -> None:
    parts = await said(piper, SENTENCE)
    whole, told = sound(parts, RATE_HZ), times(parts)
    expected, transcripts = [], []
    for last in (3, 5, 8, 11):
        expected.append(words(" ".join(word.text for word in told[: last + 1])))
        played = whole[: round(told[last].end_s * RATE_HZ)]
        transcripts.append(await heard(moonshine, join([played, silence(0.3, RATE_HZ)], RATE_HZ)))
    assert jiwer.wer(expected, transcripts) < 0.15, transcripts


async def test_silence_around_speech_is_short(piper: Piper) -> None:
    audio = await spoken(piper, "That is what I heard,")
    loud = np.flatnonzero(np.abs(audio.samples) > 10 ** (-45 / 20))
    # Between -50 dBFS, where the cut is made, and -45 dBFS a soft consonant may last a while.
    assert loud[0] / audio.rate_hz < 0.04
    assert (len(audio) - loud[-1]) / audio.rate_hz < 0.2


async def test_an_unknown_voice_is_the_default_one(piper: Piper) -> None:
    assert (await spoken(piper, "Hello there.", voice="alloy")).duration_s > 0.3


@pytest.mark.parametrize("text", ["", " ", "...", "😀", "你好，世界。"])
async def test_nothing_speakable_gives_nothing(piper: Piper, text: str) -> None:
    assert [chunk async for chunk in piper.speak(text, "")] == []


@pytest.mark.parametrize("text", ["No!😀", "a", "你好, hello", "<b>x</b> & $5", "x" * 100, "oh, " * 25])
async def test_odd_texts_are_spoken(piper: Piper, text: str) -> None:
    audio = await spoken(piper, text)
    assert audio.duration_s > 0.1
    assert np.isfinite(audio.samples).all()
    assert np.abs(audio.samples).max() <= 1


def test_a_directory_without_a_voice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must hold one Piper voice"):
        Piper(weights=str(tmp_path))


def test_two_processes_may_split_a_voice_at_once(voice_directory: Path, tmp_path: Path) -> None:
    voice = Path(shutil.copy(voice_file(voice_directory), tmp_path))
    with ThreadPoolExecutor(2) as starts:  # each splits in a process of its own
        first, second = starts.map(streaming_graphs, [voice, voice])
    assert first == second
    assert first.vocoder.is_file()
    assert len(list(tmp_path.iterdir())) == 2, "the voice and one directory of graphs"


def test_a_file_that_is_no_voice_is_named(tmp_path: Path) -> None:
    (tmp_path / "voice.onnx").write_bytes(b"no graph")
    with pytest.raises(ConfigError, match=r"voice\.onnx cannot be split"):
        streaming_graphs(tmp_path / "voice.onnx")
