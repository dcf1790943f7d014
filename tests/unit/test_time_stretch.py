import itertools
import sys

import numpy as np
import pytest

from conversation.audio import Audio, Samples, join, silence
from conversation.errors import StageFailed
from deployments.tts.time_stretch import TimeStretch

HZ = 24_000
SPEEDS = [0.25, 0.4, 0.5, 0.8, 1.0, 1.2, 2.0, 3.0, 4.0]
CHUNK = HZ // 50
PITCH_HZ = 150.0


def vowel(duration_s: float, *, pitch_hz: float = PITCH_HZ, rate_hz: int = HZ) -> Audio:
    """A voiced sound: a fundamental and its overtones, falling as those of a voice do."""
    time = np.arange(round(duration_s * rate_hz)) / rate_hz
    partials = [np.sin(2 * np.pi * pitch_hz * k * time) / k for k in range(1, 12)]
    return Audio((0.2 * np.sum(partials, axis=0)).astype(np.float32), rate_hz)


def stretched(audio: Audio, speed: float, *chunks: int) -> Audio:
    """Fed in chunks of these lengths in turn; none: all at once."""
    stretch = TimeStretch(audio.rate_hz, speed)
    lengths = itertools.cycle(chunks or (len(audio),))
    parts, start = [], 0
    while start < len(audio):
        length = next(lengths)
        parts.append(stretch.feed(audio[start : start + length]))
        start += length
    return join([*parts, stretch.flush()], audio.rate_hz)


def level(samples: Samples) -> float:
    return float(np.sqrt(np.square(samples).mean()))


def pitch_hz(audio: Audio) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio))))
    return float(spectrum.argmax() * audio.rate_hz / len(audio))


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("duration_s", [0.002, 0.05, 1.0])
def test_as_much_comes_out_as_the_speed_asks_for(speed: float, duration_s: float) -> None:
    sound = vowel(duration_s)
    assert len(stretched(sound, speed, CHUNK)) == round(len(sound) / speed)


@pytest.mark.parametrize("speed", SPEEDS)
def test_pitch_and_level_stay(speed: float) -> None:
    sound = vowel(2.0)
    out = stretched(sound, speed, CHUNK)
    assert pitch_hz(out) == pytest.approx(PITCH_HZ, rel=0.01)
    assert level(out.samples) == pytest.approx(level(sound.samples), rel=0.05)


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_sound_does_not_depend_on_the_chunks_it_came_in(speed: float) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(HZ) / HZ
    noisy = vowel(1.0).samples * np.abs(np.sin(2 * np.pi * 3 * time)) + rng.normal(0, 0.01, HZ)
    sound = Audio(noisy.astype(np.float32), HZ)
    whole = stretched(sound, speed)
    for chunks in ((CHUNK,), (2 * CHUNK, 37, 1), (HZ // 3, 5000)):
        np.testing.assert_array_equal(stretched(sound, speed, *chunks).samples, whole.samples)


@pytest.mark.parametrize("speed", SPEEDS)
def test_nothing_clicks(speed: float) -> None:
    """A step between two samples is seen best where the sound itself has no high frequencies."""
    time = np.arange(2 * HZ) / HZ
    glide = 100 + 40 * time  # Hz
    tone = 0.5 * np.sin(2 * np.pi * np.cumsum(glide) / HZ) * np.sin(np.pi * time / 2) ** 0.25
    sound = Audio(tone.astype(np.float32), HZ)
    out = stretched(sound, speed, CHUNK)
    assert np.abs(np.diff(out.samples)).max() < 1.1 * np.abs(np.diff(sound.samples)).max()


@pytest.mark.parametrize("speed", SPEEDS)
def test_it_streams(speed: float) -> None:
    """Never is more than 0.25 s of the input held back."""
    stretch, sound = TimeStretch(HZ, speed), vowel(2.0)
    given_s = 0.0
    for end in range(CHUNK, len(sound) + 1, CHUNK):
        given_s += stretch.feed(sound[end - CHUNK : end]).duration_s
        assert given_s * speed >= end / HZ - 0.25


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_last_sound_is_not_lost(speed: float) -> None:
    sound = join([silence(0.5, HZ), vowel(0.3)], HZ)
    out = stretched(sound, speed, CHUNK)
    assert level(out.samples) == pytest.approx(level(sound.samples), rel=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 48_000])
def test_every_rate_that_voices_have_will_do(rate_hz: int) -> None:
    sound = vowel(1.0, rate_hz=rate_hz)
    out = stretched(sound, 0.8, 480)
    assert out.rate_hz == rate_hz
    assert len(out) == round(len(sound) / 0.8)
    assert pitch_hz(out) == pytest.approx(PITCH_HZ, rel=0.01)


def test_at_natural_speed_the_sound_passes_untouched() -> None:
    stretch, sound = TimeStretch(HZ, 1.0), vowel(0.01)
    assert stretch.feed(sound) is sound
    assert len(stretch.flush()) == 0


def test_of_nothing_nothing_comes() -> None:
    stretch = TimeStretch(HZ, 2.0)
    assert len(stretch.feed(silence(0, HZ))) == 0
    assert len(stretch.flush()) == 0


@pytest.mark.parametrize("speed", [0.0, 0.2, 4.1, -1.0, float("nan")])
def test_a_speed_out_of_range_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match=r"between 0\.25 and 4"):
        TimeStretch(HZ, speed)


def test_sound_of_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="expected audio at 24000 Hz, got 16000 Hz"):
        TimeStretch(HZ, 2.0).feed(silence(0.1, 16_000))


def test_without_its_library_only_the_natural_speed_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av.filter", None)
    TimeStretch(HZ, 1.0)
    with pytest.raises(StageFailed, match="pip install av"):
        TimeStretch(HZ, 2.0)
