"""What a microphone hears of a loudspeaker: a small one, in a room, some time later. All of it at 16 kHz.

Simulated, the same every time; it knows neither who speaks nor what is made of it.
"""

from __future__ import annotations

import numpy as np

from conversation.audio import HEARING_HZ, Samples

DIRECT_DB = 3.0
"""Sound that comes straight, above what the room adds: a laptop's microphone beside its loudspeaker."""

_LOUDSPEAKER_TAPS = 256


def echo_of(played: Samples, *, delay_ms: float, level_db: float, room_s: float, seed: int) -> Samples:
    """What comes back of `played`, as long as it is.

    Args:
        delay_ms: until the first of it: network, buffers and air.
        level_db: of the whole, against what is played.
        room_s: time in which the room's sound falls by 60 dB; 0: no room.
        seed: of the loudspeaker and the room.
    """
    delay = round(delay_ms * HEARING_HZ / 1000)
    late = np.concatenate([np.zeros(delay, np.float32), played])[: len(played)]
    sound = _through(_through(late, _loudspeaker(seed)), _room(room_s, seed))
    power, played_power = float(np.sum(sound**2)), float(np.sum(late**2))
    if not power:
        return sound
    gain = 10 ** (level_db / 20) * np.sqrt(played_power / power)
    return sound * np.float32(gain)


def _room(room_s: float, seed: int) -> Samples:
    """Noise that decays, behind what comes straight."""
    if not room_s:
        return np.ones(1, np.float32)
    time_s = np.arange(round(room_s * HEARING_HZ)) / HEARING_HZ
    tail = np.random.default_rng(seed).standard_normal(len(time_s)) * 10 ** (-3 * time_s / room_s)
    tail[: HEARING_HZ // 500] = 0  # nothing reflects within 2 ms
    tail *= np.sqrt(10 ** (-DIRECT_DB / 10) / np.sum(tail**2))
    tail[0] = 1
    return tail.astype(np.float32)


def _loudspeaker(seed: int) -> Samples:
    """Little below 250 Hz, less and less above 5.5 kHz, and 6 dB up and down between; minimum phase."""
    hz = np.fft.rfftfreq(_LOUDSPEAKER_TAPS, 1 / HEARING_HZ)
    bumps_db = np.random.default_rng([seed, 1]).uniform(-6, 6, 12)
    gain = 10 ** (np.interp(hz, np.linspace(0, HEARING_HZ / 2, len(bumps_db)), bumps_db) / 20)
    gain /= np.sqrt(1 + (250 / np.maximum(hz, 1)) ** 4) * np.sqrt(1 + (hz / 5500) ** 6)
    cepstrum = np.fft.irfft(np.log(np.maximum(gain, 1e-4)))
    half = _LOUDSPEAKER_TAPS // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum))).astype(np.float32)


def _through(sound: Samples, response: Samples) -> Samples:
    length = 1 << (len(sound) + len(response)).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, length) * np.fft.rfft(response, length), length)
    return heard[: len(sound)].astype(np.float32)
