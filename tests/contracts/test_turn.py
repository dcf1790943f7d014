from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from conversation.audio import HEARING_HZ, Audio, silence
from conversation.stages import JUDGED_S, EndOfTurn
from tests.contracts.conftest import called

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def turn(turn_candidate: Any) -> EndOfTurn:
    made: EndOfTurn = await called(turn_candidate)
    return made


@pytest.mark.parametrize("seconds", [0.0, 0.1, 3.0, JUDGED_S])
async def test_it_gives_a_probability_whatever_the_length(turn: EndOfTurn, seconds: float) -> None:
    assert 0 <= await turn.predict(silence(seconds, HEARING_HZ)) <= 1


async def test_the_same_sound_is_judged_alike(turn: EndOfTurn, two_voices: tuple[Audio, Audio]) -> None:
    assert await turn.predict(two_voices[0]) == await turn.predict(two_voices[0])


async def test_callers_at_the_same_time_get_their_own(
    turn: EndOfTurn, two_voices: tuple[Audio, Audio]
) -> None:
    apart = [await turn.predict(voice) for voice in two_voices]
    assert await asyncio.gather(*(turn.predict(voice) for voice in two_voices)) == apart


async def test_a_question_that_is_cancelled_harms_no_later_one(turn: EndOfTurn) -> None:
    asked = asyncio.create_task(turn.predict(silence(1.0, HEARING_HZ)))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    assert 0 <= await turn.predict(silence(1.0, HEARING_HZ)) <= 1
