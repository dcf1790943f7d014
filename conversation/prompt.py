"""Items as the language model should see them.

It is shown what was heard, not what was written, and of function calls those whose outputs are there: it
would refuse a call without an output, and an output without its call. This module does not know where the
items stand or how they came about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from conversation.items import CallItem, CallOutputItem, Item, MessageItem
from conversation.stages import Message

BROKEN_OFF = "—"
"""Ends what the agent said where it was interrupted: the usual sign for speech that breaks off."""


def messages(items: Iterable[Item]) -> list[Message]:
    """What was said, called and answered, in order; an output stands right after its call."""
    items = list(items)
    outputs = {item.call_id: item for item in items if isinstance(item, CallOutputItem)}
    shown: list[Message] = []
    for kind, group in groupby(items, key=type):
        if kind is MessageItem:
            shown += [said for item in group if isinstance(item, MessageItem) and (said := _said(item)).text]
        elif kind is CallItem:
            called = [item for item in group if isinstance(item, CallItem) and _is_over(item, outputs)]
            _add_calls(shown, called, outputs)
    return shown


def _said(item: MessageItem) -> Message:
    text = item.meant.strip()
    if text and item.role == "assistant" and item.status == "incomplete":
        text += f" {BROKEN_OFF}"
    return Message(item.role, text)


def _is_over(item: CallItem, outputs: dict[str, CallOutputItem]) -> bool:
    return item.status == "completed" and item.call.call_id in outputs


def _add_calls(shown: list[Message], called: list[CallItem], outputs: dict[str, CallOutputItem]) -> None:
    """Calls that stand side by side are one message, and so is what the agent said just before them."""
    if not called:
        return
    if not (shown and shown[-1].role == "assistant" and not shown[-1].tool_calls):
        shown.append(Message("assistant", ""))
    shown[-1] = replace(shown[-1], tool_calls=tuple(item.call for item in called))
    for item in called:
        shown.append(Message("tool", outputs[item.call.call_id].output, call_id=item.call.call_id))
