"""deployments/asr/whisper.py, with Whisper base. The English is spoken by people, the Mandarin by Kokoro."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from bench.speech import speech_set
from bench.speech.recordings import TWO_CITIES
from conversation.audio import HEARING_HZ, Audio, silence
from conversation.errors import ConfigError, StageFailed
from conversation.stages import Hints
from deployments import weights
from deployments.asr.whisper import Whisper
from tests.mandarin import MANDARIN, character_errors, syllable_errors
from tests.models.test_moonshine import cut_at_pauses, plain, seconds

pytestmark = pytest.mark.mandarin


async def text(whisper: Whisper, segment: Audio, hints: Hints = Hints()) -> str:
    [transcript] = await whisper.transcribe([segment], [hints])
    return transcript.text


async def test_a_reading_is_written_down_in_the_language_that_is_heard(
    whisper: Whisper, two_cities: Audio
) -> None:
    transcripts = await whisper.transcribe(cut_at_pauses(two_cities, 8.0))
    heard = " ".join(transcript.text for transcript in transcripts)
    assert jiwer.wer(plain(TWO_CITIES), plain(heard)) < 0.1
    assert {transcript.language for transcript in transcripts} == {"en"}


async def test_mandarin_is_written_down_in_simplified_characters(
    whisper: Whisper, questions: dict[str, Audio]
) -> None:
    """All characters count, traditional ones as mistakes. Measured: 16 % wrong characters, most in 煮鸡蛋."""
    transcripts = await whisper.transcribe(list(questions.values()), [MANDARIN] * len(questions))
    heard = [transcript.text for transcript in transcripts]
    assert character_errors(list(questions), heard) < 0.25, heard
    assert syllable_errors(list(questions), heard) < 0.2, heard
    assert {transcript.language for transcript in transcripts} == {"zh"}


async def test_mandarin_is_told_from_other_languages(whisper: Whisper, questions: dict[str, Audio]) -> None:
    [transcript] = await whisper.transcribe([questions["请问法国的首都是哪里？"]])
    assert transcript.language == "zh"


async def test_what_a_segment_is_said_to_be_counts_more_than_the_option(
    whisper: Whisper, two_cities: Audio
) -> None:
    chinese = Whisper(language="zh-CN")
    segment = seconds(two_cities, 0, 4)
    assert await text(chinese, segment, Hints(language="en-US")) == await text(
        whisper, segment, Hints(language="en")
    )
    [transcript] = await chinese.transcribe([segment])
    assert transcript.language in ("zh", None)


async def test_a_language_that_it_does_not_know_is_found_out(whisper: Whisper, two_cities: Audio) -> None:
    [transcript] = await whisper.transcribe([seconds(two_cities, 0, 4)], [Hints(language="tlh")])
    assert transcript.language == "en"


async def test_mandarin_is_written_down_in_traditional_characters_where_those_are_asked_for(
    whisper: Whisper, questions: dict[str, Audio]
) -> None:
    heard = await text(whisper, questions["请问法国的首都是哪里？"], Hints(language="zh-TW"))
    assert "法國" in heard


async def test_words_to_expect_are_heard(whisper: Whisper, questions: dict[str, Audio]) -> None:
    segment = questions["怎么煮鸡蛋？"]
    assert "煮鸡蛋" not in await text(whisper, segment, MANDARIN)
    assert "煮鸡蛋" in await text(whisper, segment, Hints(language="zh", words=("西红柿", "煮鸡蛋")))
    assert "煮鸡蛋" in await text(whisper, segment, Hints(language="zh", prompt="我们来谈谈煮鸡蛋。"))


async def test_a_prompt_of_any_length_is_taken(whisper: Whisper, two_cities: Audio) -> None:
    hints = Hints(language="en", words=("guillotine",) * 500, prompt="It was a novel. " * 500)
    assert "times" in await text(whisper, seconds(two_cities, 0, 6), hints)


async def test_a_segment_has_the_same_words_alone_and_among_others(
    whisper: Whisper, two_cities: Audio, questions: dict[str, Audio]
) -> None:
    segments = [seconds(two_cities, 0, 4), silence(1, HEARING_HZ), *list(questions.values())[:2]]
    hints = [Hints(), Hints(), MANDARIN, MANDARIN]
    together = await whisper.transcribe(segments, hints)
    alone = [(await whisper.transcribe([s], [h]))[0] for s, h in zip(segments, hints, strict=True)]
    assert together == alone


@pytest.mark.parametrize("hints", [Hints(), MANDARIN, Hints(language="en")], ids=lambda h: str(h.language))
async def test_nobody_is_heard_in_silence_hums_and_noise(whisper: Whisper, hints: Hints) -> None:
    """Nor the subtitles that Whisper is known to write where there is nothing."""
    times_s = np.arange(2 * HEARING_HZ) / HEARING_HZ
    hum = (0.1 * np.sin(2 * np.pi * 100 * times_s)).astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 0.01, 5 * HEARING_HZ).astype(np.float32)
    sounds = [clip.audio() for clip in [*speech_set("cough"), *speech_set("noise")]]
    segments = [silence(3, HEARING_HZ), Audio(hum, HEARING_HZ), Audio(noise, HEARING_HZ), *sounds]
    transcripts = await whisper.transcribe(segments, [hints] * len(segments))
    assert [transcript.text for transcript in transcripts] == [""] * len(segments)


@pytest.mark.parametrize("samples", [0, 1, 160, 1600])
async def test_the_shortest_segment_is_no_mistake(whisper: Whisper, two_cities: Audio, samples: int) -> None:
    segment = two_cities[HEARING_HZ : HEARING_HZ + samples]
    assert len(await text(whisper, segment)) < 20


async def test_thirty_seconds_are_written_to_the_end(whisper: Whisper, two_cities: Audio) -> None:
    heard = await text(whisper, seconds(two_cities, 0, 30), Hints(language="en"))
    assert "the best of times" in heard
    assert "the other way" in heard


async def test_a_cancelled_caller_frees_the_thread_after_the_step_under_way(
    whisper: Whisper, two_cities: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder is held at its door until the caller is gone; the decoder is never asked."""
    loop, at_the_door, caller_is_gone = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    encode, written = whisper._model.encode, list[int]()

    def held(features: Any) -> Any:
        loop.call_soon_threadsafe(at_the_door.set)
        assert caller_is_gone.wait(30)
        return encode(features)

    monkeypatch.setattr(whisper._model, "encode", held)
    monkeypatch.setattr(whisper, "_written", lambda *args: written.append(1))
    segment = seconds(two_cities, 0, 3)
    async with asyncio.timeout(60):
        task = asyncio.create_task(whisper.transcribe([segment, segment]))
        await at_the_door.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        caller_is_gone.set()
        await whisper._thread.run(lambda: None)  # behind whatever the cancelled call still had there
    assert written == []


