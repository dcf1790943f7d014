from __future__ import annotations

from conversation.workload import Need, Work, Workload


class Machine:
    """A workload; `gave_way` are the names of those that did, in order."""

    def __init__(self, places: int | None) -> None:
        self.workload = Workload(places)
        self.gave_way: list[str] = []

    def reads_ahead(self, name: str) -> Work:
        work = Work(self.workload)
        work.read_ahead(lambda: self._gives_way(name, work))
        return work

    def prepares(self, name: str) -> Work:
        work = Work(self.workload)
        work.prepare(lambda: self._gives_way(name, work))
        return work

    def _gives_way(self, name: str, work: Work) -> None:
        self.gave_way.append(name)
        work.end()

    def answers(self) -> Work:
        work = Work(self.workload)
        work.begin()
        return work


def test_there_is_room_while_fewer_are_computed_than_may_be() -> None:
    machine = Machine(2)
    first = machine.prepares("first")
    assert machine.workload.has_room(Need.PREPARED)
    machine.answers()
    assert not machine.workload.has_room(Need.PREPARED)
    first.end()
    assert machine.workload.has_room(Need.PREPARED)


def test_with_no_bound_there_is_always_room_and_nothing_gives_way() -> None:
    machine = Machine(None)
    machine.prepares("first")
    for _ in range(100):
        machine.answers()
    assert machine.workload.has_room(Need.PREPARED)
    assert machine.gave_way == []


def test_reading_ahead_gives_way_to_all_and_takes_nobodys_place() -> None:
    machine = Machine(1)
    machine.reads_ahead("first")
    assert not machine.workload.has_room(Need.READ_AHEAD)
    assert machine.workload.has_room(Need.PREPARED)
    prepared = machine.prepares("prepared")
    assert machine.gave_way == ["first"]
    prepared.end()
    machine.reads_ahead("second")
    machine.answers()
    assert machine.gave_way == ["first", "second"]


def test_what_is_needed_least_gives_way_before_what_is_younger() -> None:
    machine = Machine(2)
    machine.reads_ahead("reading")
    machine.prepares("prepared")
    machine.answers()
    assert machine.gave_way == ["reading"]
    assert not machine.workload.has_room(Need.PREPARED)
    assert machine.workload.has_room(Need.AWAITED)


def test_the_youngest_gives_way_first_and_only_as_many_as_must() -> None:
    machine = Machine(2)
    machine.prepares("older")
    machine.prepares("younger")
    machine.answers()
    assert machine.gave_way == ["younger"]
    machine.answers()
    assert machine.gave_way == ["younger", "older"]
    machine.answers()  # those that somebody waits for are never refused, and never give way
    assert not machine.workload.has_room(Need.PREPARED)


def test_what_is_released_displaces_nothing() -> None:
    """It was being computed before."""
    machine = Machine(2)
    released = machine.prepares("released")
    machine.prepares("other")
    released.begin()
    assert machine.gave_way == []
    assert not machine.workload.has_room(Need.PREPARED)


def test_what_rests_takes_no_place_until_it_is_released() -> None:
    machine = Machine(1)
    resting = machine.prepares("resting")
    resting.rest()
    assert machine.workload.has_room(Need.PREPARED)
    machine.prepares("other")
    resting.begin()
    assert machine.gave_way == ["other"]


def test_an_answer_that_somebody_waits_for_does_not_rest() -> None:
    machine = Machine(1)
    machine.answers().rest()
    assert not machine.workload.has_room(Need.PREPARED)


def test_what_was_computed_to_its_end_takes_no_place_when_it_is_released() -> None:
    machine = Machine(1)
    whole = machine.prepares("whole")
    whole.end()
    whole.begin()
    whole.end()
    assert machine.workload.has_room(Need.PREPARED)
    assert machine.gave_way == []


def test_it_is_at_ease_with_so_many_sessions() -> None:
    workload = Workload(sessions_at_ease=1)
    with workload.session():
        assert workload.has_room(Need.PREPARED)
        with workload.session():
            assert not workload.has_room(Need.PREPARED)
        assert workload.has_room(Need.PREPARED)
