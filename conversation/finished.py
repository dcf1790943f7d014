"""Whether words tell that more must come, or that all was said: a second witness beside the sound of a pause.

It goes by the last words and by the recogniser's punctuation, in English and Mandarin; it knows no grammar
and nothing of what was said before. The lists hold what hardly ever ends a turn ("of"), and leave out what
often does ("on" in "turn it on", "that" in "I like that"): to say nothing is better than to be wrong.
"""

from __future__ import annotations

import re
from enum import Enum

from conversation.words import wide


class Seems(Enum):
    FINISHED = "finished"
    EITHER = "either"
    """The words do not tell."""
    HANGING = "hanging"
    """A comma: the recogniser takes it for the end of a clause, and perhaps of no sentence."""
    UNFINISHED = "unfinished"


def _of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NEVER_LAST = _of("""
    a an the my your our their its every
    and or but because if unless until although though whereas whether than nor
    of between into onto toward towards during without upon among
    i i'm i'd i'll i've you're you'd you'll he's she's we're we'll they're they'll there's
    who's what's where's let's whose which very um uh er erm
""")

_LAST_IN_QUESTIONS = _of("to for from with about at as by")
"""Hardly ever last in anything else: "who is it for?"."""

_LAST_IN_SHORT_ANSWERS = _of("is are")
"""Or in questions: "yes, it is"."""

_SHORT_ANSWER = 3
"""Words, at most."""

_ALONE = _of("""
    yes yeah yep yup no nope nah okay ok sure right exactly correct thanks thank you please
    hello hi hey bye goodbye stop wait
""")
"""Words that make a whole turn by themselves, or with each other."""

_NEVER_LAST_ZH = ("吗", "嗎", "呢", "吧")

_TAIL = re.compile(r"[\s.?!,;:。？！，、；：…—–\"'”’)\-]*$")
"""Everything after the last word."""


def seems(text: str) -> Seems:
    """What the words of a turn so far tell of whether it is over.

    Args:
        text: a transcript, of a recogniser that punctuates or of one that does not.
    """
    text = text.strip()
    bare = _TAIL.sub("", text)
    if not bare:
        return Seems.EITHER
    tail = text[len(bare) :]
    if wide(bare[-1]):
        return _seems_zh(bare, tail)
    return _seems_en([word.strip("\"'.,;:?!()“”") for word in bare.lower().replace("’", "'").split()], tail)


def _seems_en(said: list[str], tail: str) -> Seems:
    short, asks = len(said) <= _SHORT_ANSWER, "?" in tail
    if short and all(word in _ALONE for word in said):
        return Seems.FINISHED
    last = said[-1]
    if (
        last in _NEVER_LAST
        or (last in _LAST_IN_QUESTIONS and not asks)
        or (last in _LAST_IN_SHORT_ANSWERS and not asks and not short)
    ):
        return Seems.UNFINISHED
    return _by_punctuation(tail)


def _seems_zh(bare: str, tail: str) -> Seems:
    clause = re.split(r"[，。？！、；：,?!\s]", bare)[-1]
    if bare in _ALONE_ZH:
        return Seems.FINISHED
    if clause in _NO_CLAUSE_ZH or bare.endswith(_NEVER_LAST_ZH):
        return Seems.UNFINISHED
    if bare.endswith(_LAST_ZH):
        return Seems.FINISHED
    return _by_punctuation(tail)


def _by_punctuation(tail: str) -> Seems:
    """A recogniser that punctuates puts a full stop also behind what was broken off: that tells nothing."""
    if "?" in tail or "？" in tail:
        return Seems.FINISHED
    if any(sign in tail for sign in "…—–-") or "..." in tail:
        return Seems.UNFINISHED
    return Seems.HANGING if any(sign in tail for sign in ",，、;；:：") else Seems.EITHER
