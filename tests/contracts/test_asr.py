from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from conversation.audio import HEARING_HZ, Audio, silence
from conversation.segments import Segments
from conversation.stages import Asr, SegmentAsr
from conversation.words import words
from tests.contracts.conftest import called, two_hums

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEP = HEARING_HZ // 5


@pytest_asyncio.fixture(loop_scope="session")
async def asr(asr_candidate: Any) -> Asr:
    made: Asr = await called(asr_candidate)
    return made


@pytest_asyncio.fixture(loop_scope="session")
async def segment_asr(segment_asr_candidate: Any) -> SegmentAsr:
    made: SegmentAsr = await called(segment_asr_candidate)
    return made


@pytest.fixture
def two(request: pytest.FixtureRequest, two_voices: tuple[Audio, Audio]) -> tuple[Audio, Audio]:
    """Two segments with different words."""
    hears_speech_only = request.node.callspec.params["segment_asr_candidate"].speech
    return two_voices if hears_speech_only else two_hums()


async def said(asr: Asr, audio: Audio, memory: Any = None) -> str:
    """In steps of 200 ms."""
    for start in range(0, len(audio), STEP):
        _, memory = await asr.step(audio[start : start + STEP], memory, final=False)
    transcript, _ = await asr.step(silence(0, HEARING_HZ), memory, final=True)
    return transcript.text


async def test_a_segment_without_sound_has_no_words(asr: Asr) -> None:
    transcript, _ = await asr.step(silence(0, HEARING_HZ), None, final=True)
    assert transcript.text == ""


async def test_the_transcript_is_of_the_whole_segment(asr: Asr) -> None:
    short, long = two_hums()
    assert 0 < len(words(await said(asr, short))) < len(words(await said(asr, long)))


async def test_steps_of_any_size_give_the_same_words(asr: Asr) -> None:
    _, long = two_hums()
    transcript, _ = await asr.step(long, None, final=True)
    assert await said(asr, long) == transcript.text


async def test_two_segments_at_once_never_mix(asr: Asr) -> None:
    hums = two_hums()
    apart = [await said(asr, hum) for hum in hums]
    assert apart[0] != apart[1]
    assert await asyncio.gather(*(said(asr, hum) for hum in hums)) == apart


async def test_a_segment_that_seemed_over_goes_on(asr: Asr) -> None:
    short, long = two_hums()
    _, memory = await asr.step(short, None, final=False)
    over, _ = await asr.step(silence(0, HEARING_HZ), memory, final=True)
    assert over.text == await said(asr, short)
    on = await said(asr, long[len(short) :], memory)
    assert on == await said(asr, long)


async def test_a_step_that_is_cancelled_harms_no_later_one(asr: Asr) -> None:
    short, _ = two_hums()
    step = asyncio.create_task(asr.step(short, None, final=False))
    await asyncio.sleep(0)
    step.cancel()
    await asyncio.wait([step])
    assert await said(asr, short)


async def test_each_segment_has_its_transcript(segment_asr: SegmentAsr, two: tuple[Audio, Audio]) -> None:
    apart = [(await segment_asr.transcribe([segment]))[0].text for segment in two]
    assert apart[0] != apart[1]
    together = await segment_asr.transcribe(list(two))
    assert [transcript.text for transcript in together] == apart


async def test_silence_has_no_words(segment_asr: SegmentAsr) -> None:
    [transcript] = await segment_asr.transcribe([silence(1, HEARING_HZ)])
    assert transcript.text == ""


async def test_callers_at_the_same_time_get_their_own(
    segment_asr: SegmentAsr, two: tuple[Audio, Audio]
) -> None:
    apart = [(await segment_asr.transcribe([segment]))[0].text for segment in two]
    both = await asyncio.gather(*(segment_asr.transcribe([segment]) for segment in two))
    assert [transcripts[0].text for transcripts in both] == apart


async def test_a_transcription_that_is_cancelled_harms_no_later_one(
    segment_asr: SegmentAsr, two: tuple[Audio, Audio]
) -> None:
    call = asyncio.create_task(segment_asr.transcribe([two[1]]))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    [transcript] = await segment_asr.transcribe([two[0]])
    assert transcript.text


async def test_segments_make_an_asr_of_it(segment_asr: SegmentAsr, two: tuple[Audio, Audio]) -> None:
    asr = Segments(segment_asr)
    transcript, _ = await asr.step(two[0], None, final=True)
    [alone] = await segment_asr.transcribe([two[0]])
    assert (transcript.text, transcript.language) == (alone.text, alone.language)
