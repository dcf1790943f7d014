"""The labelled set: what is said to the agent, whether people or a machine said it, and what is right then.

Everything is told by the recordings' marks, which go by loudness, and by who made the sound; no model has a
say in what is in the set, or in where a pause lies. What is derived is made anew for each run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Literal, TypeVar

import numpy as np

from bench.headset import HZ
from bench.speech import (
    BLOCK_MS,
    Clip,
    Origin,
    Recording,
    Utterance,
    at_rate,
    interleaved,
    levels_db,
    recordings,
    spans,
    speech_set,
    utterances,
)
from bench.speech.cutting import FADE_S, SURELY_DB
from conversation.audio import Audio, Samples

PauseIs = Literal["natural", "inserted", "synthesised"]
"""As it was spoken; put into a recording here; or between two parts of a sentence that a machine said."""

OverlapKind = Literal["interruption", "backchannel", "cough", "laugh", "noise"]

PAUSES_MS = (600, 700, 800, 900)
"""Of the inserted ones, in turn; natural ones are taken from the shortest of these to the longest."""

SHORTEST_DIP_MS = 100
"""A pause is only put where the speech dips for so long by itself; in shorter ones lips close in words."""
MIDDLE = (0.25, 0.75)
"""And only so far into the utterance."""

ONE_SENTENCE = ("two_cities",)
"""Recordings whose whole text is one sentence, so that every pause lies inside it."""

INSERTED = 13
"""So many utterances get a pause, the first of each recording first."""

INTERRUPTS_S = 3.2
"""People's utterances that are spoken over the agent are at most so long: that they stop it is known soon."""
INTERRUPTING_PEOPLE = 10
"""How many of them."""

INTO_S = (1.0, 1.5, 2.2, 3.0)
"""So long after the agent was first heard, or the sound before was over, the next begins; in turn, and at
least WATCH_S (play.py) after it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Said to an agent that is silent.

    Attributes:
        audio: at HZ.
        onset_s, end_s: of the speech.
        pause_s: (begin, end) of the long silence inside, if there is one.
        whole: whether its last word ends the sentence, so that an answer must follow.
    """

    name: str
    origin: Origin
    audio: Audio
    onset_s: float
    end_s: float
    pause_s: tuple[float, float] | None = None
    pause_is: PauseIs | None = None
    whole: bool = True

    @property
    def pause_ms(self) -> int | None:
        return None if self.pause_s is None else round((self.pause_s[1] - self.pause_s[0]) * 1000)


@dataclass(frozen=True, slots=True)
class Overlap:
    """A sound that comes while the agent speaks.

    Attributes:
        audio: at HZ.
        onset_s, end_s: of the sound.
        into_s: how far into the agent's speech it begins.
    """

    name: str
    kind: OverlapKind
    origin: Origin
    audio: Audio
    onset_s: float
    end_s: float
    into_s: float

    @property
    def should_stop(self) -> bool:
        return self.kind == "interruption"


# --- sentences


def sentences() -> list[Sentence]:
    """Natural, inserted and synthesised pauses, and whole sentences of people without any; mixed.

    Only of recordings whose words are known: of others nobody can say that a pause lies inside a sentence.
    """
    people = recordings()
    said = interleaved(utterances([person for person in people if person.text is not None], HZ))
    with_pause, without = _inserted(said)
    whole = [_plain(clip) for clip in without if _is_whole(clip.recording)]
    machine = [_synthesised(clip) for clip in speech_set("pause", "synthetic")]
    return mixed([list(_natural(people)), with_pause, whole, machine])


def questions() -> list[Sentence]:
    """What the agent is asked when it shall speak."""
    return [
        Sentence(clip.name, clip.origin, at_rate(clip.audio(), HZ), clip.onset_ms / 1000, clip.end_ms / 1000)
        for clip in speech_set("question", "synthetic")
    ]


def _natural(people: Iterable[Recording]) -> Iterable[Sentence]:
    """Two stretches of a sentence with the pause between them as it was spoken."""
    for recording in people:
        if recording.name not in ONE_SENTENCE:
            continue
        audio = at_rate(recording.audio, HZ)
        for number, (before, after) in enumerate(pairwise(spans(audio))):
            pause_ms = (after.onset - before.end) * 1000 / HZ
            if PAUSES_MS[0] <= pause_ms <= PAUSES_MS[-1] and _is_speech(before.end - before.onset):
                onset, pause, end = (
                    (mark - before.start) / HZ for mark in (before.onset, before.end, after.end)
                )
                yield Sentence(
                    f"{recording.name}/{number}-{number + 1}",
                    recording.origin,
                    _faded(audio.samples[before.start : after.stop]),
                    onset,
                    end,
                    (pause, pause + pause_ms / 1000),
                    "natural",
                    whole=False,
                )


def _is_speech(samples: int) -> bool:
    """And no click before it."""
    return samples >= HZ * 0.2


def _inserted(said: Iterable[Utterance]) -> tuple[list[Sentence], list[Utterance]]:
    """A pause in each utterance that dips long enough in its middle; and those that do not."""
    lengths_ms = cycle(PAUSES_MS)
    done: list[Sentence] = []
    left = []
    for clip in said:
        dip = longest_dip(clip)
        if dip is None:
            left.append(clip)
        elif len(done) < INSERTED:
            done.append(with_pause(clip, dip, next(lengths_ms)))
    return done, left


