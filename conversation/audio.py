"""Sound as a value, its two encodings, and resampling with state.

Inside a process sound is mono float32 in [-1, 1] with its rate; between processes and on the wire it is
16-bit little-endian PCM. This module does not know who speaks, nor what a frame or a chunk is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Shape (n,), mono, -1..1."""

HEARING_HZ = 16_000
"""The rate of everything the ears are given: VAD, turn and ASR models are all trained at 16 kHz."""

_PCM16_SCALE = 32768.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audio:
    """A stretch of mono sound.

    Attributes:
        samples: float32, shape (n,), -1..1.
        rate_hz: samples a second.
    """

    samples: Samples
    rate_hz: int

    def __repr__(self) -> str:
        return f"Audio({self.duration_s:.3f} s at {self.rate_hz} Hz)"

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz

    def __getitem__(self, part: slice) -> Audio:
        return Audio(self.samples[part], self.rate_hz)


def silence(duration_s: float, rate_hz: int) -> Audio:
    return Audio(np.zeros(round(duration_s * rate_hz), np.float32), rate_hz)


def join(parts: list[Audio], rate_hz: int) -> Audio:
    """The parts one after another; `rate_hz` gives the rate when there are none."""
    if any(part.rate_hz != rate_hz for part in parts):
        raise ValueError(
            f"cannot join audio of rates {sorted({p.rate_hz for p in parts})} Hz at {rate_hz} Hz"
        )
    if not parts:
        return silence(0, rate_hz)
    return Audio(np.concatenate([part.samples for part in parts]), rate_hz)


def from_pcm16(pcm: bytes, rate_hz: int) -> Audio:
    """Raises ValueError when `pcm` is not a whole number of samples."""
    if len(pcm) % 2:
        raise ValueError(f"16-bit PCM comes in pairs of bytes, got {len(pcm)} bytes")
    return Audio(np.frombuffer(pcm, "<i2").astype(np.float32) / _PCM16_SCALE, rate_hz)


def to_pcm16(audio: Audio) -> bytes:
    """Values outside [-1, 1] are clipped."""
    scaled = np.rint(audio.samples * _PCM16_SCALE).clip(-32768, 32767)
    return bytes(scaled.astype("<i2").data)


class Resampler:
    """Turns a stream of audio at one rate into the same stream at another, without seams between chunks."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz, self._to_hz = from_hz, to_hz
        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, "float32", "HQ")

    def feed(self, audio: Audio) -> Audio:
        """What can be given out so far: the filter holds a few milliseconds back.

        Raises ValueError when `audio` is not at the rate this stream was opened for.
        """
        if audio.rate_hz != self._from_hz:
            raise ValueError(f"expected audio at {self._from_hz} Hz, got {audio.rate_hz} Hz")
        if self._stream is None:
            return audio
        return Audio(self._stream.resample_chunk(audio.samples), self._to_hz)

    def flush(self) -> Audio:
        """What the filter still holds; the stream ends here."""
        if self._stream is None:
            return silence(0, self._to_hz)
        return Audio(self._stream.resample_chunk(np.zeros(0, np.float32), True), self._to_hz)
