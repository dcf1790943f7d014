import numpy as np
import pytest

from conversation.audio import Audio, join, silence
from conversation.polyphase import Polyphase

RATES = [(24_000, 16_000), (8_000, 16_000), (24_000, 8_000)]


def sine(hz: float, rate_hz: int, seconds: float = 1.0) -> Audio:
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return Audio((0.5 * np.sin(2 * np.pi * hz * times)).astype(np.float32), rate_hz)


def whole(audio: Audio, to_hz: int) -> Audio:
    resampler = Polyphase(audio.rate_hz, to_hz)
    return join([resampler.feed(audio), resampler.flush()], to_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("chunk", [7, 160, 480, 5000])
def test_it_has_no_seams(from_hz: int, to_hz: int, chunk: int) -> None:
    sound = sine(440, from_hz)
    resampler = Polyphase(from_hz, to_hz)
    parts = [resampler.feed(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    in_chunks = join([*parts, resampler.flush()], to_hz)
    assert len(in_chunks) == to_hz
    np.testing.assert_allclose(in_chunks.samples, whole(sound, to_hz).samples, atol=1e-6)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("hz", [100, 1000, 3200])
def test_what_is_heard_is_what_was_said_and_when(from_hz: int, to_hz: int, hz: int) -> None:
    given, expected = whole(sine(hz, from_hz), to_hz).samples, sine(hz, to_hz).samples
    inside = slice(400, -400)
    np.testing.assert_allclose(given[inside], expected[inside], atol=0.002)


def level_db(hz: float, to_hz: int) -> float:
    """Of what becomes of a sine at 24 kHz, wherever it lands, beside what it was."""
    given = whole(sine(hz, 24_000), to_hz).samples[400:-400]
    return float(20 * np.log10(np.sqrt(2 * np.mean(given**2)) / 0.5 + 1e-9))


@pytest.mark.parametrize(
    ("hz", "at_least_db", "at_most_db"), [(7000, -1, 1), (8600, -200, -50), (11_000, -200, -60)]
)
def test_what_the_lower_rate_cannot_hold_is_left_out(hz: int, at_least_db: float, at_most_db: float) -> None:
    assert at_least_db <= level_db(hz, 16_000) <= at_most_db


@pytest.mark.parametrize("hz", [200, 300, 1000, 2000, 3000, 3300, 3400])
def test_a_telephone_s_band_is_whole(hz: int) -> None:
    assert abs(level_db(hz, 8_000)) <= 0.25


@pytest.mark.parametrize("hz", [4600, 5000, 6000, 7500, 8000, 8300, 10_000, 11_900])
def test_nothing_is_folded_into_a_telephone_s_band(hz: int) -> None:
    """From 4.6 kHz on, sound would come out at 3.4 and below, and from 8 on once more from the bottom."""
    assert level_db(hz, 8_000) <= -70


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "most_ms"), [(24_000, 16_000, 2.2), (8_000, 16_000, 6.5), (24_000, 8_000, 2.2)]
)
def test_hardly_anything_is_held_back(from_hz: int, to_hz: int, most_ms: float) -> None:
    resampler, fed_s, given_s = Polyphase(from_hz, to_hz), 0.0, 0.0
    for _ in range(100):
        fed_s += 0.02
        given_s += resampler.feed(silence(0.02, from_hz)).duration_s
        assert (fed_s - given_s) * 1000 <= most_ms


def test_nothing_comes_of_nothing() -> None:
    assert len(whole(silence(0.0, 24_000), 16_000)) == 0
    assert len(whole(silence(0.001, 24_000), 16_000)) == 16


def test_audio_of_another_rate_than_announced_is_refused() -> None:
    with pytest.raises(ValueError, match="expected audio at 24000 Hz"):
        Polyphase(24_000, 16_000).feed(silence(0.1, 16_000))
