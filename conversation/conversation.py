"""One session, from the first sample to the hang-up.

Owns everything there is of it: the audio heard, the floor, the reply, the history and the one task that
answers. What happens is looked up in policy.py; this module carries it out. It knows no wire, no transport
and no model.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from conversation.answer import Answer
from conversation.audio import HEARING_HZ, Audio
from conversation.ears import Ears, Frame
from conversation.endpointing import Endpointing, FloorMove
from conversation.errors import AntiphonError, ClientError, ImpossibleMove, StageError
from conversation.events import (
    Event,
    Failure,
    InputCleared,
    InputCommitted,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    Reason,
    Response,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
    TurnTimed,
)
from conversation.floor import Floor, FloorEvent
from conversation.history import History
from conversation.items import AudioPart, Item, new_id
from conversation.playback import Playback
from conversation.policy import Action, Condition, Request, decide
from conversation.reply import Reply, ReplyEvent, next_reply
from conversation.settings import ResponseRequest, Settings, Tuning, TurnDetection
from conversation.stages import Message, ReplyParams, Stages, Usage, VadState
from conversation.timing import TurnClock
from conversation.turn import Turn, Voicing, take_turn
from conversation.utterance import Utterance

_log = logging.getLogger(__name__)

SHORTEST_COMMIT_MS = 100
"""Less audio cannot be committed. Source: the Realtime API's own limit."""

_SETTLE_EVERY_S = 20.0
"""With partial transcripts off, a long monologue is still recognised in steps of this length."""

_NO_REQUEST = ResponseRequest()


@dataclass(frozen=True, slots=True)
class _Answering:
    turn: Turn
    task: asyncio.Task[None]


