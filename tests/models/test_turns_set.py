"""The labelled set of the benchmark of turns, over people's recordings that have to be fetched."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.headset import HZ
from bench.speech import levels_db
from bench.turns.items import PAUSES_MS, Overlap, Sentence, overlaps, sentences


@pytest.fixture(scope="module")
def said() -> list[Sentence]:
    return sentences()


def test_pauses_are_labelled_by_how_they_came_about(said: list[Sentence]) -> None:
    assert Counter((item.origin, item.pause_is) for item in said) == {
        ("human", "natural"): 7,
        ("human", "inserted"): 13,
        ("human", None): 2,
        ("synthetic", "synthesised"): 10,
    }


def test_every_pause_is_silent_and_of_the_length_that_is_looked_for(said: list[Sentence]) -> None:
    for item in said:
        if item.pause_s is None or item.pause_ms is None:
            continue
        assert PAUSES_MS[0] <= item.pause_ms <= PAUSES_MS[-1] + 10, item.name
        begin, end = (round(mark * 100) for mark in item.pause_s)
        levels = levels_db(item.audio)
        assert levels[begin + 1 : end - 1].max() < levels.max() - 15, item.name
        assert item.onset_s < item.pause_s[0] < item.pause_s[1] < item.end_s


def test_an_item_has_a_name_of_its_own_and_lasts_as_long_as_it_says(said: list[Sentence]) -> None:
    items: list[Sentence | Overlap] = [*said, *overlaps()]
    assert len({(type(item), item.name) for item in items}) == len(items)
    for item in items:
        assert item.audio.rate_hz == HZ
        assert 0 <= item.onset_s < item.end_s <= item.audio.duration_s, item.name


def test_sounds_over_the_agent_are_of_people_and_machines_and_begin_at_several_times() -> None:
    over = overlaps()
    assert Counter((item.kind, item.origin) for item in over) == {
        ("interruption", "human"): 10,
        ("interruption", "synthetic"): 24,
        ("backchannel", "synthetic"): 25,
        ("cough", "synthetic"): 6,
        ("laugh", "synthetic"): 3,
        ("noise", "synthetic"): 8,
    }
    assert {item.into_s for item in over if item.kind == "backchannel"} == {1.0, 1.5, 2.2, 3.0}
    assert [item.should_stop for item in over[:2]] != [True, True]
