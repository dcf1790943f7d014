from __future__ import annotations

from statistics import median

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.endpoints import heard_turns
from bench.speech import room_noise, speech_set
from conversation.audio import HEARING_HZ, Audio
from conversation.errors import ConfigError, StageFailed
from conversation.settings import Tuning, TurnDetection
from conversation.stages import FRAME_SAMPLES
from deployments import weights
from deployments.vad.silero import STATE_VALUES, Silero

LOUD_RMS = 0.01
"""-40 dBFS. Louder frames of the recordings are speech."""


@pytest.fixture(scope="module")
def silero() -> Silero:
    weights.fetch("silero-vad")
    return Silero()


def frames_of(audio: Audio) -> NDArray[np.float32]:
    """Shape (frames, FRAME_SAMPLES)."""
    whole = len(audio) // FRAME_SAMPLES * FRAME_SAMPLES
    return audio.samples[:whole].reshape(-1, FRAME_SAMPLES)


def noise(frames: int, rms: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, rms, (frames, FRAME_SAMPLES)).astype(np.float32)


async def listen(silero: Silero, streams: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (B, frames) for streams (B, frames, FRAME_SAMPLES), all heard at once."""
    states: list[NDArray[np.float32]] | list[None] = [None] * len(streams)
    heard = []
    for step in range(streams.shape[1]):
        probabilities, states = await silero.step(streams[:, step], states)
        heard.append(probabilities)
    return np.stack(heard, axis=1)


@pytest.mark.parametrize("recording", ["two_cities", "beckett"])
async def test_what_people_say_is_speech(
    silero: Silero, recording: str, request: pytest.FixtureRequest
) -> None:
    frames = frames_of(request.getfixturevalue(recording))
    [probabilities] = await listen(silero, frames[None])
    loud = np.sqrt((frames**2).mean(axis=1)) > LOUD_RMS
    assert (probabilities[loud] > 0.5).mean() > 0.9


async def test_a_long_pause_between_sentences_is_not_speech(silero: Silero, beckett: Audio) -> None:
    frames = frames_of(beckett)
    [probabilities] = await listen(silero, frames[None])
    quiet = np.sqrt((frames**2).mean(axis=1)) < LOUD_RMS / 8
    assert quiet.sum() > 30
    assert (probabilities[quiet] < 0.5).mean() > 0.9


@pytest.mark.parametrize("rms", [0.0, 0.001, 0.03, 0.1])
async def test_silence_and_noise_are_not_speech(silero: Silero, rms: float) -> None:
    [probabilities] = await listen(silero, noise(60, rms)[None])
    assert probabilities.max() < 0.2


async def test_each_listener_of_a_batch_is_heard_as_if_alone(
    silero: Silero, two_cities: Audio, beckett: Audio
) -> None:
    streams = np.stack([frames_of(two_cities)[:100], noise(100, 0.1), frames_of(beckett)[:100]])
    together = await listen(silero, streams)
    alone = np.concatenate([await listen(silero, stream[None]) for stream in streams])
    np.testing.assert_allclose(together, alone, atol=1e-4)


async def test_a_broken_neighbour_is_not_heard(silero: Silero, two_cities: Audio) -> None:
    speech = frames_of(two_cities)[:50]
    together = await listen(silero, np.stack([speech, np.full_like(speech, np.nan)]))
    [alone] = await listen(silero, speech[None])
    np.testing.assert_allclose(together[0], alone, atol=1e-4)


async def test_a_state_goes_on_where_it_was_and_is_not_changed(silero: Silero, two_cities: Audio) -> None:
    frames = frames_of(two_cities)[40:42]
    _, [state] = await silero.step(frames[:1], [None])
    kept = state.copy()
    first, _ = await silero.step(frames[1:], [state])
    again, _ = await silero.step(frames[1:], [state])
    fresh, _ = await silero.step(frames[1:], [None])
    assert state.shape == (STATE_VALUES,)
    np.testing.assert_array_equal(state, kept)
    assert first == again != fresh


@pytest.mark.parametrize(
    ("frames", "states", "complaint"),
    [
        (np.zeros((1, 480), np.float32), [None], r"frames must be of shape .* got \(1, 480\)"),
        (np.zeros(FRAME_SAMPLES, np.float32), [None], r"got \(512,\)"),
        (np.zeros((0, FRAME_SAMPLES), np.float32), [], r"B >= 1"),
        (np.zeros((1, FRAME_SAMPLES), np.int16), [None], "frames must be float32, got int16"),
        (np.zeros((2, FRAME_SAMPLES), np.float32), [None], "2 frames came with 1 states"),
        (np.zeros((1, FRAME_SAMPLES), np.float32), [np.zeros(7, np.float32)], "made by another model"),
    ],
)
async def test_a_wrong_shape_is_named(
    silero: Silero, frames: NDArray[np.float32], states: list[None], complaint: str
) -> None:
    with pytest.raises(StageFailed, match=complaint):
        await silero.step(frames, states)


def test_weights_that_are_no_model_are_a_mistake_in_the_configuration(recordings: object) -> None:
    with pytest.raises(ConfigError, match="vad stage"):
        Silero(weights=str(recordings))


async def test_a_silence_of_200_ms_is_known_when_it_has_lasted_that_long(silero: Silero) -> None:
    """Silero alone notices an end 120 ms late, half of the time. The marks are the set's, by loudness."""
    detection = TurnDetection(silence_duration_ms=200)
    late_ms = []
    for clip in speech_set("reading", "human"):
        said = clip.audio().samples
        sound = np.concatenate([said, np.zeros(HEARING_HZ, np.float32)])
        room = Audio(sound + room_noise(len(sound), -65.0), HEARING_HZ)
        turns = await heard_turns(room, silero, detection, Tuning())
        late_ms.append(turns[-1].stop * 1000 / HEARING_HZ - clip.end_ms)
    assert median(late_ms) == pytest.approx(200, abs=30)
    assert min(late_ms) > 100
    assert max(late_ms) < 350
