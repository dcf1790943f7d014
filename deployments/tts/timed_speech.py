"""The sound of a text, sentence by sentence, and when each of its words is to be heard in it.

A voice knows how long each phoneme takes once it has begun a sentence, but not how much of the silence before
it is cut off: that is known with the first sound. So the times follow the first sound of their sentence, and
it never waits for them. This module knows no voice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from conversation.audio import Samples
from conversation.stages import Word, WordTimes
from conversation.words import words
from deployments.tts.phonemes import SENTENCE_ENDS
from deployments.tts.silence import SilenceTrim
from deployments.tts.word_spans import Span, word_spans

Edges = NDArray[np.int64]
"""Shape (phonemes + 1,): where each phoneme of a sentence begins, and the last one ends, in samples from the
first one of its sound."""


class TimedSpeech:
    """One text."""

    def __init__(
        self, text: str, sentences: Sequence[str], alone: Callable[[Sequence[str]], list[str]], rate_hz: int
    ) -> None:
        """Args:
        text: as it is written.
        sentences: its phonemes.
        alone: gives those of each word for itself; called once, after the first sound.
        rate_hz: of the sound.
        """
        self._words = [word.group() for word in words(text)]
        self._spoken = " ".join(sentences)
        self._alone, self._rate_hz = alone, rate_hz
        self._spans: list[Span] | None = None
        """Of the words not told yet, in `_spoken`; None before the first sound."""
        self._sentence_starts = 0
        self._given_samples = 0
        self._told_samples = 0
        """Where the last word that was told ends."""

    def sentence(
        self, phonemes: str, chunks: Iterator[Samples], edges: Edges
    ) -> Iterator[Samples | WordTimes]:
        """The next one: its sound, and after the first of it the times of its words.

        Silence is cut to 10 ms before it and to 200 ms after it; 120 ms after an unfinished one.
        """
        trim = SilenceTrim(self._rate_hz, tail_s=0.2 if phonemes[-1] in SENTENCE_ENDS else 0.12)
        began, told = self._given_samples, False
        for chunk in chunks:
            sound = trim.feed(chunk)
            self._given_samples += len(sound)
            yield sound
            if len(sound) and not told:
                told = True
                yield self._times(phonemes, np.maximum(began + edges - trim.cut_samples, began))
        if not told:
            yield self._times(phonemes, np.full_like(edges, began))
        self._sentence_starts += len(phonemes) + 1

    def _times(self, phonemes: str, edges: Edges) -> WordTimes:
        """Of the words that begin in this sentence; `edges` counts from the first sample of the text's."""
        if self._spans is None:
            self._spans = word_spans(self._alone(self._words), self._spoken) or []
        edges = np.maximum(edges, self._told_samples)  # a sound that fades may be cut off before its end
        times = []
        while self._spans and self._spans[0][0] <= self._sentence_starts + len(phonemes):
            span = self._spans.pop(0)
            start, end = (int(edges[min(index - self._sentence_starts, len(phonemes))]) for index in span)
            times.append(Word(self._words.pop(0), start / self._rate_hz, end / self._rate_hz))
            self._told_samples = end
        return WordTimes(tuple(times))
