"""Which words were heard: the text of spoken clauses against the audio that was played of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from conversation.stages import Word
from conversation.words import letters, words

_TYPICAL_LETTER_S = 0.065
"""How long a letter takes to say, until a clause's own audio tells. English is read at about 150 words,
900 letters, a minute.

Source: https://en.wikipedia.org/wiki/Words_per_minute
"""


@dataclass(slots=True)
class SpokenClause:
    """A clause and the audio sent of it so far."""

    text: str
    samples: int = 0
    complete: bool = False
    """All of its audio was sent."""
    times: list[Word] = field(default_factory=list)
    """Of its words, from its first sample on, as far as the voice has told them; of some voices none."""
    is_filler: bool = False
    """It was said for want of an answer, and stands before it."""


def filler_chars(clauses: list[SpokenClause]) -> int:
    """How much of their text is no answer."""
    return sum(len(clause.text) for clause in clauses if clause.is_filler)


def heard_text(clauses: list[SpokenClause], played_samples: int, rate_hz: int) -> str:
    """The words of `clauses` whose sound lies within the first `played_samples` of their audio.

    Within a clause, words are mapped to time as the voice tells, else by their share of its letters. A word
    counts as heard when more than half of it was.
    """
    heard = ""
    for clause in clauses:
        if clause.complete and played_samples >= clause.samples:
            heard += clause.text
            played_samples -= clause.samples
            continue
        return heard + _beginning(clause, min(played_samples, clause.samples), rate_hz)
    return heard


def _beginning(clause: SpokenClause, played_samples: int, rate_hz: int) -> str:
    """What was heard of a clause that was not heard to its end."""
    if clause.times:
        return _until(clause, played_samples / rate_hz)
    whole = clause.samples if clause.complete else max(clause.samples, _typical(clause.text, rate_hz))
    return _share(clause.text, played_samples / whole if whole else 0.0)


def _until(clause: SpokenClause, played_s: float) -> str:
    """The words of which more than half lies before that time. One whose time is not told yet does not."""
    end = 0
    for word, time in zip(words(clause.text), clause.times, strict=False):
        if (time.start_s + time.end_s) / 2 >= played_s:
            break
        end = word.end()
    return clause.text[:end]


def _typical(text: str, rate_hz: int) -> int:
    return round(letters(text) * _TYPICAL_LETTER_S * rate_hz)


def _share(text: str, part: float) -> str:
    """The words that lie mostly within the first `part` (0..1) of the text."""
    limit = part * letters(text)
    end = 0
    for word in words(text):
        if letters(text[: word.start()]) + letters(word.group()) / 2 > limit:
            break
        end = word.end()
    return text[:end]
