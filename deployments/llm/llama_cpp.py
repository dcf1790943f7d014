"""A small language model in this process: the laptop's, which needs no key and no network.

Knows how replies share one llama.cpp engine: whose turn it is, how much of a history a prompt may hold, how
a thread's tokens reach the event loop. What it says is plain spoken text; it calls no functions.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from conversation.errors import ConfigError, StageFailed, StageLost
from conversation.stages import Message, ReplyParams, ReplyPart, TextDelta, Tool, Usage
from deployments.llm.llama_engine import REUSE_TOKENS, Chunk, LlamaEngine
from deployments.llm.slots import Slot, Slots
from deployments.weights import locate

AT_ONCE = 2
"""Replies that interleave, token by token. They share one thread: with more, every listener would wait for
words. llama.cpp reads prompts in the order of slots, so one that is being read can hold up another's."""

SPEAKABLE = r"root ::= [^*#`_|<>~\\\n\r\t\[\]{}]+"
"""A grammar (GBNF) of one paragraph without markup: what comes out is spoken, and nobody can hear a list's
bullets. It costs no measurable time. A model that wanted a new line goes on in the sentence."""

Speak = Callable[[ReplyPart], None]


class LlamaCpp:
    """An `Llm` over one GGUF file, on a thread or two.

    Each of the last `sessions` sessions keeps what was read of its prompt. At most two replies run at a
    time, others wait in the order in which they came. A cancelled reply stops within about 0.15 s, while
    its prompt is read too, and takes nothing from the next.

    Args:
        weights: catalogue name, or the path of a .gguf file or of a directory with one in it.
        prompt_tokens: a longer prompt loses its oldest messages.
        context_tokens: room for prompt and reply of one session. A system message and a last message that
            alone are longer than `prompt_tokens` may fill it; beyond it they fail.
        sessions: prompts kept. Each costs `context_tokens` of memory: 23 KB a token for SmolLM2-135M.
        threads: that write, token by token. A second one gains a third where a core is idle, loses more than
            that where none is, and is in the voice's way.
        reading_threads: that read prompts; at most as many as there are cores. The second one gains 40 %
            where a core is idle, and loses nothing where none is.
        max_tokens: of a reply, and the most that ReplyParams.max_tokens can ask for.
        temperature, top_p, repeat_penalty: chosen by reading replies of SmolLM2-135M to ten everyday
            questions: above 0.5 it loses the thread, without the penalty it repeats itself.
        seed: makes replies repeatable; -1: not.

    Raises ConfigError when the weights cannot be found or loaded.
    """

    def __init__(
        self,
        *,
        weights: str = "smollm2-135m-instruct",
        prompt_tokens: int = 512,
        context_tokens: int = 1024,
        sessions: int = 4,
        threads: int = 1,
        reading_threads: int = 2,
        max_tokens: int = 128,
        temperature: float = 0.3,
        top_p: float = 0.9,
        repeat_penalty: float = 1.1,
        seed: int = -1,
    ) -> None:
        if context_tokens < prompt_tokens + max_tokens:
            raise ConfigError(
                f"llm.context_tokens: {context_tokens} cannot hold prompt_tokens ({prompt_tokens}) and "
                f"max_tokens ({max_tokens}); make it at least {prompt_tokens + max_tokens}"
            )
        self._prompt_tokens = prompt_tokens
        self._most_prompt_tokens = context_tokens - max_tokens
        self._max_tokens = max_tokens
        self._sampling = {
            "temperature": temperature,
            "top_p": top_p,
            "repeat_penalty": repeat_penalty,
            "seed": seed,
            "grammar": SPEAKABLE,
        }
        self.engine = LlamaEngine(
            _only_gguf(locate(weights)),
            slots=sessions,
            context_tokens=context_tokens,
            threads=threads,
            reading_threads=min(reading_threads, len(os.sched_getaffinity(0))),
        )
        self._slots = Slots(sessions, AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="llama")
        self._running: set[Event] = set()
        self._is_closed = False

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        """See `Llm.reply`. Tools are left unread, and a reply that must call one raises StageFailed."""
        if tools and params.tool_choice not in ("auto", "none"):
            raise StageFailed(
                "llm",
                "the built-in language model calls no functions; "
                "point LLM_BASE_URL and LLM_MODEL at one that does",
            )
        # llama.cpp always says one token; of a prompt that is only to be read, nobody hears it.
        limit = self._max_tokens if params.max_tokens is None else min(params.max_tokens, self._max_tokens)
        slot = await self._slots.take(params.session)
        if self._is_closed:
            self._slots.give_back(slot)
            raise StageLost("llm", "the language model was shut down")

        loop = asyncio.get_running_loop()
        # A delta has at least one token, so a whole reply fits in, and the engine never waits for a listener.
        parts: asyncio.Queue[ReplyPart | None] = asyncio.Queue(limit + 2)
        stop = Event()  # from this coroutine to the thread
        self._running.add(stop)

        def speak(part: ReplyPart) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the listener
                loop.call_soon_threadsafe(parts.put_nowait, part)

        def finished(work: asyncio.Future[None]) -> None:
            self._running.discard(stop)
            self._slots.give_back(slot)  # only now: the engine has let go of it
            work.exception()  # the listener raises it, if there still is one
            parts.put_nowait(None)

        work = loop.run_in_executor(
            self._threads, self._generate, messages, self._request(slot, limit), stop, speak
        )
        work.add_done_callback(finished)
        try:
            while (part := await parts.get()) is not None:
                yield part
            work.result()
            if stop.is_set():
                raise StageLost("llm", "the language model was shut down")
        finally:
            stop.set()

    def _request(self, slot: Slot, limit: int) -> Chunk:
        return {
            **self._sampling,
            "max_tokens": limit,
            "id_slot": slot.number,
            # What is moved still carries what was read before it: never from one session to another.
            "n_cache_reuse": REUSE_TOKENS if slot.is_own else 0,
        }

    def _generate(self, messages: Sequence[Message], request: Chunk, stop: Event, speak: Speak) -> None:
        cut_off = False

        def on_chunk(chunk: Chunk) -> bool:
            nonlocal cut_off
            for choice in chunk.get("choices", ()):
                cut_off = cut_off or choice.get("finish_reason") == "length"
                if (text := choice["delta"].get("content")) and request["max_tokens"]:
                    speak(TextDelta(text))
            if usage := chunk.get("usage"):
                cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
                speak(Usage(usage["prompt_tokens"], usage["completion_tokens"], cached, cut_off))
            return not stop.is_set()

        prompt = self._fit(_spoken(messages))
        if not stop.is_set():
            self.engine.stream({**request, "messages": prompt}, on_chunk)

    def _fit(self, messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """Drops the oldest messages till the prompt is short enough, never the system message or the last."""
        head = [message for message in messages[:1] if message["role"] == "system" and len(messages) > 1]
        rest = messages[len(head) :]

        def tokens_without(dropped: int) -> int:
            return self.engine.count([*head, *rest[dropped:]])

        droppable = range(len(rest) - 1)  # one past its end stands for: only the last is left
        dropped = bisect.bisect_left(droppable, True, key=lambda n: tokens_without(n) <= self._prompt_tokens)
        if dropped == len(droppable) and (least := tokens_without(dropped)) > self._most_prompt_tokens:
            raise StageFailed(
                "llm",
                f"the instructions and the last message are {least} tokens, and the built-in language model "
                f"has room for {self._most_prompt_tokens}: shorten them or raise llm.context_tokens",
            )
        return [*head, *rest[dropped:]]

    def close(self) -> None:
        """Stops the replies under way, which raise StageLost, and frees the model. Blocks for 0.2 s or so."""
        self._is_closed = True
        for stop in tuple(self._running):
            stop.set()
        self._threads.shutdown(wait=True)
        self.engine.close()


def _spoken(messages: Sequence[Message]) -> list[dict[str, str]]:
    """A history as any chat template takes it: what functions gave is told as words, to a model that calls
    none. What the assistant said without a word is left out."""
    names = {call.call_id: call.name for message in messages for call in message.tool_calls}
    told = []
    for message in messages:
        role, text = message.role, _plain(message.text)
        if role == "assistant" and not text.strip():
            continue
        if role == "tool":
            role, text = "user", f"({_plain(names.get(message.call_id or '', 'A function'))}: {text})"
        told.append({"role": str(role), "content": text})
    return told


def _plain(text: str) -> str:
    """Text in which nobody can write a chat template's own marks, `<|im_start|>` and the like."""
    return text.replace("<|", "< |").replace("|>", "| >")


def _only_gguf(path: Path) -> Path:
    found = sorted(path.glob("*.gguf")) if path.is_dir() else [path]
    if len(found) != 1:
        raise ConfigError(f"llm.weights: {path} has {len(found)} .gguf files; name the one to load")
    return found[0]
