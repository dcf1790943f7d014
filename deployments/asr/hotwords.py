"""The names and terms that a recogniser may be told to expect, out of what is known beforehand.

How a model uses them is not known here.
"""

from __future__ import annotations

import re

from conversation.stages import Hints
from conversation.words import words

MOST = 49
"""FunASR's SeACo-Paraformer takes up to 50 into account, with an end mark of its own. Of more it chooses
those that the first segment of a batch sounds like, for all of them.

Source: `nfilter` of `_seaco_decode_with_ASF` in funasr/models/seaco_paraformer/model.py, FunASR 1.4.16.
"""

LONGEST_WORDS = 10
"""Han characters or other words in one keyword. What is longer between two commas is prose."""

_SEPARATOR = re.compile(r"[,，、;；\n]+")
_END_OF_SENTENCE = re.compile(r"[。！？!?]|\.(?=\s|$)")


def hotwords(hints: Hints) -> tuple[str, ...]:
    """At most MOST, each once and without spaces: of `words`, then of `prompt` if that is a list."""
    terms = [*hints.words, *_keywords(hints.prompt)]
    apart = (word.strip(".,:;，。、；：\"'“”()（）") for term in terms for word in term.split())
    return tuple(dict.fromkeys(word for word in apart if any(map(str.isalnum, word))))[:MOST]


def _keywords(prompt: str) -> list[str]:
    """The pieces of a list of keywords; none of a text."""
    pieces = _SEPARATOR.split(prompt)
    is_text = _END_OF_SENTENCE.search(prompt) or any(len(words(piece)) > LONGEST_WORDS for piece in pieces)
    return [] if is_text else pieces
