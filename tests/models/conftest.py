"""Recorded human speech for the tests of real models. What is missing is fetched, so nothing is skipped."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import soxr

from conversation.audio import HEARING_HZ, Audio, from_pcm16
from deployments import weights
from deployments.asr.whisper import Whisper
from deployments.tts.kokoro import Kokoro
from deployments.tts.kokoro_graphs import RATE_HZ
from tests.mandarin import as_a_session_hears_it
from tests.speech import said, sound


def read_wav(path: Path) -> Audio:
    """A mono 16-bit recording, at 16 kHz."""
    with wave.open(str(path)) as recording:
        assert (recording.getnchannels(), recording.getsampwidth()) == (1, 2), path
        audio = from_pcm16(recording.readframes(recording.getnframes()), recording.getframerate())
    return Audio(soxr.resample(audio.samples, audio.rate_hz, HEARING_HZ), HEARING_HZ)


@pytest.fixture(scope="session")
def recordings() -> Path:
    return weights.fetch("moonshine-speech")


@pytest.fixture(scope="session")
def two_cities(recordings: Path) -> Audio:
    """Somebody reads the opening of "A Tale of Two Cities" (Dickens, 1859): 44 s, 119 words."""
    return read_wav(recordings / "two_cities.wav")


@pytest.fixture(scope="session")
def beckett(recordings: Path) -> Audio:
    """Another reading, 10 s with pauses."""
    return read_wav(recordings / "beckett.wav")


QUESTIONS = ("今天天气怎么样？", "请问法国的首都是哪里？", "怎么煮鸡蛋？", "你能帮我翻译这句话吗？")


@pytest.fixture(scope="session")
def whisper() -> Whisper:
    weights.fetch("whisper-base")
    return Whisper()


@pytest.fixture(scope="session")
def kokoro() -> Iterator[Kokoro]:
    weights.fetch("kokoro-82m")
    kokoro = Kokoro()
    yield kokoro
    kokoro.close()


@pytest.fixture(scope="session")
def questions(kokoro: Kokoro) -> dict[str, Audio]:
    """Synthetic: no Mandarin speech of people comes with any package."""

    async def asked(text: str) -> Audio:
        return sound(await said(kokoro, text, "zm_yunxi"), RATE_HZ)

    return {text: as_a_session_hears_it(asyncio.run(asked(text))) for text in QUESTIONS}
