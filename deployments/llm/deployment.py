"""Hosts a language model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from conversation.stages import Llm as LlmModel
from conversation.stages import Message, ReplyParams, ReplyPart, Tool
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked, log_to_the_replicas_file, never_empty
from deployments.loading import load


@serve.deployment(
    name="llm",
    # For models that keep what they read of a session's prompt. One that only forwards to an endpoint gains
    # nothing by it, and loses nothing: any replica of it carries hundreds of streams.
    request_router_config=RequestRouterConfig(request_router_class="deployments.routing.HolderFirst"),
)
class Llm:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        self._live = LiveCalls("llm")
        self._model: LlmModel = load(model, options)

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool], params: ReplyParams
    ) -> AsyncGenerator[ReplyPart | None, None]:
        with self._live.call():
            async with aclosing(never_empty(self._model.reply(messages, tools, params))) as parts:
                async for part in parts:
                    yield part

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
