"""Hosts a language model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from ray import serve

from conversation.stages import Llm as LlmModel
from conversation.stages import Message, ReplyParams, ReplyPart, Tool
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked
from deployments.loading import load


@serve.deployment(name="llm")
class Llm:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        listen_on_loopback_if_asked()
        self._live = LiveCalls("llm")
        self._model: LlmModel = load(model, options)

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool], params: ReplyParams
    ) -> AsyncGenerator[ReplyPart, None]:
        with self._live.call():
            async with aclosing(self._model.reply(messages, tools, params)) as parts:
                async for part in parts:
                    yield part

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
