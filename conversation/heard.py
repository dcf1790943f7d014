"""Which words were heard: the text of spoken clauses against the audio that was played of them."""

from __future__ import annotations

from dataclasses import dataclass

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


def heard_text(clauses: list[SpokenClause], played_samples: int, rate_hz: int) -> str:
    """The words of `clauses` whose sound lies within the first `played_samples` of their audio.

    Within a clause, words are mapped to time by their share of its letters. A word counts as heard when
    more than half of it was.
    """
    heard = ""
    for clause in clauses:
        if clause.complete and played_samples >= clause.samples:
            heard += clause.text
            played_samples -= clause.samples
            continue
        whole = clause.samples if clause.complete else max(clause.samples, _typical(clause.text, rate_hz))
        return heard + _share(clause.text, min(played_samples, clause.samples) / whole if whole else 0.0)
    return heard


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
