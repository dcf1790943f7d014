"""Speech is whatever is loud here: the comparison is tested, not a VAD."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest

from bench.echo import listened
from bench.rooms import echo_of
from bench.speech import Clip, room_noise, speech_set
from conversation.arrivals import Arrivals
from conversation.audio import HEARING_HZ, Audio, Samples
from conversation.ears import Frame
from conversation.echo import Echo
from conversation.loudspeaker import Loudspeaker
from conversation.settings import Tuning
from conversation.stages import FRAME_SAMPLES

QUIET = 0.002
"""-54 dBFS: above the noise of these rooms, below any echo of these tests."""

AGENT_S, SECOND_S, USER_S = 0.5, 7.2, 3.0
LENGTH = 13 * HEARING_HZ // FRAME_SAMPLES * FRAME_SAMPLES

PEOPLE = speech_set(origin="human")


def placed(samples: Samples, at_s: float) -> Samples:
    whole = np.zeros(LENGTH, np.float32)
    at = round(at_s * HEARING_HZ)
    said = samples[: LENGTH - at]
    whole[at : at + len(said)] = said
    return whole


@functools.cache
def agent() -> Samples:
    """A synthetic voice, that says two things."""
    said = [clip.audio().samples for clip in speech_set("question") if clip.voice == "flite -voice slt"]
    first, second = np.concatenate(said[:2]), np.concatenate(said[2:])
    return placed(first, AGENT_S) + placed(second, SECOND_S)


def user(clip: Clip, at_s: float = USER_S, level: float = 0.05) -> Samples:
    samples = clip.audio().samples
    begin, end = (ms * HEARING_HZ // 1000 for ms in (clip.onset_ms, clip.end_ms))
    gain = np.float32(level / np.sqrt(np.mean(samples[begin:end] ** 2)))
    return placed(samples[begin:] * gain, at_s)


def echoing(level_db: float, delay_ms: float, room_s: float) -> Samples:
    return echo_of(agent(), delay_ms=delay_ms, level_db=level_db, room_s=room_s, seed=round(delay_ms))


def loud(heard: Samples) -> list[float]:
    return [float(np.sqrt(np.mean(frame**2)) > QUIET) for frame in heard.reshape(-1, FRAME_SAMPLES)]


def onsets_s(heard: Samples, played: Samples | None) -> list[float]:
    heard = heard + room_noise(LENGTH, -70)
    return [onset.known_s for onset in listened(played, heard, loud(heard), Tuning()).onsets]


@pytest.mark.parametrize(
    ("delay_ms", "room_s"), [(0, 0.0), (50, 0.5), (120, 0.0), (120, 0.2), (300, 0.5), (700, 0.2)]
)
def test_an_echo_is_nobodys_whatever_its_delay_and_its_room(delay_ms: float, room_s: float) -> None:
    heard = echoing(-10, delay_ms, room_s)
    assert onsets_s(heard, None)
    assert not onsets_s(heard, agent())


@pytest.mark.parametrize("level_db", [-25, -20, 0])
def test_an_echo_is_nobodys_whatever_its_level(level_db: float) -> None:
    heard = echoing(level_db, 120, 0.2)
    assert onsets_s(heard, None)
    assert not onsets_s(heard, agent())


@pytest.mark.parametrize(("level_db", "clip"), [(-20, PEOPLE[0]), (-10, PEOPLE[4]), (0, PEOPLE[7])])
def test_a_person_is_heard_over_the_echo(level_db: float, clip: Clip) -> None:
    heard = echoing(level_db, 120, 0.2) + user(clip)
    [first, *_] = onsets_s(heard, agent())
    assert USER_S <= first <= USER_S + 0.5


def test_without_an_echo_nobody_waits() -> None:
    """The agent has been heard by nobody for a while when somebody speaks."""
    heard = user(PEOPLE[0])
    assert onsets_s(heard, agent()) == onsets_s(heard, None)


def test_at_the_agents_first_words_somebody_waits_for_a_fifth_of_a_second_at_most() -> None:
    """It is not known yet that there is no echo."""
    heard = user(PEOPLE[0], at_s=AGENT_S + 0.2)
    [waited, *_], [at_once, *_] = onsets_s(heard, agent()), onsets_s(heard, None)
    assert 0 <= waited - at_once <= 0.2


def test_a_silent_agent_has_no_echo() -> None:
    heard = echoing(-10, 120, 0.2)
    assert onsets_s(heard, np.zeros(LENGTH, np.float32)) == onsets_s(heard, None)


def test_an_echo_that_comes_later_in_the_second_answer_is_found_again() -> None:
    half = round((SECOND_S - 0.3) * HEARING_HZ)
    heard = np.concatenate([echoing(-10, 120, 0.2)[:half], echoing(-10, 165, 0.2)[half:]])
    assert not onsets_s(heard, agent())


def test_what_is_handed_on_has_lost_the_echo_and_kept_the_voice() -> None:
    """In the second answer, when the way is known: a person over an echo that is as loud."""
    voice, echo_alone = user(PEOPLE[0], SECOND_S + 1), echoing(-3, 120, 0.2)
    heard = voice + echo_alone
    loudspeaker = Loudspeaker()
    arrivals = Arrivals()
    echo = Echo(loudspeaker, arrivals)
    loudspeaker.play(Audio(agent(), HEARING_HZ), 0.0)
    arrivals.note(LENGTH, LENGTH / HEARING_HZ)
    kept = [
        echo.hear(Frame(start, heard[start : start + FRAME_SAMPLES]), 1.0).frame.samples
        for start in range(0, LENGTH, FRAME_SAMPLES)
    ]
    over = slice(round((SECOND_S + 1.2) * HEARING_HZ), round((SECOND_S + 3.5) * HEARING_HZ))
    left = np.concatenate(kept)[over] - voice[over]
    assert np.sum(left**2) < 0.15 * np.sum(echo_alone[over] ** 2)


def test_bursts_and_pauses_of_the_network_do_not_matter() -> None:
    """Half the second comes late and then at once, again and again."""
    heard = echoing(-10, 120, 0.2) + room_noise(LENGTH, -70)
    loudspeaker = Loudspeaker()
    arrivals = Arrivals()
    echo = Echo(loudspeaker, arrivals)
    loudspeaker.play(Audio(agent(), HEARING_HZ), 0.0)
    counted = []
    half = HEARING_HZ // 2
    for start, speech in zip(range(0, LENGTH, FRAME_SAMPLES), loud(heard), strict=True):
        end = start + FRAME_SAMPLES
        stalls = -(-end // half) % 2 == 0
        arrived = -(-end // half) * half if stalls else end
        arrivals.note(arrived, arrived / HEARING_HZ)
        decided = echo.hear(Frame(start, heard[start:end]), speech).decided
        counted += [each.probability for each in decided]
    assert not any(a >= 0.5 and b >= 0.35 for a, b in pairwise(counted))
