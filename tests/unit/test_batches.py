from __future__ import annotations

import numpy as np
import pytest

from conversation.audio import HEARING_HZ, Audio, silence
from conversation.errors import StageFailed
from conversation.scripted import tone
from conversation.stages import Hints
from deployments.asr.batches import batches
from deployments.asr.segments import hints_of_each


def test_those_that_are_told_the_same_go_together_by_length() -> None:
    segments = [tone(0.3), tone(0.9), tone(0.5), tone(0.1), tone(0.7)]
    told = ["zh", "zh", "en", "zh", "zh"]
    assert list(batches(segments, told, 3)) == [("zh", [3, 0, 4]), ("zh", [1]), ("en", [2])]


@pytest.mark.parametrize(
    "segment",
    [
        silence(1, HEARING_HZ),
        silence(0, HEARING_HZ),
        tone(0.05),
        Audio(np.full(16_000, 9e-4, np.float32), 16_000),
    ],
)
def test_silence_is_in_no_batch(segment: Audio) -> None:
    assert list(batches([segment, tone(1)], [None, None], 8)) == [(None, [1])]


def test_without_hints_each_segment_has_none() -> None:
    assert hints_of_each([tone(1), tone(1)], ()) == [Hints(), Hints()]
    assert hints_of_each([tone(1)], [Hints("zh")]) == [Hints("zh")]


@pytest.mark.parametrize(
    ("segments", "hints", "reason"),
    [
        ([tone(1)], [Hints(), Hints()], "1 segments came with the hints of 2"),
        ([tone(1, 24_000)], [], "must be at 16000 Hz, got 24000 Hz"),
        ([silence(30.1, HEARING_HZ)], [], "may last 30 s, got 30.1 s"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused(
    segments: list[Audio], hints: list[Hints], reason: str
) -> None:
    with pytest.raises(StageFailed, match=reason):
        hints_of_each(segments, hints)
