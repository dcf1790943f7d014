"""Human speech to measure with: recordings, and the utterances that they are cut into.

All of it was spoken by people, and every piece names its source. Cutting goes by loudness alone, so that the
marks owe nothing to the models that are measured with them. This module knows no server and no model.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from conversation.audio import Audio, Samples, from_pcm16
from deployments import weights

BLOCK_MS = 10
"""Speech is marked in steps of this length."""

SURELY_DB, FAINTLY_DB = 20.0, 30.0
"""Speech is found where a block is at most SURELY_DB below the loudest of its recording (99th percentile),
and followed from there to both sides through every block that is at most FAINTLY_DB below. Two thresholds,
so that neither a breath nor the room is taken for speech, nor the fading end of a word for silence.
Source: Rabiner and Sambur, "An Algorithm for Determining the Endpoints of Isolated Utterances", Bell System
Technical Journal 54(2), 1975, without its third measure, the zero crossings."""
ABOVE_ROOM_DB = 12.0
"""What is not so far above the room (the 5th percentile) is not followed, however faint speech may become."""

PAUSE_S = 0.3
"""A silence this long ends an utterance. Shorter ones lie inside sentences, and are far enough from the
500 ms after which a server takes the turn."""
SHORTEST_S, LONGEST_S = 1.0, 7.5
"""Of the speech in an utterance, first block to last."""

LEAD_S, TAIL_S = 0.2, 0.3
"""How much of the recording's own room is kept around an utterance, where there is as much."""
FADE_S = 0.01

POCKETSPHINX = Path("/usr/share/pocketsphinx/test/data")
"""Where Debian's package pocketsphinx-testdata puts its recordings."""

TWO_CITIES = """
    It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
    foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of
    Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair,
    we had everything before us, we had nothing before us, we were all going direct to Heaven, we
    were all going direct the other way, in short, the period was so far like the present period,
    that some of its noisiest authorities insisted on its being received, for good or for evil, in
    the superlative degree of comparison only.
"""
"""Charles Dickens, 1859."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One take of a person speaking.

    Attributes:
        kind: what made the sound; never averaged with another kind.
        text: the words, where they are known.
    """

    group: str
    name: str
    source: str
    audio: Audio
    text: str | None = None
    kind: str = "human"


