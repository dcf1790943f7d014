import pytest

from conversation.arrivals import Arrivals
from conversation.audio import HEARING_HZ

CHUNK = HEARING_HZ // 50


def arrivals(late_s: list[float]) -> Arrivals:
    """Chunks of 20 ms, the first spoken from 100.0 s on, each so late."""
    told = Arrivals()
    for number, late in enumerate(late_s, 1):
        told.note(number * CHUNK, 100.0 + number * 0.02 + late)
    return told


def test_a_sample_was_spoken_before_its_chunk_was_full() -> None:
    assert arrivals([0.0] * 10).when_s(CHUNK // 2) == pytest.approx(100.01)


def test_the_earliest_arrival_counts() -> None:
    assert arrivals([0.3, 0.28, 0.002, 0.2, 0.18]).when_s(0) == pytest.approx(100.002)


def test_what_has_not_come_yet_has_its_time_too() -> None:
    assert arrivals([0.0] * 10).when_s(HEARING_HZ) == pytest.approx(101.0)


def test_a_client_that_sent_nothing_for_a_while_is_believed_again_some_seconds_later() -> None:
    assert arrivals([0.0] * 50 + [3.0] * 300).when_s(0) == pytest.approx(103.0)


def test_jitter_does_not_make_it_forget() -> None:
    assert arrivals([0.0 if number % 80 == 0 else 0.05 for number in range(1000)]).when_s(0) == pytest.approx(
        100.0
    )
