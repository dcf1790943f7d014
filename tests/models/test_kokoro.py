"""deployments/tts/kokoro.py, judged by Whisper base."""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import jiwer
import numpy as np
import pytest

from bench.word_times import pause_ends_s
from conversation.audio import Audio, Samples
from conversation.errors import ConfigError
from conversation.stages import Hints
from deployments import weights
from deployments.asr.whisper import Whisper
from deployments.tts.kokoro import LONGEST_SENTENCE, Kokoro
from deployments.tts.kokoro_graphs import FRAME_SAMPLES, RATE_HZ
from deployments.tts.phonemes import sentences
from tests.mandarin import heard, syllable_errors
from tests.speech import said, sound, times

pytestmark = pytest.mark.mandarin

SENTENCE = "我很乐意帮助你安排明天的行程，请问几点出发？"
FRAME_S = FRAME_SAMPLES / RATE_HZ
ENGLISH = "The weather is fine today, and I would like to go for a walk."


async def spoken(kokoro: Kokoro, text: str, voice: str = "", speed: float = 1.0) -> Audio:
    return sound(await said(kokoro, text, voice, speed), RATE_HZ)


@pytest.mark.parametrize("voice", ["zf_xiaobei", "zm_yunxi"])
async def test_what_it_says_is_understood(kokoro: Kokoro, whisper: Whisper, voice: str) -> None:
    texts = [SENTENCE, "你可以先把水烧开，然后放入鸡蛋，煮八分钟就好了。"]
    transcripts = [await heard(whisper, await spoken(kokoro, text, voice)) for text in texts]
    assert syllable_errors(texts, transcripts) < 0.2, transcripts


async def test_numbers_and_times_are_read_out(kokoro: Kokoro, whisper: Whisper) -> None:
    transcript = await heard(whisper, await spoken(kokoro, "现在是3:45，气温23.5度，涨了12%。"))
    # "点" may be written as a colon or a dot.
    assert syllable_errors(["现在是三四十五分气温二十三五度涨了百分之十二"], [transcript]) < 0.35, transcript


@pytest.mark.parametrize("voice", ["zf_xiaobei", "af_heart", "bf_emma"])
async def test_english_is_understood_from_every_voice(kokoro: Kokoro, whisper: Whisper, voice: str) -> None:
    transcript = await heard(whisper, await spoken(kokoro, ENGLISH, voice), Hints(language="en"))
    words = [re.sub(r"[^a-z ]", "", text.lower()) for text in (ENGLISH, transcript)]
    assert jiwer.wer(*words) < 0.2, transcript


def test_an_english_word_in_a_chinese_sentence_is_said_in_english(kokoro: Kokoro) -> None:
    [clause] = kokoro._clauses("请打开Python文件。", "zf_xiaobei")
    assert "pˈIθ" in clause.phonemes


