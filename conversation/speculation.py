"""Whether a session may prepare an answer that it may not need, and what became of those that it prepared.

A session has a budget for what is made in vain, which fills up again with the audio that comes in; and the
machine must have room. This module does not know when there is a pause, nor how an answer is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conversation.audio import HEARING_HZ
from conversation.settings import SpeculationBudget
from conversation.workload import Need, Work, Workload

_MIN_SAMPLES = 60 * HEARING_HZ


@dataclass(frozen=True, slots=True)
class InVain:
    """Answers that were prepared and not needed, and what had been made of them."""

    answers: int = 0
    tokens: int = 0
    speech_s: float = 0.0

    def plus(self, work: Work) -> InVain:
        """With one answer more, of which so much had been made."""
        return InVain(self.answers + 1, self.tokens + work.tokens, round(self.speech_s + work.speech_s, 3))


NOTHING_IN_VAIN = InVain()


class Leaky:
    """An amount that is added to, and runs off evenly as audio comes in: a leaky bucket.

    Args:
        per_min: runs off in a minute of audio, and is as much as there should be at a time.
    """

    def __init__(self, per_min: float) -> None:
        self._per_min, self._amount, self._at_sample = per_min, 0.0, 0

    def add(self, amount: float, at_sample: int) -> None:
        """When so many samples of audio have come in all, 16 kHz."""
        self._run_off(at_sample)
        self._amount += amount

    def is_full(self, at_sample: int) -> bool:
        """Whether it holds as much as there should be, or more, when so many samples have come."""
        self._run_off(at_sample)
        return self._amount >= self._per_min

    def _run_off(self, at_sample: int) -> None:
        gone = (at_sample - self._at_sample) / _MIN_SAMPLES * self._per_min
        self._amount, self._at_sample = max(0.0, self._amount - gone), at_sample


class Speculation:
    """Of one session.

    Args:
        received: tells how many samples of audio have come, 16 kHz.
    """

    def __init__(self, budget: SpeculationBudget, workload: Workload, received: Callable[[], int]) -> None:
        self._budget, self._workload, self._received = budget, workload, received
        self._tokens, self._speech_s = Leaky(budget.tokens_per_min), Leaky(budget.speech_s_per_min)
        self._turn_id, self._in_turn = "", NOTHING_IN_VAIN
        self.prepared = 0
        self.heard = 0
        """Of them: released, and the client was given something of it."""
        self.gave_way = 0
        """Of those in vain: to answers that somebody waited for."""
        self.in_vain = NOTHING_IN_VAIN
        self.over_budget = 0
        self.under_load = 0
        """Not prepared for want of room."""

    def allows(self, turn_id: str) -> bool:
        """Whether an answer may be prepared in this turn now. A refusal is counted."""
        if not self._workload.has_room(Need.PREPARED):
            self.under_load += 1
            return False
        if self._is_spent(turn_id):
            self.over_budget += 1
            return False
        return True

    def begun(self, turn_id: str) -> None:
        """An answer is being prepared in this turn."""
        self.prepared += 1
        if turn_id != self._turn_id:
            self._turn_id, self._in_turn = turn_id, NOTHING_IN_VAIN

    def withdrawn(self, work: Work) -> None:
        """What was begun last is not needed."""
        now = self._received()
        self._in_turn, self.in_vain = self._in_turn.plus(work), self.in_vain.plus(work)
        self._tokens.add(work.tokens, now)
        self._speech_s.add(work.speech_s, now)

    def in_vain_in(self, turn_id: str) -> InVain:
        """What was made in vain in this turn so far."""
        return self._in_turn if turn_id == self._turn_id else NOTHING_IN_VAIN

    def _is_spent(self, turn_id: str) -> bool:
        now = self._received()
        tried = self.in_vain_in(turn_id).answers
        return tried >= self._budget.per_turn or self._tokens.is_full(now) or self._speech_s.is_full(now)

    def __str__(self) -> str:
        vain = self.in_vain
        return (
            f"{self.prepared} answers prepared, {self.heard} of them heard; {vain.answers} in vain "
            f"({vain.tokens} tokens, {vain.speech_s:.1f} s of speech), {self.gave_way} of these gave way; "
            f"not prepared: {self.over_budget} over budget, {self.under_load} under load"
        )
