"""The language model's threads, with a scripted one in place of the library's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from conversation.errors import StageFailed
from deployments.tts import cosyvoice_tokens
from deployments.tts.cosyvoice_tokens import LanguageModel

DEADLINE_S = 10.0
SPEAKER = {"prompt_text": "", "llm_prompt_speech_token": "", "llm_embedding": ""}


class Scripted:
    """What of the library's CosyVoiceModel is used, and its loop. Tokens are made when a test lets them."""

    def __init__(self, kept: Callable[[int], bool] = lambda token: True) -> None:
        self.llm = self
        self.tts_speech_token_dict: dict[str, Any] = {}
        self.llm_end_dict: dict[str, bool] = {}
        self.made: list[str] = []
        self._kept = kept
        self._allowed = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)

    def allow(self, tokens: int) -> None:
        self._allowed.release(tokens)

    def llm_job(self, text: str, prompt: str, speech: str, embedding: str, uuid: str) -> None:
        for token in self.llm.inference(text=text, uuid=uuid):
            if self._kept(token):
                self.tts_speech_token_dict[uuid].append(token)
        self.llm_end_dict[uuid] = True

    def inference(self, text: str, uuid: str) -> Iterator[int]:
        for token in range(5):
            self.asked.release()
            assert self._allowed.acquire(timeout=DEADLINE_S)
            if text == "fails":
                raise RuntimeError("out of memory")
            self.made.append(text)
            yield token

    async def is_asked(self) -> None:
        assert await asyncio.to_thread(self.asked.acquire, timeout=DEADLINE_S)


@contextmanager
def made(model: Any, concurrent: int = 1, token_deadline_s: float = DEADLINE_S) -> Iterator[LanguageModel]:
    language_model = LanguageModel(model, concurrent, token_deadline_s)
    yield language_model
    model.allow(1000)
    language_model.close()
    assert model.tts_speech_token_dict == {}
    assert model.llm_end_dict == {}


async def test_tokens_come_one_by_one() -> None:
    model = Scripted()
    with made(model) as language_model, language_model.read("a", SPEAKER) as tokens:
        model.allow(2)
        assert await tokens.reach(2)
        assert tokens.first() == [0, 1]
        model.allow(3)
        assert await tokens.reach(4)
        assert tokens.first(4) == [0, 1, 2, 3]
        assert not await tokens.reach(6)
        assert tokens.first() == [0, 1, 2, 3, 4]


async def test_the_tokens_of_an_empty_sentence_end() -> None:
    model = Scripted(kept=lambda token: False)
    with made(model) as language_model, language_model.read("a", SPEAKER) as tokens:
        model.allow(5)
        assert not await tokens.reach(1)
        assert tokens.first() == []


async def test_leaving_stops_the_model_at_its_next_token() -> None:
    model = Scripted()
    with made(model) as language_model:
        with language_model.read("a", SPEAKER) as tokens:
            model.allow(2)
            assert await tokens.reach(2)
        model.allow(1000)
    assert len(model.made) == 3


async def test_a_token_that_is_not_kept_stops_the_model_too() -> None:
    """CosyVoice 3 drops tokens of silence, so that the list of tokens does not see them."""
    model = Scripted(kept=lambda token: False)
    with made(model) as language_model:
        with language_model.read("a", SPEAKER):
            model.allow(2)
            for _ in range(3):
                await model.is_asked()
        model.allow(1000)
    assert len(model.made) == 3


async def test_an_error_of_the_model_is_raised() -> None:
    model = Scripted()
    with made(model) as language_model, language_model.read("fails", SPEAKER) as tokens:
        model.allow(1)
        with pytest.raises(StageFailed, match="language model failed: RuntimeError: out of memory") as caught:
            await tokens.reach(1)
        assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_model_without_a_token_is_left() -> None:
    model = Scripted()
    with (
        made(model, token_deadline_s=0.05) as language_model,
        language_model.read("a", SPEAKER) as tokens,
        pytest.raises(StageFailed, match=r"no token for 0\.05 s"),
    ):
        await tokens.reach(1)


async def test_sentences_take_turns_in_the_order_in_which_they_came() -> None:
    model = Scripted()
    with (
        made(model) as language_model,
        language_model.read("a", SPEAKER) as first,
        language_model.read("b", SPEAKER) as second,
        language_model.read("c", SPEAKER) as third,
    ):
        model.allow(15)
        assert await third.reach(5)
        assert first.first() == second.first() == third.first()
    assert model.made == ["a"] * 5 + ["b"] * 5 + ["c"] * 5


async def test_so_many_are_read_at_a_time_and_no_more() -> None:
    model = Scripted()
    with (
        made(model, concurrent=2) as language_model,
        language_model.read("a", SPEAKER),
        language_model.read("b", SPEAKER),
        language_model.read("c", SPEAKER) as third,
    ):
        await model.is_asked()
        await model.is_asked()
        assert len(model.tts_speech_token_dict) == 2
        model.allow(15)
        assert await third.reach(5)


async def test_a_sentence_that_gives_up_before_its_turn_never_has_one() -> None:
    model = Scripted()
    with made(model) as language_model, language_model.read("a", SPEAKER) as first:
        with language_model.read("b", SPEAKER):
            await model.is_asked()
        model.allow(10)
        assert await first.reach(5)
    assert model.made == ["a"] * 5


async def test_waiting_for_a_turn_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosyvoice_tokens, "TURN_DEADLINE_S", 0.05)
    model = Scripted()
    with (
        made(model) as language_model,
        language_model.read("a", SPEAKER),
        language_model.read("b", SPEAKER) as second,
    ):
        await model.is_asked()
        with pytest.raises(StageFailed, match=r"no turn .* raise `concurrent`"):
            await second.reach(1)


async def test_a_stopped_sentence_leaves_vllms_batch() -> None:
    """Read, not run: this only shows what vLLM is told. Its engine needs a GPU."""

    class Engine:
        aborted: list[list[str]] = []  # noqa: RUF012

        def abort_request(self, keys: list[str]) -> None:
            self.aborted.append(keys)

    class WithVllm(Scripted):
        lock = threading.Lock()
        vllm = Engine()
        vllm_output_queue: dict[str, list[int]] = {}  # noqa: RUF012

        def inference(self, text: str, uuid: str) -> Iterator[int]:
            self.vllm_output_queue[uuid] = []
            yield from super().inference(text, uuid)
            del self.vllm_output_queue[uuid]

    model = WithVllm()
    with made(model) as language_model:
        with language_model.read("whole", SPEAKER) as tokens:
            model.allow(5)
            assert not await tokens.reach(6)
        assert model.vllm.aborted == []
        with language_model.read("stopped", SPEAKER):
            await asyncio.to_thread(lambda: [model.asked.acquire(timeout=DEADLINE_S) for _ in range(6)])
        model.allow(1)
    assert len(model.vllm.aborted) == 1
    assert model.vllm_output_queue == {}
