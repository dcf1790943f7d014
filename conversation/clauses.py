"""Clauses: cuts a stream of text where a voice may pause, as early as is safe.

English and Chinese. Nothing is lost or changed: the clauses, joined, are the text. This module knows nothing
of voices beyond that a longer clause sounds better and a shorter first one is heard sooner.
"""

from __future__ import annotations

import re

from conversation.words import letters, wide

FIRST_CLAUSE = 12
"""A comma ends the first clause once it has so many letters: about 0.8 s of speech, enough to cover the
synthesis of the next one. All lengths here are in Latin letters, of which a Chinese character counts as three
(conversation/words.py)."""
LATER_CLAUSE = 60
"""A comma ends any other clause once it has so many."""
FIRST_BREATH = 16
"""Without a comma, the first clause ends before a conjunction once it has so many."""
LONGEST_FIRST_CLAUSE = 45
"""Without either, it is cut where a word surely ends, as late before this as possible: after about eight
English words or 15 Chinese characters. People wait for the first sound, and a small model on a laptop writes
a token in 20 ms. Not sooner: 30 would save one and a half of them, and cut through many more phrases, where a
voice falls and rests (130 ms of silence, the last word a third longer: measured, not listened to), and
through short sentences that now are whole. To cut before prepositions saves a third of a token."""
LONGEST_CLAUSE = 240
"""The same for any other clause. Where no word surely ends, any clause is cut here: that is 240 characters of
English and 80 of Chinese, about 16 s, and `Tts.speak` takes 500."""

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

_LEANING = _CONJUNCTIONS | frozenset(
    (
        "a",
        "an",
        "the",
        "my",
        "your",
        "his",
        "her",
        "its",
        "our",
        "their",
        "this",
        "that",
        "these",
        "those",
        "some",
        "any",
        "no",
        "every",
        "each",
        "about",
        "across",
        "after",
        "around",
        "as",
        "at",
        "before",
        "between",
        "by",
        "during",
        "for",
        "from",
        "in",
        "into",
        "of",
        "on",
        "over",
        "through",
        "to",
        "under",
        "with",
        "without",
    )
)
"""Words that lean on the next one. Where a clause ends with one, a voice says it as if it stood alone: "a"
takes 240 ms instead of 35, "our" 270 instead of 170 (measured on en_US-joe-medium)."""

_WIDE_CONJUNCTION = re.compile(
    "(?:而且|但是|可是|因为|因此|或者|还有|虽然"
    "|(?<![比例])如果"  # 比如果汁
    "|(?<![当果忽既突虽自])然后"  # 既然后面
    "|所以(?![及外])"  # 厕所以及, 场所以外
    "|以及(?![时早格])"  # 可以及时
    ")(?=.)",
    re.DOTALL,
)
"""Chinese is written without spaces. So these are the conjunctions of two characters that hardly ever arise
where two other words meet, but for the cases named."""

_WORD_END = re.compile(r" |的(?=[^话确士地])|了(?=[^解不])")
"""Where a word surely ends. In Chinese that is after the commonest particles, unless what follows makes it
part of another word: 的话, 的确, 的士, 目的地, 了解, 了不起. To tell all words apart takes a dictionary."""

_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:"
    r"mr|mrs|ms|dr|prof|sr|jr|st|mt|vs|etc|approx|dept|no|vol|fig|inc|ltd|co|corp|gen|col|lt|sgt|capt|rev|hon"
    r"|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|a\.m|p\.m|e\.g|i\.e|ph\.d|u\.s|u\.k|cf|al"
    r"|[a-z](?:\.[a-z])*"  # initials: J. S. Bach
    r")\.$",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"\s*\d+\.")
"""Belongs to what follows: alone it would be spoken as a sentence of its own."""
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
        length = 0
        for index, character in enumerate(self._text):
            if character in _SIGNS:
                end = self._after(index, character)
                if end and any(c.isalnum() for c in self._text[:end]):
                    return end
            if self._first and self._breathes(index):
                return index
            length += letters(character)
            if length > longest:
                if end := self._word_end(index):
                    return end
                if length > LONGEST_CLAUSE:
                    return index
        return 0

    def _breathes(self, index: int) -> bool:
        """Whether the first clause is long enough to end at `index`, and a conjunction follows."""
        if self._text[index] == " ":
            word, rest, _ = self._text[index + 1 :].partition(" ")
            follows = bool(rest) and word.lower() in _CONJUNCTIONS
        else:
            follows = _WIDE_CONJUNCTION.match(self._text, index) is not None
        return follows and letters(self._text[:index].strip()) >= FIRST_BREATH

    def _word_end(self, limit: int) -> int:
        """The last place up to `limit` where a word surely ends and the clause is long enough, after one that
        does not lean if there is any; 0 for none."""
        ends = [word.end() for word in _WORD_END.finditer(self._text) if word.end() <= limit]
        ends = [end for end in ends if self._long_enough(end)]
        return next((end for end in reversed(ends) if not _leans(self._text[:end])), ends[-1] if ends else 0)

    def _after(self, index: int, character: str) -> int:
        """The end of the clause that the punctuation at `index` ends; 0 when it ends none, or not yet."""
        end = index + 1
        while end < len(self._text) and self._text[end] in _CLOSING:
            end += 1
        if character in _WIDE_FULL_STOPS:
            return end
        if character in _WIDE_COMMAS:
            return end if self._long_enough(index) else 0
        # A narrow sign ends a clause only before a space or a Chinese character: 3.14, 10:30, "1,000",
        # example.com go on. Until the next character is there, nobody can tell.
        if end >= len(self._text) or not (self._text[end].isspace() or wide(self._text[end])):
            return 0
        if character == ",":
            return end if self._long_enough(index) else 0
        if character == "." and self._goes_on(self._text[: index + 1]):
            return 0
        return end

    def _long_enough(self, index: int) -> bool:
        return letters(self._text[:index].strip()) >= (FIRST_CLAUSE if self._first else LATER_CLAUSE)

    @staticmethod
    def _goes_on(text: str) -> bool:
        """Whether the full stop at the end of `text` ends no sentence."""
        if _LIST_NUMBER.fullmatch(text):
            return True
        return bool(_ABBREVIATION.search(text)) and not _SENTENCE_I.search(text)


def _leans(text: str) -> bool:
    """Whether the last word of `text` leans on what follows."""
    return text.rstrip().rpartition(" ")[2].lower() in _LEANING
