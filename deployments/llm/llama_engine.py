"""llama.cpp in this process, through xllamacpp: one model, a few slots, few threads.

What llama.cpp does and how it is asked is known here; whose turn it is, what a prompt may hold and asyncio
are not. Every method blocks and may be called from several threads.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conversation.errors import ConfigError, StageFailed

PIECE_TOKENS = 8
"""A prompt is read so many tokens at a time: between two pieces llama.cpp notices a cancellation and gives
other slots their turn. A cancelled prompt may finish the piece under way and one more. Measured with
SmolLM2-135M on one core of a two-core server: pieces of 8, 16, 32 and 512 tokens read 124, 124, 132 and 145
tokens/s and take 0.07, 0.14, 0.27 and 2.6 s, and a cancellation must take effect within 0.2 s.
"""

REUSE_TOKENS = 32
"""When the front of a session's history was cut, runs of at least so many unchanged tokens behind the cut
are moved in memory, not read again (llama-server's `n_cache_reuse`). Long enough that the few tokens around
every message are not taken for a run."""

SPINS = 500
"""How often a thread of llama.cpp looks whether the others are done before it sleeps. OpenMP's own 300,000
take the core from whoever the others wait for. Measured with SmolLM2-135M on two cores, in single runs beside
whatever else the machine had to do, ms for a token that is read and for one that is written:

| threads, spins | cores idle | one busy  |
|----------------|------------|-----------|
| 1              | 7.4 and 20 | 7.6 to 11 and 21 to 34 |
| 2, 200         | 5.0 and 25 | 8.4 and 24 |
| 2, 500         | 4.2 and 14 | 8.4 to 11 and 29 |
| 2, 1000        | 4.1 and 11 | 8.9 and 37 |
| 2, 20,000      | 4.5 and 12 | 25 and 91  |

So a second thread reads, where it gains the most, and one alone writes: what is written is soon spoken, by a
voice that needs the other core."""

COUNT_TIMEOUT_S = 5.0

Chunk = dict[str, Any]
"""One chunk of a chat completion stream, as in OpenAI's API; llama.cpp adds `prompt_progress`."""


class LlamaEngine:
    """Loads `gguf`; raises ConfigError when llama.cpp cannot.

    Args:
        slots: prompts kept, each with room of its own.
        context_tokens: the room of one slot, prompt and reply together.
        threads: that write.
        reading_threads: that read prompts.
    """

    def __init__(
        self, gguf: Path, *, slots: int, context_tokens: int, threads: int, reading_threads: int
    ) -> None:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))  # OpenMP reads it when it is loaded
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf)
        params.n_parallel = slots
        params.n_ctx = slots * context_tokens
        params.n_batch = params.n_ubatch = PIECE_TOKENS
        params.cpuparams.n_threads, params.cpuparams_batch.n_threads = threads, reading_threads
        params.cache_ram_mib = 0  # prompts are kept in the slots alone
        params.cache_idle_slots = False
        params.fit_params = False  # sizes are what we say, not what the machine has free
        params.verbosity = 0
        params.ui = params.endpoint_slots = False
        # xllamacpp always listens on a free loopback port, and counting tokens is offered nowhere else.
        self._api_key = secrets.token_hex(16)
        params.api_keys = [self._api_key]
        params.n_threads_http = 2
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ConfigError(
                f"llm: llama.cpp cannot load {gguf}: not a GGUF file it knows, or too little memory"
            ) from error
        self._address = self._server.listening_address.removeprefix("http://")

    def count(self, messages: Sequence[dict[str, str]]) -> int:
        """The tokens of a prompt, with all that the model's chat template adds."""
        connection = http.client.HTTPConnection(self._address, timeout=COUNT_TIMEOUT_S)
        try:
            connection.request(
                "POST",
                "/chat/completions/input_tokens",
                json.dumps({"messages": messages}),
                {"Content-Type": "application/json", "Authorization": f"Bearer {self._api_key}"},
            )
            answer = json.loads(connection.getresponse().read())
            return int(answer["input_tokens"])
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise StageFailed("llm", f"llama.cpp did not count a prompt's tokens: {error!r}") from error
        finally:
            connection.close()

    def stream(self, request: Chunk, on_chunk: Callable[[Chunk], bool]) -> None:
        """Answers a chat completion request; returns when it is done or `on_chunk` has returned False.

        `on_chunk` is called on this thread, with progress after each piece of the prompt and with each
        token; it must not raise. When it returns False the engine stops at the end of the piece under way.
        Raises StageFailed when llama.cpp answers with an error.
        """
        failure: list[str] = []

        def on_text(text: str) -> bool:
            chunk = json.loads(text)
            if "error" in chunk:
                failure.append(chunk["error"].get("message", text))
                return True
            return not on_chunk(chunk)

        body = {
            **request,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # else nothing is heard, and nothing stopped, before the first token
        }
        try:
            self._server.handle_chat_completions(json.dumps(body), on_text)
        except RuntimeError as error:
            raise StageFailed("llm", f"llama.cpp refused a request: {error}") from error
        if failure:
            raise StageFailed("llm", f"llama.cpp: {failure[0]}")

    def close(self) -> None:
        """Frees the model. Only when no `stream` is under way."""
        del self._server
