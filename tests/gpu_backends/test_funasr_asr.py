"""FunASR's recognisers, with small random weights in their own formats, through the library's own classes.

What is heard in noise is nonsense. So the library's own answer is the measure, or the same words twice.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.errors import ConfigError, StageFailed
from conversation.stages import Hints, Transcript
from deployments.asr import sensevoice as sensevoice_file
from deployments.asr.memories import Memories, Ticket
from deployments.asr.paraformer import Paraformer
from deployments.asr.paraformer_streaming import ParaformerStreaming, StreamingMemory, _text
from deployments.asr.punctuation import Punctuation
from deployments.asr.sensevoice import SenseVoice
from tests.gpu_backends import tiny_funasr

pytestmark = pytest.mark.gpu_backends

WAIT_S = 60
"""For something that takes milliseconds, on a machine that has other things to do."""
STRIDE = 10 * 960
NOTHING = silence(0, HEARING_HZ)
NEVER = -50.0
"""A bias under which no frame has anything to say."""


@pytest.fixture(scope="module")
def streaming(tiny_models: Path) -> ParaformerStreaming:
    return ParaformerStreaming(weights=str(tiny_models / "paraformer-streaming"), device="cpu")


@pytest.fixture(scope="module")
def seaco(tiny_models: Path) -> Paraformer:
    return Paraformer(weights=str(tiny_models / "seaco"), device="cpu")


@pytest.fixture(scope="module")
def sensevoice(tiny_models: Path) -> SenseVoice:
    return SenseVoice(weights=str(tiny_models / "sensevoice"), device="cpu")


def noise(duration_s: float, seed: int) -> Audio:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(duration_s * HEARING_HZ))
    return Audio(samples.astype(np.float32), HEARING_HZ)


SEGMENTS = [noise(duration_s, seed) for seed, duration_s in enumerate((3.0, 1.0, 2.0, 2.51, 0.7, 4.2, 1.33))]


def library(tiny_models: Path, name: str) -> Any:
    """The library as its users know it."""
    from funasr import AutoModel

    return AutoModel(
        model=str(tiny_models / name), device="cpu", ncpu=1, disable_update=True, disable_pbar=True
    )


async def in_steps(asr: ParaformerStreaming, audio: Audio, step: int = STRIDE // 3) -> list[str]:
    """The transcript after each step, and the final one."""
    memory, texts = None, []
    for start in range(0, len(audio), step):
        transcript, memory = await asr.step(audio[start : start + step], memory, final=False)
        texts.append(transcript.text)
    transcript, _ = await asr.step(NOTHING, memory, final=True)
    return [*texts, transcript.text]


async def heard(asr: Paraformer | SenseVoice, segment: Audio, hints: Hints = Hints()) -> Transcript:
    [transcript] = await asr.transcribe([segment], [hints])
    return transcript


class Gate:
    """Holds the model's thread inside its next call, and counts the calls."""

    def __init__(self, network: Any) -> None:
        self._inference = network.inference
        self.calls = 0
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, **told: Any) -> Any:
        self.calls += 1
        self.entered.set()
        assert self.open.wait(WAIT_S)
        return self._inference(**told)

    async def is_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, WAIT_S)


async def test_streaming_words_are_the_library_s(tiny_models: Path, streaming: ParaformerStreaming) -> None:
    model = library(tiny_models, "paraformer-streaming")
    cache: dict[str, Any] = {}
    deltas: list[str] = []
    audio = SEGMENTS[0]
    for start in range(0, len(audio), STRIDE):
        [result] = model.generate(
            input=audio.samples[start : start + STRIDE],
            cache=cache,
            is_final=start + STRIDE >= len(audio),
            chunk_size=[0, 10, 5],
            encoder_chunk_look_back=4,
            decoder_chunk_look_back=1,
        )
        deltas.append(result["text"])
    transcript, _ = await streaming.step(audio, None, final=True)
    assert len(transcript.text) > 20
    assert transcript.text.replace(" ", "") == "".join(deltas).replace(" ", "")


async def test_partials_grow_stride_by_stride(streaming: ParaformerStreaming) -> None:
    partials = await in_steps(streaming, SEGMENTS[0])
    assert all(later.startswith(earlier) for earlier, later in pairwise(partials))
    assert [bool(text) for text in partials[:4]] == [False, False, True, True]


