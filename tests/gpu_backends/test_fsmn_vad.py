"""FSMN-VAD with its published weights, on what people said; and with small random ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from bench.endpoints import heard_turns
from bench.speech import Utterance, recordings, room_noise, speech_set, utterances
from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.endpointing import Endpointing
from conversation.errors import ConfigError, StageFailed
from conversation.floor import FloorEvent
from conversation.settings import Tuning, TurnDetection
from conversation.stages import FRAME_MS, FRAME_SAMPLES, Vad, VadState
from deployments import weights
from deployments.funasr_library import OpenedModel, open_model
from deployments.vad.fsmn import Fsmn
from deployments.vad.silero import Silero
from tests.gpu_backends import real_fsmn

pytestmark = pytest.mark.gpu_backends

ROOM_DB = -65.0
"""Around what people say."""
AROUND_S = 1.0

FRAME_LENGTH, FRAME_SHIFT, NEIGHBOURS = 400, 160, 2
"""25 ms, 10 ms, and the frames that a score looks ahead: from the published config.yaml."""
DECISION = 0.8
"""Where p(speech) >= p(silence) + 0.6 begins."""

ROUNDING = 1e-5
"""Between sums of float32 taken in another order."""


@pytest.fixture(scope="module")
def fsmn() -> Fsmn:
    return Fsmn(weights=str(real_fsmn.directory()))


@pytest.fixture(scope="module")
def silero() -> Silero:
    weights.fetch("silero-vad")
    return Silero()


@pytest.fixture
def library() -> OpenedModel:
    """FunASR's own, with its state machine; anew for each test, since calls change it."""
    return open_model(str(real_fsmn.directory()), "vad", device="cpu")


@pytest.fixture(scope="module")
def said() -> list[Utterance]:
    return utterances(recordings(), HEARING_HZ)


@pytest.fixture(scope="module")
def voices(said: list[Utterance]) -> NDArray[np.float32]:
    """Three people, (3, frames, FRAME_SAMPLES)."""
    first_of_each = {clip.recording.group: clip for clip in reversed(said)}
    return np.stack([frames_of(in_a_room(clip.audio.samples))[:100] for clip in first_of_each.values()])


def in_a_room(samples: Samples, room_db: float = ROOM_DB) -> Samples:
    """With the room under it, and AROUND_S of the room before and after it."""
    around = round(AROUND_S * HEARING_HZ)
    return np.pad(samples, around) + room_noise(len(samples) + 2 * around, room_db)


def frames_of(samples: Samples) -> NDArray[np.float32]:
    whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
    return samples[:whole].reshape(-1, FRAME_SAMPLES)


