"""Takes a reasoning model's thoughts out of what it says, however they are split over deltas.

Knows the `<think>…</think>` marks that DeepSeek R1, Qwen 3 and their kin write into the text when their
server does not set the thoughts apart. Where the opening mark is the end of the prompt, only the closing one
is written: that there are thoughts must then be known beforehand.
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class Unthinking:
    """One reply's text, delta by delta. It holds back only what may turn out to be part of a mark.

    Args:
        thinks_first: the prompt has opened the thoughts.
    """

    def __init__(self, *, thinks_first: bool = False) -> None:
        self.thought_aloud = False
        """A mark closed thoughts that nothing had opened: what was said before it were thoughts."""
        self._held = ""
        self._is_thinking = thinks_first
        self._is_after_thoughts = False

    def feed(self, text: str) -> str:
        """What of the text so far can be said and has not been; may be empty."""
        rest, said = self._held + text, ""
        while mark := self._next_mark(rest):
            before, _, rest = rest.partition(mark)
            said += self._spoken(before)
            self.thought_aloud = self.thought_aloud or (mark == CLOSE and not self._is_thinking)
            self._is_thinking = mark == OPEN
            self._is_after_thoughts = mark == CLOSE
        held = next((n for n in range(len(CLOSE) - 1, 0, -1) if self._ends_in_mark(rest, n)), 0)
        self._held = rest[len(rest) - held :]
        return said + self._spoken(rest[: len(rest) - held])

    def end(self) -> str:
        """The reply is over: what was held back was no mark."""
        return self._spoken(self._held)

    @property
    def _marks(self) -> tuple[str, ...]:
        return (CLOSE,) if self._is_thinking else (OPEN, CLOSE)

    def _next_mark(self, text: str) -> str | None:
        return min((mark for mark in self._marks if mark in text), key=text.index, default=None)

    def _ends_in_mark(self, text: str, length: int) -> bool:
        """Whether its last characters, so many, are the first of a mark."""
        return any(text.endswith(mark[:length]) for mark in self._marks)

    def _spoken(self, text: str) -> str:
        if self._is_thinking:
            return ""
        if self._is_after_thoughts:  # the blank lines between thoughts and answer belong to neither
            text = text.lstrip()
            self._is_after_thoughts = not text
        return text
