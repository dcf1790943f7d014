import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.audio import Audio, Resampler, from_pcm16, join, silence, to_pcm16
from conversation.scripted import tone


@given(st.binary(max_size=200))
def test_pcm16_survives_the_way_there_and_back(pcm: bytes) -> None:
    pcm = pcm[: len(pcm) // 2 * 2]
    assert to_pcm16(from_pcm16(pcm, 16_000)) == pcm


def test_what_is_too_loud_is_clipped() -> None:
    loud = Audio(np.array([2.0, -2.0], np.float32), 16_000)
    assert to_pcm16(loud) == to_pcm16(Audio(np.array([0.99999, -1.0], np.float32), 16_000))


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs of bytes"):
        from_pcm16(b"123", 16_000)


def test_audio_of_two_rates_is_not_joined() -> None:
    with pytest.raises(ValueError, match="16000"):
        join([silence(1, 16_000)], 24_000)


@pytest.mark.parametrize("chunk", [7, 160, 480, 5000])
def test_resampling_has_no_seams(chunk: int) -> None:
    whole = tone(1.0, 24_000)
    resampler = Resampler(24_000, 16_000)
    parts = [resampler.feed(whole[start : start + chunk]) for start in range(0, len(whole), chunk)]
    in_chunks = join([*parts, resampler.flush()], 16_000)

    at_once = Resampler(24_000, 16_000)
    expected = join([at_once.feed(whole), at_once.flush()], 16_000)

    assert len(in_chunks) == 16_000
    np.testing.assert_allclose(in_chunks.samples, expected.samples, atol=1e-6)


def test_a_resampler_for_one_rate_changes_nothing() -> None:
    audio = tone(0.1)
    assert Resampler(16_000, 16_000).feed(audio) is audio


def test_audio_of_another_rate_than_announced_is_refused() -> None:
    with pytest.raises(ValueError, match="expected audio at 24000 Hz"):
        Resampler(24_000, 16_000).feed(tone(0.1, 16_000))
