"""The set of short sounds is what its manifest says: a recogniser hears the words, and none in a noise."""

from __future__ import annotations

import jiwer
import pytest

from bench.speech import Clip, Kind, Origin, recordings, speech_set
from bench.wer import plain
from deployments import weights
from deployments.asr.moonshine import Moonshine


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    weights.fetch("moonshine-tiny-en")
    return Moonshine()


async def written(moonshine: Moonshine, clips: list[Clip]) -> list[str]:
    return [plain((await moonshine.transcribe([clip.audio()]))[0].text) for clip in clips]


@pytest.mark.parametrize(
    ("kind", "origin", "at_most"),
    [("reading", "human", 0.1), ("question", "synthetic", 0.1), ("pause", "synthetic", 0.2)],
)
async def test_sentences_are_understood(
    moonshine: Moonshine, kind: Kind, origin: Origin, at_most: float
) -> None:
    clips = speech_set(kind, origin)
    spoken = [plain(clip.text or "") for clip in clips]
    assert jiwer.wer(spoken, await written(moonshine, clips)) < at_most


async def test_most_of_the_interruptions_are_understood_to_the_word(moonshine: Moonshine) -> None:
    clips = speech_set("interruption")
    texts = await written(moonshine, clips)
    right = [text for clip, text in zip(clips, texts, strict=True) if text == plain(clip.text or "")]
    assert len(right) >= 0.75 * len(clips)


async def test_no_sentence_is_heard_in_coughs_and_noise(moonshine: Moonshine) -> None:
    clips = [*speech_set("cough"), *speech_set("noise")]
    for clip, text in zip(clips, await written(moonshine, clips), strict=True):
        assert len(text.split()) <= 1, clip.name


def test_all_recordings_that_are_measured_are_of_people() -> None:
    takes = recordings()
    assert {take.group for take in takes} == {"readings", "librivox", "cards"}
    assert {take.origin for take in takes} == {"human"}
