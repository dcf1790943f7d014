"""G.711, the telephone's sound: 8 kHz, one byte a sample, in µ-law or A-law.

Both laws are tables of 256 values; a value is written as the code of the nearest one.
Source: ITU-T G.711 (11/88), https://www.itu.int/rec/T-REC-G.711
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conversation.audio import Audio

RATE_HZ = 8_000

_SCALE = 32768.0


class Law:
    """One of the two. `values` holds the 16-bit value of each code, int32 of shape (256,)."""

    def __init__(self, values: NDArray[np.int32]) -> None:
        self._samples = (values / _SCALE).astype(np.float32)
        self._codes = np.argsort(values, kind="stable").astype(np.uint8)
        ordered = self._samples[self._codes]
        self._borders = (ordered[:-1] + ordered[1:]) / 2

    def decode(self, data: bytes, rate_hz: int = RATE_HZ) -> Audio:
        return Audio(self._samples[np.frombuffer(data, np.uint8)], rate_hz)

    def encode(self, audio: Audio) -> bytes:
        """Louder than the loudest code is that code."""
        return self._codes[np.searchsorted(self._borders, audio.samples, side="right")].tobytes()


def _mu_law() -> NDArray[np.int32]:
    """All bits of a code are sent inverted; below them: sign, exponent of 3 bits, mantissa of 4."""
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int32)


def _a_law() -> NDArray[np.int32]:
    """Every second bit is sent inverted; a set sign bit means positive; exponents 0 and 1 are linear."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int32)


MU_LAW, A_LAW = Law(_mu_law()), Law(_a_law())
