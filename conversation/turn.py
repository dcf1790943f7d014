"""One answer, as one cancellable task: prompt → language model → clauses and calls → speech → paced audio.

Cancel the task and nothing of it lives, here or in any replica: every stream is closed by whoever opened it.
Whoever cancels closes the answer, so that from then on nothing more is told. This module decides neither when
to answer nor what becomes of the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from conversation.answer import Answer
from conversation.audio import Audio, silence
from conversation.clauses import Clauses
from conversation.errors import StageFailed
from conversation.filler import Fillers, Filling
from conversation.pacing import PIECE_S, Lead
from conversation.playback import Playback
from conversation.punctual import punctual
from conversation.settings import Tuning
from conversation.stages import (
    Message,
    ReplyParams,
    ReplyPart,
    Stages,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    Word,
    WordTimes,
)
from conversation.timing import TurnClock
from conversation.voicing import Voicing, spoken
from conversation.words import wide
from conversation.workload import Work

T = TypeVar("T")

_CLAUSES_AHEAD = 2
"""Clauses written but not yet being spoken; a third waits, and with it the language model."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A little speech on its way to the client.

    Attributes:
        text: the clause that begins with it.
        words: the next ones of the clause whose times are known now.
    """

    text: str
    audio: Audio
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything one answer needs.

    Attributes:
        prompt: what to answer; may take as long as the final transcript. No messages: nothing to answer.
        gate: set when the answer may be heard.
        work: what the computing of it comes to.
        filling: said instead of an answer.
        fillers: for an answer that is late; None: it has none.
        begun: set when it is known what the answer begins with, its first clause or a call.
    """

    prompt: Callable[[], Awaitable[list[Message]]]
    gate: asyncio.Event
    answer: Answer
    stages: Stages
    playback: Playback
    lead: Lead
    tools: Sequence[Tool]
    params: ReplyParams
    voicing: Voicing
    tuning: Tuning
    clock: TurnClock
    work: Work
    filling: Filling | None = None
    fillers: Fillers | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)


async def take_turn(turn: Turn) -> Usage | None:
    """Answers. Opens `turn.answer` but leaves closing it to the caller, who knows how it ended.

    Returns what the language model used; None when there was nothing to answer.

    Raises:
        StageError: a stage raised, was late, or gave nothing; possibly within an ExceptionGroup.
    """
    if turn.filling is not None:
        await _released(turn)
        await _fill(turn, turn.filling)
        return Usage(0, 0)
    turn.clock.mark("asked")
    messages = await turn.prompt()
    turn.clock.mark("transcript")
    if not messages:
        return None
    async with asyncio.TaskGroup() as children:
        if turn.answer.response.modality == "text":
            texts: asyncio.Queue[str | None] = asyncio.Queue(64)
            thinking = children.create_task(_draft(turn, messages, texts))
            await _write(turn, texts)
        else:
            clauses: asyncio.Queue[str | None] = asyncio.Queue(_CLAUSES_AHEAD)
            pieces: asyncio.Queue[Piece | None] = asyncio.Queue(round(turn.tuning.ahead_s / PIECE_S))
            thinking = children.create_task(_compose(turn, messages, clauses))
            children.create_task(_voice(turn, clauses, pieces))
            await _speak(turn, pieces)
    return thinking.result()


async def _replied(turn: Turn, messages: list[Message]) -> AsyncGenerator[ReplyPart, None]:
    """What the language model says and calls. Raises StageError, also when not a word came."""
    deadlines, silent = turn.tuning.deadlines, True
    stream = turn.stages.llm.reply(messages, turn.tools, turn.params)
    async with aclosing(punctual(stream, "llm", deadlines.llm_first_s, deadlines.llm_next_s)) as parts:
        async for part in parts:
            if isinstance(part, Usage):
                turn.work.tokens = max(turn.work.tokens, part.output_tokens)
            else:
                turn.work.tokens += 1
                turn.clock.mark("llm_first")
                silent = silent and isinstance(part, TextDelta) and not part.text.strip()
            yield part
    if silent:
        raise StageFailed("llm", "ended without a word")


async def _think(turn: Turn, messages: list[Message], say: Callable[[str], Awaitable[None]]) -> Usage:
    """Gives the text of an answer to `say`, delta by delta, and tells its calls at once."""
    usage, has_words = Usage(0, 0), False
    async with aclosing(_replied(turn, messages)) as parts:
        async for part in parts:
            match part:
                case Usage():
                    usage = part
                case TextDelta(text):
                    has_words = has_words or bool(text.strip())
                    await say(text)
                case ToolCall() | ToolCallDelta():
                    await _call(turn, part, after_words=has_words)
    return usage


