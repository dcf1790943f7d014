"""Writing down what was said: each committed utterance gets its words, in the history and at the client.

It knows neither the floor nor the agent, and does not decide when an utterance is over.
"""

from __future__ import annotations

import asyncio
import logging

from conversation.audio import Audio
from conversation.errors import StageError
from conversation.events import TranscriptionCompleted, TranscriptionDelta, TranscriptionFailed
from conversation.session import Session
from conversation.utterance import Utterance

_log = logging.getLogger(__name__)


class Writing:
    """In one session. Its tasks are the session's, and end with it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._unwritten: dict[Utterance, asyncio.Task[None]] = {}
        """The tasks that await the final transcripts of committed utterances."""

    def begin(self, item_id: str) -> Utterance:
        """One that nothing has been said of yet."""
        session = self._session
        hints = session.settings.hints.told()
        return Utterance(item_id, session.stages.asr, session.tuning.deadlines.asr_s, hints)

    def finish(self, utterance: Utterance) -> None:
        """It is an item now: its sound is kept for a while, and its words follow when they are known."""
        if (sound := utterance.sound) is not None:
            self._session.history.keep_sound(utterance.item_id, sound)
        utterance.finish(self._session.tasks.create_task)
        self._unwritten[utterance] = self._session.tasks.create_task(
            self._write_down(utterance), name=f"transcript of {utterance.item_id}"
        )

    def transcribe(self, item_id: str, sound: Audio) -> None:
        """Writes down what was said in an item that the client brought."""
        utterance = self.begin(item_id)
        utterance.add(sound)
        self.finish(utterance)

    def give_up(self, item_id: str) -> None:
        """The item is to be deleted: its words are not wanted any more."""
        for utterance in [said for said in self._unwritten if said.item_id == item_id]:
            self._unwritten.pop(utterance).cancel()

    async def all_written(self, *, but: str | None = None) -> None:
        """Waits until every committed item, but for the one with that id, has its words or never will."""
        if tasks := [task for said, task in self._unwritten.items() if said.item_id != but]:
            await asyncio.wait(tasks)

    async def _write_down(self, utterance: Utterance) -> None:
        item_id, tells = utterance.item_id, self._session.emit
        place = self._session.history.unwritten_part(item_id)
        try:
            text = (await utterance.transcript()).text
        except StageError as error:
            _log.warning("session %s: transcript: %s", self._session.id, error)
            if self._session.settings.transcribe:
                tells(TranscriptionFailed(item_id, str(error), place))
            return
        finally:
            self._unwritten.pop(utterance, None)
        self._session.history.transcribed(item_id, text)
        if self._session.settings.transcribe:
            if rest := utterance.rest(text):
                tells(TranscriptionDelta(item_id, rest, place))
            tells(TranscriptionCompleted(item_id, text, utterance.duration_s, place))
