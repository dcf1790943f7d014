from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.audio import HEARING_HZ, Audio, join, to_pcm16
from realtime.encodings import ENCODINGS, IncomingAudio, OutgoingAudio

DURATION_S = 1.3


def hum(rate_hz: int) -> Audio:
    times_s = np.arange(round(DURATION_S * rate_hz)) / rate_hz
    return Audio((0.2 * np.sin(2 * np.pi * 200 * times_s)).astype(np.float32), rate_hz)


PCM = to_pcm16(hum(24_000))


def heard(*appends: bytes) -> np.ndarray:
    incoming = IncomingAudio()
    pieces = [piece for pcm in appends for piece in incoming.pieces(pcm)]
    return join([*pieces, incoming.end()], HEARING_HZ).samples


@given(st.lists(st.integers(0, len(PCM)), max_size=6).map(sorted))
def test_however_audio_is_cut_into_appends_it_is_the_same_audio(cuts: list[int]) -> None:
    edges = [0, *cuts, len(PCM)]
    appends = [PCM[start:end] for start, end in itertools.pairwise(edges)]
    in_parts, whole = heard(*appends), heard(PCM)
    assert len(in_parts) == len(whole)
    assert np.abs(in_parts - whole).max() < 1e-6  # a sum's order; a step of 16 bits is thirty times as much


def test_resampling_keeps_the_duration_and_the_sound() -> None:
    samples = heard(PCM)
    assert len(samples) == round(DURATION_S * HEARING_HZ)
    middle = slice(1000, -1000)
    assert samples[middle] == pytest.approx(hum(HEARING_HZ).samples[middle], abs=0.001)


def test_after_its_end_the_audio_starts_anew() -> None:
    incoming = IncomingAudio()
    list(incoming.pieces(PCM[:2001]))
    incoming.end()
    again = [*incoming.pieces(PCM), incoming.end()]
    assert np.array_equal(join(again, HEARING_HZ).samples, heard(PCM))


def test_a_long_append_comes_in_pieces_of_a_second() -> None:
    assert len(list(IncomingAudio().pieces(bytes(3 * 48_000)))) == 3


# --- the telephone

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop  # of Python 3.11 and earlier: another implementation to be held against

EVERY_VALUE = np.arange(-32768, 32768, dtype="<i2")
EVERY_CODE = bytes(range(256))
LAWS = [
    pytest.param("audio/pcmu", audioop.ulaw2lin, audioop.lin2ulaw, id="mu-law"),
    pytest.param("audio/pcma", audioop.alaw2lin, audioop.lin2alaw, id="a-law"),
]


@pytest.mark.parametrize(("name", "to_linear", "from_linear"), LAWS)
def test_the_codes_mean_what_another_implementation_says(name: str, to_linear: Any, from_linear: Any) -> None:
    law = ENCODINGS[name]
    assert to_pcm16(law.decode(EVERY_CODE, 8000)) == to_linear(EVERY_CODE, 2)


@pytest.mark.parametrize(("name", "to_linear", "from_linear"), LAWS)
def test_every_value_is_written_as_near_as_another_implementation_does(
    name: str, to_linear: Any, from_linear: Any
) -> None:
    law, samples = ENCODINGS[name], Audio((EVERY_VALUE / 32768).astype(np.float32), 8000)
    ours = np.frombuffer(to_linear(law.encode(samples), 2), "<i2").astype(int)
    theirs = np.frombuffer(to_linear(from_linear(EVERY_VALUE.tobytes(), 2), 2), "<i2").astype(int)
    assert np.all(np.abs(ours - EVERY_VALUE) <= np.abs(theirs - EVERY_VALUE))


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_a_call_over_the_telephone_sounds_as_it_did(name: str) -> None:
    law, outgoing = ENCODINGS[name], OutgoingAudio(ENCODINGS[name])
    sound = hum(24_000)
    pieces = [outgoing.feed(sound[start : start + 960]) for start in range(0, len(sound), 960)]
    written = b"".join([*pieces, outgoing.end()])
    assert len(written) == round(DURATION_S * 8000)

    incoming = IncomingAudio(law)
    heard_again = join([*incoming.pieces(written), incoming.end()], HEARING_HZ).samples
    middle = slice(1000, -1000)
    assert heard_again[middle] == pytest.approx(hum(HEARING_HZ).samples[middle], abs=0.01)


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_what_is_said_over_the_telephone_is_not_held_back(name: str) -> None:
    outgoing, fed, given = OutgoingAudio(ENCODINGS[name]), 0, 0
    sound = hum(24_000)
    for start in range(0, len(sound), 960):
        piece = sound[start : start + 960]
        fed, given = fed + len(piece), given + len(outgoing.feed(piece))
        assert (fed / 24_000 - given / 8000) * 1000 <= 2.2
    assert given + len(outgoing.end()) == round(DURATION_S * 8000)


@given(st.lists(st.integers(0, 24_000), max_size=6).map(sorted))
def test_however_speech_is_cut_into_pieces_it_is_the_same_speech(cuts: list[int]) -> None:
    sound, law = hum(24_000), ENCODINGS["audio/pcmu"]
    edges = [0, *cuts, len(sound)]
    outgoing = OutgoingAudio(law)
    pieces = [outgoing.feed(sound[start:end]) for start, end in itertools.pairwise(edges)]
    in_parts, at_once = b"".join([*pieces, outgoing.end()]), OutgoingAudio(law)
    whole = at_once.feed(sound) + at_once.end()
    assert len(in_parts) == len(whole)
    steps = np.abs(law.decode(in_parts, 8000).samples - law.decode(whole, 8000).samples)
    assert steps.max() < 0.01  # a sum's order may tip a value from one code to the next
    assert np.mean(steps > 0) < 0.01


def test_speech_that_needs_no_other_rate_is_left_as_it_is() -> None:
    outgoing = OutgoingAudio()
    assert outgoing.feed(hum(24_000)) == PCM
    assert outgoing.end() == b""
