"""Takes a reasoning model's thoughts out of what it says, however they are split over deltas.

Knows the `<think>…</think>` marks that DeepSeek R1, Qwen 3 and their kin write into the text when their
server does not set the thoughts apart. It cannot know thoughts whose opening mark was part of the prompt:
for those the server has to be started with its reasoning parser.
"""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class Unthinking:
    """One reply's text, delta by delta. It holds back only what may turn out to be part of a mark."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False
        self._is_after_thoughts = False

    def feed(self, text: str) -> str:
        """What of the text so far can be said and has not been; may be empty."""
        rest, said = self._held + text, ""
        while True:
            mark = CLOSE if self._is_thinking else OPEN
            before, found, after = rest.partition(mark)
            if not found:
                break
            said += self._spoken(before)
            self._is_thinking = not self._is_thinking
            self._is_after_thoughts = not self._is_thinking
            rest = after
        held = next((n for n in range(len(mark) - 1, 0, -1) if rest.endswith(mark[:n])), 0)
        self._held = rest[len(rest) - held :]
        return said + self._spoken(rest[: len(rest) - held])

    def end(self) -> str:
        """The reply is over: what was held back was no mark."""
        return self._spoken(self._held)

    def _spoken(self, text: str) -> str:
        if self._is_thinking:
            return ""
        if self._is_after_thoughts:  # the blank lines between thoughts and answer belong to neither
            text = text.lstrip()
            self._is_after_thoughts = not text
        return text
