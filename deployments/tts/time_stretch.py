"""Speech made faster or slower at the pitch it has, while it streams.

For voices that cannot change their speed themselves, or not while they stream. The work is done by FFmpeg's
`atempo`, a waveform-similarity overlap-add (WSOLA): its output does not depend on how the input was cut, as
long as the first chunk lasts 20 ms. Source: https://ffmpeg.org/ffmpeg-filters.html#atempo. This module knows
no voice.

FFmpeg comes with PyAV. The wheels of PyAV contain GPL libraries (docs/adr/0013-voices-and-speed.md), so they
are loaded only once a speed other than 1 is asked for.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from conversation.audio import Audio, Samples, silence
from conversation.errors import StageFailed

if TYPE_CHECKING:
    from av import AudioFrame
    from av.filter import Graph

SLOWEST, FASTEST = 0.25, 4.0

_LARGEST_FACTOR = 2.0
"""One `atempo` takes 0.5 to 2; beyond 2 it would skip sound instead of blending it."""
_PADDING_S = 0.25
"""`atempo` drops what does not fill its last window (43 ms at 24 kHz). So silence follows, more than two
filters hold, and what comes of it is cut off."""


class TimeStretch:
    """One stream of sound at another speed."""

    def __init__(self, rate_hz: int, speed: float) -> None:
        """Args:
            rate_hz: of what is fed, and of what comes out.
            speed: SLOWEST..FASTEST; at 2.0 half as much comes out. At 1.0 the sound passes untouched.

        Raises ValueError for any other speed, and StageFailed where PyAV is missing.
        """
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"a speed must be between {SLOWEST:g} and {FASTEST:g}, got {speed:g}")
        self._rate_hz = rate_hz
        self._speed = speed
        self._fed = 0
        self._given = 0
        self._graph = None if speed == 1 else _graph(rate_hz, speed)

    def feed(self, audio: Audio) -> Audio:
        """What can be given out so far: 60 ms of the input are held back at most speeds, 200 ms at 4.

        Raises ValueError when `audio` is not at the rate this stream was opened for.
        """
        if audio.rate_hz != self._rate_hz:
            raise ValueError(f"expected audio at {self._rate_hz} Hz, got {audio.rate_hz} Hz")
        if self._graph is None or not len(audio):
            return audio
        self._graph.push(self._frame(audio.samples))
        ready = self._ready(self._graph)
        self._given += len(ready)
        return ready

    def flush(self) -> Audio:
        """What is still held; the stream ends here, with as many samples as the speed asks for."""
        if self._graph is None or not self._fed:
            return silence(0, self._rate_hz)
        missing = round(self._fed / self._speed) - self._given
        self._graph.push(self._frame(silence(_PADDING_S, self._rate_hz).samples))
        self._graph.push(None)
        return self._ready(self._graph)[: max(0, missing)]

    def _frame(self, samples: Samples) -> AudioFrame:
        from av import AudioFrame

        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="flt", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.time_base, frame.pts = Fraction(1, self._rate_hz), self._fed
        self._fed += len(samples)
        return frame

    def _ready(self, graph: Graph) -> Audio:
        from av import BlockingIOError, EOFError

        parts: list[Samples] = [np.zeros(0, np.float32)]
        while True:
            try:
                parts.append(np.float32(graph.pull().to_ndarray()).reshape(-1))
            except (BlockingIOError, EOFError):  # there is no more yet, or at all
                return Audio(np.concatenate(parts), self._rate_hz)


def _graph(rate_hz: int, speed: float) -> Graph:
    """A chain of as many equal `atempo`s as the speed needs."""
    try:
        from av.filter import Graph
    except ImportError as error:
        raise StageFailed("tts", "no other speed than 1 without PyAV; `pip install av` there") from error

    stages = max(1, math.ceil(abs(math.log(speed, _LARGEST_FACTOR))))
    graph = Graph()
    graph.threads = 1  # else a pool of one thread a core starts with every stream
    last = graph.add_abuffer(sample_rate=rate_hz, format="flt", layout="mono")
    for name, options in [("atempo", repr(speed ** (1 / stages)))] * stages + [("abuffersink", None)]:
        following = graph.add(name, options)
        last.link_to(following)
        last = following
    graph.configure()
    return graph
