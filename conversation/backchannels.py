"""What people say while they go on listening, and what they say to somebody who should stop talking."""

from __future__ import annotations


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


BACKCHANNELS = _phrases("""
    uh, uh-huh, uh huh, um, hm, hmm, huh, mm, mm-hm, mm-hmm, mhm, m, ah, aha, oh, er,
    yeah, yep, yup, yes, right, okay, ok, sure, wow, great, nice, cool, good, fine,
    I see, got it, of course, really, oh really, that's right, that's true, all right, alright, fair enough,
    exactly, true, indeed, interesting, makes sense, go on, ha, haha,
    嗯, 哦, 噢, 喔, 啊, 呃, 哎, 唉, 哈, 对, 是, 好, 行, 对啊, 对呀, 是啊, 是的, 是吗, 好的, 好吧, 好啊,
    好呀, 行吧, 没错, 当然, 明白, 明白了, 知道了, 了解, 真的, 真的吗, 原来如此, 这样啊, 有道理, 厉害
""")
"""Two of them, or one twice, are one too.

Sources: the backchannels of Switchboard in Jurafsky, Shriberg and Biasca 1997, Switchboard SWBD-DAMSL
Shallow-Discourse-Function Annotation Coders Manual; Clancy et al. 1996, The conversational use of reactive
tokens in English, Japanese, and Mandarin, Journal of Pragmatics 26. Some are ours.
"""

STOP_WORDS = _phrases("""
    stop, wait, hold on, hold up, hang on, no, shut up, be quiet, quiet, enough, excuse me, pause, never mind,
    等一下, 等等, 等下, 停, 停下, 打住, 别说了, 闭嘴, 安静, 不对, 不是
""")
"""Ours."""