def longest_dip(clip: Utterance) -> tuple[int, int] | None:
    """(begin, end), in samples, of the longest stretch in an utterance's middle that is not surely speech.

    Of two that last as long, the one nearer to the middle. None where it lasts less than SHORTEST_DIP_MS.
    """
    block = clip.audio.rate_hz * BLOCK_MS // 1000
    levels = levels_db(clip.audio)[clip.onset // block : clip.end // block]
    quiet = levels < np.percentile(levels, 99) - SURELY_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int))).tolist()
    low, high = (len(levels) * share for share in MIDDLE)
    inside = [
        (end - begin, -abs(begin + end - len(levels)), begin)
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
        if low <= (begin + end) / 2 <= high
    ]
    length, _, begin = max(inside, default=(0, 0, 0))
    if length * BLOCK_MS < SHORTEST_DIP_MS:
        return None
    start = clip.onset // block * block + begin * block
    return start, start + length * block


def with_pause(clip: Utterance, dip: tuple[int, int], pause_ms: int) -> Sentence:
    """The dip made so long, with the quietest sound of the same recording in its middle."""
    rate_hz = clip.audio.rate_hz
    begin, end = dip
    more = pause_ms * rate_hz // 1000 - (end - begin)
    middle = (begin + end) // 2
    before, after = clip.audio.samples[:middle], clip.audio.samples[middle:]
    samples = _joined([before, _room_of(clip.recording, more, rate_hz), after], rate_hz)
    return Sentence(
        f"{clip.name}+{pause_ms}",
        clip.recording.origin,
        Audio(samples, rate_hz),
        clip.onset_s,
        (clip.end + more) / rate_hz,
        (begin / rate_hz, (end + more) / rate_hz),
        "inserted",
        _is_whole(clip.recording),
    )


def _room_of(recording: Recording, samples: int, rate_hz: int) -> Samples:
    """So much of the recording's quietest 200 ms, forth and back."""
    audio = at_rate(recording.audio, rate_hz)
    window = 200 // BLOCK_MS
    power = np.convolve(10 ** (levels_db(audio) / 10), np.ones(window), "valid")
    start = int(np.argmin(power)) * rate_hz * BLOCK_MS // 1000
    quiet = audio.samples[start : start + rate_hz // 5]
    return np.resize(np.concatenate([quiet, quiet[::-1]]), samples)


def _joined(parts: Sequence[Samples], rate_hz: int) -> Samples:
    """One after the other, each seam softened; as long as all of them together."""
    fade = round(FADE_S * rate_hz)
    ramp = np.linspace(1, 0, fade, dtype=np.float32)
    softened = [part.copy() for part in parts]
    for earlier, later in pairwise(softened):
        earlier[-fade:] *= ramp
        later[:fade] *= ramp[::-1]
    return np.concatenate(softened)


def _faded(samples: Samples) -> Audio:
    fade = round(FADE_S * HZ)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    samples = samples.copy()
    samples[:fade] *= ramp
    samples[-fade:] *= ramp[::-1]
    return Audio(samples, HZ)


def _is_whole(recording: Recording) -> bool:
    """Those of the set are sentences, as their texts say; what is fetched was cut anywhere."""
    return recording.group != "readings"


def _plain(clip: Utterance) -> Sentence:
    return Sentence(clip.name, clip.recording.origin, clip.audio, clip.onset_s, clip.end_s)


def _synthesised(clip: Clip) -> Sentence:
    [(begin_ms, end_ms)] = clip.pauses_ms
    return Sentence(
        clip.name,
        clip.origin,
        at_rate(clip.audio(), HZ),
        clip.onset_ms / 1000,
        clip.end_ms / 1000,
        (begin_ms / 1000, end_ms / 1000),
        "synthesised",
    )


# --- overlaps


def overlaps() -> list[Overlap]:
    """Interruptions by people and by machines, backchannels, coughs, laughs and noises; mixed."""
    into_s = cycle(INTO_S)
    people = [clip for clip in interleaved(utterances(recordings(), HZ)) if _is_short(clip)]
    spoken = [_over(clip, next(into_s)) for clip in people[:INTERRUPTING_PEOPLE]]
    kinds: tuple[OverlapKind, ...] = ("interruption", "backchannel", "cough", "laugh", "noise")
    made = [[_made(clip, kind, next(into_s)) for clip in speech_set(kind, "synthetic")] for kind in kinds]
    return mixed([spoken, *made])


def _is_short(clip: Utterance) -> bool:
    return clip.end_s - clip.onset_s <= INTERRUPTS_S


def _over(clip: Utterance, into_s: float) -> Overlap:
    return Overlap(
        clip.name, "interruption", clip.recording.origin, clip.audio, clip.onset_s, clip.end_s, into_s
    )


def _made(clip: Clip, kind: OverlapKind, into_s: float) -> Overlap:
    audio = at_rate(clip.audio(), HZ)
    return Overlap(clip.name, kind, clip.origin, audio, clip.onset_ms / 1000, clip.end_ms / 1000, into_s)


T = TypeVar("T")


def mixed(groups: Iterable[Sequence[T]]) -> list[T]:
    """All of them, each group spread evenly over the whole, so that the beginning holds some of each."""
    placed = [
        ((place + 0.5) / len(group), number, item)
        for number, group in enumerate(groups)
        for place, item in enumerate(group)
    ]
    return [item for _, _, item in sorted(placed, key=lambda one: one[:2])]
