"""From Mandarin text, with numbers and English words in it, to the phonemes that Kokoro was trained on.

misaki (https://github.com/hexgrad/misaki) says Chinese words, after jieba has found them and pypinyin their
readings; cn2an writes numbers in words. They leave out or misread what is common in an assistant's answers
(times, prices, units, telephone numbers, "GPT-4"), which is put into words here first. English words are left
to whoever speaks English. This module knows no voice.
"""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

from deployments.tts.phonemes import Clause

_HAN = "\u4e00-\u9fff"
"""What misaki reads: the common Chinese characters."""

_MARKS = str.maketrans("。．！？，、；：…—～（）", "..!?,,;:;;,,,", '《》〈〉「」『』【】“”‘’"')
"""Punctuation that makes a pause or a tone, in the marks of `Clause`; and that which makes none."""

_CLAUSE = re.compile(r"([^.!?,;:\n]*(?:(?<=[A-Za-z])\.(?=[A-Za-z])[^.!?,;:\n]*)*)([.!?,;:\n]*)\s*")
"""A clause and its marks; the dot of "example.com" is none."""
_RUN = re.compile(rf"([{_HAN}]+)|([A-Za-z][A-Za-z'’&.-]*(?: +[A-Za-z][A-Za-z'’&.-]*)*)")


def is_mandarin(text: str) -> bool:
    """Whether there are Chinese characters in it, or nothing but digits and signs, to be read in Chinese."""
    return bool(re.search(f"[{_HAN}]", text)) or not re.search(r"[^\W\d_]", text)


def in_plain_letters(text: str) -> str:
    """Letters and digits in their usual form: no wide, ringed or raised ones. Punctuation stays as it is."""
    return "".join(unicodedata.normalize("NFKC", c) if c.isalnum() else c for c in text)


class Mandarin:
    """Holds 100 MB of dictionaries, which take a second to load. One caller at a time."""

    def __init__(self, english: Callable[[str], str]) -> None:
        """`english` gives the phonemes of English words."""
        self._english = english
        self._chinese = _loaded()

    def clauses(self, text: str) -> list[Clause]:
        """Phonemes, words separated by spaces, and marks."""
        found = []
        for match in _CLAUSE.finditer(in_words(text).translate(_MARKS)):
            phonemes = " ".join(filter(None, self._runs(match[1])))
            marks = match[2].replace("\n", ".")
            if phonemes:
                found.append(Clause(phonemes, _strongest(marks)))
        return found

    def _runs(self, text: str) -> Iterator[str]:
        for chinese, english in _RUN.findall(text):
            yield self._chinese(chinese) if chinese else self._english(english)


def _strongest(marks: str) -> str:
    return next((mark for mark in "?!.;:," if mark in marks), "")


def _loaded() -> Callable[[str], str]:
    """misaki's way from Chinese characters to phonemes, as Kokoro 1.0 was trained with."""
    import jieba
    from misaki.zh import ZHG2P

    jieba.setLogLevel(logging.WARNING)
    # It would keep what it has read in /tmp/jieba.cache, where anybody may have put another; reading that is
    # no faster than the dictionary.
    with tempfile.TemporaryDirectory() as place:
        jieba.dt.tmp_dir = place
        jieba.initialize()
    legacy: Any = ZHG2P.legacy_call
    return lambda chinese: str(legacy(chinese))


# --- numbers and signs

_DIGITS = "零一二三四五六七八九"
_UNITS = {
    "km/h": "公里每小时",
    "km": "公里",
    "kg": "公斤",
    "cm": "厘米",
    "mm": "毫米",
    "ml": "毫升",
    "m": "米",
    "g": "克",
    "℃": "摄氏度",
    "°C": "摄氏度",
    "°": "度",
}
_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_SIGNS = str.maketrans({"+": "加", "=": "等于", "×": "乘以", "÷": "除以", "&": "和", "/": " ", "·": " "})

_AMOUNT = r"\d+(?:\.\d+)?"


def in_words(text: str) -> str:
    """Numbers and what belongs to them, in Chinese words."""
    import cn2an

    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<!\d)(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?!\d)", r"\1年\2月\3日", text)
    text = re.sub(r"(?<!\d)(\d{1,2})[:：](\d{2})(?!\d)分?", _time, text)
    text = re.sub(r"(?<=\d)[:：](?=\d)", "比", text)
    text = re.sub(rf"([{''.join(_CURRENCIES)}])\s*({_AMOUNT})", lambda m: m[2] + _CURRENCIES[m[1]], text)
    for unit, word in _UNITS.items():
        text = re.sub(rf"(?<=\d)\s*{re.escape(unit)}(?![A-Za-z/])", word, text)
    text = re.sub(r"(?<![\d.])(?:0\d+|1\d{10}|\d{13,})(?![\d.])", _digit_by_digit, text)
    text = re.sub(r"(?<=[A-Za-z])-?(?=\d)", " ", text)
    text = re.sub(r"(?<=\d)\s*-\s*(?=\d)|(?<=[\d%点分])\s*[–—~～]+\s*(?=\d)", "到", text)
    with contextlib.suppress(ValueError):  # a number that it cannot say
        text = cn2an.transform(text, "an2cn")
    return re.sub(r"\d+", _digit_by_digit, text).translate(_SIGNS)


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if minute == 0:
        return f"{hour}点"
    return f"{hour}点{'零' if minute < 10 else ''}{minute}分"


def _digit_by_digit(match: re.Match[str]) -> str:
    """One is said as "yāo" where it could be misheard: in a number that stands for nothing but itself."""
    return "".join(_DIGITS[int(digit)] for digit in match[0]).replace(
        "一", "幺" if len(match[0]) > 3 else "一"
    )
