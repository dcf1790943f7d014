"""deployments/tts/silence.py"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conversation.audio import Samples
from deployments.tts.silence import SilenceTrim

RATE_HZ = 1000  # a sample is a millisecond
TAIL_S = 0.12

stretches = st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=8)


def sound(stretches: list[tuple[bool, int]]) -> Samples:
    """Stretches of sound (True) and silence (False) of so many samples, no two samples alike."""
    loud = np.concatenate([np.full(length, is_loud) for is_loud, length in stretches] or [np.zeros(0, bool)])
    samples = np.where(loud, 0.5, 0.001) + np.arange(len(loud)) * 1e-7
    return np.asarray(samples, np.float32)


def trimmed(samples: Samples, cuts: list[int]) -> Samples:
    trim = SilenceTrim(RATE_HZ, TAIL_S)
    return np.concatenate([trim.feed(part) for part in np.split(samples, cuts)])


def test_silence_is_cut_to_10_ms_before_and_the_tail_after() -> None:
    speech = sound([(False, 50), (True, 300), (False, 200)])
    assert np.array_equal(trimmed(speech, []), speech[40 : 350 + 120])


def test_a_pause_within_stays_whole() -> None:
    speech = sound([(True, 100), (False, 250), (True, 100)])
    assert np.array_equal(trimmed(speech, [150, 300]), speech)


def test_nothing_but_silence_gives_nothing() -> None:
    assert len(trimmed(sound([(False, 300)]), [100, 200])) == 0


@given(stretches, st.lists(st.integers(0, 2400), max_size=5))
def test_the_result_does_not_depend_on_the_chunks(shape: list[tuple[bool, int]], cuts: list[int]) -> None:
    speech = sound(shape)
    assert np.array_equal(trimmed(speech, sorted(cuts)), trimmed(speech, []))
