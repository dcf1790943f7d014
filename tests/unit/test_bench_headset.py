from __future__ import annotations

import asyncio

import numpy as np
import pytest

from bench.headset import AUDIBLE, HZ, Microphone, Speaker
from conversation.audio import Audio, Samples, from_pcm16
from tests import virtual_time

CHUNK = HZ // 50


def sound(seconds: float, level: float = 0.5) -> Samples:
    return np.full(round(seconds * HZ), level, np.float32)


def test_a_chunk_is_played_when_it_comes() -> None:
    speaker = Speaker()
    speaker.play(sound(0.1), 5.0)
    assert speaker.first_audible_s == 5.0
    assert speaker.ends_s == pytest.approx(5.1)


def test_a_chunk_that_comes_early_is_played_after_the_one_before() -> None:
    speaker = Speaker()
    speaker.play(sound(0.1, 0.0), 5.0)
    speaker.play(sound(0.1), 5.02)
    assert speaker.first_audible_s == pytest.approx(5.1)
    assert speaker.ends_s == pytest.approx(5.2)
    assert speaker.gap_s == 0.0


def test_a_chunk_that_comes_late_leaves_a_gap() -> None:
    speaker = Speaker()
    speaker.play(sound(0.1), 5.0)
    speaker.play(sound(0.1), 5.4)
    speaker.play(sound(0.1), 5.5)
    assert speaker.gap_s == pytest.approx(0.3)
    assert speaker.ends_s == pytest.approx(5.6)


def test_the_first_audible_sample_is_found_inside_a_chunk() -> None:
    quiet = sound(0.1, AUDIBLE * 0.99)
    quiet[240:] = -0.5  # a wave may go down first
    speaker = Speaker()
    speaker.play(quiet, 5.0)
    assert speaker.first_audible_s == pytest.approx(5.01)


def test_what_is_too_quiet_is_not_heard() -> None:
    speaker = Speaker()
    speaker.play(sound(0.1, AUDIBLE * 0.99), 5.0)
    assert speaker.first_audible_s is None


def test_the_threshold_is_45_decibels_below_full_scale() -> None:
    assert 20 * np.log10(AUDIBLE) == pytest.approx(-45)


def test_the_microphone_gives_a_chunk_when_it_has_been_spoken() -> None:
    async def scene() -> None:
        """The first sample said is spoken 20 ms before its chunk can be sent."""
        microphone, clock = Microphone(), asyncio.get_running_loop().time
        sent: list[tuple[float, Samples]] = []
        said_s = 0.0
        async for pcm in microphone.chunks():
            sent.append((clock(), from_pcm16(pcm, HZ).samples))
            if len(sent) == 2:
                said_s = microphone.say(Audio(sound(0.03), HZ))
            if len(sent) == 6:
                break
        assert all(len(samples) == CHUNK for _, samples in sent)
        loud = [(at_s, int(np.sum(np.abs(samples) > 0.4))) for at_s, samples in sent]
        assert [count for _, count in loud] == [0, 0, CHUNK, CHUNK // 2, 0, 0]
        assert loud[2][0] - said_s == pytest.approx(0.02)
        assert np.diff([at_s for at_s, _ in sent]) == pytest.approx(0.02)

    virtual_time.run(scene())


def test_the_microphone_says_one_thing_at_a_time() -> None:
    async def scene() -> None:
        microphone = Microphone()
        microphone.say(Audio(sound(1), HZ))
        with pytest.raises(ValueError, match="still busy"):
            microphone.say(Audio(sound(1), HZ))

    virtual_time.run(scene())


def test_the_microphone_speaks_at_the_rate_of_its_wire() -> None:
    async def scene() -> None:
        microphone = Microphone(16_000)
        microphone.say(Audio(sound(0.04), HZ))
        chunks = microphone.chunks()
        sent = [from_pcm16(await anext(chunks), 16_000).samples for _ in range(3)]
        assert [len(samples) for samples in sent] == [320, 320, 320]
        assert np.abs(sent[1][:160]).mean() > 0.4 > 0.01 > np.abs(sent[2]).mean()

    virtual_time.run(scene())
