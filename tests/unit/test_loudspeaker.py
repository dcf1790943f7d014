from __future__ import annotations

import numpy as np
import pytest

from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.loudspeaker import KEPT_S, Loudspeaker, place

HZ = 24_000


def hum(duration_s: float) -> Audio:
    time_s = np.arange(round(duration_s * HZ)) / HZ
    return Audio((0.5 * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32), HZ)


def hummed(start_s: float, end_s: float, begun_s: float) -> Samples:
    """The same at the rate of the ears."""
    time_s = np.arange(place(start_s), place(end_s)) / HEARING_HZ - begun_s
    return (0.5 * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32)


def test_pieces_that_follow_each_other_sound_without_a_seam_at_their_time() -> None:
    loudspeaker, whole = Loudspeaker(), hum(1.0)
    for number in range(25):
        piece = whole[number * HZ // 25 : (number + 1) * HZ // 25]
        loudspeaker.play(piece, 7.0 + number / 25)

    played = loudspeaker.played(place(7.1), place(7.9))
    np.testing.assert_allclose(played, hummed(7.1, 7.9, 7.0), atol=1e-3)


def test_where_nothing_was_played_is_silence() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.play(hum(0.2), 1.0)
    loudspeaker.play(hum(0.2), 2.0)

    assert not loudspeaker.played(place(1.3), place(1.9)).any()
    assert loudspeaker.played(place(2.05), place(2.1)).any()
    assert loudspeaker.begun == place(2.0)
    assert not loudspeaker.sounds(place(1.3), place(1.9))


def test_what_is_stopped_does_not_sound_and_may_go_on_later() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.play(hum(1.0), 1.0)
    rest = loudspeaker.stop(1.4)
    assert rest.duration_s == pytest.approx(0.6, abs=0.001)
    assert not loudspeaker.sounds(place(1.4), place(9.0))

    loudspeaker.play(rest, 3.0)
    played = loudspeaker.played(place(3.0), place(3.5))
    np.testing.assert_allclose(played, hummed(1.4, 1.9, 1.0), atol=1e-3)


def test_what_was_played_long_ago_is_forgotten() -> None:
    loudspeaker = Loudspeaker()
    for second in range(20):
        loudspeaker.play(hum(1.0), float(second))

    assert not loudspeaker.sounds(0, place(18.0 - KEPT_S - 0.1))
    assert loudspeaker.sounds(place(17.0), place(20.0))
