"""Hosts a model that tells whether a speaker has finished. Holds nothing between calls."""

from __future__ import annotations

from typing import Any

from ray import serve

from conversation.audio import from_pcm16
from conversation.stages import EndOfTurn
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked, log_to_the_replicas_file
from deployments.loading import load


@serve.deployment(name="turn")
class Turn:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        self._live = LiveCalls("turn")
        self._model: EndOfTurn = load(model, options)

    async def predict(self, pcm: bytes, rate_hz: int) -> float:
        with self._live.call():
            return await self._model.predict(from_pcm16(pcm, rate_hz))

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
