"""Barge-in: whether a sound that the user makes over the agent's voice is meant to stop it.

A listener's "uh-huh", a cough and a door are not; "stop" is, and so is most of what is longer. It goes by the
words understood so far and by how long the sound lasts. This module knows neither the recogniser nor what
becomes of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from conversation.settings import BargeIn, Tuning
from conversation.words import words


class Verdict(Enum):
    STOPS = "the sound stops the agent"
    PASSES = "the sound is nothing"
    """As far as is known: it is judged anew while it goes on."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What is known of a sound over the agent's voice.

    Attributes:
        text: the words understood in it so far.
        before: those that were understood one partial transcript earlier.
        is_over: it has ended, for the moment at least, and `text` is final.
        is_long: it has lasted longer than one who only listens makes a sound.
    """

    text: str = ""
    before: str = ""
    is_over: bool = False
    is_long: bool = False


class Judge:
    """Judges overlaps by the words that are known to mean something.

    Args:
        tuning: names the words of one who listens, and those that stop the agent at once.
    """

    def __init__(self, tuning: Tuning) -> None:
        self._listening = _phrases(tuning.backchannels)
        self._stopping = _phrases(tuning.stop_words)

    def verdict(self, overlap: Overlap, by: BargeIn) -> Verdict | None:
        """None: not known yet. It is known when the sound is over or long."""
        said = _tokens(overlap.text)
        if _contains(said, self._stopping):
            return Verdict.STOPS
        says_something = bool(said) and not _made_of(said, self._listening)
        if says_something and (overlap.is_over or self._is_sure(said, overlap.before)):
            return Verdict.STOPS
        if overlap.is_over:
            return Verdict.PASSES
        if overlap.is_long:
            long_enough = not said and by == "speech"
            return Verdict.STOPS if says_something or long_enough else Verdict.PASSES
        return None

    def _is_sure(self, said: tuple[str, ...], before: str) -> bool:
        """The beginning of a backchannel may be taken for a word, hardly ever for two or twice in a row."""
        earlier = _tokens(before)
        return len(said) > 1 or (bool(earlier) and not _made_of(earlier, self._listening))


Phrases = frozenset[tuple[str, ...]]


def _phrases(texts: Iterable[str]) -> Phrases:
    return frozenset(tokens for text in texts if (tokens := _tokens(text)))


def _tokens(text: str) -> tuple[str, ...]:
    """The words, small and without signs: "Mm-hmm," is `mmhmm`. A Chinese character is a word."""
    bare = (re.sub(r"\W|_", "", word.group().lower()) for word in words(text))
    return tuple(token for token in bare if token)


def _contains(said: tuple[str, ...], phrases: Phrases) -> bool:
    return any(said[at : at + len(phrase)] == phrase for phrase in phrases for at in range(len(said)))


def _made_of(said: tuple[str, ...], phrases: Phrases) -> bool:
    """Whether `said` is nothing but these phrases, one after another."""
    reached = {0}
    for at in range(len(said)):
        if at in reached:
            reached |= {at + len(phrase) for phrase in phrases if said[at : at + len(phrase)] == phrase}
    return len(said) in reached
