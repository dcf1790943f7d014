"""The items a conversation is made of, as values."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from conversation.stages import ToolCall

ItemStatus = Literal["in_progress", "completed", "incomplete"]


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class AudioPart:
    transcript: str | None
    """None until it is known."""
    filler_chars: int = 0
    """So many of its characters, the first, are a filler (filler.py): said, and no part of the answer."""


Part = TextPart | AudioPart


@dataclass(frozen=True, slots=True)
class MessageItem:
    """Something said.

    An assistant's spoken item holds what was sent of it; after an interruption, what was heard of it, and is
    incomplete.
    """

    id: str
    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...] = ()
    status: ItemStatus = "completed"

    @property
    def text(self) -> str:
        """All its words."""
        return _joined(part.text if isinstance(part, TextPart) else part.transcript for part in self.parts)

    @property
    def meant(self) -> str:
        """Its words but for a filler, as the language model should read them."""
        return _joined(
            part.text if isinstance(part, TextPart) else (part.transcript or "")[part.filler_chars :]
            for part in self.parts
        )


def _joined(texts: Iterable[str | None]) -> str:
    return "\n".join(text for text in texts if text)


@dataclass(frozen=True, slots=True)
class CallItem:
    """The agent wants a function called. Incomplete: its arguments broke off, and it counts for nothing."""

    id: str
    call: ToolCall
    status: ItemStatus = "completed"


@dataclass(frozen=True, slots=True)
class CallOutputItem:
    """What came of a call."""

    id: str
    call_id: str
    output: str
    status: ItemStatus = "completed"


Item = MessageItem | CallItem | CallOutputItem


@dataclass(frozen=True, slots=True)
class ItemReference:
    """An item of the conversation, by its id."""

    id: str


def new_id(kind: str) -> str:
    """An id that no client can guess, e.g. ``item_5f0c…``."""
    return f"{kind}_{secrets.token_hex(12)}"
