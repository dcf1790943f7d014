"""Scenes with an agent that follows a few rules, in virtual time: what is played when, what is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle

import numpy as np
import pytest

from bench.client import JSON, Client, Message, Signal, Taken
from bench.headset import CHUNK_MS, HZ
from bench.turns.items import Overlap, Sentence
from bench.turns.play import ANSWER_S, LONGEST_S, WATCH_S, Scene
from conversation.audio import Audio, Samples, from_pcm16
from tests import virtual_time

CHUNK_S = CHUNK_MS / 1000
SILENCE_S = 0.5
"""After it the agent answers."""


class Told:
    """A `Wire` whose messages are what they mean."""

    microphone_hz = HZ

    def address(self, url: str) -> str:
        return url

    def greeting(self, settings: JSON) -> Sequence[Message]:
        return []

    def spoken(self, pcm: bytes) -> Message:
        return pcm

    def cancel(self) -> Message:
        return "cancel"

    def taken(self, message: Message) -> Iterator[Taken]:
        assert isinstance(message, str)
        signal, _, response = message.partition(" ")
        sound = np.full(round(CHUNK_S * HZ), 0.3, np.float32) if signal == "sound" else None
        yield Taken({"type": signal}, _signal(signal), response or None, sound=sound)


def _signal(name: str) -> Signal:
    told: dict[str, Signal] = {"sound": "sound", "drop": "drop", "cut_off": "cut off", "stopped": "stopped"}
    return told[name]


class Agent(Client):
    """Answers after so much silence and talks without end. What it hears over itself stops it, or not."""

    def __init__(self, *, yields: bool = True, mute: bool = False) -> None:
        super().__init__(Told())
        self.yields, self.mute = yields, mute
        self.answers, self.answering = 0, False

    async def cancel(self) -> None:
        self._cut_off()

    async def talk(self) -> None:
        """A chunk of its own for each it hears."""
        clock, silent_s, spoken_to = asyncio.get_running_loop().time, 0.0, False
        async for pcm in self.microphone.chunks():
            loud = bool(np.abs(from_pcm16(pcm, HZ).samples).max() > 0.1)
            silent_s = 0.0 if loud else silent_s + CHUNK_S
            spoken_to = spoken_to or loud
            if loud and self.answering and self.yields:
                self.take("drop", clock())
                self._cut_off()
            if spoken_to and not self.answering and silent_s > SILENCE_S and not self.mute:
                self.take("stopped", clock())
                spoken_to, self.answering, self.answers = False, True, self.answers + 1
            if self.answering:
                self.take(f"sound {self.answers}", clock())

    def _cut_off(self) -> None:
        self.answering = False
        self.take(f"cut_off {self.answers}", asyncio.get_running_loop().time())


@asynccontextmanager
async def scene(agent: Agent) -> AsyncIterator[Scene]:
    talking = asyncio.create_task(agent.talk())
    try:
        yield Scene(agent, "antiphon", 1, cycle([QUESTION]))
    finally:
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking


def loud(seconds: float) -> Samples:
    return np.full(round(seconds * HZ), 0.3, np.float32)


QUESTION = Sentence("question", "synthetic", Audio(loud(1.0), HZ), 0.0, 1.0)
PAUSED = Sentence(
    "paused",
    "human",
    Audio(np.concatenate([loud(1.0), 0 * loud(0.8), loud(1.0)]), HZ),
    0.0,
    2.8,
    (1.0, 1.8),
    "natural",
)
WAIT = Overlap("wait", "interruption", "synthetic", Audio(loud(0.5), HZ), 0.0, 0.5, into_s=2.0)


def test_a_sentence_is_said_and_its_answer_awaited_and_silenced() -> None:
    async def play() -> None:
        agent, clock = Agent(), asyncio.get_running_loop().time
        async with scene(agent) as played:
            start_s = clock()
            result = await played.say_sentence(QUESTION)
            assert clock() - start_s == pytest.approx(1.0 + SILENCE_S, abs=0.1)
            await played.silence()
            assert not agent.answering
            played.look_up()
        assert not result.cut_off
        assert result.wait_ms == pytest.approx(SILENCE_S * 1000, abs=50)

    virtual_time.run(play())


def test_an_agent_that_cuts_in_is_caught_and_its_second_answer_awaited() -> None:
    async def play() -> None:
        agent = Agent()
        async with scene(agent) as played:
            result = await played.say_sentence(PAUSED)
            played.look_up()
        assert result.cut_off
        assert result.taken_ms == pytest.approx(SILENCE_S * 1000, abs=50)
        assert result.wait_ms == pytest.approx(SILENCE_S * 1000, abs=50)

    virtual_time.run(play())


def test_an_agent_that_never_answers_is_not_awaited_for_ever() -> None:
    async def play() -> None:
        agent, clock = Agent(mute=True), asyncio.get_running_loop().time
        async with scene(agent) as played:
            start_s = clock()
            result = await played.say_sentence(QUESTION)
            assert clock() - start_s == pytest.approx(1.0 + ANSWER_S, abs=0.1)
            await played.say_over(WAIT)
            played.look_up()
        assert result.wait_ms is None
        assert [overlap.outcome for overlap, _, _ in played.overlaps] == ["not played"]

    virtual_time.run(play())


def test_a_sound_comes_so_far_into_the_speech_of_an_agent_that_was_asked_something() -> None:
    async def play() -> None:
        agent = Agent()
        async with scene(agent) as played:
            await played.say_over(WAIT)
            played.look_up()
        [(result, response, window)] = played.overlaps
        assert response == "1"
        begun_s = agent.speakers["1"].first_audible_s or 0.0
        assert window.onset_s - begun_s == pytest.approx(WAIT.into_s, abs=0.05)
        assert (result.outcome, result.answered) == ("stopped", True)
        assert [sentence.item for sentence, _, _ in played.sentences] == ["question"]

    virtual_time.run(play())


def test_an_answer_that_nothing_stops_is_spoken_over_again_and_replaced_when_it_gets_long() -> None:
    async def play() -> None:
        agent, clock = Agent(yields=False), asyncio.get_running_loop().time
        start_s = clock()
        async with scene(agent) as played:
            while agent.answers < 2:
                await played.say_over(WAIT)
            played.look_up()
        outcomes = [(result.outcome, response) for result, response, _ in played.overlaps]
        each_s = WAIT.into_s + WAIT.end_s
        times = int((LONGEST_S - WATCH_S) // each_s) + 1
        assert outcomes == [("ignored", "1")] * times + [("ignored", "2")]
        assert clock() - start_s < 2 * LONGEST_S

    virtual_time.run(play())
