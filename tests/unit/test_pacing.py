from __future__ import annotations

import pytest

from conversation.pacing import PIECE_S, Lead, at_once


def lead(*late_s: float) -> Lead:
    lead = Lead(0.12, 0.4)
    for each_s in late_s:
        lead.sent(each_s)
    return lead


def test_who_is_punctual_sends_little_ahead() -> None:
    assert lead().now_s == lead(*[0.0] * 1000).now_s == 0.12


@pytest.mark.parametrize("late_s", [0.001, 0.01, 0.026])
def test_what_is_late_by_less_than_a_third_of_the_rest_changes_nothing(late_s: float) -> None:
    assert lead(*[late_s] * 100).now_s == 0.12


@pytest.mark.parametrize("late_s", [0.03, 0.06, 0.1])
def test_what_is_later_widens_it_at_once_until_it_is_a_third(late_s: float) -> None:
    """Of what the client has when a piece is due, which is one piece less."""
    assert lead(0.0, late_s).now_s - PIECE_S == pytest.approx(3 * late_s)


@pytest.mark.parametrize("late_s", [0.13, 1.0, 60.0])
def test_it_has_a_bound(late_s: float) -> None:
    assert lead(late_s).now_s == 0.4


def test_it_narrows_by_half_in_some_seconds() -> None:
    widened = lead(1.0)
    seconds = 0.0
    while widened.now_s - 0.12 > 0.14:
        widened.sent(0.0)
        seconds += PIECE_S
    assert 5 < seconds < 6


def test_it_does_not_narrow_below_what_it_needs() -> None:
    assert lead(1.0, *[0.05] * 1000).now_s == pytest.approx(PIECE_S + 0.15)


def test_without_pacing_it_is_as_wide_for_everybody() -> None:
    unpaced = at_once()
    before_s = unpaced.now_s
    unpaced.sent(60.0)
    assert unpaced.now_s == before_s
