from __future__ import annotations

import asyncio

import pytest

from deployments.llm.slots import Slot, Slots


async def _waiting(slots: Slots, session: str) -> asyncio.Task[Slot]:
    task = asyncio.create_task(slots.take(session))
    await asyncio.sleep(0)  # the task's first step: it now stands in line, or has its slot
    return task


async def test_a_session_comes_back_to_its_own_slot() -> None:
    slots = Slots(3, at_once=2)
    first = await slots.take("ann")
    slots.give_back(first)
    slots.give_back(await slots.take("bob"))
    assert await slots.take("ann") == Slot(first.number, is_own=True)


async def test_a_new_session_takes_the_slot_that_was_unused_for_longest() -> None:
    slots = Slots(2, at_once=2)
    ann = await slots.take("ann")
    slots.give_back(ann)
    bob = await slots.take("bob")
    slots.give_back(bob)
    slots.give_back(await slots.take("ann"))
    assert await slots.take("eve") == Slot(bob.number, is_own=False)


async def test_a_session_whose_slot_was_taken_over_owns_none() -> None:
    slots = Slots(1, at_once=1)
    for session in ("ann", "bob"):
        slots.give_back(await slots.take(session))
    assert not (await slots.take("ann")).is_own


async def test_the_empty_session_never_owns_what_another_left() -> None:
    slots = Slots(1, at_once=1)
    slots.give_back(await slots.take(""))
    assert not (await slots.take("")).is_own


async def test_no_more_run_at_once_than_may_and_the_rest_come_in_order() -> None:
    slots = Slots(4, at_once=2)
    ann, bob = await slots.take("ann"), await slots.take("bob")
    eve, tom = await _waiting(slots, "eve"), await _waiting(slots, "tom")
    assert not eve.done()
    slots.give_back(ann)
    await eve
    assert not tom.done()
    slots.give_back(bob)
    await tom


async def test_a_session_whose_own_slot_is_busy_waits_for_it_and_is_overtaken() -> None:
    slots = Slots(3, at_once=2)
    ann = await slots.take("ann")
    again = await _waiting(slots, "ann")
    bob = await slots.take("bob")
    assert not again.done()
    slots.give_back(ann)
    assert await again == Slot(ann.number, is_own=True)
    assert bob.number != ann.number


async def test_a_cancelled_wait_leaves_the_line() -> None:
    slots = Slots(1, at_once=1)
    ann = await slots.take("ann")
    bob, eve = await _waiting(slots, "bob"), await _waiting(slots, "eve")
    bob.cancel()
    await asyncio.wait({bob})
    slots.give_back(ann)
    assert (await eve).number == ann.number


async def test_a_slot_that_arrives_together_with_the_cancellation_goes_to_the_next() -> None:
    slots = Slots(1, at_once=1)
    ann = await slots.take("ann")
    bob, eve = await _waiting(slots, "bob"), await _waiting(slots, "eve")
    slots.give_back(ann)
    bob.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bob
    assert (await eve).number == ann.number
