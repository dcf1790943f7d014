"""Recorded human speech for the tests of real models. What is missing is fetched, so nothing is skipped."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
import soxr

from conversation.audio import HEARING_HZ, Audio, from_pcm16
from deployments import weights


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
