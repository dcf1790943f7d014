"""What travels in OpenAI's chat completions API: messages and tools one way, streamed chunks the other.

Source: https://platform.openai.com/docs/api-reference/chat-streaming. Knows what its many servers do
differently; knows no connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from conversation.stages import Message, ReplyPart, TextDelta, Tool, ToolCall, ToolCallDelta, Usage
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


@dataclass(slots=True)
class _Call:
    """A call as far as it has come. It is told from when its name is known on."""

    index: int
    call_id: str
    name: str = ""
    arguments: str = ""
    told: int = 0
    """How many characters of the arguments."""
    begun: bool = False

    def take(self, name: str, arguments: str) -> list[ReplyPart]:
        self.name = self.name or name
        self.arguments += arguments
        if not self.name:
            return []
        new, self.told = self.arguments[self.told :], len(self.arguments)
        if self.begun and not new:
            return []
        self.begun = True
        self.call_id = self.call_id or f"call_{uuid4().hex}"
        return [ToolCallDelta(self.call_id, self.name, new)]

    def whole(self) -> list[ReplyPart]:
        """Some servers write no arguments at all where there are none. Raises ValueError without a name."""
        rest = self.take("", "" if self.arguments else "{}")
        if not self.begun:
            raise ValueError("a function call without a name")
        return [*rest, ToolCall(self.call_id, self.name, self.arguments)]


class Reading:
    """One streamed completion, put together.

    Thoughts are left out: `reasoning_content` (DeepSeek, SGLang), `reasoning` (vLLM since 0.11, OpenRouter)
    and what is marked in the text. For `thinks_first` see Unthinking.
    """

    def __init__(self, *, thinks_first: bool = False) -> None:
        self.finish_reason: str | None = None
        self._text = Unthinking(thinks_first=thinks_first)
        self._calls: list[_Call] = []
        """In the order of their beginnings."""
        self._growing: _Call | None = None
        self._usage: CompletionUsage | None = None

    @property
    def thought_aloud(self) -> bool:
        return self._text.thought_aloud

    def take(self, chunk: ChatCompletionChunk) -> list[ReplyPart]:
        """The next chunk; returns what can be said and called of it, perhaps nothing."""
        self._usage = chunk.usage or self._usage
        parts: list[ReplyPart] = []
        for choice in chunk.choices or ():
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta is None:  # the closing chunk of some servers
                continue
            if said := self._text.feed(choice.delta.content or ""):
                parts.append(TextDelta(said))
            for delta in choice.delta.tool_calls or ():
                parts += self._take_call(delta)
        return parts

    def _take_call(self, delta: ChoiceDeltaToolCall) -> list[ReplyPart]:
        function = delta.function
        self._growing = self._call_of(delta)
        return self._growing.take((function and function.name) or "", (function and function.arguments) or "")

    def _call_of(self, delta: ChoiceDeltaToolCall) -> _Call:
        """The call that a delta goes on with, or a new one. Some servers number every call 0 and tell them
        apart by id; most give the id in the first delta alone."""
        for call in reversed(self._calls):
            if call.index == delta.index and (not delta.id or call.call_id in ("", delta.id)):
                call.call_id = call.call_id or delta.id or ""
                return call
        self._calls.append(_Call(delta.index, delta.id or ""))
        return self._calls[-1]

    def rest(self) -> list[ReplyPart]:
        """What comes after the last chunk. Raises ValueError for what is no reply."""
        is_cut_off = self.finish_reason == "length"
        text = self._text.end()
        parts: list[ReplyPart] = [TextDelta(text)] if text else []
        for call in self._calls:
            if not (is_cut_off and call is self._growing):
                parts += call.whole()
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
