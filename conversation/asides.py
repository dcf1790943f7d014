"""Responses out of band: asked for by the client, beside the conversation and without a trace in it.

They take no turn: nobody interrupts them, several may run at once, and their sound goes out as it is made,
since nobody can know when it is played.
"""

from __future__ import annotations

import asyncio

from conversation.asked import Asked, taken, turn_for
from conversation.errors import ClientError
from conversation.history import History
from conversation.pacing import at_once
from conversation.playback import Playback
from conversation.session import Session
from conversation.turn import Turn

AT_ONCE = 4
"""Each occupies the language model and the voice as much as a conversation does."""


class Asides:
    """Those of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._running: dict[str, tuple[Turn, asyncio.Task[None]]] = {}
        """By response id."""

    def begin(self, asked: Asked) -> None:
        """Raises ClientError while as many are running as may."""
        if len(self._running) >= AT_ONCE:
            raise ClientError(
                "too_many_responses",
                f"{AT_ONCE} responses out of band are in progress, which is as many as may be. Wait until "
                "one of them is finished.",
            )
        hz = self._session.output_hz
        turn = turn_for(asked, self._session, History(hz), Playback(hz), at_once())
        turn.gate.set()
        turn.answer.open()
        response_id = turn.answer.response.id
        task = self._session.tasks.create_task(self._answer(turn), name=response_id)
        task.add_done_callback(lambda _: turn.work.end())
        turn.work.begin()
        self._running[response_id] = turn, task

    def cancel(self, response_id: str | None) -> bool:
        """Whether there was one with this id."""
        if response_id not in self._running:
            return False
        turn, task = self._running.pop(response_id)
        turn.answer.close("cancelled", reason="client_cancelled")
        task.cancel()
        return True

    async def _answer(self, turn: Turn) -> None:
        outcome = await taken(turn, self._session.id)
        if self._running.pop(turn.answer.response.id, None) is not None:
            outcome.close(turn.answer)
