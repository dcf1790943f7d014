from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from conversation.audio import Audio
from conversation.errors import StageError
from conversation.stages import FRAME_SAMPLES, Vad
from tests.contracts.conftest import called

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDING = 2e-3
"""What a probability may change when its frame travelled as 16-bit PCM."""


@pytest_asyncio.fixture(loop_scope="session")
async def vad(vad_candidate: Any) -> Vad:
    made: Vad = await called(vad_candidate)
    return made


def frames_of(audio: Audio) -> NDArray[np.float32]:
    whole = len(audio) // FRAME_SAMPLES * FRAME_SAMPLES
    return audio.samples[:whole].reshape(-1, FRAME_SAMPLES)


async def alone(vad: Vad, frames: NDArray[np.float32]) -> list[float]:
    state, heard = None, []
    for frame in frames:
        [probability], [state] = await vad.step(frame[None], [state])
        heard.append(float(probability))
    return heard


@pytest.mark.parametrize("listeners", [1, 3])
async def test_each_row_has_a_probability_and_a_state(vad: Vad, listeners: int) -> None:
    frames = np.zeros((listeners, FRAME_SAMPLES), np.float32)
    probabilities, states = await vad.step(frames, [None] * listeners)
    assert probabilities.shape == (listeners,)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert len(states) == listeners
    assert {state.dtype for state in states} == {np.dtype(np.float32)}
    assert len({state.shape for state in states}) == 1


async def test_silence_is_no_speech(vad: Vad) -> None:
    assert max(await alone(vad, np.zeros((20, FRAME_SAMPLES), np.float32))) < 0.5


async def test_speech_is_heard(vad: Vad, two_voices: tuple[Audio, Audio]) -> None:
    assert max(await alone(vad, frames_of(two_voices[0]))) > 0.5


async def test_two_listeners_never_mix(vad: Vad, two_voices: tuple[Audio, Audio]) -> None:
    first, second = (frames_of(voice)[:40] for voice in two_voices)
    apart = [await alone(vad, first), await alone(vad, second)]
    states: Any = [None, None]
    together = []
    for pair in zip(first, second, strict=True):
        probabilities, states = await vad.step(np.stack(pair), states)
        together.append(probabilities)
    assert np.stack(together, axis=1) == pytest.approx(np.array(apart), abs=ROUNDING)


async def test_a_listener_may_join_one_who_is_in_the_middle(
    vad: Vad, two_voices: tuple[Audio, Audio]
) -> None:
    first, second = (frames_of(voice)[:20] for voice in two_voices)
    state = None
    for frame in first[:10]:
        _, [state] = await vad.step(frame[None], [state])
    both, _ = await vad.step(np.stack([first[10], second[0]]), [state, None])
    assert both[0] == pytest.approx((await alone(vad, first))[10], abs=ROUNDING)
    assert both[1] == pytest.approx((await alone(vad, second))[0], abs=ROUNDING)


async def test_stepping_changes_no_state_that_was_given(vad: Vad, two_voices: tuple[Audio, Audio]) -> None:
    frames = frames_of(two_voices[0])
    _, [state] = await vad.step(frames[:1], [None])
    kept = state.copy()
    once, _ = await vad.step(frames[1:2], [state])
    again, _ = await vad.step(frames[1:2], [state])
    assert (state == kept).all()
    assert once == pytest.approx(again)


async def test_frames_without_their_states_are_a_failed_stage(vad: Vad) -> None:
    with pytest.raises(StageError):
        await vad.step(np.zeros((2, FRAME_SAMPLES), np.float32), [None])