async def test_another_rate_is_refused(whisper: Whisper) -> None:
    with pytest.raises(StageFailed, match="16000 Hz, got 24000 Hz"):
        await whisper.transcribe([silence(1, 24_000)])


async def test_a_segment_that_is_too_long_is_refused(whisper: Whisper) -> None:
    with pytest.raises(StageFailed, match=r"may last 30 s, got 31\.0 s"):
        await whisper.transcribe([silence(31, HEARING_HZ)])


async def test_hints_of_another_number_are_refused(whisper: Whisper) -> None:
    with pytest.raises(StageFailed, match="1 segments came with the hints of 2"):
        await whisper.transcribe([silence(1, HEARING_HZ)], [Hints(), Hints()])


def test_a_language_that_there_is_not_is_a_mistake_in_the_configuration(whisper: Whisper) -> None:
    with pytest.raises(ConfigError, match="knows no 'tlh'"):
        Whisper(language="tlh")


@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json", "vocabulary.txt"])
def test_a_file_that_is_missing_is_named_and_never_downloaded(
    whisper: Whisper, tmp_path: Path, missing: str
) -> None:
    for file in weights.locate("whisper-base").iterdir():
        if file.name != missing:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(ConfigError, match=missing):
        Whisper(weights=str(tmp_path))


def test_a_file_that_is_no_model_is_named(whisper: Whisper, tmp_path: Path) -> None:
    for file in weights.locate("whisper-base").iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "model.bin").unlink()
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="cannot be opened as a Whisper model"):
        Whisper(weights=str(tmp_path))
