"""bench/word_times.py"""

from __future__ import annotations

import pytest

from bench.word_times import Placed, begins, compared, matched, pause_ends_s, shares
from conversation.audio import join, silence
from conversation.scripted import tone
from conversation.stages import Word

HZ = 1000


def test_words_are_found_where_they_were_written_as_they_were_spoken() -> None:
    written = [
        Word(" well", 0.0, 0.2),
        Word(" forty", 0.3, 0.5),
        Word(" two,", 0.5, 0.7),
        Word(" yes.", 0.8, 1),
    ]
    assert matched(["Well,", "42,", "—", "yes!"], written) == {0: (0.0, 0.2), 3: (0.8, 1)}


def test_a_pause_ends_where_sound_begins_again() -> None:
    sounds = [
        tone(0.3, HZ),
        silence(0.1, HZ),
        tone(0.2, HZ),
        silence(0.05, HZ),
        tone(0.2, HZ),
        silence(1, HZ),
    ]
    assert pause_ends_s(join(sounds, HZ)) == [0.4]


def test_behind_a_pause_the_nearest_word_begins_if_any_is_near() -> None:
    assert begins({0: (0.1, 0.3), 1: (0.5, 0.6), 2: (0.7, 0.9)}, [0.55, 1.5]) == {1: 0.55}
    assert begins({}, [0.55]) == {}


def test_shares_are_those_of_letters() -> None:
    assert shares("ab cde我", 9.0) == [(0.0, 2.0), (3.0, 6.0), (6.0, 9.0)]


def test_what_is_always_late_counts_as_late_and_not_as_wrong() -> None:
    def word(told_s: float, recognised_s: float, begins_s: float | None = None) -> Placed:
        return Placed(
            "", (told_s, told_s + 0.2), (told_s, told_s), (recognised_s, recognised_s + 0.2), begins_s
        )

    found = compared([[word(0.1, 0.0), word(0.5, 0.4, 0.45)], [word(0.2, 0.1)]], "told")
    assert (found["late_ms"], found["right"], found["words_off"]) == (100, 1.0, 0.0)
    assert found["middle_ms"]["max"] == pytest.approx(0)
    assert found["begin_ms"]["p50"] == pytest.approx(50)