@pytest.fixture
def runs(kokoro: Kokoro, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets an item, a number of frames, for each chunk that the decoder is asked for."""
    asked: list[int] = []
    run = kokoro._decoder.run

    def counted(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(inputs["sounds"].shape[2])
        return run(inputs, *args, **kwargs)

    monkeypatch.setattr(kokoro._decoder, "run", counted)
    return asked


async def test_the_first_chunk_comes_before_the_rest_is_computed(kokoro: Kokoro, runs: list[int]) -> None:
    async with aclosing(kokoro.speak(SENTENCE, "")) as chunks:
        first = await anext(chunks)
        assert isinstance(first, Audio), "the sound waits for no times"
        assert len(runs) == 1
        rest = [chunk async for chunk in chunks]
    assert len(runs) > 2
    assert 0.2 < first.duration_s < 0.8
    assert sound(rest, RATE_HZ).duration_s > 2


async def test_the_silence_around_a_sentence_is_not_computed(kokoro: Kokoro) -> None:
    [sentence] = sentences(kokoro._clauses(SENTENCE, ""), LONGEST_SENTENCE)
    frames, _ = kokoro._frames(sentence, "zf_xiaobei", 1.0, None)
    audio = await spoken(kokoro, SENTENCE)
    assert len(frames) * FRAME_S < audio.duration_s + 0.3, "the network would make 1.4 s of it"


async def test_a_cancelled_stream_frees_the_thread(kokoro: Kokoro, runs: list[int]) -> None:
    started = asyncio.Event()

    async def listen() -> None:
        async for _ in kokoro.speak(SENTENCE * 3, ""):
            started.set()

    listener = asyncio.create_task(listen())
    await started.wait()
    listener.cancel()
    await asyncio.wait([listener])
    await kokoro._thread.run(lambda: None)  # behind whatever the cancelled call still had there
    assert len(runs) <= 3, "one chunk was heard, one may have been under way"
    assert (await spoken(kokoro, "好的。")).duration_s > 0.3


async def test_sessions_take_turns_and_do_not_mix(kokoro: Kokoro) -> None:
    texts = [SENTENCE, "今天天气很好，适合出去走走。"]
    alone = [await spoken(kokoro, text) for text in texts]
    order: list[int] = []

    async def session(number: int) -> Audio:
        parts = []
        async for part in kokoro.speak(texts[number], ""):
            order.append(number)
            parts.append(part)
        return sound(parts, RATE_HZ)

    together = await asyncio.gather(session(0), session(1))
    assert len(list(itertools.groupby(order))) > 4, order
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.samples, other.samples)


async def test_words_begin_where_the_sound_does_after_a_pause(kokoro: Kokoro) -> None:
    texts = {
        "af_heart": "First, some water; then, a little salt, pepper, and finally, my favourite, vanilla.",
        "zf_xiaobei": "第一，水；第二，盐，糖，然后，面粉。你好，我们走吧，如果你愿意，我们再来。",
    }
    off_s = []
    for voice, text in texts.items():
        parts = await said(kokoro, text, voice)
        begin_s = [word.start_s for before, word in pairwise(times(parts)) if before.text[-1] in ",;.，；。"]
        ends_s = pause_ends_s(sound(parts, RATE_HZ))
        off_s += [min(abs(end_s - at_s) for end_s in ends_s) for at_s in begin_s]
    off_s = [s for s in off_s if s < 0.25]  # it does not pause at every comma
    assert len(off_s) >= 6
    assert median(off_s) < 0.06


async def test_a_number_and_an_english_word_in_a_chinese_sentence_are_one_word_each(kokoro: Kokoro) -> None:
    told = times(await said(kokoro, "下午3:45打开Python文件。"))
    assert [word.text for word in told] == [*"下午", "3:45", *"打开", "Python", *"文件。"]
    number, python = told[2], told[5]
    assert number.end_s - number.start_s > 0.7, "six characters are spoken"
    assert python.end_s - python.start_s > 0.25


@pytest.mark.parametrize("voice", ["zf_xiaobei", "zm_yunxi"])
async def test_chunks_are_as_loud_as_the_whole(kokoro: Kokoro, voice: str) -> None:
    """Left alone, the decoder makes the first one 6 dB quieter, and noise of the silence at the end."""
    [sentence] = sentences(kokoro._clauses("今天天气很好，适合出去走走。", voice), LONGEST_SENTENCE)
    frames, _ = kokoro._frames(sentence, voice, 1.0, None)
    [whole] = kokoro._decode(frames, iter([len(frames)]))
    chunks = list(kokoro._decode(frames, itertools.repeat(30)))
    assert len(chunks) > 2
    assert sum(map(len, chunks)) == len(whole)
    position = 0
    for chunk in chunks:
        part, position = whole[position : position + len(chunk)], position + len(chunk)
        assert abs(level_db(chunk) - level_db(part)) < 4


def level_db(sound: Samples) -> float:
    """Whatever is below -45 dBFS counts as that: nobody hears how much."""
    return max(-45.0, float(10 * np.log10(np.square(sound).mean() + 1e-12)))


@pytest.mark.parametrize("speed", [0.5, 2.0])
async def test_speed_scales_the_length(kokoro: Kokoro, speed: float) -> None:
    natural, scaled = await spoken(kokoro, SENTENCE), await spoken(kokoro, SENTENCE, speed=speed)
    assert 0.75 < scaled.duration_s * speed / natural.duration_s < 1.3


async def test_silence_around_speech_is_short(kokoro: Kokoro) -> None:
    audio = await spoken(kokoro, "这是我听到的，")
    loud = np.flatnonzero(np.abs(audio.samples) > 10 ** (-45 / 20))
    assert loud[0] / audio.rate_hz < 0.1
    assert (len(audio) - loud[-1]) / audio.rate_hz < 0.25


async def test_an_unknown_voice_is_the_default_one(kokoro: Kokoro) -> None:
    unknown, default, other = [
        (await spoken(kokoro, "你好。", voice)).samples for voice in ("alloy", "zf_xiaobei", "zm_yunyang")
    ]
    assert np.array_equal(unknown, default)
    assert not np.array_equal(default, other)


@pytest.mark.parametrize("text", ["", " ", "...", "。。。", "😀", "《》"])
async def test_nothing_speakable_gives_nothing(kokoro: Kokoro, text: str) -> None:
    assert [chunk async for chunk in kokoro.speak(text, "")] == []


@pytest.mark.parametrize(
    "text", ["好！😀", "啊", "a", "**重要**", "<b>x</b> & $5", "①②", "こんにちは漢字", "𠮷好"]
)
async def test_odd_texts_are_spoken(kokoro: Kokoro, text: str) -> None:
    audio = await spoken(kokoro, text)
    assert audio.duration_s > 0.1
    assert np.isfinite(audio.samples).all()
    assert np.abs(audio.samples).max() <= 1


def test_a_text_without_punctuation_is_cut_into_what_the_network_takes(kokoro: Kokoro) -> None:
    parts = list(sentences(kokoro._clauses("今天天气很好适合出去走走" * 40, ""), LONGEST_SENTENCE))
    assert len(parts) > 10
    assert max(map(len, parts)) <= LONGEST_SENTENCE


# --- weights that are wrong


@pytest.fixture
def copy(kokoro: Kokoro, tmp_path: Path) -> Path:
    for file in weights.locate("kokoro-82m").iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def test_a_voice_that_there_is_not_is_a_mistake_in_the_configuration(copy: Path) -> None:
    with pytest.raises(ConfigError, match="no 'alloy'; there are af_bella"):
        Kokoro(weights=str(copy), voice="alloy")


def test_a_voice_that_is_none_is_named(copy: Path) -> None:
    (copy / "broken.bin").write_bytes(b"1234")
    with pytest.raises(ConfigError, match=r"broken\.bin is no voice"):
        Kokoro(weights=str(copy))


@pytest.mark.parametrize("missing", ["kokoro.onnx", "config.json"])
def test_a_file_that_is_missing_is_named(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(ConfigError, match=missing):
        Kokoro(weights=str(copy))


def test_a_network_that_is_no_kokoro_is_named(copy: Path) -> None:
    (copy / "kokoro.onnx").unlink()
    (copy / "kokoro.onnx").write_bytes(b"no graph")
    with pytest.raises(ConfigError, match=r"kokoro\.onnx cannot be split"):
        Kokoro(weights=str(copy))
