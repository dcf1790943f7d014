"""One session, from the first sample to the hang-up: the user's side, the agent's side, and what one means
for the other.

What happens is looked up in policy.py, and carried out here. This module knows no wire, no transport and no
model.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from conversation.answering import Answering
from conversation.asides import Asides
from conversation.asked import Asked
from conversation.audio import HEARING_HZ, Audio
from conversation.barge_in import Verdict
from conversation.endpointing import FloorMove
from conversation.errors import ClientError, ImpossibleMove
from conversation.events import Event, InputCleared, ItemAdded, ItemDeleted, ItemTruncated
from conversation.filler import Fillers, Filling, LateTools
from conversation.floor import Floor, FloorEvent, Murmur
from conversation.items import CallOutputItem, Item, ItemReference
from conversation.listening import Listening
from conversation.policy import Action, Condition, Happening, Machine, Request, Silence, Words, decide
from conversation.prompt import messages
from conversation.session import Session
from conversation.settings import ResponseRequest, Settings, Tuning
from conversation.speculation import Speculation
from conversation.stages import Message, Stages
from conversation.timer import Timer
from conversation.utterance import Utterance
from conversation.weighing import Weighing
from conversation.workload import Workload
from conversation.writing import Writing

_log = logging.getLogger(__name__)


class Conversation:
    """A conversation with one client.

    `run` lives as long as the session. Everything else may be called as soon as it has begun, takes effect at
    once, never waits (but for `hear`), and raises ClientError for what cannot be done.

    Args:
        stages: whoever hears, thinks and speaks.
        emit: told every event, in order, within the call that causes it. Must neither block nor raise.
        session_id: for logs, and as the key by which a language model may keep the prompt's prefix.
        output_hz: the rate of the audio in events.
        workload: that of all sessions which share the machine; None: there is no other.
    """

    def __init__(
        self,
        stages: Stages,
        settings: Settings,
        tuning: Tuning,
        emit: Callable[[Event], None],
        *,
        session_id: str,
        output_hz: int = 24_000,
        workload: Workload | None = None,
    ) -> None:
        self._session = Session(session_id, stages, settings, tuning, emit, output_hz, workload or Workload())
        self._writing = Writing(self._session)
        self._listening = Listening(
            self._session, self._writing, self._on_floor, self._carry_out, self._on_words, self._is_turn
        )
        self._speculation = Speculation(
            tuning.speculation_budget, self._session.workload, lambda: self._listening.received
        )
        fillers = Fillers(self._session)
        self._answering = Answering(
            self._session, self._speculation, self._on_silence, self._on_need, fillers
        )
        self._weighing = Weighing(self._session, self._on_verdict)
        self._waiting = Timer(self._on_long_silence)
        self._late_tools = LateTools(self._session, fillers, self._on_late_tools)
        self._silent_since = 0
        """In samples received: when the last answer had ended."""
        self._asides = Asides(self._session)

    async def run(self) -> None:
        """Listens until cancelled. Then no task and no stream is left."""
        try:
            with self._session.workload.session():
                async with self._session.tasks:
                    await self._listening.run()
        finally:
            self._waiting.end()
            self._weighing.drop()
            _log.info("session %s: %s", self._session.id, self._speculation)

    async def hear(self, audio: Audio) -> bool:
        """Audio of the user, 16 kHz, in chunks of any size, at any pace.

        Waits while more than `backlog_s` of it is still to be listened to; returns whether it had to.
        """
        return await self._listening.hear(audio)

    def configure(self, settings: Settings) -> None:
        """From now on. A turn under way is judged by the new settings; an answer under way keeps its own.

        Between push-to-talk and turn detection, audio not yet committed is forgotten.
        """
        previous = self._session.settings
        if settings != previous:
            self._edited()
        if (settings.turn_detection is None) != (previous.turn_detection is None):
            self._forget_input()
        if settings.turn_detection != previous.turn_detection:
            self._listening.configure(settings)
        self._session.settings = settings

    def commit(self) -> None:
        """The user's turn ends here: all audio sent so far becomes an item. Nothing is answered.

        Too little of it is refused, and nothing has happened.
        """
        self._listening.require_enough()
        self._stirred()
        if self._weighing.under_way:
            self._weighing.decide(Verdict.STOPS)
        prepared = self._decide(Request.COMMIT) is Action.WITHDRAW
        self._listening.commit()
        if prepared:
            self._answering.withdraw()

    def clear_input(self) -> None:
        """All audio not yet committed is forgotten."""
        self._forget_input()
        self._session.emit(InputCleared())

    def add_item(self, item: Item, after: str | None, sound: Audio | None = None) -> None:
        """Puts an item after the one with that id; at the end for None, at the beginning for "root".

        Args:
            sound: what the user says in it, 16 kHz; its words are found out.
        """
        before = self._session.history.add(item, after)
        self._edited()
        if isinstance(item, CallOutputItem):
            self._late_tools.end()
        self._session.emit(ItemAdded(item, before))
        if sound is not None:
            self._writing.transcribe(item.id, sound)

    def delete_item(self, item_id: str) -> None:
        self._session.history.delete(item_id)
        self._edited()
        self._writing.give_up(item_id)
        self._session.emit(ItemDeleted(item_id))

    def truncate_item(self, item_id: str, audio_end_ms: int) -> None:
        """The client played so much of the agent's item. More than there is counts as all of it."""
        self._session.history.item(item_id, doing="truncat")
        samples = audio_end_ms * self._session.output_hz // 1000
        answer = self._answering.answer
        if answer is not None and answer.item_id == item_id:
            samples = answer.truncate(samples)
        else:
            samples = self._session.history.cut(item_id, samples)
        self._session.emit(ItemTruncated(item_id, samples * 1000 // self._session.output_hz))

    def item(self, item_id: str) -> Item:
        """Raises ClientError when there is no such item."""
        return self._session.history.item(item_id)

    def sound(self, item_id: str) -> Audio | None:
        """What was said in an item, at whatever rate; None when it is not kept any more."""
        return self._session.history.sound(item_id)

    def respond(self, request: ResponseRequest) -> None:
        """Answers now, whether or not the user has spoken."""
        asked = Asked(self._prompt(request), request=request, by_client=True)
        if request.aside:
            self._asides.begin(asked)
            return
        action = self._decide(Request.FOLLOW if self._answering.fills else Request.RESPOND)
        if action is Action.REFUSE:
            assert self._answering.answer is not None
            raise ClientError(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress: "
                f"{self._answering.answer.response.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        if action is Action.REPLACE:
            self._answering.withdraw()
        self._stirred()
        if action is Action.OWE:
            self._answering.owe(asked)
            self._answering.read_ahead(asked)
        else:
            self._answering.begin(asked)

    def cancel_response(self, response_id: str | None) -> None:
        """Silences the response with that id; None: the one under way."""
        if self._asides.cancel(response_id):
            return
        running = self._answering.answer.response.id if self._answering.answer else None
        if self._decide(Request.CANCEL) is Action.REFUSE or response_id not in (None, running):
            param = None if response_id is None else "response_id"
            raise ClientError(
                "response_cancel_not_active", "Cancellation failed: no active response found", param
            )
        self._answering.interrupt("client_cancelled", what_follows=response_id is None)

    def _on_floor(self, move: FloorMove, utterance: Utterance | None) -> None:
        """Carries out what the policy says of a move on the floor, at which `utterance` was open."""
        self._stirred()
        if self._weighing.under_way:
            assert utterance is not None
            self._weighing.move(move, utterance)
            return
        self._carry_out(move.event, move, utterance)

    def _is_turn(self, move: FloorMove) -> bool:
        """Whether a sound that begins or ends is the user's turn: over the agent's voice, it is weighed."""
        if move.event is FloorEvent.ONSET:
            return self._decide(FloorEvent.ONSET) is not Action.WEIGH
        return not self._weighing.under_way or self._weighing.end() is Verdict.STOPS

    def _on_verdict(self, verdict: Verdict, pause: FloorMove | None) -> None:
        """Carries out what the policy says of a sound over the agent's voice, known in a `pause` of it."""
        if verdict is Verdict.STOPS:
            self._listening.announce()
        self._carry_out(verdict)
        if pause is None:
            return  # the sound goes on
        if verdict is Verdict.PASSES:
            self._listening.dismiss()
        else:
            self._carry_out(pause.event, pause, self._listening.utterance)

    def _on_words(self, text: str) -> None:
        """The user has said so much and goes on; meanwhile the language model may read it."""
        if self._weighing.under_way:
            self._weighing.hear(text)
        elif self._decide(Words.GROW) is Action.READ_AHEAD:
            self._answering.read_ahead(Asked(lambda instructions: self._messages(instructions, text)))

    def _on_need(self) -> None:
        """Somebody waits for another answer, and the machine has no room for the one prepared here."""
        try:
            if self._decide(Machine.NEEDED) is Action.WITHDRAW:
                self._speculation.gave_way += 1
                self._answering.withdraw()
        except ImpossibleMove as error:  # it must not reach the session that is in need
            self._give_up(error)

    def _on_silence(self, after_s: float) -> None:
        """The agent has said what it had to say, and will have been heard in so many seconds."""
        outputs = (item for item in self._session.history.items() if isinstance(item, CallOutputItem))
        if set(self._answering.called) - {output.call_id for output in outputs}:
            self._late_tools.begin(after_s)
        detection = self._session.settings.turn_detection
        if (
            detection is None
            or detection.idle_timeout_ms is None
            or self._listening.floor is not Floor.SILENT
        ):
            return
        self._silent_since = self._listening.received
        self._waiting.begin(after_s + detection.idle_timeout_ms / 1000)

    def _stirred(self) -> None:
        """Somebody does something: nobody waits for what comes of a silence."""
        self._waiting.end()
        self._late_tools.end()

    def _on_late_tools(self, filling: Filling) -> None:
        if self._decide(Silence.FOR_TOOLS) is Action.FILL:
            self._answering.fill(filling)

    def _on_long_silence(self) -> None:
        self._late_tools.end()
        if self._decide(Silence.LASTS) is Action.BEGIN:
            self._listening.commit_silence(self._silent_since)
            self._answering.begin(Asked(self._messages))

    def _carry_out(
        self,
        event: FloorEvent | Murmur | Verdict,
        move: FloorMove | None = None,
        utterance: Utterance | None = None,
    ) -> None:
        try:
            self._act(self._decide(event), move, utterance)
        except ImpossibleMove as error:
            self._give_up(error)

    def _act(self, action: Action, move: FloorMove | None = None, utterance: Utterance | None = None) -> None:
        match action:
            case Action.PREPARE:
                self._prepare(utterance, move)
            case Action.BEGIN:
                self._answering.begin(self._words(utterance, move))
            case Action.OWE:
                self._answering.owe(self._words(utterance, move))
            case Action.WEIGH:
                assert move is not None
                self._answering.hold()
                self._weighing.begin((self._listening.received - move.at_sample) / HEARING_HZ)
            case _:
                self._act_without_words(action)

    def _act_without_words(self, action: Action) -> None:
        """What does not depend on what the user says."""
        match action:
            case Action.WITHDRAW:
                self._answering.withdraw()
            case Action.RELEASE:
                self._answering.release()
            case Action.HOLD:
                self._answering.hold()
            case Action.RESUME:
                self._answering.resume()
            case Action.INTERRUPT:
                self._answering.interrupt("turn_detected")
            case Action.FADE:
                self._answering.fade()

    def _prepare(self, utterance: Utterance | None, move: FloorMove | None) -> None:
        assert utterance is not None
        if self._speculation.allows(utterance.item_id):
            self._answering.prepare(self._words(utterance, move))

    def _give_up(self, defect: ImpossibleMove) -> None:
        _log.error("session %s: a defect; this turn is given up", self._session.id, exc_info=defect)
        self._answering.give_up(defect)

    def _edited(self) -> None:
        """An answer that is prepared does not know what has changed."""
        if self._decide(Request.EDIT) is Action.WITHDRAW:
            self._answering.withdraw()

    def _forget_input(self) -> None:
        self._weighing.drop()
        self._act(self._decide(FloorEvent.CLEAR))
        self._listening.forget()

    def _decide(self, event: Happening) -> Action:
        return decide(event, self._answering.reply, self._conditions())

    def _conditions(self) -> frozenset[Condition]:
        detection = self._session.settings.turn_detection
        answers = detection is not None and detection.create_response
        switches: dict[Condition, bool] = {
            "hold": detection is not None
            and detection.interrupt_response
            and detection.barge_in != "any_sound"
            and self._session.settings.paced,
            "interrupt_response": detection is not None and detection.interrupt_response,
            "create_response": answers,
            "speculate": answers and self._session.tuning.speculate and self._session.settings.speculate,
            "read_ahead": answers and self._session.tuning.read_ahead,
        }
        return frozenset(condition for condition, on in switches.items() if on)

    def _words(self, utterance: Utterance | None, move: FloorMove | None) -> Asked:
        """The user's words, whether they are an item yet or may still go on, are to be answered."""
        assert utterance is not None
        assert move is not None
        utterance.finish(self._session.tasks.create_task)

        async def prompt(instructions: str) -> list[Message]:
            """None when there are no words. Raises StageError when they cannot be had."""
            text = (await utterance.transcript()).text.strip()
            return await self._messages(instructions, text, without=utterance.item_id) if text else []

        return Asked(
            prompt,
            since_s=self._listening.when_s(move.at_sample),
            turn_id=utterance.item_id,
            in_vain=self._speculation.in_vain_in(utterance.item_id),
        )

    async def _messages(
        self, instructions: str, text: str = "", *, without: str | None = None
    ) -> list[Message]:
        """The prompt: the history but for the item with the id `without`, and words that are not in it yet.

        Waits until earlier turns have their words, or never will: those are done without.
        """
        await self._writing.all_written(but=without)
        history = messages(self._session.history.items(without=without))
        words = [Message("user", text)] if text else []
        return [Message("system", instructions), *history, *words]

    def _prompt(self, request: ResponseRequest) -> Callable[[str], Awaitable[list[Message]]]:
        """What a client asks to be answered. Raises ClientError for an item that is not there."""
        if request.input is None:
            return self._messages
        given = [(one, self._known(one, place)) for place, one in enumerate(request.input)]

        async def prompt(instructions: str) -> list[Message]:
            await self._writing.all_written()  # only now do items hold their words
            now = {item.id: item for item in self._session.history.items()}
            items = [
                now.get(item.id, item) if isinstance(one, ItemReference) else item for one, item in given
            ]
            return [Message("system", instructions), *messages(items)]

        return prompt

    def _known(self, given: Item | ItemReference, place: int) -> Item:
        if not isinstance(given, ItemReference):
            return given
        try:
            return self.item(given.id)
        except ClientError:
            raise ClientError(
                "invalid_value",
                f"Invalid value: the conversation has no item with id '{given.id}' to refer to.",
                f"response.input[{place}].id",
            ) from None
