"""Hosts a recogniser. A streaming one steps; any other takes whole segments, of several callers at a time."""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from conversation.audio import from_pcm16
from conversation.stages import Asr as AsrModel
from conversation.stages import SegmentAsr as SegmentAsrModel
from conversation.stages import Transcript
from deployments.asr.memories import LostTicketError, Memories, TicketLost, Token
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked
from deployments.loading import load

MAX_BATCH = 8
"""Segments decoded together. They wait for nobody: a batch is what came in while the last one was decoded."""


@serve.deployment(
    name="asr",
    request_router_config=RequestRouterConfig(request_router_class="deployments.routing.HolderFirst"),
)
class Asr:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        listen_on_loopback_if_asked()
        self._live = LiveCalls("asr")
        self._model: AsrModel = load(model, options)
        self._memories = Memories(serve.get_replica_context().replica_id.unique_id)

    async def step(
        self, pcm: bytes, rate_hz: int, before: Token | None, final: bool
    ) -> tuple[Transcript, Token] | TicketLost:
        with self._live.call():
            try:
                memory = self._memories.find(before)
            except LostTicketError:
                return TicketLost()
            transcript, memory = await self._model.step(from_pcm16(pcm, rate_hz), memory, final=final)
            return transcript, self._memories.keep(memory, before)

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count


@serve.deployment(name="asr")
class SegmentAsr:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        listen_on_loopback_if_asked()
        self._live = LiveCalls("asr")
        self._model: SegmentAsrModel = load(model, options)

    async def transcribe(self, pcm: bytes, rate_hz: int) -> Transcript:
        with self._live.call():
            transcript: Transcript = await self._together((pcm, rate_hz))
            return transcript

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]  # Ray is untyped
    async def _together(self, segments: list[tuple[bytes, int]]) -> list[Transcript]:
        return await self._model.transcribe([from_pcm16(pcm, rate_hz) for pcm, rate_hz in segments])

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
