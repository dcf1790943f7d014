"""The way from a loudspeaker to a microphone, learned while one listens: what comes back of a sound.

A Kalman filter over the partitions of the impulse response, in the frequency domain, with a diagonal
covariance: it converges within a tenth of a second, and a voice over the echo slows it down by itself, since
it counts as noise of the measurement. It needs to be told roughly how late and how loud the echo is. It does
not know what an echo is good for.

Source: G. Enzner, P. Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free
telephones", Signal Processing 86 (2006); in partitions: F. Kuech, E. Mabande, G. Enzner, "State-space
architecture of the partitioned-block-based acoustic echo controller", ICASSP 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Samples
from conversation.stages import FRAME_SAMPLES

BLOCK = 128
"""Samples between two updates: the shorter, the sooner it has learned, and the more it computes."""

PARTITIONS = 16
"""Blocks of the response: 128 ms, most of what a room gives back."""

LEAD = 2 * BLOCK
"""It begins 16 ms before where the echo was found: that may be a period of the voice too late."""

HEARD = (PARTITIONS + FRAME_SAMPLES // BLOCK) * BLOCK
"""Samples of the loudspeaker that a frame of the microphone is compared with; LEAD of them after its own."""

_SPECTRUM = BLOCK + 1
_FORGETS = 0.9995
"""A block: the path is as good as new after half a minute of echo."""

_DECAY_S = 0.02
"""What is expected of a response before it is known: half its power after so much time."""

_QUICKNESS = 0.5
"""How much a block counts in the running power of what is left."""

_LOWEST_HZ, _HIGHEST_HZ = 200, 7000
"""The powers are told of voices, not of hum or hiss."""

_HZ = np.arange(_SPECTRUM) * HEARING_HZ / (2 * BLOCK)
_VOICES = ((_HZ >= _LOWEST_HZ) & (_HZ < _HIGHEST_HZ)).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Parted:
    """A frame of the microphone, parted in two. The powers share one scale.

    Attributes:
        rest: what is no echo, shape (FRAME_SAMPLES,).
        rest_power: of `rest`.
        echo_power: of what was taken for an echo.
        doubt_power: what of the rest may still be an echo, by the filter's own reckoning.
    """

    rest: Samples
    rest_power: float
    echo_power: float
    doubt_power: float


class EchoPath:
    """One way, from one loudspeaker to one microphone.

    Args:
        gain: the power of the echo for each unit of power that is played, roughly.
    """

    def __init__(self, gain: float) -> None:
        after_s = (np.arange(PARTITIONS) * BLOCK - LEAD) / HEARING_HZ
        expected = 0.5 ** (np.abs(after_s) / _DECAY_S)
        self._response = np.zeros((PARTITIONS, _SPECTRUM), np.complex64)
        self._variance: NDArray[np.floating] = np.repeat(
            (gain * expected).astype(np.float32)[:, None], _SPECTRUM, axis=1
        )
        self._noise: NDArray[np.floating] | None = None

    def part(self, heard: Samples, frame: Samples) -> Parted:
        """Takes the echo out of a frame, and learns of it.

        Args:
            heard: HEARD samples of the loudspeaker, up to LEAD after the one whose echo was found in the
                frame's last.
            frame: shape (FRAME_SAMPLES,).
        """
        spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(heard, 2 * BLOCK)[::BLOCK])
        rests, powers = [], np.zeros(3)
        for step, block in enumerate(frame.reshape(-1, BLOCK)):
            played = spectra[step : step + PARTITIONS][::-1]
            echo = np.fft.irfft((played * self._response).sum(0))[BLOCK:].astype(np.float32)
            rest = block - echo
            rest_spectrum = _spectrum(rest)
            doubt = self._learn(played, rest_spectrum)
            powers += [_VOICES @ _power(rest_spectrum), _VOICES @ _power(_spectrum(echo)), _VOICES @ doubt]
            rests.append(rest)
        rest_power, echo_power, doubt_power = map(float, powers)
        return Parted(np.concatenate(rests), rest_power, echo_power, doubt_power)

    def _learn(
        self, played: NDArray[np.complexfloating], rest: NDArray[np.complexfloating]
    ) -> NDArray[np.floating]:
        """Returns the spectrum of the power that the rest was expected to keep of the echo."""
        played_power, rest_power = _power(played), _power(rest)
        # Half: a block is half of what its spectrum is taken of.
        doubt: NDArray[np.floating] = 0.5 * (self._variance * played_power).sum(0)
        before = rest_power if self._noise is None else self._noise
        self._noise = before + _QUICKNESS * (rest_power - before)
        step = self._variance / (doubt + self._noise + 1e-9)
        change = np.fft.irfft(step * played.conj() * rest)
        change[:, BLOCK:] = 0  # a partition's response is a block long
        self._response += np.fft.rfft(change).astype(np.complex64)
        kept = _FORGETS**2
        self._variance = kept * (1 - 0.5 * step * played_power) * self._variance
        self._variance += (1 - kept) * _power(self._response)
        return doubt


def voice_power(frame: Samples) -> float:
    """Of a frame, on the scale of `Parted`."""
    return float(sum(_VOICES @ _power(_spectrum(block)) for block in frame.reshape(-1, BLOCK)))


def _spectrum(block: Samples) -> NDArray[np.complexfloating]:
    return np.fft.rfft(np.concatenate([np.zeros(BLOCK, np.float32), block])).astype(np.complex64)


def _power(spectrum: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    power: NDArray[np.floating] = spectrum.real**2 + spectrum.imag**2
    return power
