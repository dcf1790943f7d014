"""Screenplays: who speaks when, and what comes of it, in virtual time.

A play streams its user's voice to a real Conversation over scripted stages, 20 ms at a time, notes every
event with its time, and afterwards sees to it that nothing is left behind: no task, no stream, no line
unspoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from conversation.audio import HEARING_HZ, silence
from conversation.conversation import Conversation
from conversation.events import (
    Event,
    OutputArguments,
    OutputAudio,
    OutputDone,
    OutputText,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    TranscriptionCompleted,
)
from conversation.items import CallItem, MessageItem
from conversation.scripted import (
    Lines,
    ScriptedAsr,
    ScriptedEndOfTurn,
    ScriptedLlm,
    ScriptedTts,
    ScriptedVad,
    tone,
)
from conversation.settings import Settings, Tuning, TurnDetection
from conversation.stages import Stages
from conversation.workload import Workload
from tests import virtual_time

E = TypeVar("E", bound=Event)

CHUNK_S = 0.02


@dataclass
class Seen:
    """What the client was told, and when."""

    events: list[tuple[float, Event]] = field(default_factory=list)

    def of(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def times_s(self, kind: type[Event]) -> list[float]:
        return [round(time_s, 3) for time_s, event in self.events if isinstance(event, kind)]

    @property
    def kinds(self) -> list[str]:
        """The events by name, in order; those of the same kind in a row count once."""
        names = [type(event).__name__ for _, event in self.events]
        return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]

    @property
    def said(self) -> str:
        """All text of the agent that was sent."""
        return "".join(event.delta for event in self.of(OutputText))

    @property
    def understood(self) -> list[str]:
        return [event.transcript for event in self.of(TranscriptionCompleted)]

    @property
    def ends(self) -> list[tuple[str, str | None]]:
        """How each response ended, and why."""
        return [(done.response.status, done.response.reason) for done in self.of(ResponseDone)]

    def tells_of_items(self) -> list[str]:
        """What was told of each item of the agent's: its kind, and its words or its call."""
        told = []
        for done in self.of(OutputDone):
            item = done.item
            words = item.text if isinstance(item, MessageItem) else ""
            told.append(f"{item.call.name}({item.call.arguments})" if isinstance(item, CallItem) else words)
        return told

    def audio_s(self) -> float:
        return sum(event.audio.duration_s for event in self.of(OutputAudio))

    def heard(self) -> list[tuple[float, float]]:
        """When a client that flushes on `speech_started` played sound: (from, to) in seconds."""
        stretches: list[tuple[float, float]] = []
        for time_s, event in self.events:
            if isinstance(event, OutputAudio):
                end_s = stretches[-1][1] if stretches else 0.0
                if time_s <= end_s + 1e-6:
                    stretches[-1] = (stretches[-1][0], end_s + event.audio.duration_s)
                else:
                    stretches.append((time_s, time_s + event.audio.duration_s))
            elif isinstance(event, SpeechStarted) and stretches and stretches[-1][1] > time_s:
                stretches[-1] = (stretches[-1][0], time_s)
        return [(round(start_s, 2), round(end_s, 2)) for start_s, end_s in stretches]


