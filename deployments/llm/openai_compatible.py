"""Any language model behind OpenAI's chat completions API: OpenAI, vLLM, SGLang, llama-server, Ollama …

Knows the server: where it is, when to ask it again, and what its failures mean to whoever has to repair
them. The HTTP is the openai library's; what travels is known to chat_completions.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

from conversation.errors import ConfigError, StageError, StageFailed, StageLate, StageLost
from conversation.stages import Message, ReplyParams, ReplyPart, Tool
from deployments.llm import chat_completions
from deployments.llm.chat_completions import Reading

logger = logging.getLogger(__name__)

ATTEMPTS = 2
RETRY_AFTER_S = 0.25
"""Somebody waits in silence: one more try, soon. After the first token there is none, since it was said."""

PASSING_STATUS = frozenset({408, 409, 429})
"""Refusals that may be gone a moment later, beside all from 500 on: what the openai library retries."""

OURS = frozenset({"model", "messages", "stream", "stream_options", "tools", "tool_choice"})
"""Of a request, made of the conversation."""


class OpenAiCompatible:
    """An `Llm` over HTTP. Closing or cancelling a reply closes its connection, which stops the server's work.

    Args:
        base_url: up to and without /chat/completions, e.g. ``http://gpu-1:8000/v1``; None: LLM_BASE_URL.
        model: as the server calls it; None: LLM_MODEL.
        max_tokens: of a reply; None: the server's own limit. ReplyParams.max_tokens can only lower it.
        temperature: None: the server's own.
        connect_s: until the connection stands.
        read_s: the longest silence, before the first token and between two.
        extra: more of the request's body; None: LLM_EXTRA, a JSON object. Servers switch thinking off by it,
            since nobody on the line wants to wait for thoughts: DeepSeek's by
            ``{"thinking": {"type": "disabled"}}``
            (https://api-docs.deepseek.com/guides/thinking_mode), vLLM and SGLang for Qwen 3 and others by
            ``{"chat_template_kwargs": {"enable_thinking": false}}``
            (https://docs.vllm.ai/en/stable/features/reasoning_outputs/).
        thinks_first: each reply begins with thoughts, and only ``</think>`` says where they end. So it is
            where the chat template ends with ``<think>`` (DeepSeek R1, Qwen3-Thinking) and the server runs
            without a reasoning parser. With thinking switched off nothing would ever be said.

    The key comes from LLM_API_KEY and from nowhere else; a server without keys needs none.

    A reply raises StageLost where the server cannot be reached, breaks off or is overloaded, StageLate after
    `read_s` or `connect_s`, and StageFailed for everything that would fail again. Raises ConfigError.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        connect_s: float = 5,
        read_s: float = 30,
        extra: Mapping[str, Any] | None = None,
        thinks_first: bool = False,
    ) -> None:
        import openai

        url, self._model = self.check(base_url=base_url, model=model)
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._connect_s, self._read_s = connect_s, read_s
        self._extra = _extra_from_environment() if extra is None else _checked_extra(extra, "llm.extra")
        self._thinks_first = thinks_first
        self._api_key = os.environ.get("LLM_API_KEY") or "no-key"  # the library insists on one
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=self._api_key,
            timeout=openai.Timeout(read_s, connect=connect_s),
            max_retries=0,  # the library would repeat a whole read_s of silence, twice
        )

    @staticmethod
    def check(*, base_url: str | None = None, model: str | None = None, **_: Any) -> tuple[str, str]:
        """The address and the model's name. Raises ConfigError where either is missing."""
        url = base_url or os.environ.get("LLM_BASE_URL") or ""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "llm.base_url: set it, or LLM_BASE_URL in the environment, to an address such as "
                "http://localhost:8000/v1"
            )
        name = model or os.environ.get("LLM_MODEL") or ""
        if not name:
            raise ConfigError(
                "llm.model: set it, or LLM_MODEL in the environment, to a name the server knows"
            )
        return url, name

    def __repr__(self) -> str:
        return f"OpenAiCompatible(host={self._host!r}, model={self._model!r})"

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        """See `Llm.reply`. Calls are whole after the text; one that the token limit cut short never is."""
        import openai

        if params.max_tokens == 0:
            return  # such a server keeps prompts as it likes, and charges for reading them

        request = self._request(messages, tools, params)
        for attempt in range(1, ATTEMPTS + 1):
            has_begun = False
            try:
                async with aclosing(self._attempt(request)) as parts:
                    async for part in parts:
                        has_begun = True
                        yield part
                return
            except openai.APIError as error:
                reason = self._explained(error)
            except StageLost as lost:
                reason = lost
            except ValueError as error:
                reason = StageFailed(
                    "llm", f"{self._host} sent what is not the chat completions API: {error}"
                )
            if has_begun or attempt == ATTEMPTS or not isinstance(reason, StageLost):
                raise reason from None  # what it came from may quote the key
            await asyncio.sleep(RETRY_AFTER_S)

    async def aclose(self) -> None:
        """Closes the connections that are kept for reuse."""
        await self._client.close()

    def _request(
        self, messages: Sequence[Message], tools: Sequence[Tool], params: ReplyParams
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [chat_completions.message(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        limits = [limit for limit in (self._max_tokens, params.max_tokens) if limit is not None]
        if limits:
            # OpenAI's own newer models refuse the older name, many other servers know only that.
            # https://platform.openai.com/docs/api-reference/chat/create#chat-create-max_completion_tokens
            is_openai = self._host == "api.openai.com"
            request["max_completion_tokens" if is_openai else "max_tokens"] = min(limits)
        if self._temperature is not None:
            request["temperature"] = self._temperature
        if tools:
            request["tools"] = [chat_completions.tool(tool) for tool in tools]
            request["tool_choice"] = chat_completions.tool_choice(params.tool_choice)
        if self._extra:
            request["extra_body"] = self._extra
        return request

    async def _attempt(self, request: Mapping[str, Any]) -> AsyncGenerator[ReplyPart, None]:
        reading = Reading(thinks_first=self._thinks_first)
        async with await self._client.chat.completions.create(**request) as chunks:
            async for chunk in chunks:
                for part in reading.take(chunk):
                    yield part
        if reading.thought_aloud:
            logger.warning(
                "llm: %s wrote </think> without <think>, so its thoughts were spoken; start it with its "
                "reasoning parser, or set llm.options.thinks_first: true",
                self._host,
            )
        if reading.finish_reason is None:
            raise StageLost("llm", f"{self._host} broke off in the middle of a reply")
        for part in reading.rest():
            yield part

    def _explained(self, error: Exception) -> StageError:
        import openai

        if isinstance(error, openai.APITimeoutError):
            return StageLate(
                "llm",
                f"{self._host} took longer than {self._read_s:g} s to answer or {self._connect_s:g} s to "
                f"connect; is {self._model} loaded there, and LLM_BASE_URL right?",
            )
        if isinstance(error, openai.APIConnectionError):
            why = error.__cause__ or error
            return StageLost(
                "llm", f"no connection to {self._host} ({why}); check LLM_BASE_URL and that the server runs"
            )
        if isinstance(error, openai.APIStatusError):
            return self._refused(error.status_code, error.message)
        return StageFailed("llm", f"{self._host}: {self._without_key(str(error))}")

    def _refused(self, status: int, message: str) -> StageError:
        if status in (401, 403):  # the message of some servers quotes part of the key
            return StageFailed("llm", f"{self._host} refused the key (HTTP {status}); set LLM_API_KEY")
        if status == 404:
            return StageFailed(
                "llm",
                f"{self._host} has no model {self._model!r}, or no chat completions at this address "
                "(HTTP 404); check LLM_MODEL, and that LLM_BASE_URL ends before /chat/completions, mostly "
                "in /v1",
            )
        is_passing = status in PASSING_STATUS or status >= 500
        kind = StageLost if is_passing else StageFailed
        remedy = "; it may be overloaded" if is_passing else ""
        return kind("llm", f"{self._host} answered HTTP {status}: {self._without_key(message)}{remedy}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._api_key, "…")[:500]


def _extra_from_environment() -> Mapping[str, Any]:
    try:
        extra = json.loads(os.environ.get("LLM_EXTRA") or "{}")
    except ValueError as error:
        raise ConfigError(f"LLM_EXTRA: not JSON: {error}") from error
    return _checked_extra(extra, "LLM_EXTRA")


def _checked_extra(extra: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(extra, Mapping):
        raise ConfigError(f'{where}: give an object, such as {{"thinking": {{"type": "disabled"}}}}')
    if taken := sorted(OURS & extra.keys()):
        raise ConfigError(
            f"{where}: {', '.join(taken)} cannot be set here, they are made of the conversation"
        )
    try:
        json.dumps(extra)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: it does not fit into JSON: {error}") from error
    return extra
