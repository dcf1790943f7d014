from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.audio import HEARING_HZ, Audio, join, to_pcm16
from realtime.incoming import PIECE_BYTES, IncomingAudio

DURATION_S = 1.3


def hum(rate_hz: int) -> Audio:
    times_s = np.arange(round(DURATION_S * rate_hz)) / rate_hz
    return Audio((0.2 * np.sin(2 * np.pi * 200 * times_s)).astype(np.float32), rate_hz)


PCM = to_pcm16(hum(24_000))


def heard(*appends: bytes) -> np.ndarray:
    incoming = IncomingAudio()
    pieces = [piece for pcm in appends for piece in incoming.pieces(pcm)]
    return join([*pieces, incoming.end()], HEARING_HZ).samples


@given(st.lists(st.integers(0, len(PCM)), max_size=6).map(sorted))
def test_however_audio_is_cut_into_appends_it_is_the_same_audio(cuts: list[int]) -> None:
    edges = [0, *cuts, len(PCM)]
    appends = [PCM[start:end] for start, end in itertools.pairwise(edges)]
    assert np.array_equal(heard(*appends), heard(PCM))


def test_resampling_keeps_the_duration_and_the_sound() -> None:
    samples = heard(PCM)
    assert len(samples) == round(DURATION_S * HEARING_HZ)
    middle = slice(1000, -1000)
    assert samples[middle] == pytest.approx(hum(HEARING_HZ).samples[middle], abs=0.001)


def test_after_its_end_the_audio_starts_anew() -> None:
    incoming = IncomingAudio()
    list(incoming.pieces(PCM[:2001]))
    incoming.end()
    again = [*incoming.pieces(PCM), incoming.end()]
    assert np.array_equal(join(again, HEARING_HZ).samples, heard(PCM))


def test_a_long_append_comes_in_pieces_of_a_second() -> None:
    assert len(list(IncomingAudio().pieces(bytes(3 * PIECE_BYTES)))) == 3
