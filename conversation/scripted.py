"""Stages that follow a script: for tests, load and protocol work, never in place of a real one in a claim.

Each takes its lines in order, one a call (the recogniser: one a segment), says them at the pace the script
gives, and fails loudly when it is asked for more than the script holds; `script.check()` fails when it was
asked for less. With `repeat` the script starts over instead, as a server without end needs it.

Speech, for these stages, is anything loud: `tone` makes some.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio
from conversation.errors import StageFailed
from conversation.stages import (
    Hints,
    Message,
    ReplyParams,
    ReplyPart,
    SpeechPart,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Transcript,
    Usage,
    VadState,
    Word,
    WordTimes,
)
from conversation.words import letters, words

LOUD = 0.02
"""Root mean square from which scripted ears hear speech: far above dither, far below `tone`."""

WORD_S = 0.3
"""A scripted recogniser hears one word in so much loud audio; people say three to four words a second."""

CHARACTER_S = 0.06
"""A scripted voice speaks a letter in so much time; people speak about 15 a second."""


class UnexpectedCallError(AssertionError):
    """A stage was asked for more than its script holds."""


class UnspokenLinesError(AssertionError):
    """A script was not followed to its end."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a stage does in one call.

    Attributes:
        text: what is heard or said.
        durations_s: of a voice: how long it speaks each word; else it takes CHARACTER_S for a letter.
        first_s: loop time before the first word.
        each_s: loop time between two words (of a voice: between two chunks).
        raises: raised after the last word.
        hangs: never ends, after the last word.
        calls: function calls that the language model makes after its words, where it is offered functions.
    """

    text: str = ""
    durations_s: tuple[float, ...] = ()
    first_s: float = 0.0
    each_s: float = 0.0
    raises: Exception | None = None
    hangs: bool = False
    calls: tuple[ToolCall, ...] = ()

    async def end(self) -> None:
        if self.raises is not None:
            raise self.raises
        if self.hangs:
            await asyncio.Event().wait()


Lines = Sequence[Line | str | Mapping[str, Any]]


class Script:
    """The lines of one stage, and how far it has got."""

    def __init__(self, stage: str, lines: Lines, *, repeat: bool = False) -> None:
        self._stage, self._repeat, self._taken = stage, repeat, 0
        self._lines = [_line(line) for line in lines]

    def take(self) -> int:
        """The number of the next line. Raises UnexpectedCallError when there is none."""
        if not self._repeat and self._taken >= len(self._lines):
            raise UnexpectedCallError(f"{self._stage} was called once more than its {len(self._lines)} lines")
        self._taken += 1
        return self._taken - 1

    def __getitem__(self, number: int) -> Line:
        return self._lines[number % len(self._lines)]

    def check(self) -> None:
        """Raises UnspokenLinesError when a line was never taken."""
        if self._taken < len(self._lines):
            rest = [line.text for line in self._lines[self._taken :]]
            raise UnspokenLinesError(f"{self._stage} never came to {rest}")


def _line(line: Line | str | Mapping[str, Any]) -> Line:
    if isinstance(line, Line):
        return line
    if isinstance(line, str):
        return Line(line)
    calls = tuple(ToolCall(**call) for call in line.get("calls", ()))
    return Line(**{**line, "calls": calls})


def tone(duration_s: float, rate_hz: int = HEARING_HZ, level: float = 0.2) -> Audio:
    """A buzz of 200 Hz that scripted ears take for speech; a square wave, loud in every sample."""
    half_periods = np.arange(round(duration_s * rate_hz)) * 400 // rate_hz
    return Audio(np.where(half_periods % 2, -level, level).astype(np.float32), rate_hz)


class ScriptedVad:
    """Hears speech in whatever is loud. Its state counts the frames of a listener, so that mix-ups show."""

    def __init__(self, *, script: Lines = ()) -> None:
        self.script = Script("vad", script)
        self._trouble = list(script)

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        if self._trouble:
            self._trouble.pop(0)
            await self.script[self.script.take()].end()
        if len(frames) != len(states):
            raise StageFailed("vad", f"{len(frames)} frames came with {len(states)} states")
        loudness = np.sqrt(np.mean(frames**2, axis=1))
        counts = [np.zeros(1, np.float32) if state is None else state for state in states]
        return (loudness > LOUD).astype(np.float32), [count + 1 for count in counts]


class ScriptedEndOfTurn:
    """Gives the probabilities of its lines, one a question; `asked` keeps how long the sounds were, in s."""

    def __init__(self, *, script: Lines, repeat: bool = False) -> None:
        self.script = Script("turn", script, repeat=repeat)
        self.asked: list[float] = []

    async def predict(self, audio: Audio) -> float:
        self.asked = [*self.asked[-99:], audio.duration_s]
        line = self.script[self.script.take()]
        await asyncio.sleep(line.first_s)
        await line.end()
        return float(line.text)


@dataclass(frozen=True, slots=True)
class ScriptedAsrMemory:
    line: int
    loud_s: float


class ScriptedAsr:
    """Hears the words of one line in each segment, as fast as a person says them.

    `hints` keeps those it was given, each once.
    """

    def __init__(self, *, script: Lines, repeat: bool = False) -> None:
        self.script = Script("asr", script, repeat=repeat)
        self.hints: set[Hints] = set()

    async def step(
        self, audio: Audio, memory: ScriptedAsrMemory | None, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, ScriptedAsrMemory | None]:
        self.hints.add(hints)
        loud_s = _loud_s(audio)
        if memory is None and not loud_s:
            return Transcript(""), None
        memory = memory or ScriptedAsrMemory(self.script.take(), 0.0)
        heard = ScriptedAsrMemory(memory.line, memory.loud_s + loud_s)
        line = self.script[heard.line]
        if final:
            await asyncio.sleep(line.first_s)
            await line.end()
        return Transcript(_words_heard(line.text, heard.loud_s)), heard


class ScriptedSegmentAsr:
    """The same for whole segments; every call takes a line for each segment."""

    def __init__(self, *, script: Lines, repeat: bool = False) -> None:
        self.script = Script("asr", script, repeat=repeat)

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        heard = []
        for segment in segments:
            loud_s = _loud_s(segment)
            line = self.script[self.script.take()] if loud_s else Line()
            await asyncio.sleep(line.first_s)
            await line.end()
            heard.append(Transcript(_words_heard(line.text, loud_s)))
        return heard


def _loud_s(audio: Audio) -> float:
    return float(np.count_nonzero(np.abs(audio.samples) > LOUD)) / audio.rate_hz


def _words_heard(text: str, loud_s: float) -> str:
    return " ".join(text.split()[: round(loud_s / WORD_S)])


class ScriptedLlm:
    """Answers with the next line, word by word, whatever it is asked.

    Where the last message holds one of the words of `answers`, it answers with that line instead, so that
    many clients can be told many things in any order; the first such word counts. `asked` keeps the prompts,
    `read_ahead` those that it was only to read.
    """

    def __init__(
        self,
        *,
        script: Lines = (),
        repeat: bool = False,
        answers: Mapping[str, Line | str | Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.script = Script("llm", script, repeat=repeat)
        self._answers = {word: _line(line) for word, line in answers.items()}
        self.asked: list[tuple[Message, ...]] = []
        self.read_ahead: list[tuple[Message, ...]] = []
        self.open_streams = 0

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        if params.max_tokens == 0:
            self.read_ahead = [*self.read_ahead[-99:], tuple(messages)]
            return
        self.asked = [*self.asked[-99:], tuple(messages)]
        line = self._answer(messages[-1].text)
        self.open_streams += 1
        try:
            async for part in self._parts(line, messages, tools, params):
                yield part
        finally:
            self.open_streams -= 1

    def _answer(self, question: str) -> Line:
        for word, line in self._answers.items():
            if word in question:
                return line
        return self.script[self.script.take()]

    async def _parts(
        self, line: Line, messages: Sequence[Message], tools: Sequence[Tool], params: ReplyParams
    ) -> AsyncIterator[ReplyPart]:
        if tools and params.tool_choice not in ("auto", "none") and not line.calls:
            raise StageFailed("llm", "a function must be called, and this line of the script calls none")
        words = line.text.split(" ") if line.text else []
        limit = len(words) if params.max_tokens is None else params.max_tokens
        for number, word in enumerate(words[:limit]):
            await asyncio.sleep(line.each_s if number else line.first_s)
            yield TextDelta(word if number == 0 else " " + word)
        await line.end()
        for call in line.calls if tools and params.tool_choice != "none" else ():
            half = len(call.arguments) // 2
            yield ToolCallDelta(call.call_id, call.name, call.arguments[:half])
            await asyncio.sleep(line.each_s)
            yield ToolCallDelta(call.call_id, call.name, call.arguments[half:])
            yield call
        prompt_words = sum(len(message.text.split()) for message in messages)
        yield Usage(prompt_words, min(limit, len(words)), cut_off=limit < len(words))


class ScriptedTts:
    """Hums each text for as long as a person would speak it, and tells when it hums which word. `said` keeps
    the texts.

    Without a script it speaks at once; a script gives the timing and the troubles of the calls, in order.
    """

    RATE_HZ = 24_000
    CHUNK_S = 0.1

    def __init__(self, *, script: Lines = (), repeat: bool = False) -> None:
        self.script = Script("tts", script, repeat=repeat)
        self._scripted = bool(script)
        self.said: list[str] = []
        self.open_streams = 0

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[SpeechPart, None]:
        self.said = [*self.said[-99:], text]
        line = self.script[self.script.take()] if self._scripted else Line()
        if not any(character.isalnum() for character in text):
            return
        self.open_streams += 1
        try:
            async for chunk in self._chunks(line, text, speed):
                yield chunk
        finally:
            self.open_streams -= 1

    async def _chunks(self, line: Line, text: str, speed: float) -> AsyncIterator[SpeechPart]:
        times = _times(text, speed, line.durations_s)
        whole = tone(times[-1].end_s, self.RATE_HZ)
        chunk = round(self.CHUNK_S * self.RATE_HZ)
        for number in itertools.count():
            part = whole[number * chunk : (number + 1) * chunk]
            if not len(part):
                break
            await asyncio.sleep(line.each_s if number else line.first_s)
            if number == 0:
                yield WordTimes(times)
            yield part
        await line.end()


def _times(text: str, speed: float, durations_s: Sequence[float]) -> tuple[Word, ...]:
    """One word after another; between them, as long as a space takes where no durations are given."""
    found = words(text)
    if not durations_s:
        letter_s = CHARACTER_S / speed
        before = [letters(text[: word.start()]) * letter_s for word in found]
        durations_s = [letters(word.group()) * letter_s for word in found]
    elif len(durations_s) == len(found):
        durations_s = [duration_s / speed for duration_s in durations_s]
        before = [0.0, *itertools.accumulate(durations_s)]
    else:
        raise ValueError(f"{len(durations_s)} durations for the {len(found)} words of {text!r}")
    return tuple(
        Word(word.group(), start_s, start_s + duration_s)
        for word, start_s, duration_s in zip(found, before, durations_s, strict=False)
    )
