"""Coughs and what else a microphone hears that is not speech, made from noise and sines; the same every time.

They imitate. None of them is a recording, and the manifest says so. All are mono at 16 kHz, at any loudness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio

Signal = NDArray[np.floating[Any]]
Gain = Callable[[Signal], Signal]
"""How much of each frequency (Hz) passes."""


def cough(seed: int, *, throat: float = 1.0) -> Signal:
    """A burst, the rush of air after it, and a short voiced end, 0.5 s.

    Source of the three phases and their lengths: Korpáš, Sadloňová and Vrabec, "Analysis of the Cough Sound:
    an Overview", Pulmonary Pharmacology 9 (1996).

    Args:
        throat: scales the resonances; above 1 for a shorter throat.
    """
    rng = np.random.default_rng(seed)
    air = shaped(rng, 0.5, resonances([450 * throat, 1400 * throat, 2600 * throat], width_hz=350))
    burst, rush = decay(0.5, 0.018, attack_s=0.003), decay(0.5, 0.09, delay_s=0.03, attack_s=0.02)
    voice = pulses(rng, 0.5, 190 * throat) * decay(0.5, 0.035, delay_s=0.25, attack_s=0.02)
    return np.asarray(air * (burst + 0.35 * rush) + 0.25 * air.std() * voice / voice.std())


def throat_clearing(seed: int) -> Signal:
    """Two rough, low, voiced pushes, 0.7 s: the sound that is most like speech."""
    rng = np.random.default_rng(seed)
    push = decay(0.7, 0.12, attack_s=0.03) + 0.8 * decay(0.7, 0.15, delay_s=0.3, attack_s=0.04)
    rough = pulses(rng, 0.7, 95, jitter=0.25)
    air = shaped(rng, 0.7, resonances([600, 1100], width_hz=300))
    return np.asarray(push * (rough / rough.std() + 0.6 * air / air.std()))


def laugh(seed: int, *, calls: int, pitch_hz: float) -> Signal:
    """So many calls ("ha"), voiced with a breath before each, falling in pitch and loudness.

    Source of their rate, 4.4 a second: Bachorowski, Smoski and Owren, "The Acoustic Features of Human
    Laughter", Journal of the Acoustical Society of America 110(3), 2001.
    """
    rng = np.random.default_rng(seed)
    one_s = 1 / 4.4
    parts = []
    for number in range(calls):
        voice = pulses(rng, one_s, pitch_hz * 0.95**number) * decay(one_s, 0.05, delay_s=0.06, attack_s=0.02)
        breath = shaped(rng, one_s, resonances([700, 1500, 2500], width_hz=400))
        breath = breath * decay(one_s, 0.03, attack_s=0.02)
        call = voice / voice.std() + 0.4 * breath / breath.std()
        parts.append((number * one_s, 0.85**number * call))
    return placed(parts, calls * one_s)


def knocks(seed: int) -> Signal:
    """Three on a wooden door."""
    rng = np.random.default_rng(seed)
    one = modes(0.25, [110, 185, 420, 760], decay_s=0.035)
    return placed([(start_s, rng.uniform(0.7, 1) * one) for start_s in (0.0, 0.21, 0.4)], 0.7)


def typing(seed: int) -> Signal:
    """Two seconds of a keyboard: each key is heard going down, and more faintly coming up."""
    rng = np.random.default_rng(seed)
    strokes, at_s = [], 0.0
    while at_s < 1.8:
        down = shaped(rng, 0.03, lambda hz: (hz > 1500) * 1.0) * decay(0.03, 0.004)
        strokes += [(at_s, rng.uniform(0.5, 1) * down), (at_s + rng.uniform(0.06, 0.09), 0.3 * down)]
        at_s += rng.uniform(0.08, 0.26)
    return placed(strokes, 2.0)


def cup(seed: int) -> Signal:
    """A cup that is put on its saucer."""
    rng = np.random.default_rng(seed)
    ring = modes(0.5, [1850, 3120, 4870, 6400], decay_s=0.07)
    return placed([(0.0, ring), (rng.uniform(0.05, 0.07), 0.4 * ring)], 0.6)


def door(seed: int) -> Signal:
    """One that falls shut: the lock, and the wood after it."""
    rng = np.random.default_rng(seed)
    lock = shaped(rng, 0.06, lambda hz: (hz > 800) * 1.0) * decay(0.06, 0.01)
    wood = modes(0.5, [65, 130, 245, 410], decay_s=0.09)
    return placed([(0.0, 0.6 * lock / np.abs(lock).max()), (0.03, wood / np.abs(wood).max())], 0.6)


def paper(seed: int) -> Signal:
    """A second of a sheet that is folded: crackles, close together."""
    rng = np.random.default_rng(seed)
    starts_s = np.sort(rng.uniform(0, 0.95, 60))
    crackle = [shaped(rng, 0.02, lambda hz: (hz > 2000) * 1.0) * decay(0.02, 0.003) for _ in starts_s]
    loudness = rng.uniform(0.1, 1, len(starts_s))
    placed_at = zip(starts_s.tolist(), loudness, crackle, strict=True)
    return placed([(at_s, gain * sound) for at_s, gain, sound in placed_at], 1.0)


def pink(seed: int) -> Signal:
    """Three seconds with the same power in every octave from 50 Hz on."""
    return shaped(np.random.default_rng(seed), 3.0, lambda hz: np.where(hz >= 50, 1 / np.sqrt(hz + 1e-9), 0))


def babble(voices: Sequence[Audio], seed: int) -> Signal:
    """Four seconds of them all together, each twice and from another place on, so that no word stands out."""
    rng = np.random.default_rng(seed)
    length = 4 * HEARING_HZ
    mixed = np.zeros(length)
    for voice in [*voices, *voices]:
        around = np.resize(voice.samples.astype(np.float64), length)
        mixed += np.roll(around, int(rng.integers(length))) / around.std()
    return mixed


# --- of what they are made


def shaped(rng: np.random.Generator, duration_s: float, gain: Gain) -> Signal:
    """Noise with that spectrum."""
    length = round(duration_s * HEARING_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(length)) * gain(np.fft.rfftfreq(length, 1 / HEARING_HZ))
    return np.asarray(np.fft.irfft(spectrum, length))


def resonances(at_hz: Sequence[float], width_hz: float) -> Gain:
    """Those of a throat, each fainter than the one below it."""
    return lambda hz: sum(
        (1 / (1 + number) / (1 + ((hz - peak) / width_hz) ** 2) for number, peak in enumerate(at_hz)),
        start=np.zeros_like(hz),
    )


def pulses(rng: np.random.Generator, duration_s: float, pitch_hz: float, jitter: float = 0.05) -> Signal:
    """A voice's buzz: a pulse each period, the periods uneven by `jitter`, through a throat."""
    length = round(duration_s * HEARING_HZ)
    train = np.zeros(length)
    at = 0.0
    while at < length:
        train[int(at)] = 1
        at += HEARING_HZ / pitch_hz * (1 + rng.normal(0, jitter))
    hz = np.fft.rfftfreq(length, 1 / HEARING_HZ)
    return np.asarray(np.fft.irfft(np.fft.rfft(train) * resonances([500, 1200, 2400], 200)(hz), length))