async def listen(vad: Vad, streams: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (B, frames) for streams (B, frames, FRAME_SAMPLES), all heard at once."""
    states: Sequence[VadState | None] = [None] * len(streams)
    heard = []
    for step in range(streams.shape[1]):
        probabilities, states = await vad.step(streams[:, step], states)
        heard.append(probabilities)
    return np.stack(heard, axis=1)


# --- what comes out is what the library's network and front end say


def features_of(library: OpenedModel, samples: Samples, chunk: int) -> Any:
    """(frames, 400), by the library's own front end, which is given `chunk` samples at a time."""
    import torch

    cache: dict[str, Any] = {}
    made = [
        library.settings["frontend"](part[None], torch.tensor([len(part)]), cache=cache, is_final=False)[0]
        for part in torch.from_numpy(samples).split(chunk)
    ]
    return torch.cat([features[0] for features in made if features.numel()])


def speech_of(library: OpenedModel, samples: Samples) -> NDArray[np.float32]:
    """The probability of speech in each of the network's frames, (frames,), by one call for all of them."""
    import torch

    with torch.inference_mode():
        features = features_of(library, samples, len(samples))
        scores = library.network.encoder(features[None], cache={})[0]
    return np.asarray(1 - scores[:, 0].numpy())


def complete(samples: int) -> int:
    """How many of the network's frames so many samples make."""
    return max(0, (samples - FRAME_LENGTH) // FRAME_SHIFT + 1 - NEIGHBOURS)


async def test_the_features_are_those_of_the_librarys_front_end(
    fsmn: Fsmn, library: OpenedModel, voices: NDArray[np.float32]
) -> None:
    import torch

    front_end = fsmn._front_end
    states = torch.zeros(len(voices), front_end.state_values)
    heard: list[list[Any]] = [[] for _ in voices]
    for step in range(voices.shape[1]):
        features, counts, states = front_end.step(torch.from_numpy(voices[:, step]), states)
        for row, count, ours in zip(features, counts, heard, strict=True):
            ours.append(row[:count])
    for stream, ours in zip(voices, heard, strict=True):
        theirs = features_of(library, stream.reshape(-1), FRAME_SAMPLES)
        torch.testing.assert_close(torch.cat(ours), theirs, rtol=0, atol=ROUNDING)


async def test_a_probability_is_the_mean_of_the_librarys_with_its_decision_at_one_half(
    fsmn: Fsmn, library: OpenedModel, voices: NDArray[np.float32]
) -> None:
    for stream, heard in zip(voices, await listen(fsmn, voices), strict=True):
        theirs = speech_of(library, stream.reshape(-1))
        steps = [complete(step * FRAME_SAMPLES) for step in range(len(stream) + 1)]
        assert steps[:4] == [0, 0, 2, 6]
        means = [theirs[a:b].mean() for a, b in pairwise(steps[1:])]
        expected = np.interp(means, [0, DECISION, 1], [0, 0.5, 1])
        np.testing.assert_allclose(heard, [0.0, *expected], atol=1e-4)


async def test_where_the_library_decides_for_speech_so_does_the_probability(
    fsmn: Fsmn, library: OpenedModel, voices: NDArray[np.float32]
) -> None:
    import torch

    decided = 0
    for stream, heard in zip(voices, await listen(fsmn, voices), strict=True):
        speech = speech_of(library, stream.reshape(-1))
        cache = library.network.init_cache({})
        cache["stats"].scores = torch.from_numpy(1 - speech)[None, :, None]
        cache["stats"].decibel = [0.0] * len(speech)
        states = [library.network.GetFrameState(t, cache).value for t in range(len(speech))]
        for step in range(1, len(stream)):
            of_step = set(states[complete(step * FRAME_SAMPLES) : complete((step + 1) * FRAME_SAMPLES)])
            if len(of_step) == 1:
                decided += 1
                assert (heard[step] >= 0.5) == (of_step == {1}), step
    assert decided > 250


# --- what it hears


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def turns(said: list[Utterance], fsmn: Fsmn, silero: Silero) -> dict[str, list[Any]]:
    """Those that both hear in everything people said, with what the marks say."""
    heard: dict[str, list[Any]] = {}
    for clip in said:
        audio = Audio(in_a_room(clip.audio.samples), HEARING_HZ)
        heard[clip.name] = [
            clip,
            *[await heard_turns(audio, vad, TurnDetection(), Tuning()) for vad in (fsmn, silero)],
        ]
    return heard


def test_people_take_the_turns_that_silero_hears(turns: dict[str, list[Any]]) -> None:
    assert len(turns) > 20
    for name, (_, ours, theirs) in turns.items():
        assert len(ours) == len(theirs), name


def test_turns_begin_and_end_near_the_marks(turns: dict[str, list[Any]]) -> None:
    """Nearly all: the marks go by loudness, and one faint last word is missed, as Silero misses it."""
    lead = AROUND_S * HEARING_HZ
    marks = [(clip, ours[0].onset - lead, ours[-1].end - lead) for clip, ours, _ in turns.values()]
    onsets = np.array([onset - clip.onset for clip, onset, _ in marks]) * 1000 / HEARING_HZ
    ends = np.array([end - clip.end for clip, _, end in marks]) * 1000 / HEARING_HZ
    assert ((onsets >= -200) & (onsets <= 300)).mean() > 0.95
    assert ((ends >= -FRAME_MS) & (ends <= 400)).mean() > 0.9
    assert abs(np.median(onsets)) <= 2 * FRAME_MS
    assert 0 <= np.median(ends) <= 250


def test_turns_begin_with_sileros_and_end_little_later(turns: dict[str, list[Any]]) -> None:
    onsets, ends = [], []
    for _, ours, theirs in turns.values():
        onsets.append((ours[0].onset - theirs[0].onset) * 1000 / HEARING_HZ)
        ends.append((ours[-1].end - theirs[-1].end) * 1000 / HEARING_HZ)
    assert abs(np.median(onsets)) <= FRAME_MS
    assert 0 <= np.median(ends) <= 4 * FRAME_MS


async def test_a_pause_in_a_sentence_parts_it_where_it_lies(fsmn: Fsmn) -> None:
    """The machine's sentences: their pauses, which end a turn after 500 ms, are of a known length."""
    for clip in speech_set("pause"):
        audio = Audio(in_a_room(clip.audio().samples), HEARING_HZ)
        first, second = await heard_turns(audio, fsmn, TurnDetection(), Tuning())
        [(begin_ms, end_ms)] = clip.pauses_ms
        heard_begin_ms, heard_end_ms = (
            mark * 1000 / HEARING_HZ - AROUND_S * 1000 for mark in (first.end, second.onset)
        )
        # The end of a word that fades is no part of the voice to the endpointing, and is one to the mark: the
        # /z/ of "is" in pause-03 lies 16 dB below its voice, just where it counts as silence, for 130 ms.
        assert -150 <= heard_begin_ms - begin_ms <= 250, clip.name
        assert -100 <= heard_end_ms - end_ms <= 100, clip.name


NOISES = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""How amplitude falls with frequency: f ** -exponent."""


def noise(color: str, level_db: float, seconds: float = 4.0) -> Samples:
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(round(seconds * HEARING_HZ)))
    wave = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** NOISES[color])
    return np.asarray(wave / wave.std() * 10 ** (level_db / 20), np.float32)


@pytest.mark.parametrize("color", NOISES)
@pytest.mark.parametrize("level_db", [-70, -50, -30, -20])
async def test_noise_that_goes_on_is_no_speech(fsmn: Fsmn, color: str, level_db: float) -> None:
    [probabilities] = await listen(fsmn, frames_of(noise(color, level_db))[None])
    assert probabilities.max() < 0.5


async def test_silence_and_hum_are_no_speech(fsmn: Fsmn) -> None:
    seconds = np.arange(4 * HEARING_HZ) / HEARING_HZ
    hum = 0.01 * np.sign(np.sin(2 * np.pi * 50 * seconds))
    streams = np.stack([frames_of(x.astype(np.float32)) for x in (np.zeros_like(hum), hum)])
    assert (await listen(fsmn, streams)).max() < 0.5


@pytest.mark.parametrize("clip", speech_set("noise")[:4], ids=lambda clip: str(clip.voice))
async def test_knocks_keys_and_cups_take_no_turn(fsmn: Fsmn, clip: Any) -> None:
    audio = Audio(in_a_room(clip.audio().samples), HEARING_HZ)
    assert await heard_turns(audio, fsmn, TurnDetection(), Tuning()) == []


async def test_noise_that_comes_out_of_digital_silence_is_speech_for_a_moment_only(fsmn: Fsmn) -> None:
    """A microphone that is switched on: what Silero lets pass, this model takes for a short sound."""
    samples = np.concatenate([np.zeros(2 * HEARING_HZ, np.float32), noise("white", -40)])
    [probabilities] = await listen(fsmn, frames_of(samples)[None])
    assert 0 < (probabilities >= 0.5).sum() <= 200 / FRAME_MS


# --- listeners never mix


async def test_each_listener_of_a_batch_is_heard_as_if_alone(fsmn: Fsmn, voices: NDArray[np.float32]) -> None:
    together = await listen(fsmn, voices)
    alone = np.concatenate([await listen(fsmn, stream[None]) for stream in voices])
    np.testing.assert_allclose(together, alone, rtol=0, atol=ROUNDING)


async def test_listeners_may_come_and_go_at_any_frame(fsmn: Fsmn, voices: NDArray[np.float32]) -> None:
    """Then rows of one batch have unlike numbers of the network's frames."""
    alone = await listen(fsmn, voices)
    begins = [0, 3, 7]
    states: dict[int, VadState | None] = dict.fromkeys(range(len(voices)))
    for now in range(begins[-1] + 50):
        here = [row for row, begin in enumerate(begins) if begin <= now < begin + 50]
        frames = np.stack([voices[row, now - begins[row]] for row in here])
        probabilities, after = await fsmn.step(frames, [states[row] for row in here])
        states.update(zip(here, after, strict=True))
        expected = [alone[row, now - begins[row]] for row in here]
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=ROUNDING)


async def test_a_broken_neighbour_is_not_heard(fsmn: Fsmn, voices: NDArray[np.float32]) -> None:
    speech = voices[0, :50]
    together = await listen(
        fsmn, np.stack([np.full_like(speech, np.nan), speech, np.full_like(speech, 1e30)])
    )
    [alone] = await listen(fsmn, speech[None])
    np.testing.assert_allclose(together[1], alone, rtol=0, atol=ROUNDING)


async def test_a_state_goes_on_where_it_was_and_is_not_changed(
    fsmn: Fsmn, voices: NDArray[np.float32]
) -> None:
    _, [state] = await fsmn.step(voices[:1, 0], [None])
    for step in range(1, 40):
        _, [state] = await fsmn.step(voices[:1, step], [state])
    kept = state.copy()
    first, _ = await fsmn.step(voices[:1, 40], [state])
    again, _ = await fsmn.step(voices[:1, 40], [state])
    fresh, _ = await fsmn.step(voices[:1, 40], [None])
    np.testing.assert_array_equal(state, kept)
    assert first == again != fresh


async def test_a_state_is_small_enough_to_travel(fsmn: Fsmn, voices: NDArray[np.float32]) -> None:
    _, [state] = await fsmn.step(voices[:1, 0], [None])
    assert state.shape == (fsmn.state_values,)
    assert state.dtype == np.float32
    assert 4 * 19 * 128 * 4 < state.nbytes <= 64 * 1024


# --- the library's state machine, and what we are spared


async def moves(vad: Vad, samples: Samples, silences_ms: Sequence[int]) -> list[dict[FloorEvent, float]]:
    """When sessions that hear the same, each with its own rule of silence, know of their moves, in ms.

    Their frames go through the model in one batch.
    """
    floors = [
        Endpointing(TurnDetection(silence_duration_ms=ms), onset_ms=64, pause_ms=ms) for ms in silences_ms
    ]
    states: Sequence[VadState | None] = [None] * len(floors)
    known: list[dict[FloorEvent, float]] = [{} for _ in floors]
    for number, frame in enumerate(frames_of(samples)):
        probabilities, states = await vad.step(np.stack([frame] * len(floors)), states)
        for floor, probability, events in zip(floors, probabilities, known, strict=True):
            for move in floor.step(float(probability), number * FRAME_SAMPLES, frame):
                events.setdefault(move.event, (number + 1) * FRAME_MS)
    return known


def events_of(library: OpenedModel, samples: Samples, **settings: Any) -> list[tuple[float, list[int]]]:
    """What the library reports, each with the time at which it is known, in ms; fed 20 ms at a time."""
    cache: dict[str, Any] = {}
    known = []
    for start in range(0, len(samples), 320):
        [answer] = library.infer(
            [samples[start : start + 320]], cache=cache, is_final=False, chunk_size=20, **settings
        )
        known += [((start + 320) * 1000 / HEARING_HZ, event) for event in answer["value"]]
    return known


@pytest.fixture(scope="module")
def sentence() -> tuple[Samples, float, float]:
    """Somebody reads a sentence and is silent for 3 s; where it begins and ends, in ms."""
    [clip] = [clip for clip in speech_set(origin="human") if clip.name == "librivox-0920"]
    samples = in_a_room(np.pad(clip.audio().samples, (0, 2 * HEARING_HZ)))
    lead_ms = AROUND_S * 1000
    return samples, lead_ms + clip.onset_ms, lead_ms + clip.end_ms


async def test_speech_ends_after_the_sessions_own_silence(
    fsmn: Fsmn, library: OpenedModel, sentence: tuple[Samples, float, float]
) -> None:
    samples, _, end_ms = sentence
    [ours] = await moves(fsmn, samples, [500])
    assert 450 <= ours[FloorEvent.END] - end_ms <= 500 + 250  # our mark is not theirs to the millisecond
    [theirs] = [known for known, event in events_of(library, samples) if event[1] != -1]
    assert theirs - end_ms > 1900  # trap 1


async def test_one_sessions_silence_is_not_anothers(
    fsmn: Fsmn, library: OpenedModel, sentence: tuple[Samples, float, float]
) -> None:
    samples, _, end_ms = sentence
    short, long = await moves(fsmn, samples, [300, 1200])
    assert 250 <= short[FloorEvent.END] - end_ms <= 300 + 250
    assert long[FloorEvent.END] - short[FloorEvent.END] == pytest.approx(900, abs=FRAME_MS)
    before = library.network.vad_opts.max_end_silence_time
    events_of(library, samples[:3200], max_end_silence_time=300)
    assert (before, library.network.vad_opts.max_end_silence_time) == (800, 300)  # trap 2


async def test_a_voice_is_known_sooner_than_the_library_reports_it(
    fsmn: Fsmn, library: OpenedModel, sentence: tuple[Samples, float, float]
) -> None:
    samples, onset_ms, _ = sentence
    [ours] = await moves(fsmn, samples, [500])
    [theirs, *_] = [known for known, event in events_of(library, samples) if event[0] != -1]
    assert ours[FloorEvent.ONSET] - onset_ms < 150
    assert theirs - ours[FloorEvent.ONSET] > 50  # trap 3


# --- what it is made of and given


async def test_small_random_weights_in_the_same_format_will_do(
    tiny_models: Path, voices: NDArray[np.float32]
) -> None:
    tiny = Fsmn(weights=str(tiny_models / "fsmn-vad"))
    together = await listen(tiny, voices[:, :30])
    assert ((together >= 0) & (together <= 1)).all()
    alone = np.concatenate([await listen(tiny, stream[None, :30]) for stream in voices])
    np.testing.assert_allclose(together, alone, rtol=0, atol=ROUNDING)


def changed(into: Path, line: str, becomes: str) -> str:
    """The published directory with another line in its config.yaml."""
    shutil.copytree(real_fsmn.directory(), into)
    config = into / "config.yaml"
    text = config.read_text()
    assert line in text
    config.write_text(text.replace(line, becomes))
    return str(into)


def test_the_decision_is_the_one_of_the_configuration(tmp_path: Path) -> None:
    lower = changed(tmp_path / "lower", "speech_noise_thres: 0.6", "speech_noise_thres: 0.5")
    assert Fsmn(weights=lower)._probabilities([0.75]) == [0.5]


@pytest.mark.parametrize(
    ("line", "becomes", "complaint"),
    [
        ("speech_2_noise_ratio: 1.0", "speech_2_noise_ratio: 2.0", "speech_2_noise_ratio 2.0"),
        ("fs: 16000", "fs: 8000", "8000 Hz"),
        ("model: FsmnVADStreaming", "model: Paraformer", "vad: .* holds a Paraformer"),
    ],
)
def test_what_would_be_misheard_is_a_mistake_in_the_configuration(
    tmp_path: Path, line: str, becomes: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Fsmn(weights=changed(tmp_path / "changed", line, becomes))


async def test_a_state_of_another_model_is_named(fsmn: Fsmn) -> None:
    frames = np.zeros((1, FRAME_SAMPLES), np.float32)
    with pytest.raises(StageFailed, match=rf"\({fsmn.state_values},\).*made by another model"):
        await fsmn.step(frames, [np.zeros(320, np.float32)])