async def _call(turn: Turn, part: ToolCall | ToolCallDelta, *, after_words: bool) -> None:
    """A call is not spoken, so it waits for no speech; only for the turn to be over."""
    turn.begun.set()
    await _released(turn)
    await turn.playback.flowing()
    if after_words:  # they may still be on their way to the voice, and stand before the call all the same
        turn.answer.begin_message()
    if isinstance(part, ToolCall):
        turn.answer.call(part)
    else:
        turn.answer.write_call(part)


async def _draft(turn: Turn, messages: list[Message], texts: asyncio.Queue[str | None]) -> Usage:
    """The answer to be read, delta by delta."""
    usage = await _think(turn, messages, texts.put)
    turn.work.end()
    await texts.put(None)
    return usage


async def _compose(turn: Turn, messages: list[Message], clauses: asyncio.Queue[str | None]) -> Usage:
    """The answer to be spoken, clause by clause."""
    splitter = Clauses()

    async def say(text: str) -> None:
        for clause in splitter.feed(text):
            turn.begun.set()
            turn.clock.mark("clause")
            await clauses.put(clause)

    usage = await _think(turn, messages, say)
    turn.begun.set()
    if (rest := splitter.rest()).strip():
        turn.clock.mark("clause")
        await clauses.put(rest)
    await clauses.put(None)
    return usage


async def _voice(turn: Turn, clauses: asyncio.Queue[str | None], pieces: asyncio.Queue[Piece | None]) -> None:
    """Speaks the clauses one after another, as far ahead as `pieces` has room and the gate allows."""
    async for clause in _until_none(clauses):
        await _wanted(turn)
        text, words = clause, tuple[Word, ...]()
        async with aclosing(spoken(clause, turn.stages.tts, turn.voicing, turn.tuning.deadlines)) as sound:
            async for part in sound:
                if isinstance(part, WordTimes):
                    words += part.words
                    continue
                turn.clock.mark("tts_first")
                await _wanted(turn)
                turn.work.speech_s += part.duration_s
                await pieces.put(Piece(text, part, words))
                text, words = "", ()
        if text and any(character.isalnum() for character in text):
            raise StageFailed("tts", "no sound came for a clause that has words")
        if text or words:
            await pieces.put(Piece(text, silence(0, turn.voicing.rate_hz), words))
    turn.work.end()
    await pieces.put(None)


async def _wanted(turn: Turn) -> None:
    """Waits while more speech would be made than there should be before the turn is over."""
    if turn.work.speech_s >= turn.tuning.prepared_s:
        turn.work.rest()
        await turn.gate.wait()


async def _write(turn: Turn, texts: asyncio.Queue[str | None]) -> None:
    await _released(turn)
    async for text in _until_none(texts):
        await turn.playback.flowing()
        turn.answer.say(text)
    await turn.playback.flowing()


async def _speak(turn: Turn, pieces: asyncio.Queue[Piece | None]) -> None:
    """Hands speech to the client, a clause's text just before its sound, no further ahead than its lead."""
    await _released(turn)
    if turn.fillers is not None and (filling := await turn.fillers.unless(turn.begun, turn.voicing)):
        await _fill(turn, filling)
    async for piece in _until_none(pieces):
        await _room(turn, piece.audio)
        if piece.text:
            turn.answer.say(piece.text)
        turn.answer.time(piece.words)
        if len(piece.audio):
            turn.answer.play(piece.audio)
            turn.clock.mark("first_audio")
    await turn.playback.flowing()


async def _fill(turn: Turn, filling: Filling) -> None:
    """Hands a filler to the client, whole: who hears "One" is to hear "moment" too."""
    gap = "" if any(map(wide, filling.text)) or turn.filling is filling else " "
    await turn.playback.flowing()
    turn.answer.fill(filling.text + gap, filling.duration_s)
    for piece in filling.pieces:
        await _room(turn, piece)
        turn.answer.play(piece)
        turn.clock.mark("filler")


async def _room(turn: Turn, audio: Audio) -> None:
    turn.lead.sent(await turn.playback.room(turn.lead.now_s - audio.duration_s))


async def _released(turn: Turn) -> None:
    await turn.gate.wait()
    turn.clock.mark("released")
    turn.answer.open()


async def _until_none(queue: asyncio.Queue[T | None]) -> AsyncIterator[T]:
    while (item := await queue.get()) is not None:
        yield item
