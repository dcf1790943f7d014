"""A silence ends when it has lasted long enough, whatever the raster of frames and chunks."""

from __future__ import annotations

import pytest

from conversation.audio import HEARING_HZ
from conversation.endpointing import UNHEARD_SAMPLES
from conversation.events import OutputAudio, SpeechStopped
from conversation.settings import Settings
from tests.scenarios.screenplay import Play, Seen, detection

FELL_S = 2.208
"""The voice ends at 2.2 s; where it fell is known to a block of 16 ms."""


def asks(silence_ms: int) -> Play:
    settings = Settings(transcribe=True, turn_detection=detection(silence_ms=silence_ms))
    play = Play(asr=["what time is it"], llm=["It is noon."], settings=settings)
    return play.user_speaks(1.0, 2.2)


def ended_s(seen: Seen) -> float:
    [time_s] = seen.times_s(SpeechStopped)
    return time_s


@pytest.mark.parametrize("silence_ms", [200, 210, 300, 500, 777])
def test_the_turn_is_over_on_time(silence_ms: int) -> None:
    seen = asks(silence_ms).run(until_s=5.0)
    assert ended_s(seen) == pytest.approx(FELL_S + silence_ms / 1000, abs=0.001)
    assert seen.times_s(OutputAudio)[0] == ended_s(seen)


def test_who_sends_nothing_for_a_while_is_waited_for() -> None:
    """His audio is counted, not his absence; but for a little that is taken on trust."""
    seen = asks(500).client_sends_nothing(2.3, 2.5).run(until_s=5.0)
    trusted_s = UNHEARD_SAMPLES / HEARING_HZ
    assert FELL_S + 0.7 - trusted_s <= ended_s(seen) <= FELL_S + 0.7


def test_who_is_cut_off_in_the_silence_is_waited_for_until_it_counts_as_one() -> None:
    seen = asks(500).client_sends_nothing(2.3, 9.0).run(until_s=9.0)
    assert ended_s(seen) == pytest.approx(2.3 + 2.0, abs=0.02)


def test_one_who_goes_on_in_the_last_moment_is_not_cut_off() -> None:
    """He is heard again 440 ms into a silence of 500 ms."""
    play = Play(
        asr=["what time is it in town"],
        llm=["It is noon.", "It is noon."],
        settings=Settings(transcribe=True, turn_detection=detection(silence_ms=500)),
    )
    seen = play.user_speaks(1.0, 2.2).user_speaks(2.64, 3.3).lines_may_be_left().run(until_s=6.0)
    assert len(seen.of(SpeechStopped)) == 1
    assert ended_s(seen) > 3.8
