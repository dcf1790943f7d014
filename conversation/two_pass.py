"""Makes one `Asr` of two recognisers: one that hears as fast as people speak, and one that hears better.

The streaming one gives the partial transcripts. The words that are answered come from the other, which is
given the whole segment once it seems over. This module knows neither model, and judges neither's words.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from conversation.audio import HEARING_HZ, Audio, join
from conversation.errors import StageError
from conversation.segments import SegmentMemory, Segments
from conversation.stages import Asr, Hints, SegmentAsr, Transcript

_log = logging.getLogger(__name__)

PATIENCE_S = 3.0
"""The final pass may take so long, a hundred times what it takes on a GPU. Then the answer is better given to
the words at hand than not at all: it leaves the streaming recogniser most of the deadline of a step."""


@dataclass(frozen=True, slots=True)
class TwoPassMemory:
    streaming: Any = None
    segment: SegmentMemory = field(default_factory=SegmentMemory)


class TwoPass:
    """An `Asr` over both.

    The final pass of a long segment is made as it grows (see `Segments.settle`). Where it fails, the
    streaming recogniser's words stand: worse words, and no silence.
    """

    def __init__(self, partials: Asr, finals: SegmentAsr) -> None:
        self._partials, self._finals = partials, Segments(finals)

    async def step(
        self, audio: Audio, memory: TwoPassMemory | None, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, TwoPassMemory]:
        memory = memory or TwoPassMemory()
        if final:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    transcript, segment = await self._finals.step(
                        audio, memory.segment, final=True, hints=hints
                    )
                return transcript, TwoPassMemory(memory.streaming, segment)
            except (StageError, TimeoutError) as error:
                _log.warning("no final pass, so the partial transcript stands: %s", error or "it is late")
        transcript, streaming = await self._partials.step(audio, memory.streaming, final=final, hints=hints)
        return transcript, TwoPassMemory(streaming, await self._settled(audio, memory.segment, hints))

    async def _settled(self, audio: Audio, segment: SegmentMemory, hints: Hints) -> SegmentMemory:
        """With `audio`. What the final pass cannot settle now it will be asked again."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._finals.settle(audio, segment, hints=hints)
        except (StageError, TimeoutError) as error:
            _log.warning("the final pass of a long segment is put off: %s", error or "it is late")
            return SegmentMemory(segment.settled, join([segment.open, audio], HEARING_HZ))