async def test_sessions_that_take_turns_hear_what_they_hear_alone(streaming: ParaformerStreaming) -> None:
    alone = [await in_steps(streaming, audio) for audio in SEGMENTS]
    assert len({texts[-1] for texts in alone}) == len(alone)
    assert list(await asyncio.gather(*(in_steps(streaming, audio) for audio in SEGMENTS))) == alone


async def test_a_memory_is_a_value(streaming: ParaformerStreaming) -> None:
    before, after, other = (noise(seconds, seed) for seed, seconds in ((1, 1.3), (2, 0.9), (3, 1.2)))
    _, memory = await streaming.step(before, None, final=False)
    whole, _ = await streaming.step(join([before, after], HEARING_HZ), None, final=True)
    over, _ = await streaming.step(NOTHING, memory, final=True)
    elsewhere, _ = await streaming.step(other, memory, final=True)
    for _ in range(2):
        assert (await streaming.step(NOTHING, memory, final=True))[0] == over
        assert (await streaming.step(other, memory, final=True))[0] == elsewhere
        assert (await streaming.step(after, memory, final=True))[0] == whole
    assert len({over.text, elsewhere.text, whole.text}) == 3


def tensors(cache: Any) -> list[Any]:
    if isinstance(cache, dict):
        return [tensor for value in cache.values() for tensor in tensors(value)]
    if isinstance(cache, list):
        return [tensor for value in cache for tensor in tensors(value)]
    return [cache] if hasattr(cache, "numpy") else []


@pytest.mark.parametrize("rest_s", [0.0, 0.03, 0.3, 1.3])
async def test_no_tensor_of_a_memory_is_ever_written_to(
    streaming: ParaformerStreaming, rest_s: float
) -> None:
    _, memory = await streaming.step(SEGMENTS[0], None, final=False)
    assert memory is not None
    before = [tensor.numpy().copy() for tensor in tensors(memory.cache)]
    assert len(before) > 10
    for final in (False, True):
        await streaming.step(noise(rest_s, 5), memory, final=final)
    for tensor, copy in zip(tensors(memory.cache), before, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), copy)


async def test_a_memory_is_given_out_as_a_ticket_however_small(streaming: ParaformerStreaming) -> None:
    memories = Memories("replica")
    for audio in (noise(0.1, 1), noise(0.7, 1)):
        _, memory = await streaming.step(audio, None, final=False)
        token = memories.keep(memory, None)
        assert isinstance(token, Ticket)
        assert memories.find(token) is memory


async def test_too_little_sound_for_a_word_has_none(streaming: ParaformerStreaming) -> None:
    assert await in_steps(streaming, noise(0.05, 1)) == ["", ""]


