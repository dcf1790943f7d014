"""From what is to be answered to a turn, and from how the turn ended to the response's end.

The same for the answers of the conversation and for those out of band. This module starts no task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from conversation.answer import Answer
from conversation.errors import AntiphonError, StageError
from conversation.events import Failure, Response
from conversation.filler import Fillers, Filling
from conversation.history import History
from conversation.items import new_id
from conversation.pacing import Lead
from conversation.playback import Playback
from conversation.session import Session
from conversation.settings import ResponseRequest, Settings
from conversation.speculation import NOTHING_IN_VAIN, InVain
from conversation.stages import Message, ReplyParams, Usage
from conversation.timing import TurnClock
from conversation.turn import Turn, take_turn
from conversation.voicing import Voicing
from conversation.workload import Work

_log = logging.getLogger(__name__)

AS_THE_SESSION = ResponseRequest()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be answered.

    Attributes:
        prompt: gives the messages once all words are known, under given instructions; see `Turn`.
        since_s: loop time at which the user's speech ended; None: now.
        request: what the client wants otherwise than the session has it.
        by_client: the client asked for it, and is told at once that it comes, however long its prompt takes.
        turn_id: the item of the user's turn that it answers; "" for none.
        in_vain: what had been prepared before in that turn.
        filling: to be said instead of an answer.
    """

    prompt: Callable[[str], Awaitable[list[Message]]]
    since_s: float | None = None
    request: ResponseRequest = AS_THE_SESSION
    by_client: bool = False
    turn_id: str = ""
    in_vain: InVain = NOTHING_IN_VAIN
    filling: Filling | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended. Neither: there was nothing to answer."""

    usage: Usage | None = None
    failure: Failure | None = None

    def close(self, answer: Answer) -> None:
        if self.failure is not None:
            answer.close("failed", failure=self.failure)
        elif self.usage is not None and self.usage.cut_off:
            answer.close("incomplete", reason="max_output_tokens", usage=self.usage)
        elif self.usage is not None:
            answer.close("completed", usage=self.usage)


def turn_for(
    asked: Asked,
    session: Session,
    history: History,
    playback: Playback,
    lead: Lead,
    fillers: Fillers | None = None,
) -> Turn:
    """A turn whose gate is closed; what it says enters `history` and is counted in `playback`."""
    settings, request = session.settings, asked.request
    response = _response(request, settings)
    instructions = settings.instructions if request.instructions is None else request.instructions
    choice = settings.tool_choice if request.tool_choice is None else request.tool_choice
    asked_s = asyncio.get_running_loop().time() if asked.since_s is None else asked.since_s
    return Turn(
        prompt=lambda: asked.prompt(instructions),
        gate=asyncio.Event(),
        answer=Answer(response, history, playback, session.emit),
        stages=session.stages,
        playback=playback,
        lead=lead,
        tools=settings.tools if request.tools is None else request.tools,
        params=ReplyParams(session.id, response.max_output_tokens, choice),
        voicing=Voicing(response.voice, settings.speed, session.output_hz),
        tuning=session.tuning,
        clock=TurnClock(asked_s, asked.in_vain),
        work=Work(session.workload),
        filling=asked.filling,
        fillers=fillers,
    )


async def taken(turn: Turn, session_id: str) -> Outcome:
    """Takes a turn, whatever comes of it. This is the turn boundary: a session outlives its turns."""
    try:
        return Outcome(usage=await take_turn(turn))
    except Exception as error:  # noqa: BLE001  # the turn boundary
        return Outcome(failure=explained(error, session_id))


def explained(error: BaseException, session_id: str) -> Failure:
    """The failure to tell the client; the log gets the rest."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, StageError):
        _log.warning("session %s: the turn failed: %s", session_id, error)
        return Failure(f"{error.stage}_failed", str(error))
    if not isinstance(error, AntiphonError):
        _log.error("session %s: the turn failed", session_id, exc_info=error)
    return Failure("server_error", "The answer failed because of an error in the server.")


def _response(request: ResponseRequest, settings: Settings) -> Response:
    return Response(
        new_id("resp"),
        request.modality or settings.modality,
        request.voice or settings.voice,
        request.max_output_tokens or settings.max_output_tokens,
        request.metadata,
        request.aside,
        request.encoding,
    )
