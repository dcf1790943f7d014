"""Weighs a sound over the agent's voice while it lasts, by its words and its length, and says what it is.

How it is judged stands in barge_in.py, and what follows from a verdict in policy.py. This module knows when
there is something to be judged anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from conversation.barge_in import Judge, Overlap, Verdict
from conversation.endpointing import FloorMove
from conversation.errors import StageError
from conversation.floor import FloorEvent
from conversation.session import Session
from conversation.timer import Timer
from conversation.utterance import Utterance

_log = logging.getLogger(__name__)


class Weighing:
    """One sound at a time.

    Args:
        decided: told every verdict, and in which pause of the user's it was made: None while the sound goes
            on. One that stops the agent, and one in a pause, is the last of its sound.
    """

    def __init__(self, session: Session, decided: Callable[[Verdict, FloorMove | None], None]) -> None:
        self._session, self._decided = session, decided
        self._judge = Judge(session.tuning)
        self._overlap: Overlap | None = None
        self._pause: FloorMove | None = None
        self._reading: asyncio.Task[None] | None = None
        self._overdue = Timer(self._on_overdue)

    @property
    def under_way(self) -> bool:
        return self._overlap is not None

    def begin(self, lasts_s: float) -> None:
        """A sound has begun so long ago."""
        self._overlap = Overlap()
        self._overdue.begin(max(0.0, self._session.tuning.verdict_ms / 1000 - lasts_s))

    def hear(self, text: str) -> None:
        """So much has been understood of it."""
        if self._overlap is not None and self._pause is None:
            self._weigh(Overlap(text, self._overlap.text, is_long=self._overlap.is_long))

    def move(self, move: FloorMove, utterance: Utterance) -> None:
        """The sound pauses, or goes on."""
        self._stop_reading()
        self._pause = None
        if move.event is FloorEvent.PAUSE:
            self._pause = move
            utterance.finish(self._session.tasks.create_task)
            self._reading = self._session.tasks.create_task(
                self._read(utterance), name="last words of a sound"
            )

    def end(self) -> Verdict | None:
        """The sound is over for good, and there is no verdict on it: now there must be one."""
        assert self._overlap is not None
        return self._weigh(Overlap(self._overlap.text, self._overlap.before, is_over=True))

    def decide(self, verdict: Verdict) -> None:
        """Somebody knows."""
        pause = self._pause
        self.drop()
        self._decided(verdict, pause)

    def drop(self) -> None:
        """The sound does not matter any more."""
        self._stop_reading()
        self._overdue.end()
        self._overlap = self._pause = None

    async def _read(self, utterance: Utterance) -> None:
        try:
            text = (await utterance.transcript()).text
        except StageError as error:
            _log.warning("session %s: a sound over the answer: %s", self._session.id, error)
            text = utterance.so_far
        self._reading = None
        self._weigh(Overlap(text, is_over=True))

    def _on_overdue(self) -> None:
        """It is long; or its last words are late, and what is known decides."""
        if self._overlap is not None:
            over = self._pause is not None
            self._weigh(Overlap(self._overlap.text, self._overlap.before, is_over=over, is_long=not over))

    def _weigh(self, overlap: Overlap) -> Verdict | None:
        detection = self._session.settings.turn_detection
        assert detection is not None
        self._overlap = overlap
        verdict = self._judge.verdict(overlap, detection.barge_in)
        if verdict is Verdict.STOPS or (verdict is Verdict.PASSES and overlap.is_over):
            self.decide(verdict)
        elif verdict is Verdict.PASSES:
            self._decided(verdict, None)
        return verdict

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
