"""What travels in OpenAI's chat completions API: messages and tools one way, streamed chunks the other.

Source: https://platform.openai.com/docs/api-reference/chat-streaming. Knows what its many servers do
differently; knows no connection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from conversation.stages import Message, ReplyPart, TextDelta, Tool, ToolCall, Usage
from deployments.llm.thinking import Unthinking

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall
    from openai.types.completion_usage import CompletionUsage


def message(said: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": said.role, "content": said.text}
    if said.tool_calls:
        wire["content"] = said.text or None
        wire["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in said.tool_calls
        ]
    if said.call_id is not None:
        wire["tool_call_id"] = said.call_id
    return wire


def tool(offered: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": offered.name,
            "description": offered.description,
            "parameters": dict(offered.parameters),
        },
    }


def tool_choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


class Reading:
    """One streamed completion, put together.

    Thoughts are left out: `reasoning_content` (DeepSeek, SGLang), `reasoning` (vLLM since 0.11, OpenRouter)
    and what is marked in the text. For `thinks_first` see Unthinking.
    """

    def __init__(self, *, thinks_first: bool = False) -> None:
        self.finish_reason: str | None = None
        self._text = Unthinking(thinks_first=thinks_first)
        self._calls: list[tuple[int, ToolCall]] = []
        """Each with its index in the stream; the last one may still grow."""
        self._usage: CompletionUsage | None = None

    @property
    def thought_aloud(self) -> bool:
        return self._text.thought_aloud

    def take(self, chunk: ChatCompletionChunk) -> str:
        """The next chunk; returns what can be said of it, perhaps nothing."""
        self._usage = chunk.usage or self._usage
        said = ""
        for choice in chunk.choices or ():
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta is None:  # the closing chunk of some servers
                continue
            said += self._text.feed(choice.delta.content or "")
            for delta in choice.delta.tool_calls or ():
                self._take_call(delta)
        return said

    def _take_call(self, delta: ChoiceDeltaToolCall) -> None:
        function = delta.function
        name = (function and function.name) or ""
        arguments = (function and function.arguments) or ""
        if self._calls:
            index, call = self._calls[-1]
            # Some servers number every call 0 and tell them apart by id.
            if index == delta.index and delta.id in (None, "", call.call_id):
                grown = replace(call, name=call.name or name, arguments=call.arguments + arguments)
                self._calls[-1] = (index, grown)
                return
        self._calls.append((delta.index, ToolCall(delta.id or f"call_{uuid4().hex}", name, arguments)))

    def rest(self) -> list[ReplyPart]:
        """What comes after the last chunk."""
        is_cut_off = self.finish_reason == "length"
        calls = [replace(call, arguments=call.arguments or "{}") for _, call in self._calls]
        text = self._text.end()
        parts: list[ReplyPart] = [TextDelta(text)] if text else []
        parts += calls[:-1] if is_cut_off else calls
        if self._usage:
            details = self._usage.prompt_tokens_details
            parts.append(
                Usage(
                    self._usage.prompt_tokens,
                    self._usage.completion_tokens,
                    (details and details.cached_tokens) or 0,
                    is_cut_off,
                )
            )
        elif is_cut_off:  # a server that does not count, but what happened must be known
            parts.append(Usage(0, 0, cut_off=True))
        return parts
