"""How far ahead of its playback speech is sent: when all is well, when the machine is late and on request."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from conversation.events import OutputAudio, SpeechStopped
from conversation.pacing import PIECE_S
from conversation.scripted import Line, Lines
from conversation.settings import Settings, Tuning
from tests.scenarios.screenplay import Play, Seen
from tests.virtual_time import VirtualTimeLoop

STORY = "Once upon a time there was a little dog who lived in a big house by the sea, with a cat."
LEAD_S, MOST_S = Tuning().lead_ms / 1000, Tuning().most_lead_ms / 1000


def play(settings: Settings | None = None, tts: Lines = ()) -> Play:
    return Play(asr=["tell me a story"], llm=[STORY], tts=tts, settings=settings).user_speaks(1.0, 2.2)


def aheads(seen: Seen) -> list[tuple[float, float]]:
    """When each piece was sent, and how much a client that plays what it has then had."""
    found, ends_s = [], 0.0
    for time_s, event in seen.events:
        if isinstance(event, OutputAudio):
            ends_s = max(ends_s, time_s) + event.audio.duration_s
            found.append((time_s, ends_s - time_s))
    return found


def busy(for_s: float) -> None:
    """The machine does something else; nothing is done meanwhile, and the clock goes on."""
    loop = cast(VirtualTimeLoop, asyncio.get_running_loop())
    loop.now_s += for_s


def test_speech_is_sent_a_lead_ahead_and_its_beginning_at_once() -> None:
    seen = play().run(until_s=12.0)
    sent = aheads(seen)
    first_s = sent[0][0]
    assert first_s == seen.times_s(SpeechStopped)[0]
    assert [time_s for time_s, _ in sent[:3]] == [first_s] * 3
    assert max(ahead_s for _, ahead_s in sent) == pytest.approx(LEAD_S)
    assert min(ahead_s for _, ahead_s in sent[2:]) > LEAD_S - PIECE_S


def test_a_machine_that_was_late_sends_further_ahead_and_then_less_again() -> None:
    late = play()
    late.at(4.0, lambda _: busy(0.1))
    sent = aheads(late.run(until_s=12.0))
    after = [ahead_s for time_s, ahead_s in sent if time_s > 4.1]
    assert LEAD_S < after[-1] < max(after) <= PIECE_S + 3 * 0.1
    assert max(after) > 2 * LEAD_S


def test_however_late_it_is_no_more_is_sent_ahead_than_may_be() -> None:
    late = play()
    late.at(4.0, lambda _: busy(1.0))
    sent = aheads(late.run(until_s=12.0))
    assert MOST_S - PIECE_S < max(ahead_s for _, ahead_s in sent) <= MOST_S


def test_a_voice_that_is_late_is_no_reason_to_send_further_ahead() -> None:
    """Each tenth of a second takes two to make: it is sent at once, and never more than a lead."""
    sent = aheads(play(tts=[Line(each_s=0.2)] * 3).lines_may_be_left().run(until_s=20.0))
    assert max(ahead_s for _, ahead_s in sent) <= LEAD_S + 1e-6


def test_who_wants_no_pacing_has_it_as_soon_as_it_is_made() -> None:
    seen = play(Settings(paced=False)).run(until_s=12.0)
    assert len({time_s for time_s, _ in aheads(seen)}) == 1


def test_a_session_that_wants_no_pacing_any_more_has_none_from_the_next_answer_on() -> None:
    changes = Play(asr=["tell me a story", "and another"], llm=[STORY], repeat=True)
    changes.user_speaks(1.0, 2.2).user_speaks(9.0, 9.6)
    changes.at(4.0, lambda conversation: conversation.configure(Settings(paced=False)))
    seen = changes.run(until_s=20.0)
    times_s = seen.times_s(OutputAudio)
    assert len({time_s for time_s in times_s if time_s < 9}) > 50
    assert len({time_s for time_s in times_s if time_s > 9}) == 1
