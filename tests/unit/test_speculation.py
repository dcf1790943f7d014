"""The budget of a session, and its counts. What follows from them: tests/scenarios/test_speculation.py."""

from __future__ import annotations

from conversation.audio import HEARING_HZ
from conversation.settings import SpeculationBudget
from conversation.speculation import InVain, Leaky, Speculation
from conversation.workload import Work, Workload

MIN = 60 * HEARING_HZ


class Session:
    """A speculation, and the audio that it believes has come."""

    def __init__(self, budget: SpeculationBudget, workload: Workload | None = None) -> None:
        self.workload = workload or Workload()
        self.samples = 0
        self.speculation = Speculation(budget, self.workload, lambda: self.samples)

    def prepares_in_vain(self, turn_id: str, tokens: int, speech_s: float = 0.0) -> bool:
        """Whether it may."""
        if not self.speculation.allows(turn_id):
            return False
        self.speculation.begun(turn_id)
        work = Work(self.workload)
        work.tokens, work.speech_s = tokens, speech_s
        self.speculation.withdrawn(work)
        return True


def test_an_amount_runs_off_evenly_and_no_further_than_to_nothing() -> None:
    leaky = Leaky(10)
    leaky.add(15, 0)
    assert leaky.is_full(MIN // 2)  # 10 are left
    assert not leaky.is_full(MIN // 2 + HEARING_HZ)
    leaky.add(10, 5 * MIN)
    assert leaky.is_full(5 * MIN)
    assert not leaky.is_full(5 * MIN + 1)


def test_nothing_is_left_of_a_budget_of_nothing() -> None:
    assert Leaky(0).is_full(0)
    assert not Session(SpeculationBudget(tokens_per_min=0)).speculation.allows("item_1")


def test_so_many_may_be_in_vain_in_a_turn() -> None:
    session = Session(SpeculationBudget(per_turn=2))
    assert [session.prepares_in_vain("item_1", 0) for _ in range(3)] == [True, True, False]
    assert session.prepares_in_vain("item_2", 0)


def test_one_bound_is_enough_to_refuse() -> None:
    for budget in (SpeculationBudget(tokens_per_min=10), SpeculationBudget(speech_s_per_min=1.0)):
        session = Session(budget)
        assert session.prepares_in_vain("item_1", 10, 1.0)
        assert not session.prepares_in_vain("item_2", 10, 1.0)
        session.samples += MIN
        assert session.prepares_in_vain("item_3", 10, 1.0)


def test_want_of_room_and_want_of_budget_are_counted_apart() -> None:
    session = Session(SpeculationBudget(per_turn=1), Workload(places=1))
    session.prepares_in_vain("item_1", 3, 0.5)
    session.prepares_in_vain("item_1", 3, 0.5)
    Work(session.workload).begin()
    session.prepares_in_vain("item_2", 3, 0.5)

    speculation = session.speculation
    assert (speculation.prepared, speculation.over_budget, speculation.under_load) == (1, 1, 1)
    assert speculation.in_vain == speculation.in_vain_in("item_1") == InVain(1, 3, 0.5)
    assert speculation.in_vain_in("item_2") == InVain()
