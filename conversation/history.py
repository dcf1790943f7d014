"""The history: the items of a conversation in their order, the sound of the last, and what was heard of it.

This module does not know how items come about, nor how they look on the wire or to the language model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat

from conversation.audio import Audio
from conversation.errors import ClientError
from conversation.heard import SpokenClause, filler_chars, heard_text
from conversation.items import AudioPart, Item, ItemStatus, MessageItem
from conversation.kept import KeptSound


class History:
    """Items by id, in order."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._items: dict[str, Item] = {}
        self._spoken: dict[str, list[SpokenClause]] = {}
        self._user_sound, self._agent_sound = KeptSound(), KeptSound()

    def before(self, item_id: str) -> str | None:
        """The id of the item before this one; None for the first, and for one that was deleted meanwhile."""
        ids = list(self._items)
        position = ids.index(item_id) if item_id in self._items else 0
        return ids[position - 1] if position else None

    def item(self, item_id: str, *, doing: str = "retriev") -> Item:
        """Raises ClientError when there is no such item; `doing` is the verb's stem, for the message."""
        try:
            return self._items[item_id]
        except KeyError:
            code = {"retriev": "retrieve", "delet": "delete", "truncat": "truncate"}[doing]
            raise ClientError(
                f"item_{code}_invalid_item_id",
                f"Error {doing}ing item: the item with id '{item_id}' does not exist.",
                "item_id",
            ) from None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Puts `item` after the item with that id, at the end for None, at the beginning for "root".

        Returns the id of the item before it. Raises ClientError for an id that is taken or not there.
        """
        if item.id in self._items:
            raise ClientError(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{item.id}' already exists.",
                "item.id",
            )
        if after is not None and after != "root" and after not in self._items:
            raise ClientError(
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{after}' does not exist.",
                "previous_item_id",
            )
        if after is None:
            self._items[item.id] = item
        else:
            items = list(self._items.values())
            place = 0 if after == "root" else 1 + list(self._items).index(after)
            self._items = {i.id: i for i in [*items[:place], item, *items[place:]]}
        return self.before(item.id)

    def delete(self, item_id: str) -> None:
        """Raises ClientError when there is no such item."""
        self.item(item_id, doing="delet")
        del self._items[item_id]
        self._spoken.pop(item_id, None)
        self._user_sound.forget(item_id)
        self._agent_sound.forget(item_id)

    def keep_sound(self, item_id: str, audio: Audio) -> None:
        """What the user said in this item; see KeptSound."""
        if item_id in self._items:
            self._user_sound.put(item_id, audio)

    def sound(self, item_id: str) -> Audio | None:
        """Of an item: what was said in it, as far as it is kept and was heard."""
        return self._user_sound.of(item_id) or self._agent_sound.of(item_id)

    def unwritten_part(self, item_id: str) -> int:
        """Which part of this item of the user's is speech whose words are not known yet."""
        item = self._items[item_id]
        assert isinstance(item, MessageItem)
        return item.parts.index(AudioPart(None))

    def transcribed(self, item_id: str, transcript: str) -> None:
        """What the user said in this item is known now."""
        item = self._items.get(item_id)
        if isinstance(item, MessageItem):
            words = chain([transcript], repeat(""))  # of several parts, whose sound was heard as one
            known = tuple(AudioPart(next(words)) if part == AudioPart(None) else part for part in item.parts)
            self._items[item_id] = replace(item, parts=known)

    def finish(
        self, begun: Item, item: Item, clauses: list[SpokenClause], sound: Audio | None = None
    ) -> bool:
        """The agent's item is over: what was `begun` is `item` now. Whether it is: not if it was deleted
        meanwhile.

        Args:
            clauses: of a spoken one, what was sent.
            sound: the same.
        """
        if self._items.get(begun.id) is not begun:
            return False
        self._items[item.id] = item
        if clauses:
            self._spoken[item.id] = clauses
        if sound is not None:
            self._agent_sound.put(item.id, sound)
        return True

    def is_speech(self, item_id: str) -> bool:
        """Whether there is such an item, spoken by the agent to its end."""
        return item_id in self._spoken

    def cut(self, item_id: str, played_samples: int) -> int:
        """Keeps of a spoken item what was heard when so many samples of it had been played.

        May be said again, of the same item, when somebody knows better. Returns the samples counted as
        played: never more than were sent. Raises ClientError for an item that is not the agent's speech.
        """
        item = self.item(item_id, doing="truncat")
        if item_id not in self._spoken or not isinstance(item, MessageItem):
            raise not_speech()
        clauses = self._spoken[item_id]
        sent = sum(clause.samples for clause in clauses)
        heard = heard_text(clauses, played_samples, self._rate_hz)
        whole = played_samples >= sent and item.status == "completed"
        status: ItemStatus = "completed" if whole else "incomplete"
        part = AudioPart(heard, min(filler_chars(clauses), len(heard)))
        self._items[item_id] = replace(item, parts=(part,), status=status)
        self._agent_sound.cut(item_id, played_samples)
        return min(played_samples, sent)

    def items(self, *, without: str | None = None) -> Iterator[Item]:
        """All, in order, but for the one with the id `without`."""
        return (item for item in self._items.values() if item.id != without)


def not_speech() -> ClientError:
    """An item was to be truncated that the agent did not speak."""
    return ClientError(None, "Only model output audio messages can be truncated", "item_id")
