"""How sound is written on the wire: the three encodings of the protocol, and streams to and from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conversation.audio import HEARING_HZ, Audio, Resampler, from_pcm16, join, to_pcm16
from conversation.polyphase import Polyphase
from realtime.g711 import A_LAW, MU_LAW
from realtime.g711 import RATE_HZ as TELEPHONE_HZ
from realtime.shapes import WIRE_HZ


@dataclass(frozen=True, slots=True)
class Encoding:
    """Mono, without a header.

    Attributes:
        name: as the protocol has it.
        sample_bytes: of one sample.
    """

    name: str
    rate_hz: int
    sample_bytes: int
    decode: Callable[[bytes, int], Audio]
    encode: Callable[[Audio], bytes]


ENCODINGS = {
    encoding.name: encoding
    for encoding in (
        Encoding("audio/pcm", WIRE_HZ, 2, from_pcm16, to_pcm16),
        Encoding("audio/pcmu", TELEPHONE_HZ, 1, MU_LAW.decode, MU_LAW.encode),
        Encoding("audio/pcma", TELEPHONE_HZ, 1, A_LAW.decode, A_LAW.encode),
    )
}
PCM = ENCODINGS["audio/pcm"]


def written(audio: Audio, encoding: Encoding) -> bytes:
    """A whole sound, at whatever rate."""
    resampler = Resampler(audio.rate_hz, encoding.rate_hz)
    return encoding.encode(join([resampler.feed(audio), resampler.flush()], encoding.rate_hz))


class IncomingAudio:
    """The client's audio as the ears want it: whole samples at 16 kHz, without seams between appends."""

    def __init__(self, encoding: Encoding = PCM) -> None:
        self._encoding = encoding
        self._half_sample = b""
        self._resampler = self._new_resampler()

    @property
    def piece_bytes(self) -> int:
        """One second. A long append is heard by the second, so that resampling never holds the event loop."""
        return self._encoding.rate_hz * self._encoding.sample_bytes

    def pieces(self, data: bytes) -> Iterator[Audio]:
        """An odd byte is kept: the next append brings the other half of its sample."""
        if self._half_sample or len(data) % self._encoding.sample_bytes:
            data = self._half_sample + data
            whole = len(data) // self._encoding.sample_bytes * self._encoding.sample_bytes
            data, self._half_sample = data[:whole], data[whole:]
        for start in range(0, len(data), self.piece_bytes):
            piece = data[start : start + self.piece_bytes]
            yield self._resampler.feed(self._encoding.decode(piece, self._encoding.rate_hz))

    def end(self) -> Audio:
        """What the resampler still holds; the next audio starts anew."""
        rest = self._resampler.flush()
        self._half_sample, self._resampler = b"", self._new_resampler()
        return rest

    def _new_resampler(self) -> Polyphase:
        return Polyphase(self._encoding.rate_hz, HEARING_HZ)


class OutgoingAudio:
    """The sound of one response as the client wants it, without seams between its pieces."""

    def __init__(self, encoding: Encoding = PCM) -> None:
        self._encoding = encoding
        self._resampler = None if encoding.rate_hz == WIRE_HZ else Polyphase(WIRE_HZ, encoding.rate_hz)

    def feed(self, audio: Audio) -> bytes:
        """All but the last 2 ms of it, where the client wants another rate than ours."""
        return self._encoding.encode(audio if self._resampler is None else self._resampler.feed(audio))

    def end(self) -> bytes:
        """What is still held; the sound ends here."""
        return b"" if self._resampler is None else self._encoding.encode(self._resampler.flush())
