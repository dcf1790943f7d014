"""Longer speech: the readings of the set, and those that the model catalogue names and that are fetched.

Each says what made it, so that whoever measures can keep people and machines apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.speech.clips import Clip, speech_set
from bench.speech.cutting import Recording
from bench.speech.sound import read_wav
from deployments import weights

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


WHOLE = (
    "two_cities/16",
    "beckett/0",
    "beckett/2",
    "beckett/4",
    "librivox-0870/0",
    "cards-002/0",
    "cards-003/0",
    "cards-005/0",
)
"""Those of people's utterances that end where a sentence does, by the text that was read: after all others
the reader goes on, and whoever listens is right to wait."""


def recordings() -> list[Recording]:
    """All that people said. Raises ConfigError when what is fetched is missing and the index out of reach."""
    return [*_fetched(), *(_recording(clip) for clip in speech_set(origin="human"))]


def synthetic_questions() -> list[Recording]:
    """What one says to an agent; a machine said it."""
    return [_recording(clip) for clip in speech_set("question", "synthetic")]


def synthetic_sentences() -> list[Recording]:
    """Whole sentences that a machine said: questions, and those with a pause inside."""
    return [_recording(clip) for clip in speech_set(origin="synthetic") if clip.kind in ("question", "pause")]


def _fetched() -> Iterator[Recording]:
    directory = weights.fetch("moonshine-speech")
    source = "catalogue entry moonshine-speech"
    yield Recording("readings", "two_cities", source, read_wav(directory / "two_cities.wav"), TWO_CITIES)
    yield Recording("readings", "beckett", source, read_wav(directory / "beckett.wav"))


def _recording(clip: Clip) -> Recording:
    """Its group is the folder of people's recordings, or the kind of a machine's."""
    group = clip.name.partition("-")[0]
    return Recording(group, clip.name, clip.source, clip.audio(), clip.text, clip.origin)
