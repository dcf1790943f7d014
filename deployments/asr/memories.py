"""A recogniser's memory between two steps: it travels with the calls while it is small, else it stays with
the replica, and a ticket for it travels.

A memory is a value: it may be stepped from twice (a segment that seemed over goes on). So a step leaves the
memory that it came from in place and puts the new one beside it; the one before both is given up, since
nobody goes back two steps. Whatever is given up too early costs a replay, never an answer.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TRAVELS_BYTES = 64 * 1024
"""A memory up to this size, pickled, costs a call nothing measurable; calls are limited to 4 MiB."""
KEPT_MEMORIES = 128
"""In one replica. A streaming Paraformer's are 8 MB each: about 1 GB."""
KEPT_S = 120.0
"""A segment that got no audio for so long is over."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The memory itself."""

    pickled: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """A memory that stays where it is."""

    replica: str
    number: int


@dataclass(frozen=True, slots=True)
class TicketLost:
    """An answer: the memory is not here, because it expired or belongs to another replica."""


Token = Carried | Ticket


class LostTicketError(LookupError):
    """The memory is not here."""


@dataclass(slots=True)
class _Kept:
    memory: Any
    before: int | None
    used_s: float


class Memories:
    """Those of one replica."""

    def __init__(
        self,
        replica: str,
        *,
        limit: int = KEPT_MEMORIES,
        kept_s: float = KEPT_S,
        now_s: Callable[[], float] | None = None,
    ) -> None:
        """`now_s` is the clock; by default the running event loop's."""
        self._replica, self._limit, self._kept_s = replica, limit, kept_s
        self._now_s = now_s or (lambda: asyncio.get_running_loop().time())
        self._numbers = itertools.count()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        """Least recently used first."""

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, token: Token | None) -> Any:
        """The memory; None for None. Raises LostTicketError."""
        if token is None:
            return None
        if isinstance(token, Carried):
            return pickle.loads(token.pickled)
        self._expire()
        if token.replica != self._replica or token.number not in self._kept:
            raise LostTicketError
        kept = self._kept[token.number]
        kept.used_s = self._now_s()
        self._kept.move_to_end(token.number)
        return kept.memory

    def keep(self, memory: Any, before: Token | None) -> Token:
        """Something that `find` takes; `before` is what this memory came from."""
        pickled = _pickled_if_small(memory)
        if pickled is not None:
            return Carried(pickled)
        number = next(self._numbers)
        parent = before.number if isinstance(before, Ticket) else None
        if parent is not None and parent in self._kept:
            grandparent = self._kept[parent].before
            self._kept[parent].before = None
            if grandparent is not None:
                self._kept.pop(grandparent, None)
        self._kept[number] = _Kept(memory, parent, self._now_s())
        self._expire()
        return Ticket(self._replica, number)

    def _expire(self) -> None:
        oldest_s = self._now_s() - self._kept_s
        while self._kept:
            number, kept = next(iter(self._kept.items()))
            if len(self._kept) <= self._limit and kept.used_s >= oldest_s:
                return
            del self._kept[number]


class _TooLargeError(Exception):
    pass


class _Small(io.RawIOBase):
    """Takes so much and no more, so that a large memory is not copied only to be measured."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, data: Any) -> int:
        if len(self.taken) + memoryview(data).nbytes > TRAVELS_BYTES:
            raise _TooLargeError
        self.taken += data
        return memoryview(data).nbytes


def _pickled_if_small(memory: Any) -> bytes | None:
    small = _Small()
    try:
        pickle.Pickler(small, protocol=5).dump(memory)
    except (_TooLargeError, pickle.PicklingError, TypeError, AttributeError):
        return None  # too large, or it cannot travel at all: a handle into a library, a lambda
    return bytes(small.taken)
