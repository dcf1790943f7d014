"""What the agent says in one response: tells the outside, and remembers what was sent.

It keeps the promises of the protocol: one beginning, one end, nothing after it, and an end that carries
exactly what was sent. It does not know where words and sound come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conversation.audio import Audio
from conversation.events import (
    Event,
    Failure,
    OutputAudio,
    OutputDone,
    OutputStarted,
    OutputText,
    Reason,
    Response,
    ResponseDone,
    ResponseStarted,
    Status,
)
from conversation.heard import SpokenClause
from conversation.history import History
from conversation.items import AudioPart, Item, TextPart, new_id
from conversation.playback import Playback
from conversation.stages import Usage


class Answer:
    """One response of the agent. `open` first, `close` once; in between `say` and `play`."""

    def __init__(
        self, response: Response, history: History, playback: Playback, emit: Callable[[Event], None]
    ) -> None:
        self.response = response
        self._history, self._playback, self._emit = history, playback, emit
        self._item: Item | None = None
        self._text = ""
        self._clauses: list[SpokenClause] = []
        self._playback_start = 0
        """Where in all audio sent to the client this answer's audio begins."""
        self._opened = False
        self._told_samples: int | None = None
        """How much of it the client says it played, if it does."""

    @property
    def item_id(self) -> str | None:
        """The message being spoken; None before its first word."""
        return self._item.id if self._item else None

    def open(self) -> None:
        self._opened = True
        self._emit(ResponseStarted(self.response))

    def say(self, text: str) -> None:
        """Words: a whole clause, whose sound follows, or, of a written answer, any text."""
        item = self._begun()
        self._text += text
        if self.response.modality == "audio":
            self._clause_is_over()
            self._clauses.append(SpokenClause(text))
        self._emit(OutputText(self.response.id, item.id, text, self.response.modality))

    def play(self, audio: Audio) -> None:
        """Sound of the last clause said."""
        item = self._begun()
        if not self._clauses[-1].samples and len(self._clauses) == 1:
            self._playback_start = self._playback.sent_samples
        self._clauses[-1].samples += len(audio)
        self._playback.sent(len(audio))
        self._emit(OutputAudio(self.response.id, item.id, audio))

    def close(
        self,
        status: Status,
        *,
        reason: Reason | None = None,
        failure: Failure | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Closes what is open. An answer that was never opened and is cancelled by speech leaves no trace."""
        if not self._opened:
            if reason == "turn_detected":
                return
            self.open()
        done = replace(self.response, status=status, reason=reason, failure=failure, usage=usage)
        if self._item is not None:
            item = self._finished(self._item, status)
            self._history.finish(self._item, item, self._clauses)
            self._emit(OutputDone(done.id, item, self._history.before(item.id)))
            if status == "cancelled" or self._told_samples is not None:
                self.cut_short()
            elif status != "completed":
                self._keep_heard(self._playback.sent_samples)
            done = replace(done, output=(item,))
        self._emit(ResponseDone(done))

    def truncate(self, samples: int) -> int:
        """The client played so many samples of it; returns as many of them as were sent."""
        self._told_samples = min(samples, self._playback.sent_samples - self._playback_start)
        return self._told_samples

    def cut_short(self) -> None:
        """Keeps in the history what has been heard up to now, of a spoken answer that is closed."""
        if self._told_samples is None:
            self._keep_heard(self._playback.played_samples)
        else:
            self._keep_heard(self._playback_start + self._told_samples)

    def _keep_heard(self, playback_samples: int) -> None:
        if self._item is not None and self._history.is_speech(self._item.id):
            self._history.cut(self._item.id, max(0, playback_samples - self._playback_start))

    def _begun(self) -> Item:
        if self._item is None:
            self._item = Item(new_id("item"), "assistant", status="in_progress")
            before = self._history.add(self._item)
            self._emit(OutputStarted(self.response.id, self._item, before))
        return self._item

    def _clause_is_over(self) -> None:
        if self._clauses:
            self._clauses[-1].complete = True

    def _finished(self, item: Item, status: Status) -> Item:
        complete = status == "completed"
        if complete:
            self._clause_is_over()
        part = AudioPart(self._text) if self.response.modality == "audio" else TextPart(self._text)
        return replace(item, parts=(part,), status="completed" if complete else "incomplete")
