"""Recordings as files, at other rates, and the room around them. Knows nothing of what is said."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soxr

from conversation.audio import Audio, Samples, from_pcm16, to_pcm16


def read_wav(path: Path) -> Audio:
    """A mono recording of 16 bits, at its own rate. Raises ValueError for another one."""
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path}: expected mono with 16 bits")
        return from_pcm16(file.readframes(file.getnframes()), file.getframerate())


def write_wav(path: Path, audio: Audio) -> None:
    """Mono with 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate_hz)
        file.writeframes(to_pcm16(audio))


def at_rate(audio: Audio, rate_hz: int) -> Audio:
    if audio.rate_hz == rate_hz:
        return audio
    return Audio(soxr.resample(audio.samples, audio.rate_hz, rate_hz).astype(np.float32), rate_hz)


def room_noise(samples: int, level_db: float, seed: int = 1) -> Samples:
    """What a microphone gives while nobody speaks: white noise, the same every time."""
    noise = np.random.default_rng(seed).standard_normal(samples) * 10 ** (level_db / 20)
    return noise.astype(np.float32)
