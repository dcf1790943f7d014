"""The words of a text, in scripts with and without spaces."""

from __future__ import annotations

import re

_WIDE = "぀-鿿"
"""Kana and the common Chinese characters, as a range of a regular expression."""

_WORD = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]+")


def words(text: str) -> list[re.Match[str]]:
    """Where the words of `text` stand; a Chinese character is a word; punctuation belongs to its word."""
    return list(_WORD.finditer(text))


def wide(character: str) -> bool:
    """Whether it is of a script written without spaces."""
    return re.match(f"[{_WIDE}]", character) is not None