def decay(duration_s: float, fall_s: float, *, delay_s: float = 0.0, attack_s: float = 0.0) -> Signal:
    """Nothing until `delay_s`, up within `attack_s`, and down by e within each `fall_s`."""
    after_s = np.arange(round(duration_s * HEARING_HZ)) / HEARING_HZ - delay_s
    rise = np.clip(after_s / attack_s, 0, 1) if attack_s else (after_s >= 0) * 1.0
    return np.asarray(rise * np.exp(-np.maximum(after_s, 0) / fall_s))


def modes(duration_s: float, at_hz: Sequence[float], decay_s: float) -> Signal:
    """Something solid that was struck: sines that die away, the higher the sooner."""
    time_s = np.arange(round(duration_s * HEARING_HZ)) / HEARING_HZ
    falls = [decay_s * at_hz[0] / hz for hz in at_hz]
    struck = [np.sin(2 * np.pi * hz * time_s) for hz in at_hz]
    return np.asarray(
        sum(sine * np.exp(-time_s / fall) for sine, fall in zip(struck, falls, strict=True)) / len(at_hz)
    )


def placed(parts: Sequence[tuple[float, Signal]], duration_s: float) -> Signal:
    """Each part at its second; what would go on beyond the end is cut off."""
    whole = np.zeros(round(duration_s * HEARING_HZ))
    for at_s, part in parts:
        start = round(at_s * HEARING_HZ)
        room = whole[start : start + len(part)]
        room += part[: len(room)]
    return whole
