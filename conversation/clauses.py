"""Clauses: cuts a stream of text where a voice may pause, as early as is safe.

English and Chinese. Nothing is lost or changed: the clauses, joined, are the text. This module knows nothing
of voices beyond that a longer clause sounds better and a shorter first one is heard sooner.
"""

from __future__ import annotations

import re

from conversation.words import wide

FIRST_CLAUSE = 12
"""A comma ends the first clause once it has so many characters: about 0.8 s of speech, enough to cover the
synthesis of the next one."""
LATER_CLAUSE = 60
"""A comma ends any other clause once it has so many."""
FIRST_BREATH = 16
"""Without a comma, the first clause ends before a conjunction once it has so many."""
LONGEST_FIRST_CLAUSE = 45
"""Without either, it is cut at the last space before this, after about eight words: people wait for the first
sound, and a small model on a laptop writes a token in 20 ms."""
LONGEST_CLAUSE = 240
"""A text without punctuation is cut at the last space before this; `Tts.speak` takes 500 characters."""

_CLOSING = "\"'”’»)]}」』】）》"
_FULL_STOPS = ".!?;:…"
_WIDE_FULL_STOPS = "。！？；：\n"
_WIDE_COMMAS = "，、"
_SIGNS = _FULL_STOPS + _WIDE_FULL_STOPS + _WIDE_COMMAS + ","

_CONJUNCTIONS = frozenset(
    (
        "and",
        "but",
        "or",
        "so",
        "because",
        "that",
        "which",
        "who",
        "when",
        "while",
        "where",
        "if",
        "although",
        "though",
        "unless",
        "since",
        "until",
        "than",
    )
)

_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:"
    r"mr|mrs|ms|dr|prof|sr|jr|st|mt|vs|etc|approx|dept|no|vol|fig|inc|ltd|co|corp|gen|col|lt|sgt|capt|rev|hon"
    r"|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|a\.m|p\.m|e\.g|i\.e|ph\.d|u\.s|u\.k|cf|al"
    r"|[a-z](?:\.[a-z])*"  # initials: J. S. Bach
    r")\.$",
    re.IGNORECASE,
)
_SENTENCE_I = re.compile(r"(?:^|\s)I\.$")
"""The pronoun ends a sentence more often than the initial begins a name."""


class Clauses:
    """Collects the deltas of one text."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def feed(self, delta: str) -> list[str]:
        """The clauses that are complete now that `delta` has come; mostly none."""
        self._text += delta
        found = []
        while end := self._end():
            found.append(self._take(end))
        return found

    def rest(self) -> str:
        """What is left when no more will come; may be empty."""
        return self._take(len(self._text))

    def _take(self, end: int) -> str:
        clause, self._text = self._text[:end], self._text[end:]
        self._first = self._first and not clause.strip()
        return clause

    def _end(self) -> int:
        """Where the first clause of the text ends; 0 while that is not known."""
        longest = LONGEST_FIRST_CLAUSE if self._first else LONGEST_CLAUSE
        for index, character in enumerate(self._text):
            if character in _SIGNS:
                end = self._after(index, character)
                if end and any(c.isalnum() for c in self._text[:end]):
                    return end
            if character == " " and self._first and self._breathes(index):
                return index
            if index >= longest:
                return self._text.rfind(" ", 1, index) + 1 or (index if index >= LONGEST_CLAUSE else 0)
        return 0

    def _breathes(self, space: int) -> bool:
        """Whether the first clause is long enough to end at this space, and a conjunction follows."""
        if len(self._text[:space].strip()) < FIRST_BREATH:
            return False
        word, rest, _ = self._text[space + 1 :].partition(" ")
        return bool(rest) and word.lower() in _CONJUNCTIONS

    def _after(self, index: int, character: str) -> int:
        """The end of the clause that the punctuation at `index` ends; 0 when it ends none, or not yet."""
        end = index + 1
        while end < len(self._text) and self._text[end] in _CLOSING:
            end += 1
        if character in _WIDE_FULL_STOPS:
            return end
        if character in _WIDE_COMMAS:
            return end if self._long_enough(index) else 0
        # A narrow sign ends a clause only before a space: 3.14, 10:30, "1,000", example.com go on. Until the
        # next character is there, nobody can tell.
        if end >= len(self._text) or not self._text[end].isspace():
            return 0
        if character == ",":
            return end if self._long_enough(index) else 0
        if character == "." and self._abbreviates(self._text[: index + 1]):
            return 0
        return end

    def _long_enough(self, index: int) -> bool:
        # A Chinese character is a syllable, as long as about three Latin letters.
        length = sum(3 if wide(c) else 1 for c in self._text[:index].strip())
        return length >= (FIRST_CLAUSE if self._first else LATER_CLAUSE)

    @staticmethod
    def _abbreviates(text: str) -> bool:
        return bool(_ABBREVIATION.search(text)) and not _SENTENCE_I.search(text)
