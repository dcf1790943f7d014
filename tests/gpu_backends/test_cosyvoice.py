"""CosyVoice's own classes, with small random weights: streaming, cancelling, and the library's defects.

The library is what is there: a checkout named by COSYVOICE_HOME, which has versions 1 to 3, or cosyvoice2-eu,
which has 1 and 2.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conversation.audio import Audio
from conversation.errors import StageFailed
from deployments.tts.cosyvoice import CosyVoice
from deployments.tts.cosyvoice_speakers import Speakers
from deployments.tts.voices import Voice
from tests.gpu_backends.tiny import cosyvoice_versions

pytestmark = pytest.mark.gpu_backends

DEADLINE_S = 120.0
CONCURRENT = 2
CHUNK_TOKENS = {1: [30], 2: None, 3: None}
SENTENCE = {
    1: "Good morning to you.",
    2: "Good morning to you all, and to everybody at home.",
    3: "Good day.",
}
"""By version: long enough for two chunks before the last one; see tiny_cosyvoice.py for how long it gets."""


@pytest.fixture(scope="session", params=[1, 2, 3], ids="cosyvoice{}".format)
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    if number not in cosyvoice_versions():
        pytest.skip(f"CosyVoice {number} needs a checkout of the library's source: set COSYVOICE_HOME")
    return number


@pytest.fixture(scope="session")
def loaded(version: int, tiny_models: Path) -> Iterator[CosyVoice]:
    directory = tiny_models / f"cosyvoice{version}"
    model = CosyVoice(
        weights=str(directory),
        voices=str(directory / "voices"),
        chunk_tokens=CHUNK_TOKENS[version],
        concurrent=CONCURRENT,
    )
    yield model
    model.close()


@pytest.fixture
def cosyvoice(loaded: CosyVoice) -> Iterator[CosyVoice]:
    """The model; after the test nothing of its utterances is left in it."""
    settle(loaded)
    threads = threading.active_count()
    yield loaded
    settle(loaded)
    assert threading.active_count() <= threads
    assert {
        name: kept for name, kept in vars(library_of(loaded)).items() if name.endswith("_dict") and kept
    } == {}
    assert not loaded._language_model._live


def library_of(cosyvoice: CosyVoice) -> Any:
    """The library's CosyVoiceModel."""
    return cosyvoice._sounds._model


def settle(cosyvoice: CosyVoice) -> None:
    """Returns when every thread of the model is idle."""
    for executor, size in (
        (cosyvoice._language_model._threads, CONCURRENT),
        (cosyvoice._computing, 1),
        (cosyvoice._reader._executor, 1),
    ):
        meeting = threading.Barrier(size + 1)
        for _ in range(size):
            executor.submit(meeting.wait, DEADLINE_S)
        meeting.wait(DEADLINE_S)


async def spoken(cosyvoice: CosyVoice, text: str, voice: str = "default", speed: float = 1.0) -> list[Audio]:
    async with asyncio.timeout(DEADLINE_S), aclosing(cosyvoice.speak(text, voice, speed)) as chunks:
        return [chunk async for chunk in chunks]


async def first_of(chunks: AsyncGenerator[Audio, None]) -> Audio:
    async with asyncio.timeout(DEADLINE_S):
        return await anext(chunks)


class Gate:
    """Lets the language model draw so many tokens, then makes it wait, and fail if there is a failure."""

    def __init__(self, sampling: Any, specials_from: int) -> None:
        self._sampling, self._specials_from = sampling, specials_from
        self.open = threading.Semaphore(0)
        self.drawn = 0
        self.waiting = threading.Semaphore(0)
        self.failure: Exception | None = None

    def let_pass(self, tokens: int) -> None:
        self.open.release(tokens)

    def __call__(self, scores: Any, *args: Any) -> Any:
        if not self.open.acquire(blocking=False):
            self.waiting.release()
            assert self.open.acquire(timeout=DEADLINE_S)
            if self.failure is not None:
                raise self.failure
        scores = scores.clone()
        scores[self._specials_from :] = -float("inf")  # so that the sentence does not end by itself
        self.drawn += 1
        return self._sampling(scores, *args)

    async def is_waited_at(self) -> None:
        assert await asyncio.to_thread(self.waiting.acquire, timeout=DEADLINE_S)


@contextmanager
def gated(cosyvoice: CosyVoice) -> Iterator[Gate]:
    llm = library_of(cosyvoice).llm
    sampling = llm.sampling
    llm.sampling = gate = Gate(sampling, llm.speech_token_size)
    try:
        yield gate
    finally:
        gate.let_pass(10_000)
        settle(cosyvoice)
        llm.sampling = sampling