class Conversation:
    """A conversation with one client.

    `run` lives as long as the session. Everything else may be called as soon as it has begun, takes effect at
    once, never waits (but for `hear`), and raises ClientError for what cannot be done.

    Args:
        stages: whoever hears, thinks and speaks.
        emit: told every event, in order, within the call that causes it. Must neither block nor raise.
        session_id: for logs, and as the key by which a language model may keep the prompt's prefix.
        output_hz: the rate of the audio in events.
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
    ) -> None:
        self._stages, self._settings, self._tuning, self._emit = stages, settings, tuning, emit
        self._session_id, self._output_hz = session_id, output_hz
        self._history = History(output_hz)
        self._playback = Playback(output_hz)
        self._ears = Ears(keep_s=_kept_s(settings, tuning))
        self._endpointing = _endpointing(settings, tuning)
        self._vad_state: VadState | None = None
        self._reply = Reply.IDLE
        self._answering: _Answering | None = None
        self._owed: Utterance | None = None
        """To be answered when the reply under way has ended."""
        self._last_answer: Answer | None = None
        self._utterance: Utterance | None = None
        self._following: asyncio.Task[None] | None = None
        self._unwritten: dict[str, asyncio.Task[None]] = {}
        """By item id, the tasks that await the final transcripts of committed utterances."""
        self._room = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def run(self) -> None:
        """Listens until cancelled. Then no task and no stream is left."""
        async with self._tasks:
            await self._listen()

    # --- what a client can do

    async def hear(self, audio: Audio) -> None:
        """Audio of the user, 16 kHz, in chunks of any size, at any pace.

        Waits while more than `backlog_s` of it is still to be listened to.
        """
        if self._settings.turn_detection is None:
            self._pushed().add(audio)
            self._ears.hear(audio)
            self._ears.take()
        else:
            self._ears.hear(audio)
        while self._behind_s() > self._tuning.backlog_s:
            self._room.clear()
            await self._room.wait()

    def configure(self, settings: Settings) -> None:
        """From now on. A turn under way is judged by the new settings; an answer under way keeps its own."""
        previous, self._settings = self._settings, settings
        if settings.turn_detection == previous.turn_detection:
            return
        self._ears.keep(_kept_s(settings, self._tuning))
        if settings.turn_detection is None or previous.turn_detection is None:
            self._forget_input()
            self._endpointing = _endpointing(settings, self._tuning)
        else:
            self._endpointing.adjust(settings.turn_detection)

    def commit(self) -> None:
        """The user's turn ends here: all audio sent so far becomes an item."""
        if self._utterance is None and self._ears.pending_s * 1000 < SHORTEST_COMMIT_MS:
            raise _too_short(0.0)
        utterance = self._pushed()
        utterance.add(self._ears.take())
        if utterance.duration_s * 1000 < SHORTEST_COMMIT_MS:
            raise _too_short(utterance.duration_s * 1000)
        if self._decide(Request.COMMIT) is Action.WITHDRAW:
            self._withdraw()
        utterance.reopen()
        if self._endpointing.floor is not Floor.SILENT:
            self._emit(SpeechStopped(utterance.item_id, _ms(self._ears.position)))
        self._endpointing.move(FloorEvent.END)
        self._commit(utterance)

    def clear_input(self) -> None:
        """All audio not yet committed is forgotten."""
        self._forget_input()
        self._emit(InputCleared())

    def add_item(self, item: Item, after: str | None) -> None:
        """Puts an item after the one with that id; at the end for None, at the beginning for "root"."""
        before = self._history.add(item, after)
        self._emit(ItemAdded(item, before))

    def delete_item(self, item_id: str) -> None:
        self._history.delete(item_id)
        self._emit(ItemDeleted(item_id))

    def truncate_item(self, item_id: str, audio_end_ms: int) -> None:
        """The client played so much of the agent's item. More than there is counts as all of it."""
        samples = audio_end_ms * self._output_hz // 1000
        answer = self._answering.turn.answer if self._answering else None
        if answer is not None and answer.item_id == item_id:
            samples = answer.truncate(samples)
        else:
            samples = self._history.cut(item_id, samples)
        self._emit(ItemTruncated(item_id, samples * 1000 // self._output_hz))

    def item(self, item_id: str) -> Item:
        return self._history.item(item_id)

    def respond(self, request: ResponseRequest) -> None:
        """Answers now, whether or not the user has spoken."""
        match self._decide(Request.RESPOND):
            case Action.REFUSE:
                assert self._answering is not None
                running = self._answering.turn.answer.response.id
                raise ClientError(
                    "conversation_already_has_active_response",
                    f"Conversation already has an active response in progress: {running}. "
                    "Wait until the response is finished before creating a new one.",
                )
            case Action.REPLACE:
                self._withdraw()
        self._begin(request=request)

    def cancel_response(self, response_id: str | None) -> None:
        """Silences the response with that id; None: the one under way."""
        running = self._answering.turn.answer.response.id if self._answering else None
        refused = self._decide(Request.CANCEL) is Action.REFUSE
        if refused or response_id not in (None, running):
            raise ClientError(
                "response_cancel_not_active", "Cancellation failed: no active response found", "response_id"
            )
        self._interrupt("client_cancelled")

    # --- listening

    async def _listen(self) -> None:
        while True:
            held = self._endpointing.floor is not Floor.SILENT
            try:
                frame = await self._ears.frame(self._tuning.mute_s if held else None)
            except TimeoutError:
                self._on_floor(FloorMove(FloorEvent.END, self._ears.received))
                continue
            probability = await self._probability(frame)
            if not self._ears.pass_by(frame):
                continue
            self._room.set()
            if self._utterance is not None:
                self._utterance.add(Audio(frame.samples, HEARING_HZ))
            if probability is not None:
                for move in self._endpointing.step(probability, frame.start_sample):
                    self._on_floor(move)

    async def _probability(self, frame: Frame) -> float | None:
        """That the frame holds speech; None when the VAD cannot say: the user is heard again when it can."""
        try:
            async with asyncio.timeout(self._tuning.deadlines.vad_s):
                probabilities, [self._vad_state] = await self._stages.vad.step(
                    frame.samples[None], [self._vad_state]
                )
        except TimeoutError:
            _log.warning("session %s: vad: no answer in time", self._session_id)
            return None
        except StageError as error:
            _log.warning("session %s: %s", self._session_id, error)
            return None
        return float(probabilities[0])

    def _on_floor(self, move: FloorMove) -> None:
        """Carries out what follows from a move that the endpointing has made, or a timeout makes now."""
        try:
            if move.event is FloorEvent.END and self._endpointing.floor is not Floor.SILENT:
                self._endpointing.move(FloorEvent.END)
            utterance = self._utterance
            self._heard(move)
            self._act(self._decide(move.event), utterance, move.at_sample)
        except ImpossibleMove as error:
            _log.exception("session %s: a defect; this turn is given up", self._session_id)
            self._give_up(error)

    def _heard(self, move: FloorMove) -> None:
        """What a move means for the user's own words."""
        match move.event:
            case FloorEvent.ONSET:
                detection = self._settings.turn_detection
                padding_ms = detection.prefix_padding_ms if detection else 0
                audio = self._ears.since(move.at_sample - padding_ms * HEARING_HZ // 1000)
                self._utterance = self._new_utterance()
                self._utterance.add(audio)
                self._follow(self._utterance)
                start = self._ears.position - len(audio)
                self._emit(SpeechStarted(self._utterance.item_id, _ms(start)))
                self._fade()
            case FloorEvent.PAUSE:
                self._stop_following()
            case FloorEvent.RESUME:
                assert self._utterance is not None
                self._utterance.reopen()
                self._follow(self._utterance)
            case FloorEvent.END:
                assert self._utterance is not None
                self._emit(SpeechStopped(self._utterance.item_id, _ms(self._ears.position)))
                self._commit(self._utterance)

    def _pushed(self) -> Utterance:
        """The open utterance; push-to-talk opens it with the first audio."""
        if self._utterance is None:
            self._utterance = self._new_utterance()
            self._follow(self._utterance)
        return self._utterance

    def _new_utterance(self) -> Utterance:
        return Utterance(new_id("item"), self._stages.asr, self._tuning.deadlines.asr_s)

    def _behind_s(self) -> float:
        return self._ears.pending_s + (self._utterance.unheard_s if self._utterance else 0.0)

    def _forget_input(self) -> None:
        self._ears.take()
        self._stop_following()
        action = self._decide(FloorEvent.CLEAR)
        self._endpointing.move(FloorEvent.CLEAR)
        if action is Action.WITHDRAW:
            self._withdraw()
        if self._utterance is not None:
            self._utterance.reopen()
            self._utterance = None

    # --- the user's words

    def _follow(self, utterance: Utterance) -> None:
        self._stop_following()
        self._following = self._tasks.create_task(self._partials(utterance), name="partial transcripts")

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def _partials(self, utterance: Utterance) -> None:
        """Recognises an utterance as it grows, and tells the client if it wants to know."""
        every_s = self._tuning.partial_every_ms / 1000
        while True:
            await utterance.grown(every_s or _SETTLE_EVERY_S)
            try:
                delta = await utterance.listen()
            except StageError as error:
                _log.warning("session %s: partial transcript: %s", self._session_id, error)
                delta = ""
                if utterance.unheard_s > self._tuning.backlog_s:
                    utterance.skip()
            self._room.set()
            if delta and every_s and self._settings.transcribe:
                self._emit(TranscriptionDelta(utterance.item_id, delta))

    def _commit(self, utterance: Utterance) -> None:
        """The utterance becomes an item of the history; its words follow when they are known."""
        self._utterance = None
        self._stop_following()
        item = Item(utterance.item_id, "user", (AudioPart(None),))
        before = self._history.add(item)
        self._emit(InputCommitted(item.id, before))
        self._emit(ItemAdded(item, before))
        utterance.finish(self._tasks.create_task)
        self._unwritten[item.id] = self._tasks.create_task(
            self._write_down(utterance), name=f"transcript of {item.id}"
        )
        self._room.set()

    async def _write_down(self, utterance: Utterance) -> None:
        try:
            text = (await utterance.transcript()).text
        except StageError as error:
            _log.warning("session %s: transcript: %s", self._session_id, error)
            if self._settings.transcribe:
                self._emit(TranscriptionFailed(utterance.item_id, str(error)))
            return
        finally:
            del self._unwritten[utterance.item_id]
        self._history.transcribed(utterance.item_id, text)
        if self._settings.transcribe:
            if rest := utterance.rest(text):
                self._emit(TranscriptionDelta(utterance.item_id, rest))
            self._emit(TranscriptionCompleted(utterance.item_id, text, utterance.duration_s))

    # --- answering

    def _decide(self, event: FloorEvent | Request) -> Action:
        on: set[Condition] = set()
        if detection := self._settings.turn_detection:
            if detection.interrupt_response:
                on.add("interrupt_response")
            if detection.create_response:
                on.add("create_response")
                if self._tuning.speculate:
                    on.add("speculate")
        return decide(event, self._reply, frozenset(on))

    def _act(self, action: Action, utterance: Utterance | None, at_sample: int) -> None:
        """Carries out what the policy says of a move on the floor, in which `utterance` was open."""
        match action:
            case Action.PREPARE:
                assert utterance is not None
                utterance.finish(self._tasks.create_task)
                self._begin(ReplyEvent.PREPARE, utterance=utterance, at_sample=at_sample)
            case Action.WITHDRAW:
                self._withdraw()
            case Action.RELEASE:
                assert self._answering is not None
                self._reply = next_reply(self._reply, ReplyEvent.RELEASE)
                self._answering.turn.gate.set()
            case Action.BEGIN:
                self._begin(utterance=utterance, at_sample=at_sample)
            case Action.INTERRUPT:
                self._interrupt("turn_detected")
            case Action.OWE:
                self._owed = utterance

    def _begin(
        self,
        event: ReplyEvent = ReplyEvent.BEGIN,
        *,
        utterance: Utterance | None = None,
        at_sample: int | None = None,
        request: ResponseRequest = _NO_REQUEST,
    ) -> None:
        """Starts the task that answers `utterance`, or, without one, the history as it stands.

        Args:
            event: PREPARE keeps the answer behind the gate.
            at_sample: where the user's speech ended.
        """
        self._reply = next_reply(self._reply, event)
        gate = asyncio.Event()
        if event is ReplyEvent.BEGIN:
            gate.set()
        settings = self._settings
        response = Response(
            new_id("resp"),
            request.modality or settings.modality,
            request.voice or settings.voice,
            request.max_output_tokens or settings.max_output_tokens,
            request.metadata,
        )
        instructions = settings.instructions if request.instructions is None else request.instructions
        since_speech_s = 0.0 if at_sample is None else (self._ears.received - at_sample) / HEARING_HZ
        turn = Turn(
            prompt=lambda: self._prompt(instructions, utterance),
            gate=gate,
            answer=Answer(response, self._history, self._playback, self._emit),
            stages=self._stages,
            playback=self._playback,
            params=ReplyParams(self._session_id, response.max_output_tokens),
            voicing=Voicing(response.voice, settings.speed, self._output_hz),
            tuning=self._tuning,
            clock=TurnClock(asyncio.get_running_loop().time() - since_speech_s),
        )
        self._answering = _Answering(turn, self._tasks.create_task(self._answer(turn), name=response.id))

    async def _prompt(self, instructions: str, utterance: Utterance | None) -> list[Message]:
        """What the language model is shown, as soon as all words are known.

        With an utterance that turns out to hold no words there is nothing to answer, and no message. Raises
        StageError when its words cannot be had; words missing from earlier turns are done without.
        """
        own_id = utterance.item_id if utterance else None
        if earlier := [task for item_id, task in self._unwritten.items() if item_id != own_id]:
            await asyncio.wait(earlier)
        system = Message("system", instructions)
        if utterance is None:
            return [system, *self._history.messages()]
        text = (await utterance.transcript()).text.strip()
        if not text:
            return []
        return [system, *self._history.messages(without=utterance.item_id), Message("user", text)]

    async def _answer(self, turn: Turn) -> None:
        """Takes a turn and closes it, whatever comes of it; of a cancelled one, the canceller does."""
        usage: Usage | None = None
        failure: Failure | None = None
        try:
            usage = await take_turn(turn)
        except Exception as error:  # noqa: BLE001  # the turn boundary: a session outlives its turns
            failure = self._explain(error)
        await turn.gate.wait()
        self._note(turn)
        if failure is not None:
            turn.answer.close("failed", failure=failure)
        elif usage is not None and usage.cut_off:
            turn.answer.close("incomplete", reason="max_output_tokens", usage=usage)
        elif usage is not None:
            turn.answer.close("completed", usage=usage)
        self._over(ReplyEvent.FINISH)

    def _interrupt(self, reason: Reason) -> None:
        """The agent falls silent: the client is told at once, then the work is cancelled."""
        assert self._answering is not None
        answering = self._answering
        self._note(answering.turn)
        answering.turn.answer.close("cancelled", reason=reason)
        self._playback.dropped()
        answering.task.cancel()
        self._over(ReplyEvent.INTERRUPT)

    def _over(self, event: ReplyEvent) -> None:
        """The answer under way is closed; one that is owed follows."""
        assert self._answering is not None
        self._reply = next_reply(self._reply, event)
        self._last_answer, self._answering = self._answering.turn.answer, None
        if self._owed is not None:
            owed, self._owed = self._owed, None
            self._begin(utterance=owed)

    def _fade(self) -> None:
        """The user speaks while the client still plays the end of an answer that was sent whole: clients
        throw that end away."""
        detection = self._settings.turn_detection
        playing = self._answering is None and self._playback.ahead_s > 0
        if playing and self._last_answer and detection and detection.interrupt_response:
            self._last_answer.cut_short()
            self._playback.dropped()

    def _withdraw(self) -> None:
        assert self._answering is not None
        self._reply = next_reply(self._reply, ReplyEvent.WITHDRAW)
        self._answering.task.cancel()
        self._answering = None

    def _give_up(self, error: ImpossibleMove) -> None:
        """Brings the conversation back to where nobody speaks."""
        self._stop_following()
        self._utterance = None
        self._endpointing = _endpointing(self._settings, self._tuning)
        if self._answering is not None:
            answering, self._answering = self._answering, None
            answering.task.cancel()
            if self._reply is Reply.SPEAKING:
                answering.turn.answer.close("failed", failure=self._explain(error))
        self._reply = Reply.IDLE

    def _explain(self, error: BaseException) -> Failure:
        """The failure to tell the client; the log gets the rest."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, StageError):
            _log.warning("session %s: the turn failed: %s", self._session_id, error)
            return Failure(f"{error.stage}_failed", str(error))
        if not isinstance(error, AntiphonError):
            _log.error("session %s: the turn failed", self._session_id, exc_info=error)
        return Failure("server_error", "The answer failed because of an error in the server.")

    def _note(self, turn: Turn) -> None:
        """The timing record of a turn that was heard, to the log and to whoever asked for it."""
        timing = turn.clock.timing()
        if timing.first_audio_ms is not None:
            _log.info("session %s %s: %s", self._session_id, turn.answer.response.id, timing)
            self._emit(TurnTimed(turn.answer.response.id, timing))


def _endpointing(settings: Settings, tuning: Tuning) -> Endpointing:
    """For push-to-talk, one that nobody will ask."""
    detection = settings.turn_detection or TurnDetection()
    return Endpointing(detection, onset_ms=tuning.onset_ms, pause_ms=tuning.pause_ms)


def _kept_s(settings: Settings, tuning: Tuning) -> float:
    """An onset is noticed late, and its padding lies before it."""
    padding_ms = settings.turn_detection.prefix_padding_ms if settings.turn_detection else 0
    return (padding_ms + tuning.onset_ms) / 1000 + 0.1


def _ms(samples: int) -> int:
    return samples * 1000 // HEARING_HZ


def _too_short(duration_ms: float) -> ClientError:
    return ClientError(
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. Expected at least "
        f"{SHORTEST_COMMIT_MS}ms of audio, but buffer only has {duration_ms:.2f}ms of audio.",
    )
