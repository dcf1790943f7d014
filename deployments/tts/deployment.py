"""Hosts a voice."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from conversation.audio import Audio, to_pcm16
from conversation.stages import Tts as TtsModel
from conversation.stages import WordTimes
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked, log_to_the_replicas_file, never_empty
from deployments.loading import load


@serve.deployment(name="tts")
class Tts:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        self._live = LiveCalls("tts")
        self._model: TtsModel = load(model, options)

    async def speak(
        self, text: str, voice: str, speed: float
    ) -> AsyncGenerator[tuple[bytes, int] | WordTimes | None, None]:
        """Chunks of 16-bit PCM, each with its rate in Hz; words with their times."""
        with self._live.call():
            async with aclosing(never_empty(self._model.speak(text, voice, speed))) as parts:
                async for part in parts:
                    yield (to_pcm16(part), part.rate_hz) if isinstance(part, Audio) else part

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