async def test_an_english_word_survives_the_end_of_a_stride(
    streaming: ParaformerStreaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    strides = iter([["天", "an@@"], ["ti@@"], ["phon", "voice", "地"]])

    def inference(*, tokenizer: Any, **told: Any) -> Any:
        tokenizer.ids2tokens([tiny_funasr.TOKENS.index(token) for token in next(strides)])
        return [], {}

    monkeypatch.setattr(streaming._model.network, "inference", inference)
    transcript, _ = await streaming.step(noise(1.8, 1), StreamingMemory(), final=False)
    assert transcript.text == "天antiphon voice地"
    assert _text(["an@@", "ti@@"]) == ""


async def test_a_cancelled_step_gives_the_thread_back_after_one_stride(
    streaming: ParaformerStreaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(streaming._model.network)
    monkeypatch.setattr(streaming._model.network, "inference", gate)
    step = asyncio.create_task(streaming.step(noise(6.0, 1), None, final=True))
    await gate.is_entered()
    other = asyncio.create_task(streaming.step(noise(0.6, 2), None, final=False))
    step.cancel()
    gate.open.set()
    transcript, _ = await other
    assert transcript.text
    assert gate.calls == 2
    assert step.cancelled()


async def test_a_cancelled_call_gives_the_thread_back_after_one_batch(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asr = SenseVoice(weights=str(tiny_models / "sensevoice"), device="cpu", batch_size=2)
    gate = Gate(asr._model.network)
    monkeypatch.setattr(asr._model.network, "inference", gate)
    call = asyncio.create_task(asr.transcribe(SEGMENTS))
    await gate.is_entered()
    other = asyncio.create_task(asr.transcribe(SEGMENTS[:1]))
    call.cancel()
    gate.open.set()
    assert (await other)[0].text
    assert gate.calls == 2


@pytest.mark.parametrize("which", ["streaming", "seaco", "sensevoice"])
async def test_an_error_in_the_model_s_thread_reaches_the_caller_and_the_next_call_works(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asr = request.getfixturevalue(which)

    async def call() -> str:
        if isinstance(asr, ParaformerStreaming):
            return (await in_steps(asr, SEGMENTS[1]))[-1]
        return (await heard(asr, SEGMENTS[1])).text

    before = await call()
    with monkeypatch.context() as patch:

        def inference(**told: Any) -> Any:
            raise RuntimeError("CUDA out of memory")

        patch.setattr(asr._model.network, "inference", inference)
        with pytest.raises(StageFailed, match=r"asr: the .* failed: RuntimeError: CUDA out of memory"):
            await call()
    assert await call() == before


async def test_words_of_a_segment_are_the_library_s(
    tiny_models: Path, seaco: Paraformer, sensevoice: SenseVoice
) -> None:
    from funasr.utils.postprocess_utils import rich_transcription_postprocess

    hotwords = Hints(words=("天地", "antiphon"))
    told = {"hotword": "天地 antiphon"}
    model = library(tiny_models, "seaco")
    for segment in SEGMENTS:
        [result] = model.generate(input=segment.samples, **told)
        transcript = await heard(seaco, segment, hotwords)
        assert [word.text for word in transcript.words] == result["text"].split()
        times_ms = [[round(1000 * at) for at in (word.start_s, word.end_s)] for word in transcript.words]
        assert times_ms == result["timestamp"]
    model = library(tiny_models, "sensevoice")
    for segment in SEGMENTS:
        [result] = model.generate(input=segment.samples, language="zh", use_itn=True)
        text = rich_transcription_postprocess(result["text"])
        assert (await heard(sensevoice, segment, Hints("zh-CN"))).text == text


HINTS: Sequence[Hints] = [
    Hints(),
    Hints("zh", ("天地",)),
    Hints("en-GB", ("天地",)),
    Hints("fr", prompt="antiphon, 玄黄"),
    Hints("zh"),
    Hints(words=("天地",)),
    Hints(prompt="antiphon；玄黄"),
]


@pytest.mark.parametrize("which", ["seaco", "sensevoice"])
async def test_a_batch_gives_each_segment_what_it_gets_alone(
    which: str, request: pytest.FixtureRequest
) -> None:
    asr = request.getfixturevalue(which)
    for hints in ([Hints()] * len(SEGMENTS), HINTS):
        together = await asr.transcribe(SEGMENTS, hints)
        for segment, hint, transcript in zip(SEGMENTS, hints, together, strict=True):
            alone = await heard(asr, segment, hint)
            assert transcript.text == alone.text
            times = [[word.end_s for word in each.words] for each in (transcript, alone)]
            np.testing.assert_allclose(np.array(times[0]), np.array(times[1]), atol=0.021)


async def test_a_batch_is_one_call_of_the_model(seaco: Paraformer, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(seaco._model.network)
    gate.open.set()
    monkeypatch.setattr(seaco._model.network, "inference", gate)
    await seaco.transcribe(SEGMENTS)
    assert gate.calls == 1
    await seaco.transcribe(SEGMENTS, HINTS)
    assert gate.calls == 1 + len({(), ("天地",), ("antiphon", "玄黄")})


async def test_hotwords_change_what_is_heard(seaco: Paraformer) -> None:
    plain = await heard(seaco, SEGMENTS[0])
    assert await heard(seaco, SEGMENTS[0], Hints(words=("天地",))) != plain


@pytest.mark.parametrize(
    "word", ["http://127.0.0.1:1/words", "/etc/hosts", "hotwords.txt", "unspellable", "龘"]
)
async def test_a_hotword_that_has_no_tokens_is_left_out_and_never_opened(
    word: str, seaco: Paraformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hotwords.txt").write_text("天地\n")
    assert await heard(seaco, SEGMENTS[0], Hints(words=(word,))) == await heard(seaco, SEGMENTS[0])


async def test_words_have_their_times(seaco: Paraformer) -> None:
    for segment in SEGMENTS:
        transcript = await heard(seaco, segment)
        assert "".join(word.text for word in transcript.words) == transcript.text.replace(" ", "")
        times = [time for word in transcript.words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= segment.duration_s + 0.06


async def test_segments_that_the_model_hears_nothing_in_have_no_words(tiny_models: Path) -> None:
    for name in ("paraformer", "seaco"):
        asr = Paraformer(weights=str(tiny_models / name), device="cpu")
        asr._model.network.predictor.cif_output.bias.data.fill_(NEVER)
        assert await asr.transcribe(SEGMENTS[:3]) == [Transcript("")] * 3
    sense = SenseVoice(weights=str(tiny_models / "sensevoice"), device="cpu")
    sense._model.network.ctc.ctc_lo.bias.data[0] = -NEVER
    assert await sense.transcribe(SEGMENTS[:3]) == [Transcript("")] * 3
    stream = ParaformerStreaming(weights=str(tiny_models / "paraformer-streaming"), device="cpu")
    stream._model.network.predictor.cif_output.bias.data.fill_(NEVER)
    assert set(await in_steps(stream, SEGMENTS[0])) == {""}


def deafen_last(_layer: Any, _inputs: Any, output: Any) -> Any:
    """A forward hook of `cif_output`: nothing is heard in the last row of a batch."""
    if len(output) > 1:
        output[-1] = NEVER
    return output


async def test_a_segment_without_words_harms_no_other_of_its_batch(tiny_models: Path) -> None:
    asr = Paraformer(weights=str(tiny_models / "seaco"), device="cpu")
    alone = [(await heard(asr, segment)).text for segment in SEGMENTS[:3]]
    asr._model.network.predictor.cif_output.register_forward_hook(deafen_last)
    together = await asr.transcribe(SEGMENTS[:3])
    assert [transcript.text for transcript in together] == ["", *alone[1:]]  # the first is the longest


async def test_plain_paraformer_takes_segments_one_by_one_since_the_library_cannot(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asr = Paraformer(weights=str(tiny_models / "paraformer"), device="cpu")
    asr._model.network.predictor.cif_output.register_forward_hook(deafen_last)
    with pytest.raises(StageFailed, match="IndexError"):
        asr._model.infer([segment.samples for segment in SEGMENTS[:2]])
    gate = Gate(asr._model.network)
    gate.open.set()
    monkeypatch.setattr(asr._model.network, "inference", gate)
    assert all(transcript.text for transcript in await asr.transcribe(SEGMENTS))
    assert gate.calls == len(SEGMENTS)


async def test_what_cannot_be_transcribed_is_refused(
    seaco: Paraformer, streaming: ParaformerStreaming
) -> None:
    for call in (
        lambda: seaco.transcribe([silence(1, 8000)]),
        lambda: seaco.transcribe([silence(31, HEARING_HZ)]),
        lambda: seaco.transcribe(SEGMENTS, [Hints()]),
        lambda: streaming.step(silence(1, 8000), None, final=True),
    ):
        with pytest.raises(StageFailed):
            await call()


async def test_punctuation_is_put_between_the_words(tiny_models: Path, seaco: Paraformer) -> None:
    asr = Paraformer(
        weights=str(tiny_models / "seaco"), punctuation=str(tiny_models / "ct-punc"), device="cpu"
    )
    plain, punctuated = await heard(seaco, SEGMENTS[0]), await heard(asr, SEGMENTS[0])
    marks = set(punctuated.text) & set("，。？、")
    assert marks
    assert "".join(c for c in punctuated.text if c not in marks) == plain.text
    assert punctuated.words == plain.words


async def test_a_text_that_is_empty_or_looks_like_an_address_is_only_a_text(tiny_models: Path) -> None:
    punctuation = Punctuation(weights=str(tiny_models / "ct-punc"))
    assert await punctuation.punctuated("") == ""
    text = await punctuation.punctuated("http://127.0.0.1:1/天")
    assert "".join(filter(str.isalnum, text)) == "Http1270011天"


@pytest.mark.parametrize(
    ("tagged", "transcript"),
    [
        ("<|zh|><|HAPPY|><|Speech|><|withitn|>你好。", Transcript("你好。", language="zh")),
        ("<|yue|><|EMO_UNKNOWN|><|BGM|><|withitn|>早晨", Transcript("早晨", language="yue")),
        ("<|en|><|NEUTRAL|><|Laughter|><|woitn|>so it is", Transcript("so it is", language="en")),
        ("<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|woitn|>", Transcript("")),
        ("<|nospeech|><|Event_UNK|>", Transcript("")),
        ("", Transcript("")),
    ],
)
def test_tags_moods_and_sounds_are_no_words(tagged: str, transcript: Transcript) -> None:
    assert sensevoice_file._transcript(tagged) == transcript


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("zh-yue", "yue"),
        ("en-US", "en"),
        ("ja", "ja"),
        ("fr", "auto"),
        (None, "auto"),
    ],
)
def test_languages_that_the_model_knows_are_told_it(tag: str | None, language: str) -> None:
    assert sensevoice_file._language(tag) == language


def test_a_gpu_that_is_not_there_is_missed_at_the_start(tiny_models: Path) -> None:
    import torch

    device = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError, match=f"asr: device '{device}' is not there"):
        SenseVoice(weights=str(tiny_models / "sensevoice"), device=device)


def test_weights_of_another_model_are_refused(tiny_models: Path, tmp_path: Path) -> None:
    for file in (tiny_models / "sensevoice").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.pt").write_bytes((tiny_models / "seaco" / "model.pt").read_bytes())
    with pytest.raises(
        ConfigError, match=r"the weights in .* are not those of its config\.yaml; \d+ are missing"
    ):
        SenseVoice(weights=str(tmp_path))
    (tmp_path / "model.pt").write_bytes(b"<html>not found</html>")
    with pytest.raises(ConfigError, match=r"asr: FunASR cannot open .* as a SenseVoiceSmall"):
        SenseVoice(weights=str(tmp_path))


ALONE = """
import asyncio, logging, random, socket, sys
touched = []
def blocked(*arguments, **_):
    touched.append(arguments)
    raise OSError("no network here")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = blocked

random.seed(1)
expected = random.random()
random.seed(1)

import numpy as np
from conversation.audio import Audio
from conversation.stages import Hints
from deployments.asr.paraformer import Paraformer
from deployments.asr.paraformer_streaming import ParaformerStreaming
from deployments.asr.sensevoice import SenseVoice

async def main(models):
    streaming = ParaformerStreaming(weights=models + "/paraformer-streaming")
    offline = Paraformer(weights=models + "/seaco", punctuation=models + "/ct-punc")
    sense = SenseVoice(weights=models + "/sensevoice")
    sound = Audio(np.full(16000, 0.5, np.float32), 16000)
    hints = Hints("zh", ("天地", "http://127.0.0.1:1/words.txt"))
    assert (await streaming.step(sound, None, final=True, hints=hints))[0].text
    assert (await offline.transcribe([sound], [hints]))[0].text
    assert (await sense.transcribe([sound], [hints]))[0].text

asyncio.run(main(sys.argv[1]))
assert random.random() == expected, "the library has seeded our random numbers"
assert logging.getLogger().level == logging.WARNING
assert not touched, touched
"""


def test_opening_and_running_touches_no_network_and_says_nothing(tiny_models: Path) -> None:
    """In a process of its own, since an import happens once."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, str(tiny_models)],
        capture_output=True,
        text=True,
        timeout=4 * WAIT_S,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # jieba leaves a file open
def test_the_small_models_are_the_same_ones_each_time(tiny_models: Path, tmp_path: Path) -> None:
    tiny_funasr.write(tmp_path)
    for name in tiny_funasr.CONFIGURATIONS:
        for file in (tmp_path / name).iterdir():
            assert file.read_bytes() == (tiny_models / name / file.name).read_bytes(), file
