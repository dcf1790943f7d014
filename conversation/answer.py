"""What the agent says and calls in one response: tells the outside, and remembers what was sent.

It keeps the promises of the protocol: one beginning, one end, nothing after it, and an end that carries
exactly what was sent. It does not know where words, calls and sound come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from conversation.audio import Audio
from conversation.events import (
    Event,
    Failure,
    OutputArguments,
    OutputAudio,
    OutputDone,
    OutputFilled,
    OutputHeld,
    OutputResumed,
    OutputStarted,
    OutputText,
    Reason,
    Response,
    ResponseDone,
    ResponseStarted,
    Status,
)
from conversation.heard import SpokenClause, filler_chars
from conversation.history import History, not_speech
from conversation.items import AudioPart, CallItem, Item, MessageItem, TextPart, new_id
from conversation.kept import Recording
from conversation.playback import Playback
from conversation.stages import ToolCall, ToolCallDelta, Usage, Word


@dataclass(frozen=True, slots=True)
class _Begun:
    """An item that the outside knows of."""

    item: Item
    output_index: int


class Answer:
    """One response of the agent. `open` first, `close` once; in between `say`, `time`, `play` and the calls.

    What is said after it was closed, nobody is told.
    """

    def __init__(
        self, response: Response, history: History, playback: Playback, emit: Callable[[Event], None]
    ) -> None:
        self.response = response
        self._history, self._playback, self._emit = history, playback, emit
        self._outputs: list[Item] = []
        """In the order of their beginnings, as they are now."""
        self._message: _Begun | None = None
        self._text = ""
        self._clauses: list[SpokenClause] = []
        self._sound = Recording()
        self._playback_start = 0
        """Where in all audio sent to the client this answer's audio begins."""
        self._calls: dict[str, _Begun] = {}
        """Those that are being written, by call id; their arguments are the ones told so far."""
        self._opened = self._closed = self._held = False
        self._told_samples: int | None = None
        """How much of it the client says it played, if it does."""

    @property
    def item_id(self) -> str | None:
        """The message being spoken; None before its first word."""
        return self._message.item.id if self._message else None

    @property
    def calls(self) -> list[str]:
        """The ids of the functions' calls that are complete."""
        done = (item for item in self._outputs if isinstance(item, CallItem) and item.status == "completed")
        return [item.call.call_id for item in done]

    @property
    def is_silent(self) -> bool:
        """Nothing has been told of it but that it comes."""
        return not self._outputs

    def open(self) -> None:
        """Again, it does nothing."""
        if not self._opened:
            self._opened = True
            self._emit(ResponseStarted(self.response))

    def begin_message(self) -> None:
        """Its words are to follow; what begins later stands after it."""
        if not self._closed:
            self._begun_message()

    def say(self, text: str) -> None:
        """Words: a whole clause, whose sound follows, or, of a written answer, any text."""
        if self._closed:
            return
        begun = self._begun_message()
        self._text += text
        if self.response.modality == "audio":
            self._clause_is_over()
            self._clauses.append(SpokenClause(text))
        self._emit(
            OutputText(self.response.id, begun.item.id, text, self.response.modality, begun.output_index)
        )

    def fill(self, text: str, audio_s: float) -> None:
        """A filler, before anything is said; its sound follows, and is so long."""
        if self._closed:
            return
        begun = self._begun_message()
        self._emit(OutputFilled(self.response.id, begun.item.id, round(audio_s * 1000)))
        self.say(text)
        self._clauses[-1].is_filler = True

    def time(self, words: Iterable[Word]) -> None:
        """When the next words of the last clause said are heard, from its first sample on."""
        if not self._closed:
            self._clauses[-1].times += words

    def play(self, audio: Audio) -> None:
        """Sound of the last clause said."""
        if self._closed:
            return
        begun = self._begun_message()
        if not self._clauses[-1].samples and len(self._clauses) == 1:
            self._playback_start = self._playback.sent_samples
        self._clauses[-1].samples += len(audio)
        self._sound.add(audio)
        self._playback.sent(audio)
        self._emit(OutputAudio(self.response.id, begun.item.id, audio, begun.output_index))

    def hold(self) -> None:
        """It pauses. Nobody is told of it who has not heard of the response yet."""
        if self._opened and not self._closed:
            self._held = True
            self._emit(OutputHeld(self.response.id))

    def resume(self) -> None:
        if self._held and not self._closed:
            self._held = False
            self._emit(OutputResumed(self.response.id))

    def write_call(self, delta: ToolCallDelta) -> None:
        """More of a call."""
        if self._closed:
            return
        begun = self._calls.get(delta.call_id)
        if begun is None:
            call = ToolCall(delta.call_id, delta.name, "")
            begun = self._begin(CallItem(new_id("item"), call, "in_progress"))
        assert isinstance(begun.item, CallItem)
        if delta.arguments:
            self._emit(
                OutputArguments(
                    self.response.id, begun.item.id, delta.call_id, delta.arguments, begun.output_index
                )
            )
        grown = replace(begun.item.call, arguments=begun.item.call.arguments + delta.arguments)
        self._calls[delta.call_id] = replace(begun, item=replace(begun.item, call=grown))

    def call(self, call: ToolCall) -> None:
        """A call is complete, and told at once, whatever is still being said."""
        if self._closed:
            return
        begun = self._calls.get(call.call_id)
        told = begun.item.call.arguments if begun and isinstance(begun.item, CallItem) else ""
        self.write_call(ToolCallDelta(call.call_id, call.name, call.arguments[len(told) :]))
        self._end_call(self._calls.pop(call.call_id), call, "completed")

    def close(
        self,
        status: Status,
        *,
        reason: Reason | None = None,
        failure: Failure | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Closes what is open. An answer that was never opened and is cancelled by speech leaves no trace."""
        if not self._opened and reason == "turn_detected":
            self._closed = True
            return
        self.open()
        self._closed = True
        for broken_off in self._calls.values():
            assert isinstance(broken_off.item, CallItem)
            self._end_call(broken_off, broken_off.item.call, "incomplete")
        if self._message is not None:
            self._end_message(self._message, status)
        done = replace(self.response, status=status, reason=reason, failure=failure, usage=usage)
        self._emit(ResponseDone(replace(done, output=tuple(self._outputs))))

    def truncate(self, samples: int) -> int:
        """The client played so many samples of it; returns as many of them as were sent.

        Raises ClientError for an answer to be read.
        """
        if self.response.modality != "audio":
            raise not_speech()
        self._told_samples = min(samples, sum(clause.samples for clause in self._clauses))
        return self._told_samples

    def cut_short(self) -> None:
        """Keeps in the history what has been heard up to now, of a spoken answer that is closed."""
        if self._told_samples is None:
            self._keep_heard(self._playback.played_samples)
        else:
            self._keep_heard(self._playback_start + self._told_samples)

    def _keep_heard(self, playback_samples: int) -> None:
        if self.item_id is not None and self._history.is_speech(self.item_id):
            self._history.cut(self.item_id, max(0, playback_samples - self._playback_start))

    def _begun_message(self) -> _Begun:
        if self._message is None:
            self._message = self._begin(MessageItem(new_id("item"), "assistant", status="in_progress"))
        return self._message

    def _begin(self, item: Item) -> _Begun:
        begun = _Begun(item, len(self._outputs))
        self._outputs.append(item)
        before = self._history.add(item)
        self._emit(OutputStarted(self.response.id, item, before, begun.output_index))
        return begun

    def _end(self, begun: _Begun, item: Item, *, cancelled: bool = False) -> None:
        clauses, sound = ([], None) if isinstance(item, CallItem) else (self._clauses, self._sound.whole())
        is_there = self._history.finish(self._outputs[begun.output_index], item, clauses, sound)
        self._outputs[begun.output_index] = item
        before = self._history.before(item.id)
        self._emit(OutputDone(self.response.id, item, before, begun.output_index, not is_there, cancelled))

    def _end_call(self, begun: _Begun, call: ToolCall, status: Literal["completed", "incomplete"]) -> None:
        self._end(begun, CallItem(begun.item.id, call, status))

    def _end_message(self, begun: _Begun, status: Status) -> None:
        complete = status == "completed"
        if complete:
            self._clause_is_over()
        spoken = AudioPart(self._text, filler_chars(self._clauses))
        part = spoken if self.response.modality == "audio" else TextPart(self._text)
        item = MessageItem(begun.item.id, "assistant", (part,), "completed" if complete else "incomplete")
        self._end(begun, item, cancelled=status == "cancelled")
        if status == "cancelled" or self._told_samples is not None:
            self.cut_short()
        elif not complete:
            self._keep_heard(self._playback.sent_samples)

    def _clause_is_over(self) -> None:
        if self._clauses:
            self._clauses[-1].complete = True
