"""Hosts a recogniser. A streaming one steps; any other takes whole segments, of several callers at a time."""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from conversation.audio import Audio, from_pcm16
from conversation.stages import Asr as AsrModel
from conversation.stages import Hints, Transcript
from conversation.stages import SegmentAsr as SegmentAsrModel
from deployments.asr.memories import LostTicketError, Memories, TicketLost, Token
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked, log_to_the_replicas_file
from deployments.loading import load

MAX_BATCH = 8
"""Segments decoded together. They wait for nobody: a batch is what came in while the last one was decoded."""


@serve.deployment(
    name="asr",
    request_router_config=RequestRouterConfig(request_router_class="deployments.routing.HolderFirst"),
)
class Asr:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        self._live = LiveCalls("asr")
        self._model: AsrModel = load(model, options)
        self._memories = Memories(serve.get_replica_context().replica_id.unique_id)

    async def step(
        self, pcm: bytes, rate_hz: int, before: Token | None, final: bool, hints: Hints
    ) -> tuple[Transcript, Token] | TicketLost:
        with self._live.call():
            try:
                memory = self._memories.find(before)
            except LostTicketError:
                return TicketLost()
            audio = from_pcm16(pcm, rate_hz)
            transcript, memory = await self._model.step(audio, memory, final=final, hints=hints)
            return transcript, self._memories.keep(memory, before)

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count


@serve.deployment(name="asr")
class SegmentAsr:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        self._live = LiveCalls("asr")
        self._model: SegmentAsrModel = load(model, options)

    async def transcribe(self, pcm: bytes, rate_hz: int, hints: Hints) -> Transcript:
        with self._live.call():
            transcript: Transcript = await self._together((from_pcm16(pcm, rate_hz), hints))
            return transcript

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]  # Ray is untyped
    async def _together(self, asked: list[tuple[Audio, Hints]]) -> list[Transcript]:
        segments, hints = zip(*asked, strict=True)
        return await self._model.transcribe(segments, hints)

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