def wanted_first(cosyvoice: CosyVoice) -> int:
    voice = cosyvoice._voices.find("default")
    return cosyvoice._sounds.begin(cosyvoice._speakers.of(voice)).wanted


async def test_a_sentence_streams_in_chunks(cosyvoice: CosyVoice, version: int) -> None:
    chunks = await spoken(cosyvoice, SENTENCE[version])
    assert len(chunks) >= 3
    assert {chunk.rate_hz for chunk in chunks} == {22_050 if version == 1 else 24_000}
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert samples.dtype == np.float32
    assert 0.01 < np.abs(samples).max() <= 1


async def test_the_first_chunk_stays_short(cosyvoice: CosyVoice, version: int) -> None:
    """The library's grows for all that come later: https://github.com/FunAudioLLM/CosyVoice/issues/1892."""
    model = library_of(cosyvoice)
    hop = vars(model).get("token_hop_len")
    firsts = [len((await spoken(cosyvoice, SENTENCE[version]))[0]) for _ in range(3)]
    assert len(set(firsts)) == 1
    assert vars(model).get("token_hop_len") == hop


async def test_sentences_at_once_are_spoken_as_if_alone(cosyvoice: CosyVoice, version: int) -> None:
    texts = [SENTENCE[version], "Yes.", SENTENCE[version]]
    alone = [len(await spoken(cosyvoice, text)) for text in texts]
    together = await asyncio.gather(*(spoken(cosyvoice, text) for text in texts))
    assert [len(chunks) for chunks in together] == alone


async def test_a_closed_stream_stops_the_language_model_at_its_next_token(
    cosyvoice: CosyVoice, version: int
) -> None:
    """The library's goes on to the end of the sentence, and keeps what it has of it for ever."""
    with gated(cosyvoice) as gate:
        gate.let_pass(wanted_first(cosyvoice))
        chunks = cosyvoice.speak(SENTENCE[version], "default")
        assert len(await first_of(chunks)) > 0
        await gate.is_waited_at()
        await chunks.aclose()
        drawn = gate.drawn
        gate.let_pass(10_000)
        await asyncio.to_thread(settle, cosyvoice)
        assert gate.drawn == drawn + 1


async def test_a_cancelled_task_stops_the_language_model_at_its_next_token(
    cosyvoice: CosyVoice, version: int
) -> None:
    with gated(cosyvoice) as gate:
        gate.let_pass(3)
        speaking = asyncio.create_task(spoken(cosyvoice, SENTENCE[version]))
        await gate.is_waited_at()
        speaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await speaking
        gate.let_pass(10_000)
        await asyncio.to_thread(settle, cosyvoice)
        assert gate.drawn == 4


async def test_an_error_in_the_language_models_thread_is_raised(cosyvoice: CosyVoice, version: int) -> None:
    """The library's loop would wait for ever."""
    with gated(cosyvoice) as gate:
        gate.let_pass(wanted_first(cosyvoice))
        async with aclosing(cosyvoice.speak(SENTENCE[version], "default")) as chunks:
            await first_of(chunks)
            await gate.is_waited_at()
            gate.failure = RuntimeError("out of memory")
            gate.let_pass(1)
            with pytest.raises(StageFailed, match=r"^tts: .*RuntimeError: out of memory"):
                await first_of(chunks)
        gate.failure = None
    assert await spoken(cosyvoice, "Yes.")


async def test_a_language_model_that_hangs_is_left(
    cosyvoice: CosyVoice, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosyvoice._language_model, "_token_deadline_s", 0.2)
    with gated(cosyvoice) as gate:
        gate.let_pass(2)
        with pytest.raises(StageFailed, match=r"no token for 0\.2 s"):
            await spoken(cosyvoice, SENTENCE[version])
    monkeypatch.undo()
    assert await spoken(cosyvoice, "Yes.")


async def test_a_slow_listener_holds_up_nobody(cosyvoice: CosyVoice, version: int) -> None:
    async with aclosing(cosyvoice.speak(SENTENCE[version], "default")) as slow:
        await first_of(slow)
        for _ in range(CONCURRENT):
            assert await spoken(cosyvoice, "Yes.")


