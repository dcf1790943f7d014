"""A client with a loudspeaker and no echo cancellation: what it plays comes back through its microphone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import numpy as np

from bench.speech import Clip, speech_set
from conversation.audio import HEARING_HZ, Audio, Resampler, Samples
from conversation.events import Event, InputCommitted, OutputAudio, OutputHeld, OutputResumed, SpeechStarted
from conversation.scripted import ScriptedTts
from conversation.settings import Settings
from tests.scenarios.screenplay import CHUNK_S, Play, Seen

CHUNK = round(CHUNK_S * HEARING_HZ)
DELAY = round(0.15 * HEARING_HZ)
ANSWER = "Here is what I have to say to you."


class RecordedTts(ScriptedTts):
    """Whatever it is to say, it plays the same recordings, one after another."""

    def __init__(self, clips: list[Clip]) -> None:
        super().__init__()
        self._samples = np.concatenate([clip.audio().samples for clip in clips])

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[Audio, None]:
        self.said.append(text)
        for start in range(0, len(self._samples), HEARING_HZ // 10):
            yield Audio(self._samples[start : start + HEARING_HZ // 10], HEARING_HZ)


class LoudPlay(Play):
    """The agent speaks with a recorded voice, and its client's microphone hears it 0.15 s later.

    Args:
        says: what the user says, and when.
        hears: how much of the agent its microphone hears.
    """

    def __init__(
        self,
        *,
        says: dict[float, Clip],
        asr: Sequence[str] = ("tell me a story about a dog",),
        echo: bool = True,
        holds: bool = False,
        hears: float = 0.5,
    ) -> None:
        super().__init__(
            asr=asr,
            llm=[ANSWER],
            repeat=True,
            settings=Settings(transcribe=True, holds=holds),
            echo=echo,
        )
        voice = [clip for clip in speech_set("question") if clip.voice == "flite -voice slt"]
        self.tts = RecordedTts([*voice, *voice])
        self._says, self._hears = says, np.float32(hears)

    async def _stream(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        said = np.zeros(round(until_s * HEARING_HZ), np.float32)
        for start_s, clip in self._says.items():
            samples = clip.audio().samples
            said[round(start_s * HEARING_HZ) :][: len(samples)] = samples / np.abs(samples).max() / 2
        client = Loudspeaker(len(said))
        for number in range(round(until_s / CHUNK_S)):
            await asyncio.sleep(max(0.0, (number + 1) * CHUNK_S - loop.time()))
            client.take(self.seen.events)
            at = slice(number * CHUNK, (number + 1) * CHUNK)
            echo = client.plays[np.arange(at.start, at.stop) - DELAY] * self._hears
            await self.conversation.hear(Audio(said[at] + echo, HEARING_HZ))


class Loudspeaker:
    """Plays what comes as soon as it can, and nothing more once speech has started; holds when it is told."""

    def __init__(self, samples: int) -> None:
        self.plays: Samples = np.zeros(samples, np.float32)
        self._end, self._taken = 0, 0
        self._resampler = Resampler(24_000, HEARING_HZ)
        self._held: Samples | None = None

    def take(self, events: list[tuple[float, Event]]) -> None:
        for time_s, event in events[self._taken :]:
            now = round(time_s * HEARING_HZ)
            match event:
                case OutputAudio(audio=audio):
                    self._play(self._resampler.feed(audio).samples, now)
                case SpeechStarted():
                    self._stop(now)
                    self._held = None
                case OutputHeld():
                    self._held = self._stop(now)
                case OutputResumed() if self._held is not None:
                    self._play(self._held, now)
                    self._held = None
        self._taken = len(events)

    def _play(self, samples: Samples, now: int) -> None:
        self._end = max(self._end, now)
        room = self.plays[self._end : self._end + len(samples)]
        room[:] = samples[: len(room)]
        self._end += len(room)

    def _stop(self, now: int) -> Samples:
        rest = self.plays[now : self._end].copy()
        self.plays[now : self._end] = 0
        self._end = min(self._end, now)
        return rest


def a_question() -> Clip:
    return speech_set(origin="human")[1]


def interrupted(seen: Seen) -> list[float]:
    return seen.times_s(SpeechStarted)[1:]


def test_without_the_comparison_the_agent_stops_itself() -> None:
    play = LoudPlay(says={0.5: a_question()}, echo=False).lines_may_be_left()
    seen = play.run(until_s=10.0)
    assert interrupted(seen)


def test_with_it_the_agent_speaks_to_its_end_and_answers_nobody() -> None:
    play = LoudPlay(says={0.5: a_question()}).lines_may_be_left()
    seen = play.run(until_s=22.0)
    assert seen.ends == [("completed", None)]
    assert not interrupted(seen)
    assert not seen.of(OutputHeld)
    assert len(seen.of(InputCommitted)) == 1


def test_who_speaks_over_the_echo_stops_the_agent_and_is_answered() -> None:
    play = LoudPlay(says={0.5: a_question(), 9.0: speech_set(origin="human")[0]}).lines_may_be_left()
    seen = play.run(until_s=19.0)
    assert seen.ends[0] == ("cancelled", "turn_detected")
    assert 9.0 <= interrupted(seen)[0] <= 10.2
    assert len(seen.of(InputCommitted)) >= 2


def test_the_agent_falls_silent_before_it_is_known_whether_a_voice_is_its_echo() -> None:
    """It has spoken for half a second to a microphone that does not hear it, and nobody knows that yet."""
    voice = speech_set("interruption")[0]
    play = LoudPlay(says={0.5: a_question(), 4.2: voice}, hears=0.0).lines_may_be_left()
    seen = play.run(until_s=8.0)
    assert 3.5 <= seen.times_s(OutputAudio)[0] <= 3.9
    assert 4.2 + voice.onset_ms / 1000 <= seen.times_s(OutputHeld)[0] <= 4.3 + voice.onset_ms / 1000


def test_a_client_that_holds_is_compared_with_what_it_plays_after_the_hold() -> None:
    """Something short makes the agent hold its tongue; what it goes on with is an echo as before."""
    says = {0.5: a_question(), 9.0: speech_set("backchannel")[0]}
    play = LoudPlay(says=says, asr=["tell me a story about a dog", "uh-huh"], holds=True)
    play.lines_may_be_left()
    seen = play.run(until_s=23.0)
    assert len(seen.of(OutputHeld)) == len(seen.of(OutputResumed)) == 1
    assert seen.ends == [("completed", None)]
