from __future__ import annotations

import numpy as np
import pytest

from deployments.asr.memories import Carried, LostTicketError, Memories, Ticket

LARGE = 100_000


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def large(value: int) -> np.ndarray:
    return np.full(LARGE, value)


def test_a_small_memory_travels() -> None:
    memories = Memories("a", now_s=Clock())
    token = memories.keep({"words": ["one"]}, None)
    assert isinstance(token, Carried)
    assert len(memories) == 0
    assert Memories("b", now_s=Clock()).find(token) == {"words": ["one"]}


def test_a_large_memory_stays_and_only_its_holder_knows_it() -> None:
    memories = Memories("a", now_s=Clock())
    token = memories.keep(large(1), None)
    assert token == Ticket("a", 0)
    assert memories.find(token)[0] == 1
    with pytest.raises(LostTicketError):
        Memories("b", now_s=Clock()).find(token)


def test_a_memory_that_cannot_be_pickled_stays() -> None:
    memories = Memories("a", now_s=Clock())
    token = memories.keep(lambda: 5, None)
    assert isinstance(token, Ticket)
    assert memories.find(token)() == 5


def test_a_memory_can_be_stepped_from_twice() -> None:
    memories = Memories("a", now_s=Clock())
    open_segment = memories.keep(large(1), None)
    over = memories.keep(large(2), open_segment)
    on = memories.keep(large(3), open_segment)
    assert [memories.find(token)[0] for token in (open_segment, over, on)] == [1, 2, 3]


def test_nobody_goes_back_two_steps() -> None:
    memories = Memories("a", now_s=Clock())
    first = memories.keep(large(1), None)
    second = memories.keep(large(2), first)
    third = memories.keep(large(3), second)
    assert memories.find(second)[0] == 2
    assert memories.find(third)[0] == 3
    with pytest.raises(LostTicketError):
        memories.find(first)
    assert len(memories) == 2


def test_the_least_recently_used_is_given_up_first() -> None:
    memories = Memories("a", limit=2, now_s=Clock())
    first, second = memories.keep(large(1), None), memories.keep(large(2), None)
    memories.find(first)
    third = memories.keep(large(3), None)
    assert memories.find(first)[0] == 1
    assert memories.find(third)[0] == 3
    with pytest.raises(LostTicketError):
        memories.find(second)


def test_a_memory_that_nobody_asks_for_expires() -> None:
    clock = Clock()
    memories = Memories("a", kept_s=120, now_s=clock)
    token = memories.keep(large(1), None)
    clock.now_s = 119
    assert memories.find(token)[0] == 1
    clock.now_s = 119 + 121
    with pytest.raises(LostTicketError):
        memories.find(token)
    assert len(memories) == 0
