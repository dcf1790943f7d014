from __future__ import annotations

import numpy as np
import pytest

from bench.speech import BLOCK_MS, Recording, Span, levels_db, room_noise, spans, utterances
from conversation.audio import Audio

HZ = 24_000
BLOCK = HZ * BLOCK_MS // 1000

ROOM, FAINT, SPEECH = -65, -46, -20
"""dBFS of the parts of which the recordings below are made: FAINT is the end of a word, not the room."""


def recording(*parts: tuple[float, int]) -> Audio:
    """Noise of so many seconds at such a level, one part after another."""
    noises = [room_noise(round(seconds * HZ), level, seed=n) for n, (seconds, level) in enumerate(parts)]
    return Audio(np.concatenate(noises), HZ)


def s(seconds: float) -> int:
    return round(seconds * HZ)


def test_speech_is_found_to_the_block() -> None:
    [span] = spans(recording((0.5, ROOM), (1.5, SPEECH), (0.5, ROOM)))
    assert span == Span(start=s(0.3), onset=s(0.5), end=s(2.0), stop=s(2.3))


def test_the_fading_end_of_a_word_belongs_to_it() -> None:
    [span] = spans(recording((0.5, ROOM), (1.5, SPEECH), (0.1, FAINT), (0.5, ROOM)))
    assert span.end == s(2.1)


def test_a_breath_after_a_word_does_not() -> None:
    [span] = spans(recording((0.5, ROOM), (1.5, SPEECH), (0.1, ROOM), (0.2, FAINT), (0.5, ROOM)))
    assert span.end == s(2.0)


@pytest.mark.parametrize(("pause_s", "count"), [(0.2, 1), (0.4, 2)])
def test_only_a_long_silence_parts_two_utterances(pause_s: float, count: int) -> None:
    found = spans(recording((0.5, ROOM), (1.5, SPEECH), (pause_s, ROOM), (1.5, SPEECH), (0.5, ROOM)))
    assert len(found) == count


def test_the_room_around_an_utterance_ends_where_the_next_one_begins() -> None:
    first, second = spans(recording((0.1, ROOM), (1.5, SPEECH), (0.31, ROOM), (1.5, SPEECH), (0.1, ROOM)))
    assert (first.start, first.stop) == (0, s(1.9))
    assert (second.start, second.stop) == (s(1.71), s(3.51))


def test_speech_to_the_very_end_ends_there() -> None:
    audio = recording((0.5, ROOM), (1.5, SPEECH))
    [span] = spans(audio)
    assert span.end == span.stop == len(audio)


def test_a_recording_shorter_than_a_block_has_no_speech() -> None:
    assert spans(Audio(np.ones(BLOCK - 1, np.float32), HZ)) == []


def test_an_utterance_carries_its_marks_and_fades_in_and_out() -> None:
    audio = recording((0.5, ROOM), (1.5, SPEECH), (0.5, ROOM), (0.5, SPEECH), (0.5, ROOM))
    [utterance] = utterances(
        [Recording("set", "name", "made here", audio, origin="synthetic")], HZ
    )  # one is too short
    assert utterance.name == "name/0"
    assert (utterance.onset_s, utterance.end_s) == (0.2, 1.7)
    assert utterance.audio.duration_s == 2.0
    assert utterance.audio.samples[0] == utterance.audio.samples[-1] == 0.0
    middle = slice(utterance.onset, utterance.end)
    assert np.array_equal(utterance.audio.samples[middle], audio.samples[s(0.5) : s(2.0)])


def test_marks_are_made_at_the_rate_of_the_client() -> None:
    audio = recording((0.5, ROOM), (1.5, SPEECH), (0.5, ROOM))
    [utterance] = utterances([Recording("set", "name", "made here", audio)], 48_000)
    assert utterance.audio.rate_hz == 48_000
    assert utterance.end_s == pytest.approx(1.7, abs=2 * BLOCK_MS / 1000)


def test_levels_are_in_decibels_of_full_scale() -> None:
    full, tenth = np.ones(BLOCK, np.float32), np.full(BLOCK, 0.1, np.float32)
    silent, rest = np.zeros(BLOCK, np.float32), np.ones(BLOCK // 2, np.float32)
    levels = levels_db(Audio(np.concatenate([full, tenth, silent, rest]), HZ))
    assert levels == pytest.approx([0, -20, -140], abs=0.01)


def test_room_noise_is_as_loud_as_asked_and_always_the_same() -> None:
    noise = room_noise(HZ, -65.0)
    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-65, abs=0.2)
    assert np.array_equal(noise, room_noise(HZ, -65.0))