@dataclass(frozen=True, slots=True)
class Span:
    """Where an utterance lies in its recording, in samples.

    Attributes:
        start, stop: with the room around it.
        onset: the first sample of its first block of speech.
        end: the sample after its last block of speech.
    """

    start: int
    onset: int
    end: int
    stop: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence or a part of one, ready to be played.

    Attributes:
        onset, end: of the speech in `audio`, in samples; see Span.
    """

    recording: Recording
    number: int
    audio: Audio
    onset: int
    end: int

    @property
    def name(self) -> str:
        return f"{self.recording.name}/{self.number}"

    @property
    def onset_s(self) -> float:
        return self.onset / self.audio.rate_hz

    @property
    def end_s(self) -> float:
        return self.end / self.audio.rate_hz


# --- recordings


def recordings() -> list[Recording]:
    """Everything there is. Raises ConfigError when the index cannot be reached."""
    return [*_readings(), *_librivox(), *_cards()]


def _readings() -> Iterator[Recording]:
    directory = weights.fetch("moonshine-speech")
    source = "catalogue entry moonshine-speech"
    yield Recording("readings", "two_cities", source, read_wav(directory / "two_cities.wav"), TWO_CITIES)
    yield Recording("readings", "beckett", source, read_wav(directory / "beckett.wav"))


def _librivox() -> Iterator[Recording]:
    return _transcribed("librivox", POCKETSPHINX / "librivox", "transcription")


def _cards() -> Iterator[Recording]:
    return _transcribed("cards", POCKETSPHINX / "cards", "cards.transcription")


def _transcribed(group: str, directory: Path, transcripts: str) -> Iterator[Recording]:
    """Recordings whose words stand in one file, a line each: ``<s> words </s> (name)``. None when the package
    is not installed."""
    if not (directory / transcripts).exists():
        return
    for line in (directory / transcripts).read_text().splitlines():
        words, _, name = line.removesuffix(")").rpartition("(")
        text = words.replace("<s>", "").replace("</s>", "").strip()
        short = name.rpartition("_")[2]
        audio = read_wav(directory / f"{name}.wav")
        yield Recording(group, f"{group}-{short}", "Debian pocketsphinx-testdata", audio, text)


def read_wav(path: Path) -> Audio:
    """A mono recording of 16 bits, at its own rate. Raises ValueError for another one."""
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path}: expected mono with 16 bits")
        return from_pcm16(file.readframes(file.getnframes()), file.getframerate())


def at_rate(audio: Audio, rate_hz: int) -> Audio:
    if audio.rate_hz == rate_hz:
        return audio
    return Audio(soxr.resample(audio.samples, audio.rate_hz, rate_hz).astype(np.float32), rate_hz)


# --- cutting


def utterances(of: Iterable[Recording], rate_hz: int) -> list[Utterance]:
    """The utterances of all recordings, in their order, that are neither too short nor too long."""
    return [
        Utterance(recording, number, *_cut_out(audio, span))
        for recording in of
        for audio in [at_rate(recording.audio, rate_hz)]
        for number, span in enumerate(spans(audio))
        if SHORTEST_S <= (span.end - span.onset) / rate_hz <= LONGEST_S
    ]


def spans(audio: Audio) -> list[Span]:
    """The stretches of speech in `audio` that PAUSE_S or more without sure speech separates."""
    block = audio.rate_hz * BLOCK_MS // 1000
    levels = levels_db(audio)
    if not len(levels):
        return []
    loudest, room = np.percentile(levels, [99, 5])
    sure = np.flatnonzero(levels >= loudest - SURELY_DB)
    faint = levels >= max(loudest - FAINTLY_DB, room + ABOVE_ROOM_DB)
    gaps = np.flatnonzero(np.diff(sure) > PAUSE_S * 1000 / BLOCK_MS)
    onsets = [_last_not(faint, until=first) * block for first in sure[[0, *(gaps + 1)]].tolist()]
    ends = [_first_not(faint, since=last + 1) * block for last in sure[[*gaps, -1]].tolist()]
    lead, tail = round(LEAD_S * audio.rate_hz), round(TAIL_S * audio.rate_hz)
    return [
        Span(max(onset - lead, before), onset, end, min(end + tail, after))
        for before, onset, end, after in zip(
            [0, *ends], onsets, ends, [*onsets[1:], len(audio)], strict=False
        )
    ]


def _first_not(faint: NDArray[np.bool_], since: int) -> int:
    """The first block from `since` on that is not even faint."""
    quiet = np.flatnonzero(~faint[since:])
    return since + int(quiet[0]) if len(quiet) else len(faint)


def _last_not(faint: NDArray[np.bool_], until: int) -> int:
    """The block after the last one before `until` that is not even faint."""
    quiet = np.flatnonzero(~faint[:until])
    return int(quiet[-1]) + 1 if len(quiet) else 0


def levels_db(audio: Audio) -> NDArray[np.float64]:
    """RMS of each whole block, in dBFS; digital silence is -140."""
    block = audio.rate_hz * BLOCK_MS // 1000
    whole = audio.samples[: len(audio) // block * block].reshape(-1, block)
    power: NDArray[np.float64] = np.mean(np.square(whole, dtype=np.float64), axis=1)
    return 10 * np.log10(power + 1e-14)


def _cut_out(audio: Audio, span: Span) -> tuple[Audio, int, int]:
    samples = audio.samples[span.start : span.stop].copy()
    fade = min(round(FADE_S * audio.rate_hz), len(samples))
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    samples[:fade] *= ramp
    samples[len(samples) - fade :] *= ramp[::-1]
    return Audio(samples, audio.rate_hz), span.onset - span.start, span.end - span.start


def room_noise(samples: int, level_db: float, seed: int = 1) -> Samples:
    """What a microphone gives while nobody speaks: white noise, the same every time."""
    noise = np.random.default_rng(seed).standard_normal(samples) * 10 ** (level_db / 20)
    return noise.astype(np.float32)