async def test_the_librarys_own_loop_is_not_used(
    cosyvoice: CosyVoice, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sleeps up to 100 ms before each chunk, and empties CUDA's cache after each sentence."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(type(library_of(cosyvoice)), "tts", None)
    assert await spoken(cosyvoice, SENTENCE[version])
    assert slept == []


async def test_a_speaker_is_computed_once_and_never_changed(cosyvoice: CosyVoice, version: int) -> None:
    """The library keeps speakers in a dict of the process, and cosyvoice2-eu writes texts into them."""
    names = set(cosyvoice._frontend.spk2info)
    speaker = cosyvoice._speakers.of(cosyvoice._voices.find("default"))
    before = {name: tensor.clone() for name, tensor in speaker.items()}
    await spoken(cosyvoice, "Yes.")
    await spoken(cosyvoice, "No.", voice="other")
    assert cosyvoice._speakers.of(cosyvoice._voices.find("default")) is speaker
    assert before.keys() == speaker.keys()
    assert all((before[name] == tensor).all() for name, tensor in speaker.items())
    assert set(cosyvoice._frontend.spk2info) == names


def test_speakers_are_a_limited_number(cosyvoice: CosyVoice, version: int) -> None:
    speakers = Speakers(cosyvoice._speakers._opened, most=2)
    voice = cosyvoice._voices.find("default")
    texts = ["One.", "Two.", "Three."]
    first, second, _ = (speakers.of(Voice("any", text, voice.audio)) for text in texts)
    assert len(speakers) == 2
    assert speakers.of(Voice("renamed", "Two.", voice.audio)) is second
    assert speakers.of(Voice("any", "One.", voice.audio)) is not first


def test_a_reference_has_the_models_mel_frames(cosyvoice: CosyVoice, version: int) -> None:
    """Upstream computes those of 24 kHz for CosyVoice 1 too, by which its voices are too low."""
    voice = cosyvoice._voices.find("default")
    frames = cosyvoice._speakers.of(voice)["prompt_speech_feat"].shape[1]
    if version == 1:
        assert frames == pytest.approx(voice.audio.duration_s * 22_050 / 256, abs=2)
    else:
        assert 0 <= voice.audio.duration_s * 50 - frames < 50


def test_a_reference_fills_whole_blocks_of_the_flow(cosyvoice: CosyVoice, version: int) -> None:
    speaker = cosyvoice._speakers.of(cosyvoice._voices.find("default"))
    tokens = speaker["flow_prompt_speech_token"].shape[1]
    if version == 1:  # has no blocks
        assert tokens == speaker["llm_prompt_speech_token"].shape[1] == 160
        return
    assert tokens % 25 == 0
    assert speaker["prompt_speech_feat"].shape[1] == 2 * tokens
    assert speaker["llm_prompt_speech_token"].shape[1] == 80
    assert wanted_first(cosyvoice) == 25 + 3


@pytest.mark.parametrize("text", ["", "?!", "<|endofprompt|>", " \n "])
async def test_what_cannot_be_spoken_gives_nothing(cosyvoice: CosyVoice, version: int, text: str) -> None:
    assert await spoken(cosyvoice, text) == []


def test_a_text_cannot_contain_control_tokens(cosyvoice: CosyVoice, version: int) -> None:
    with gated_reader(cosyvoice) as read:
        asyncio.run(spoken(cosyvoice, "Yes<|endoftext|>, no."))
    assert read == ["Yes , no."]


@pytest.mark.parametrize("text", ["10^3", '?"Yes', "Naïve9é", "It costs\n5 €."])
async def test_what_the_librarys_rules_cannot_read_is_spoken_all_the_same(
    cosyvoice: CosyVoice, version: int, text: str
) -> None:
    assert await spoken(cosyvoice, text)


async def test_a_text_that_is_too_long_is_refused(cosyvoice: CosyVoice, version: int) -> None:
    with pytest.raises(StageFailed, match="501 characters"):
        await spoken(cosyvoice, "a" * 501)


async def test_chinese_is_spoken(cosyvoice: CosyVoice, version: int) -> None:
    assert await spoken(cosyvoice, "你好！")


@contextmanager
def gated_reader(cosyvoice: CosyVoice) -> Iterator[list[str]]:
    """Texts on their way to the library's rules, none of which gives anything."""
    read: list[str] = []
    frontend = cosyvoice._frontend

    def text_normalize(text: str, split: bool = True) -> list[str]:
        read.append(text)
        return []

    frontend.text_normalize = text_normalize
    try:
        yield read
    finally:
        del frontend.text_normalize


def test_the_tail_of_a_sentence_can_be_a_single_token(cosyvoice: CosyVoice, version: int) -> None:
    speaker = cosyvoice._speakers.of(cosyvoice._voices.find("default"))
    assert len(cosyvoice._sounds.begin(speaker).rest([7])) > 0
