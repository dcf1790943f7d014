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

_NEVER_LAST_ZH = tuple(
    _of("""
    的话 的时候 然后 还有 而且 但是 可是 不过 因为 所以 如果 要是 虽然 或者 以及 并且 另外 比如 比如说
    关于 对于 除了 为了 那个 就是 就是说 我想 我要 我想要 我想问 我觉得 请问 帮我 请把 能不能 可不可以
    一个 和 跟 与
    的話 的時候 然後 還有 不過 因為 雖然 並且 比如說 關於 對於 為了 那個 就是說 我想問 我覺得 請問 幫我
    請把 一個 與
    """)
)
"""Simplified, then traditional: some recognisers write now these, now those."""

_NO_CLAUSE_ZH = _of("嗯 呃 额 我 你 就 那")
"""Hardly ever all that stands after the last comma, or at all."""

_ALONE_ZH = _of("""
    好 好的 好啊 行 可以 对 对的 对啊 是 是的 不 不是 不用 不要 没有 没错 谢谢 谢谢你 再见 拜拜
    停 停下 等一下 等等 你好 嗯嗯 知道了 明白了
    對 對的 對啊 沒有 沒錯 謝謝 謝謝你 再見
""")

_LAST_ZH = ("吗", "嗎", "呢", "吧")

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
