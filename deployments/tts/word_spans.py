"""Which phonemes of a spoken text belong to which of its written words.

A word sounds otherwise in a sentence than alone: "of the" is one breath, "a" is weak; and "42" is two words,
"e.g." is "for example". So the phonemes of each word for itself are laid beside those of the whole text with
the fewest edits (Levenshtein), and a phoneme belongs to the word that it lies beside.
This module knows neither a language nor a voice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rapidfuzz.distance import Levenshtein

LEAST_ALIKE = 0.5
"""Two texts less alike are read otherwise, and nothing can be said of the words. 1 is equal; sentences of
everyday English are 0.8 to 1 alike to their words for themselves."""

Span = tuple[int, int]
"""From one index up to another."""

_SOUNDS = re.compile("[^ .!?,;:]+")


def word_spans(alone: Sequence[str], spoken: str) -> list[Span] | None:
    """The part of `spoken` that each word has: an empty one, behind the word before, where it makes no sound.

    Args:
        alone: the phonemes of each word for itself.
        spoken: those of the whole text; between them spaces and the marks of `phonemes.Clause`.

    Returns None when the two are less than LEAST_ALIKE.
    """
    together = " ".join(alone)
    if Levenshtein.normalized_similarity(together, spoken) < LEAST_ALIKE:
        return None
    belongs = [number for number, phonemes in enumerate(alone) for _ in f"{phonemes} "]
    owners: list[int | None] = [None] * len(spoken)
    for edit in Levenshtein.opcodes(together, spoken):
        if edit.tag in ("equal", "replace"):
            owners[edit.dest_start : edit.dest_end] = belongs[edit.src_start : edit.src_end]
    parts: dict[int, Span] = {}
    for index, owner in _everybody_s(owners, spoken):
        first, _ = parts.get(owner, (index, index))
        parts[owner] = (first, index + 1)
    spans, end = [], 0
    for number in range(len(alone)):
        spans.append(parts.get(number, (end, end)))
        end = spans[-1][1]
    return spans


def _everybody_s(owners: Sequence[int | None], spoken: str) -> Iterator[tuple[int, int]]:
    """The owner of every sound; of one that lies beside nothing it is that of its neighbour."""
    owner = 0
    for sounds in _SOUNDS.finditer(spoken):
        known = (owners[index] for index in range(*sounds.span()) if owners[index] is not None)
        owner = next(known, owner) or 0
        for index in range(*sounds.span()):
            here = owners[index]
            owner = owner if here is None else here
            yield index, owner
