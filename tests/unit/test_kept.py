from __future__ import annotations

import numpy as np
import pytest

from conversation.audio import Audio, join, silence, to_pcm16
from conversation.kept import KEPT_S, KeptSound, Recording
from conversation.scripted import tone

HZ = 8000


def test_the_last_sounds_are_kept_and_older_ones_are_not() -> None:
    kept = KeptSound()
    for number in range(5):
        kept.put(str(number), silence(KEPT_S / 3, HZ))
    assert [kept.of(str(number)) is not None for number in range(5)] == [False, False, True, True, True]


def test_a_sound_comes_back_as_it_was() -> None:
    kept, sound = KeptSound(), tone(0.5, HZ)
    kept.put("a", sound)
    again = kept.of("a")
    assert again is not None
    assert again.rate_hz == HZ
    assert to_pcm16(again) == to_pcm16(sound)


def test_what_was_not_heard_is_cut_off() -> None:
    kept = KeptSound()
    kept.put("a", tone(0.5, HZ))
    kept.cut("a", 100)
    cut = kept.of("a")
    assert cut is not None
    assert len(cut) == 100


def test_what_is_forgotten_is_gone() -> None:
    kept = KeptSound()
    kept.put("a", tone(0.5, HZ))
    kept.forget("a")
    assert kept.of("a") is None


@pytest.mark.parametrize(("seconds", "is_kept"), [(KEPT_S, True), (KEPT_S + 1, False)])
def test_a_recording_that_grows_too_long_is_given_up(seconds: float, is_kept: bool) -> None:
    recording, piece = Recording(), silence(1.0, HZ)
    for _ in range(round(seconds)):
        recording.add(piece)
    assert (recording.whole() is not None) == is_kept


def test_a_recording_is_all_that_came() -> None:
    recording, pieces = Recording(), [tone(0.1, HZ), tone(0.2, HZ, 0.1)]
    for piece in pieces:
        recording.add(piece)
    whole = recording.whole()
    assert isinstance(whole, Audio)
    assert np.allclose(whole.samples, join(pieces, HZ).samples, atol=1e-4)
    assert Recording().whole() is None