class Play:
    """One conversation. Say who speaks, then `run`.

    The recogniser hears a word in 0.3 s of the user's voice; the agent's voice says a character in 60 ms.
    """

    def __init__(
        self,
        *,
        asr: Lines = (),
        llm: Lines = (),
        tts: Lines = (),
        vad: Lines = (),
        turn: Lines | None = None,
        settings: Settings | None = None,
        tuning: Tuning | None = None,
        echo: bool = False,
        repeat: bool = False,
        workload: Workload | None = None,
    ) -> None:
        self.vad, self.asr = ScriptedVad(script=vad), ScriptedAsr(script=asr, repeat=repeat)
        self.llm = ScriptedLlm(script=llm, repeat=repeat)
        self.tts = ScriptedTts(script=tts, repeat=repeat)
        self.turn = ScriptedEndOfTurn(script=turn or ())
        self._is_judged = turn is not None
        self.settings = settings or Settings(transcribe=True)
        # The scripted voices are tones: of those, any one may be the echo of another.
        self.tuning = (tuning or Tuning()).model_copy(update={"echo": echo})
        self._workload = workload
        self.conversation: Conversation
        self.seen = Seen()
        self._voice: list[tuple[float, float]] = []
        self._mute: list[tuple[float, float]] = []
        self._acts: list[tuple[float, Callable[[Conversation], None]]] = []
        self._unfinished = False
        self._failed_acts: list[BaseException] = []

    def user_speaks(self, start_s: float, end_s: float) -> Play:
        self._voice.append((start_s, end_s))
        return self

    def client_sends_nothing(self, start_s: float, end_s: float) -> Play:
        self._mute.append((start_s, end_s))
        return self

    def at(self, time_s: float, act: Callable[[Conversation], None]) -> Play:
        self._acts.append((time_s, act))
        return self

    def lines_may_be_left(self) -> Play:
        """The play ends before its scripts do."""
        self._unfinished = True
        return self

    def run(self, until_s: float) -> Seen:
        """Plays, hangs up at `until_s`, and checks that nothing of it is left."""
        [seen] = run_together(self, until_s=until_s)
        return seen

    async def perform(self, until_s: float) -> Seen:
        seen, loop = self.seen, asyncio.get_running_loop()
        self.conversation = Conversation(
            Stages(self.vad, self.asr, self.llm, self.tts, self.turn if self._is_judged else None),
            self.settings,
            self.tuning,
            lambda event: seen.events.append((loop.time(), event)),
            session_id="play",
            workload=self._workload,
        )
        session = asyncio.create_task(self.conversation.run())
        client = asyncio.create_task(self._stream(until_s))
        acts = [loop.call_at(time_s, self._act, act) for time_s, act in self._acts]
        await asyncio.wait([session, client], return_when=asyncio.FIRST_COMPLETED)
        for task in (session, client):
            task.cancel()
        outcomes = await asyncio.gather(session, client, return_exceptions=True)
        for act in acts:
            act.cancel()
        for outcome in [*outcomes, *self._failed_acts]:
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome
        return seen

    def _act(self, act: Callable[[Conversation], None]) -> None:
        try:
            act(self.conversation)
        except BaseException as error:  # noqa: BLE001  # a timer's errors would only be logged
            self._failed_acts.append(error)

    async def _stream(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        for number in range(round(until_s / CHUNK_S)):
            start_s = number * CHUNK_S
            await asyncio.sleep(max(0.0, start_s + CHUNK_S - loop.time()))
            if any(begin_s <= start_s < end_s for begin_s, end_s in self._mute):
                continue
            loud = any(begin_s - 1e-9 <= start_s < end_s - 1e-9 for begin_s, end_s in self._voice)
            await self.conversation.hear(tone(CHUNK_S) if loud else silence(CHUNK_S, HEARING_HZ))

    def check_nothing_is_left(self, seen: Seen) -> None:
        assert self.llm.open_streams == 0
        assert self.tts.open_streams == 0
        if not self._unfinished:
            for stage in (self.vad, self.turn, self.asr, self.llm, self.tts):
                stage.script.check()
        check_promises(seen)


def run_together(*plays: Play, until_s: float) -> list[Seen]:
    """Plays all of them at the same time."""
    return virtual_time.run(_perform(plays, until_s))


async def _perform(plays: tuple[Play, ...], until_s: float) -> list[Seen]:
    saw = await asyncio.gather(*(play.perform(until_s) for play in plays))
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left: {left}"
    for play, seen in zip(plays, saw, strict=True):
        play.check_nothing_is_left(seen)
    return saw


def check_promises(seen: Seen) -> None:
    """What the protocol promises of every response, whatever happens."""
    open_ids: list[str] = []
    in_conversation: set[str] = set()
    for _, event in seen.events:
        match event:
            case ResponseStarted(response):
                if not response.aside:
                    assert not in_conversation & set(open_ids), "two responses at once"
                    in_conversation.add(response.id)
                open_ids.append(response.id)
            case ResponseDone(response):
                assert response.id in open_ids, "an end without its beginning"
                open_ids.remove(response.id)
            case OutputAudio(response_id) | OutputText(response_id) | OutputArguments(response_id):
                assert response_id in open_ids, "output outside its response"


def detection(
    *, silence_ms: int = 500, interrupt: bool = True, create: bool = True, padding_ms: int = 300
) -> TurnDetection:
    return TurnDetection(
        silence_duration_ms=silence_ms,
        interrupt_response=interrupt,
        create_response=create,
        prefix_padding_ms=padding_ms,
    )
