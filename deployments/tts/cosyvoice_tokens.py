"""The first half of CosyVoice: its language model turns text into speech tokens, 25 or 50 for a second.

The library runs the language model in a thread of its own for every utterance, looks every 100 ms how far it
has come, waits for ever where it has failed, and cannot stop it. Here the same loop of the library
(`llm_job`) runs on a few threads that stay, tells of every token, and ends at the first token after nobody
wants any more. What becomes of the tokens is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from conversation.errors import StageFailed

TOKEN_DEADLINE_S = 20.0
"""Without a token for so long, the language model counts as hung: a thousand times what a token takes."""

TURN_DEADLINE_S = 60.0
"""For the utterances before this one. The caller's own deadline for the first sound is far shorter."""

WARM_UP_DEADLINE_S = 600.0
"""The first use compiles kernels; this only keeps a hung GPU from hanging the start for ever."""


class LanguageModel:
    """At most so many utterances at a time; the others wait in the order in which they came."""

    def __init__(self, model: Any, concurrent: int, token_deadline_s: float = TOKEN_DEADLINE_S) -> None:
        """Changes `model.llm.inference` so that it tells of every token.

        Args:
            model: the library's CosyVoiceModel, of any version.
            concurrent: utterances at a time, each on a thread.
            token_deadline_s: for the next token of an utterance that has begun.
        """
        self._model = model
        self._token_deadline_s = token_deadline_s
        self._threads = ThreadPoolExecutor(concurrent, thread_name_prefix="cosyvoice-llm")
        self._live: set[SpeechTokens] = set()
        _watch_every_token(model)

    @contextlib.contextmanager
    def read(self, text: Any, speaker: Mapping[str, Any]) -> Iterator[SpeechTokens]:
        """The tokens of one sentence; to be entered on the event loop. On leaving, the model stops.

        It stops at its next token; whatever it still does until then, nobody waits for it.

        Args:
            text: token ids as the frontend makes them, a tensor of shape (1, n).
            speaker: see cosyvoice_speakers.
        """
        loop = asyncio.get_running_loop()
        tokens = SpeechTokens(loop.call_soon_threadsafe, self._token_deadline_s)
        job = self._threads.submit(self._run, text, speaker, tokens)
        tokens.follow(job)
        self._live.add(tokens)
        try:
            yield tokens
        finally:
            self._live.discard(tokens)
            tokens.stop()
            job.cancel()

    def warm_up(self, text: Any, speaker: Mapping[str, Any]) -> None:
        """Reads one sentence, blocking. Raises whatever the model raises."""
        tokens = SpeechTokens(lambda _: None, WARM_UP_DEADLINE_S)
        self._threads.submit(self._run, text, speaker, tokens).result(WARM_UP_DEADLINE_S)

    def close(self) -> None:
        """Stops what runs, drops what waits."""
        for tokens in self._live:
            tokens.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, text: Any, speaker: Mapping[str, Any], tokens: SpeechTokens) -> None:
        """On a thread. The library's dicts hold the utterance no longer than this."""
        key = uuid.uuid4().hex
        self._model.tts_speech_token_dict[key] = tokens
        try:
            tokens.started()
            with contextlib.suppress(_Stopped):
                self._model.llm_job(
                    text,
                    speaker["prompt_text"],
                    speaker["llm_prompt_speech_token"],
                    speaker["llm_embedding"],
                    key,
                )
        finally:
            self._model.tts_speech_token_dict.pop(key, None)
            self._model.llm_end_dict.pop(key, None)
            _abort_in_vllm(self._model.llm, key)


class SpeechTokens:
    """The tokens of one sentence, as they come. Made by `LanguageModel.read`."""

    def __init__(self, tell: Callable[[Callable[[], None]], Any], token_deadline_s: float) -> None:
        """Is of the event loop; its last methods are for the thread of the language model.

        Args:
            tell: lets the event loop call something soon; raises RuntimeError when the loop has ended.
            token_deadline_s: for the next token.
        """
        self._tell = tell
        self._token_deadline_s = token_deadline_s
        self._tokens: list[int] = []
        self._steps = 0
        self._awaited = 0
        self._job: Future[None] = Future()
        self._news = asyncio.Event()
        self._stop = threading.Event()
        self._started = False

    async def reach(self, count: int) -> bool:
        """Waits for so many tokens in all. False when the sentence has ended with fewer.

        Raises StageFailed when the language model has failed, or has given nothing within its deadline.
        """
        self._awaited = count
        while len(self._tokens) < count and not self._job.done():
            self._news.clear()
            await self._wait()
        if self._job.done() and (error := self._job.exception()) is not None:
            raise StageFailed(
                "tts", f"CosyVoice's language model failed: {type(error).__name__}: {error}"
            ) from error
        return len(self._tokens) >= count

    def first(self, count: int | None = None) -> list[int]:
        """So many of the tokens there are; None: all."""
        return self._tokens[:count]

    def stop(self) -> None:
        """No more are wanted."""
        self._stop.set()

    async def _wait(self) -> None:
        """For news, or for the deadline."""
        steps, began = self._steps, self._started
        deadline_s = self._token_deadline_s if began else TURN_DEADLINE_S
        try:
            async with asyncio.timeout(deadline_s):
                await self._news.wait()
        except TimeoutError:
            if self._steps > steps or self._started != began:
                return
            what = (
                f"CosyVoice's language model has given no token for {deadline_s:g} s"
                if began
                else f"no turn at CosyVoice's language model within {deadline_s:g} s: more is wanted than "
                "it can speak; raise `concurrent`, or the number of replicas"
            )
            raise StageFailed("tts", what) from None

    def follow(self, job: Future[None]) -> None:
        """`job` is what makes the tokens."""
        self._job = job
        job.add_done_callback(lambda _: self._wake())

    def started(self) -> None:
        self._started = True
        self._wake()

    def step(self) -> None:
        """The model has made a token. Raises _Stopped when no more are wanted."""
        self._steps += 1
        if self._stop.is_set():
            raise _Stopped

    def append(self, token: int) -> None:
        """The library keeps this token: it drops some of a long silence (CosyVoice 3)."""
        self._tokens.append(token)
        if len(self._tokens) == self._awaited:
            self._wake()

    def _wake(self) -> None:
        try:
            self._tell(self._news.set)
        except RuntimeError:  # the loop has ended, so nobody waits
            self._stop.set()


class _Stopped(Exception):
    """Ends the library's loop."""


def _watch_every_token(model: Any) -> None:
    """Lets every token of `model.llm` pass by the utterance that it is for, also those that are not kept."""
    inference = model.llm.inference

    def watched(*args: Any, uuid: str = "", **kwargs: Any) -> Iterator[int]:
        tokens: SpeechTokens = model.tts_speech_token_dict[uuid]
        with contextlib.closing(inference(*args, uuid=uuid, **kwargs)) as made:
            for token in made:
                tokens.step()
                yield token

    model.llm.inference = watched


def _abort_in_vllm(llm: Any, key: str) -> None:
    """Takes a stopped utterance out of vLLM's batch.

    Its queue is there only if the library's loop did not end by itself. Left in the batch, the next output
    for it would be a KeyError in the thread of another utterance (`inference_wrapper` in
    cosyvoice/llm/llm.py).
    Read, and never run here.
    """
    if hasattr(llm, "vllm"):
        with llm.lock:
            if llm.vllm_output_queue.pop(key, None) is not None:
                llm.vllm.abort_request([key])
