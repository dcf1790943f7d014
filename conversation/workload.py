"""The work that language model and voice do for the sessions of one process, and how much each is needed.

There are so many places. What somebody waits for always gets one. What may turn out to be needless takes a
free one, or one from what is needed less, and gives it up to what is needed more. This module does not know
what the work is, and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum


class Need(IntEnum):
    """How much a piece of work is needed."""

    READ_AHEAD = 0
    """It would make an answer start a little sooner."""
    PREPARED = 1
    """It is an answer, if the user has finished."""
    AWAITED = 2
    """Somebody waits for it."""


class Workload:
    """Of all the sessions of one process.

    Args:
        places: how much may be under way at once; None: there is always one more.
        sessions_at_ease: with more sessions than these, nothing is done that nobody waits for; None: there is
            no such number.
    """

    def __init__(self, places: int | None = None, sessions_at_ease: int | None = None) -> None:
        self._places, self._sessions_at_ease = places, sessions_at_ease
        self._sessions = 0
        self._under_way: dict[Work, tuple[Need, Callable[[], None]]] = {}
        """The oldest first; how much each is needed, and how it gives way."""

    @contextmanager
    def session(self) -> Iterator[None]:
        """One session more, while it lasts."""
        self._sessions += 1
        try:
            yield
        finally:
            self._sessions -= 1

    def has_room(self, need: Need) -> bool:
        """Whether there is a place, or one that what is needed less would give up."""
        if need is Need.AWAITED:
            return True
        if self._sessions_at_ease is not None and self._sessions > self._sessions_at_ease:
            return False
        return (
            self._places is None or sum(other >= need for other, _ in self._under_way.values()) < self._places
        )

    def _enter(self, work: Work, need: Need, give_way: Callable[[], None]) -> None:
        self._under_way.pop(work, None)
        self._under_way[work] = need, give_way
        while self._places is not None and len(self._under_way) > self._places:
            # Of what is needed least the youngest: the least is lost.
            least = min(reversed(self._under_way), key=lambda other: self._under_way[other][0])
            if self._under_way[least][0] >= need:
                break
            _, give_way = self._under_way.pop(least)
            give_way()

    def _leave(self, work: Work) -> None:
        self._under_way.pop(work, None)


class Work:
    """One piece of it: whether it takes a place, and, of an answer, what has been made of it.

    Attributes:
        tokens: written by the language model, as far as anybody knows: its deltas, or what it says itself.
        speech_s: synthesised.
    """

    def __init__(self, workload: Workload) -> None:
        self.tokens = 0
        self.speech_s = 0.0
        self._workload = workload
        self._is_awaited = self._is_over = False

    def read_ahead(self, give_way: Callable[[], None]) -> None:
        """Begins as what is needed least. See `prepare`."""
        self._workload._enter(self, Need.READ_AHEAD, give_way)

    def prepare(self, give_way: Callable[[], None]) -> None:
        """Begins, though nobody may ever wait for it.

        `give_way` is called, at most once, within the call by which something begins that is needed more; the
        work must end then.
        """
        self._workload._enter(self, Need.PREPARED, give_way)

    def begin(self) -> None:
        """Somebody waits for it, from its beginning or from now on."""
        self._is_awaited = True
        if not self._is_over:
            self._workload._enter(self, Need.AWAITED, _never)

    def rest(self) -> None:
        """As much is made as may be before somebody waits for it."""
        if not self._is_awaited:
            self._workload._leave(self)

    def end(self) -> None:
        """Nothing more is made. Again, it does nothing."""
        self._is_over = True
        self._workload._leave(self)


def _never() -> None:
    raise AssertionError("what somebody waits for gives way to nothing")
