"""The utterances that a recording is cut into, with marks where the speech begins and ends.

Cutting goes by loudness alone, so that the marks owe nothing to the models that are measured with them. This
module knows no server and no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.speech.clips import Origin
from bench.speech.sound import at_rate
from conversation.audio import Audio

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


@dataclass(frozen=True, slots=True)
class Recording:
    """One take.

    Attributes:
        text: the words, where they are known.
    """

    group: str
    name: str
    source: str
    audio: Audio
    text: str | None = None
    origin: Origin = "human"


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


def utterances(of: Iterable[Recording], rate_hz: int) -> list[Utterance]:
    """The utterances of all recordings, in their order, that are neither too short nor too long."""
    return [
        Utterance(recording, number, *_cut_out(audio, span))
        for recording in of
        for audio in [at_rate(recording.audio, rate_hz)]
        for number, span in enumerate(spans(audio))
        if SHORTEST_S <= (span.end - span.onset) / rate_hz <= LONGEST_S
    ]


def interleaved(clips: Iterable[Utterance]) -> list[Utterance]:
    """One of each recording in turn, so that a short run hears all voices."""
    return sorted(clips, key=lambda clip: (clip.number, clip.recording.name))


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
