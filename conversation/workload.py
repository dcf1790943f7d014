"""Which answers are being computed for the sessions of one process, and which of them somebody waits for.

Such an answer always finds a place. One that is only prepared takes a free place, and gives it up when there
is none left for those who wait. This module does not know what an answer is, and never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Workload:
    """Of all the sessions of one process.

    Args:
        answers_at_once: places; None: there is always one more.
        sessions_at_ease: with more sessions than these the machine does nothing that nobody may need; None:
            there is no such number.
    """

    def __init__(self, answers_at_once: int | None = None, sessions_at_ease: int | None = None) -> None:
        self._answers_at_once, self._sessions_at_ease = answers_at_once, sessions_at_ease
        self._sessions = 0
        self._awaited: set[Work] = set()
        self._prepared: dict[Work, Callable[[], None]] = {}
        """The oldest first, each with how it gives way."""

    @contextmanager
    def session(self) -> Iterator[None]:
        """One session more, while it lasts."""
        self._sessions += 1
        try:
            yield
        finally:
            self._sessions -= 1

    @property
    def has_room(self) -> bool:
        """For what nobody waits for yet."""
        at_ease = self._sessions_at_ease is None or self._sessions <= self._sessions_at_ease
        return at_ease and (self._answers_at_once is None or self._computed < self._answers_at_once)

    @property
    def _computed(self) -> int:
        return len(self._awaited) + len(self._prepared)

    def _await(self, work: Work) -> None:
        self._prepared.pop(work, None)
        self._awaited.add(work)
        while self._answers_at_once is not None and self._computed > self._answers_at_once and self._prepared:
            _, give_way = self._prepared.popitem()  # the youngest: least is lost
            give_way()

    def _prepare(self, work: Work, give_way: Callable[[], None]) -> None:
        self._prepared[work] = give_way

    def _leave(self, work: Work) -> None:
        self._awaited.discard(work)
        self._prepared.pop(work, None)


class Work:
    """The computing of one answer: what has been made of it, and whether it occupies the machine.

    Attributes:
        tokens: written by the language model, as far as anybody knows: its deltas, or what it says itself.
        speech_s: synthesised.
    """

    def __init__(self, workload: Workload) -> None:
        self.tokens = 0
        self.speech_s = 0.0
        self._workload = workload
        self._is_awaited = self._is_over = False

    def prepare(self, give_way: Callable[[], None]) -> None:
        """Begins, though nobody may ever need it.

        `give_way` is called, at most once, within the call by which somebody begins to wait for another
        answer; then this work must end.
        """
        self._workload._prepare(self, give_way)

    def begin(self) -> None:
        """Somebody waits for it, from its beginning or from now on."""
        self._is_awaited = True
        if not self._is_over:
            self._workload._await(self)

    def rest(self) -> None:
        """As much is made as may be before somebody waits for it."""
        if not self._is_awaited:
            self._workload._leave(self)

    def end(self) -> None:
        """Nothing more is made. Again, it does nothing."""
        self._is_over = True
        self._workload._leave(self)
