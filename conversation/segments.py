"""Makes a streaming `Asr` of a recogniser that only takes whole segments.

The memory is the open segment itself, so it lives on the caller's side and the segment is sent one way. Each
step decodes the open segment anew. A segment that grows long is cut at its quietest moment; what comes before
the cut is settled and never decoded again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.stages import Hints, SegmentAsr, Transcript

CUT_AT_S = 25.0
"""A segment this long is cut. Whisper-like models hear 30 s at most; the rest is room for one step."""
EARLIEST_CUT_S = 5.0
"""A cut leaves at least so much on either side: shorter pieces are recognised badly."""
_QUIET_S = 0.2
"""The length of the pause that a cut looks for: shorter ones lie inside words."""


@dataclass(frozen=True, slots=True)
class SegmentMemory:
    settled: str = ""
    """Text of what was cut off."""
    open: Audio = field(default_factory=lambda: silence(0, HEARING_HZ))


class Segments:
    """An `Asr` over a `SegmentAsr`."""

    def __init__(self, recogniser: SegmentAsr) -> None:
        self._recogniser = recogniser

    async def step(
        self, audio: Audio, memory: SegmentMemory | None, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, SegmentMemory]:
        """See `Asr.step`. `final` changes nothing: every step decodes the whole open segment."""
        memory = await self.settle(audio, memory, hints=hints)
        transcript = await self._transcribe(memory.open, hints) if len(memory.open) else Transcript("")
        return Transcript(_after(memory.settled, transcript.text), language=transcript.language), memory

    async def settle(
        self, audio: Audio, memory: SegmentMemory | None, *, hints: Hints = Hints()
    ) -> SegmentMemory:
        """Adds to the open segment, and decodes only what has to be cut off of it."""
        memory = memory or SegmentMemory()
        settled, pending = memory.settled, join([memory.open, audio], HEARING_HZ)
        while pending.duration_s > CUT_AT_S:
            cut = quietest(pending[: round(CUT_AT_S * HEARING_HZ)])
            settled = _after(settled, (await self._transcribe(pending[:cut], hints)).text)
            pending = pending[cut:]
        return SegmentMemory(settled, pending)

    async def _transcribe(self, segment: Audio, hints: Hints) -> Transcript:
        [transcript] = await self._recogniser.transcribe([segment], [hints])
        return transcript


def quietest(audio: Audio) -> int:
    """The sample in the middle of the quietest 200 ms, at least EARLIEST_CUT_S from either end."""
    window = round(_QUIET_S * audio.rate_hz)
    margin = round(EARLIEST_CUT_S * audio.rate_hz)
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio.samples, dtype=np.float64))])
    starts = np.arange(margin, len(audio) - margin - window)
    return int(starts[np.argmin(energy[starts + window] - energy[starts])]) + window // 2


def _after(settled: str, text: str) -> str:
    """Joins two texts; with a space, unless Chinese or the like meets."""
    if not settled or not text:
        return settled or text
    spaced = settled[-1].isascii() or text[0].isascii()
    return f"{settled} {text}" if spaced else settled + text
