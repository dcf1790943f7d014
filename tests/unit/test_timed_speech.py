"""deployments/tts/timed_speech.py: a sample is a millisecond, a phoneme lasts 100."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from conversation.audio import Samples
from conversation.stages import Word, WordTimes
from deployments.tts.timed_speech import TimedSpeech

RATE_HZ = 1000
LEAD, TAIL = 50, 300
"""Silence that the voice puts around each sentence."""


def alone(words: Sequence[str]) -> list[str]:
    return ["".join(filter(str.isalpha, word)) for word in words]


def sentence(speech: TimedSpeech, phonemes: str, chunk: int = 70) -> Iterator[Samples | WordTimes]:
    loud = np.repeat([character.isalpha() for character in phonemes], 100)
    sound = np.pad(np.where(loud, 0.5, 0).astype(np.float32), (LEAD, TAIL))
    edges = LEAD + 100 * np.arange(len(phonemes) + 1)
    return speech.sentence(phonemes, iter(np.array_split(sound, len(sound) // chunk)), edges)


def told(text: str, *sentences: str) -> list[list[Word]]:
    """What is told of each sentence."""
    speech = TimedSpeech(text, sentences, alone, RATE_HZ)
    each = [list(sentence(speech, phonemes)) for phonemes in sentences]
    return [[word for item in items if isinstance(item, WordTimes) for word in item.words] for items in each]


def in_ms(words: list[Word]) -> list[tuple[str, int, int]]:
    return [(word.text, round(word.start_s * 1000), round(word.end_s * 1000)) for word in words]


def test_times_count_in_what_is_heard_not_in_what_the_voice_makes() -> None:
    """40 ms of the silence before each sentence are cut off, and 100 ms after it."""
    first, second = map(in_ms, told("ab c. de?", "ab c.", "de?"))
    assert first == [("ab", 10, 210), ("c.", 310, 410)]
    assert second == [("de?", 10 + 400 + 200 + 10, 820)]


def test_the_first_sound_comes_before_the_times_and_they_before_the_second() -> None:
    def waiting(words: Sequence[str]) -> list[str]:
        heard.append("asked")
        return alone(words)

    heard: list[str] = []
    for item in sentence(TimedSpeech("ab c.", ["ab c."], waiting, RATE_HZ), "ab c."):
        heard.append("times" if isinstance(item, WordTimes) else "sound" if len(item) else "nothing")
    assert heard[:4] == ["sound", "asked", "times", "sound"]


def test_a_sentence_that_is_but_silence_does_not_keep_its_words_for_the_next() -> None:
    speech = TimedSpeech("a b.", ["a", "b."], alone, RATE_HZ)
    [_, first] = speech.sentence("a", iter([np.zeros(200, np.float32)]), np.array([0, 200]))
    assert first == WordTimes((Word("a", 0.0, 0.0),))
    items = sentence(speech, "b.")
    assert [item.words[0].text for item in items if isinstance(item, WordTimes)] == ["b."]


def test_of_a_text_that_is_read_otherwise_no_times_are_told() -> None:
    assert told("xyz xyz", "abc def") == [[]]


def test_a_word_that_is_cut_in_two_sentences_is_told_with_the_first() -> None:
    first, second = told("abcdef g", "abc", "def g")
    assert [word.text for word in first] == ["abcdef"]
    assert [word.text for word in second] == ["g"]
