from __future__ import annotations

import numpy as np

from bench.endpoints import HeardTurn, heard_turns
from conversation.audio import HEARING_HZ, Audio
from conversation.scripted import ScriptedVad
from conversation.settings import Tuning, TurnDetection
from conversation.stages import FRAME_SAMPLES


async def turns_of(*frames: tuple[int, float]) -> list[HeardTurn]:
    """In a recording of so many frames at such a level."""
    samples = np.concatenate([np.full(n * FRAME_SAMPLES, level, np.float32) for n, level in frames])
    return await heard_turns(Audio(samples, HEARING_HZ), ScriptedVad(), TurnDetection(), Tuning())


async def test_a_turn_begins_with_its_padding_and_ends_with_the_silence_that_ends_it() -> None:
    [turn] = await turns_of((20, 0.0), (30, 0.1), (30, 0.0))
    assert turn.onset == 20 * FRAME_SAMPLES
    assert turn.start == turn.onset - 300 * HEARING_HZ // 1000
    assert turn.end == 50 * FRAME_SAMPLES
    assert turn.stop == (50 + 16) * FRAME_SAMPLES  # 512 ms, the first whole frames that make 500


async def test_a_recording_that_ends_in_speech_still_has_that_turn() -> None:
    [turn] = await turns_of((5, 0.0), (30, 0.1))
    assert (turn.start, turn.end) == (max(0, turn.onset - 4800), 35 * FRAME_SAMPLES)


async def test_a_long_pause_makes_two_turns_and_a_short_one_does_not() -> None:
    assert len(await turns_of((30, 0.1), (17, 0.0), (30, 0.1))) == 2
    assert len(await turns_of((30, 0.1), (15, 0.0), (30, 0.1))) == 1
