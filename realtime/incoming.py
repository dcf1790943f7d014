"""From the bytes of appends to what the ears want."""

from __future__ import annotations

from collections.abc import Iterator

from conversation.audio import HEARING_HZ, Audio, Resampler, from_pcm16
from realtime.shapes import WIRE_HZ

PIECE_BYTES = WIRE_HZ * 2
"""A long append is heard second by second, so that resampling it never holds the event loop."""


class IncomingAudio:
    """The client's audio as the ears want it: whole samples at 16 kHz, without seams between appends."""

    def __init__(self) -> None:
        self._half_sample = b""
        self._resampler = Resampler(WIRE_HZ, HEARING_HZ)

    def pieces(self, pcm: bytes) -> Iterator[Audio]:
        """An odd byte is kept: the next append brings the other half of its sample."""
        if self._half_sample or len(pcm) % 2:
            pcm = self._half_sample + pcm
            whole = len(pcm) // 2 * 2
            pcm, self._half_sample = pcm[:whole], pcm[whole:]
        for start in range(0, len(pcm), PIECE_BYTES):
            yield self._resampler.feed(from_pcm16(pcm[start : start + PIECE_BYTES], WIRE_HZ))

    def end(self) -> Audio:
        """What the resampler still holds; the next audio starts anew."""
        rest = self._resampler.flush()
        self._half_sample, self._resampler = b"", Resampler(WIRE_HZ, HEARING_HZ)
        return rest
