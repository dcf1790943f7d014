"""The agent's side: prepares answers, releases them, lets them be heard, and falls silent.

It owns the one task that answers and the table of the reply. It does not decide: conversation.py asks the
policy and calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import aclosing

from conversation.answer import Answer
from conversation.asked import Asked, explained, taken, turn_for
from conversation.errors import StageError
from conversation.events import Reason, TurnTimed
from conversation.filler import Fillers, Filling
from conversation.pacing import Lead, at_once
from conversation.playback import Playback
from conversation.punctual import punctual
from conversation.reply import Reply, ReplyEvent, next_reply
from conversation.session import Session
from conversation.speculation import Speculation
from conversation.stages import Message, ReplyParams
from conversation.turn import Turn
from conversation.workload import Need, Work

_log = logging.getLogger(__name__)


class Answering:
    """Answers one user, once at a time.

    Args:
        fell_silent: told when an answer has ended and none follows, and in how many seconds the client will
            have played the rest of it.
        needed: told when the machine is needed for another answer than the one prepared here.
        fillers: for answers that are late.
    """

    def __init__(
        self,
        session: Session,
        speculation: Speculation,
        fell_silent: Callable[[float], None],
        needed: Callable[[], None],
        fillers: Fillers,
    ) -> None:
        self._session, self._speculation, self._fillers = session, speculation, fillers
        self._fell_silent, self._needed = fell_silent, needed
        self._playback = Playback(session.output_hz, session.loudspeaker)
        self._lead = Lead(session.tuning.lead_ms / 1000, session.tuning.most_lead_ms / 1000)
        self.reply = Reply.IDLE
        self._turn: Turn | None = None
        self._task: asyncio.Task[None] | None = None
        self._owed: Asked | None = None
        self._reading: tuple[asyncio.Task[None], Work] | None = None
        self._last_answer: Answer | None = None

    @property
    def fills(self) -> bool:
        """What is under way is a filler alone, and no answer is owed yet."""
        return self._turn is not None and self._turn.filling is not None and self._owed is None

    @property
    def called(self) -> list[str]:
        """The ids of the calls of the last answer."""
        return self._last_answer.calls if self._last_answer else []

    @property
    def answer(self) -> Answer | None:
        """The one under way."""
        return self._turn.answer if self._turn else None

    def begin(self, asked: Asked) -> None:
        """Answers, to be heard as soon as there is something to hear."""
        self._start(ReplyEvent.BEGIN, asked)

    def prepare(self, asked: Asked) -> None:
        """Answers behind a closed gate."""
        self._start(ReplyEvent.PREPARE, asked)

    def release(self) -> None:
        """What was prepared may be heard."""
        self.reply = next_reply(self.reply, ReplyEvent.RELEASE)
        self._running().work.begin()
        self._running().gate.set()

    def withdraw(self) -> None:
        """What was prepared is forgotten; nobody ever learns of it."""
        self.reply = next_reply(self.reply, ReplyEvent.WITHDRAW)
        self._speculation.withdrawn(self._running().work)
        self._cancel()

    def hold(self) -> None:
        """Pauses in mid-speech: from now on nothing is sent, while the work goes on.

        Again, it does nothing.
        """
        if self.reply is Reply.HELD:
            return
        self.reply = next_reply(self.reply, ReplyEvent.HOLD)
        self._playback.hold(at_once=self._session.settings.holds)
        self._running().answer.hold()

    def resume(self) -> None:
        """Goes on from the sample at which it paused."""
        self.reply = next_reply(self.reply, ReplyEvent.RESUME)
        self._running().answer.resume()
        self._playback.resume()

    def read_ahead(self, asked: Asked) -> None:
        """Lets the language model read what is known of an unfinished prompt, where there is room."""
        self._stop_reading()
        if self._session.workload.has_room(Need.READ_AHEAD):
            work = Work(self._session.workload)
            task = self._session.tasks.create_task(self._read(asked), name="reading ahead")
            task.add_done_callback(lambda _: work.end())
            work.read_ahead(self._stop_reading)
            self._reading = task, work

    def fill(self, filling: Filling) -> None:
        """Says a filler, as a response of its own."""
        self._start(ReplyEvent.BEGIN, Asked(_no_prompt, filling=filling))

    def owe(self, asked: Asked) -> None:
        """Answers as soon as the answer under way has ended."""
        self._owed = asked

    def interrupt(self, reason: Reason, *, what_follows: bool = True) -> None:
        """Falls silent: the client is told at once, then the work is cancelled.

        Args:
            what_follows: so is an answer that the client has asked for to follow a filler.
        """
        turn = self._running()
        again = what_follows and self._owed is not None and self._owed.by_client
        self._note(turn)
        turn.answer.close("cancelled", reason=reason)
        self._playback.dropped()
        self._cancel()
        self._over(ReplyEvent.INTERRUPT, turn)
        if again:
            self.interrupt(reason)

    def fade(self) -> None:
        """The user speaks: of an answer that was sent whole, a client throws away what it has not played."""
        if self._turn is None and self._last_answer is not None and self._playback.ahead_s > 0:
            self._last_answer.cut_short()
            self._playback.dropped()

    def give_up(self, error: Exception) -> None:
        """Whatever was under way has failed because of `error`."""
        turn = self._turn
        heard, self.reply, self._owed = self.reply in (Reply.SPEAKING, Reply.HELD), Reply.IDLE, None
        if turn is not None:
            self._cancel()
            self._playback.resume()
            if heard:
                turn.answer.close("failed", failure=explained(error, self._session.id))

    async def _read(self, asked: Asked) -> None:
        """Nobody waits for it and nobody misses it: what went wrong here, the reply itself will meet."""
        messages = await asked.prompt(self._session.settings.instructions)
        params = ReplyParams(self._session.id, max_tokens=0)
        deadline_s = self._session.tuning.deadlines.llm_first_s
        with contextlib.suppress(StageError):
            tools = self._session.settings.tools
            nothing = punctual(
                self._session.stages.llm.reply(messages, tools, params), "llm", deadline_s, deadline_s
            )
            async with aclosing(nothing):
                async for _ in nothing:
                    pass

    def _stop_reading(self) -> None:
        if self._reading is not None:
            task, work = self._reading
            task.cancel()
            work.end()
            self._reading = None

    def _start(self, event: ReplyEvent, asked: Asked) -> None:
        self._stop_reading()
        self.reply = next_reply(self.reply, event)
        session = self._session
        lead = self._lead if session.settings.paced else at_once()
        turn = turn_for(asked, session, session.history, self._playback, lead, self._fillers)
        self._task = session.tasks.create_task(self._answer(turn), name=turn.answer.response.id)
        self._task.add_done_callback(lambda _: turn.work.end())
        self._turn = turn
        if event is ReplyEvent.BEGIN:
            turn.gate.set()
            turn.work.begin()
        else:
            turn.clock.prepared = True
            self._speculation.begun(asked.turn_id)
            turn.work.prepare(self._needed)
        if asked.by_client:
            turn.answer.open()

    async def _answer(self, turn: Turn) -> None:
        """Takes a turn and closes it, whatever comes of it; of a cancelled one, the canceller does."""
        outcome = await taken(turn, self._session.id)
        if self._turn is not turn:
            return  # cancelled in the moment of a failure, which a task group then raises instead
        await turn.gate.wait()
        self._note(turn)
        outcome.close(turn.answer)
        self._over(ReplyEvent.FINISH, turn)

    def _over(self, event: ReplyEvent, turn: Turn) -> None:
        """The answer under way is closed; one that is owed follows."""
        self.reply = next_reply(self.reply, event)
        self._playback.resume()
        self._last_answer, self._turn, self._task = turn.answer, None, None
        if self._owed is not None:
            owed, self._owed = self._owed, None
            self.begin(owed)
        else:
            self._fell_silent(self._playback.ahead_s)

    def _running(self) -> Turn:
        assert self._turn is not None
        return self._turn

    def _cancel(self) -> None:
        assert self._task is not None
        self._task.cancel()
        self._running().work.end()
        self._turn = self._task = None

    def _note(self, turn: Turn) -> None:
        """The timing record of a turn that was heard, to the log and to whoever asked for it."""
        timing = turn.clock.timing()
        if timing.prepared and not turn.answer.is_silent:
            self._speculation.heard += 1
        if timing.first_audio_ms is not None:
            _log.info("session %s %s: %s", self._session.id, turn.answer.response.id, timing)
            self._session.emit(TurnTimed(turn.answer.response.id, timing))


async def _no_prompt(_: str) -> list[Message]:
    return []
