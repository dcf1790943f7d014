"""The user's side: hears, tells speech from silence, and follows what is said.

It knows the floor and the user's words. It does not know whether the agent speaks, nor what follows from a
move on the floor: it tells whoever does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from conversation.arrivals import Arrivals
from conversation.audio import HEARING_HZ, Audio
from conversation.ears import Ears, Frame
from conversation.echo import UNDECIDED_FRAMES, Decided, Echo, Heard
from conversation.endpointing import Endpointing, FloorMove, Judgement
from conversation.errors import ClientError, StageError
from conversation.events import (
    InputCommitted,
    InputTimedOut,
    ItemAdded,
    SpeechStarted,
    SpeechStopped,
    TranscriptionDelta,
)
from conversation.floor import Floor, FloorEvent, Murmur
from conversation.items import AudioPart, MessageItem, new_id
from conversation.judging import judge
from conversation.session import Session
from conversation.settings import Settings, Tuning, TurnDetection
from conversation.stages import FRAME_MS, VadState
from conversation.timer import Timer
from conversation.utterance import Utterance
from conversation.writing import Writing

_log = logging.getLogger(__name__)

SHORTEST_COMMIT_MS = 100
"""Less audio cannot be committed. Source: the Realtime API's own limit."""

_SETTLE_EVERY_S = 20.0
"""With partial transcripts off, a long monologue is still recognised in steps of this length."""


class Listening:
    """Listens to one user.

    Args:
        writing: gets each utterance that becomes an item.
        moved: told of every move on the floor that sound or its absence brings about, after the user's words
            have been dealt with, and of the utterance that was open then.
        murmured: told when speech may have begun, too little of it for an onset, and when it was none. After
            an onset, nothing is told of it any more.
        growing: told what has been understood of an utterance that still goes on; first "", at its onset.
        is_turn: asked at an onset and at an end whether the sound is a turn of the user's. Of one that is
            not, or not yet, nobody is told until `announce`, and it makes no item.
    """

    def __init__(
        self,
        session: Session,
        writing: Writing,
        moved: Callable[[FloorMove, Utterance | None], None],
        murmured: Callable[[Murmur], None],
        growing: Callable[[str], None],
        is_turn: Callable[[FloorMove], bool],
    ) -> None:
        self._session, self._writing = session, writing
        self._moved, self._murmured = moved, murmured
        self._growing, self._is_turn = growing, is_turn
        self._ears = Ears(keep_s=_kept_s(session.settings, session.tuning))
        self._endpointing = _endpointing(session)
        self._arrivals = Arrivals()
        self._ending = Timer(self._on_time)
        """The silence that ends the turn is over, unless it is broken before."""
        self._echo = Echo(session.loudspeaker, self._arrivals) if session.loudspeaker is not None else None
        self._vad_state: VadState | None = None
        self._murmurs = False
        """As was told last."""
        self._utterance: Utterance | None = None
        self._unannounced_sample: int | None = None
        """Where the open utterance begins in all audio received, while nobody has been told of it."""
        self._following: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._room = asyncio.Event()

    @property
    def floor(self) -> Floor:
        return self._endpointing.floor

    @property
    def utterance(self) -> Utterance | None:
        """The one under way."""
        return self._utterance

    @property
    def received(self) -> int:
        """Samples received in all, 16 kHz."""
        return self._ears.received

    def when_s(self, sample: int) -> float:
        """The loop time at which a sample was spoken, as far as its arrival tells."""
        return self._arrivals.when_s(sample)

    async def run(self) -> None:
        """Listens until cancelled."""
        try:
            await self._listen()
        finally:
            self._ending.end()

    async def _listen(self) -> None:
        while True:
            awaited = self._murmurs or self._endpointing.floor is not Floor.SILENT
            try:
                frame = await self._ears.frame(self._session.tuning.mute_s if awaited else None)
            except TimeoutError:
                if self._endpointing.floor is Floor.SILENT:
                    # The client went mute in mid-murmur; or it committed or cleared meanwhile.
                    self._tell_murmur(False)
                    continue
                self._endpointing.move(FloorEvent.END)
                self._on_move(FloorMove(FloorEvent.END, self._ears.received))
                continue
            probability = await self._probability(frame)
            heard = self._without_echo(frame, probability)
            if not self._ears.pass_by(heard.frame):
                continue
            self._room.set()
            if self._utterance is not None:
                self._utterance.add(Audio(heard.frame.samples, HEARING_HZ))
            for probable, frame in heard.decided:
                for move in self._endpointing.step(probable, frame.start_sample, frame.samples):
                    self._on_move(move)
            self._tell_murmur(probability is not None and self._hears_murmur())
            self._await_end()

    async def hear(self, audio: Audio) -> bool:
        """Waits while more than `backlog_s` is still to be listened to; returns whether it had to."""
        self._ears.hear(audio)
        self._arrivals.note(self._ears.received, asyncio.get_running_loop().time())
        if self._session.settings.turn_detection is None:
            self._pushed().add(self._ears.take())
        waited = False
        while self._behind_s() > self._session.tuning.backlog_s:
            waited = True
            self._room.clear()
            await self._room.wait()
        return waited

    def configure(self, settings: Settings) -> None:
        """The session's settings are about to become these."""
        previous = self._session.settings
        self._ears.keep(_kept_s(settings, self._session.tuning))
        if settings.turn_detection is None or previous.turn_detection is None:
            self._stop_judging()
            self._endpointing = _endpointing(self._session, settings)
        else:
            self._endpointing.adjust(settings.turn_detection)
        self._await_end()

    def require_enough(self) -> None:
        """Raises ClientError when less has been heard than can be committed."""
        samples = self._ears.received - self._ears.position
        if self._utterance is not None:
            samples += self._utterance.samples
        if _ms(samples) < SHORTEST_COMMIT_MS:
            raise _too_short(samples * 1000 / HEARING_HZ)

    def commit(self) -> None:
        """Everything heard so far becomes an item; see `require_enough`."""
        utterance = self._pushed()
        utterance.add(self._ears.take())
        utterance.reopen()
        if self._endpointing.floor is not Floor.SILENT:
            self._session.emit(SpeechStopped(utterance.item_id, _ms(self._ears.position)))
        self._endpointing.move(FloorEvent.END)
        self._stop_judging()
        self._commit(utterance)

    def commit_silence(self, since_sample: int) -> None:
        """The silence since then becomes an item without words."""
        item = MessageItem(new_id("item"), "user", (AudioPart(""),))
        emit, history = self._session.emit, self._session.history
        emit(InputTimedOut(item.id, _ms(since_sample), _ms(self.received)))
        before = history.add(item)
        emit(InputCommitted(item.id, before))
        emit(ItemAdded(item, before))

    def announce(self) -> None:
        """The sound under way is a turn of the user's."""
        if self._utterance is not None and self._unannounced_sample is not None:
            start_ms, self._unannounced_sample = _ms(self._unannounced_sample), None
            self._session.emit(SpeechStarted(self._utterance.item_id, start_ms))

    def dismiss(self) -> None:
        """The sound under way is nothing, and over."""
        self._close()

    def forget(self) -> None:
        """Everything heard and not committed is dropped, and the floor is silent."""
        self._ears.take()
        self._close()

    def _close(self) -> None:
        """The open utterance is dropped, and the floor is silent."""
        self._stop_following()
        self._stop_judging()
        self._endpointing.move(FloorEvent.CLEAR)
        if self._utterance is not None:
            self._utterance.reopen()
            self._utterance = self._unannounced_sample = None
        self._room.set()

    async def _probability(self, frame: Frame) -> float | None:
        """That the frame holds speech; None when the VAD cannot say: the user is heard again when it can."""
        try:
            async with asyncio.timeout(self._session.tuning.deadlines.vad_s):
                probabilities, [self._vad_state] = await self._session.stages.vad.step(
                    frame.samples[None], [self._vad_state]
                )
        except TimeoutError:
            _log.warning("session %s: vad: no answer in time", self._session.id)
            return None
        except StageError as error:
            _log.warning("session %s: %s", self._session.id, error)
            return None
        return float(probabilities[0])

    def _without_echo(self, frame: Frame, probability: float | None) -> Heard:
        if probability is None:
            return Heard(frame, ())
        if self._echo is None:
            return Heard(frame, (Decided(probability, frame),))
        return self._echo.hear(frame, probability)

    def _hears_murmur(self) -> bool:
        if self._echo is None:
            return self._endpointing.murmurs()
        if self._echo.is_known:
            return False
        return self._endpointing.murmurs(each.probability for each in self._echo.waiting)

    def _tell_murmur(self, murmurs: bool) -> None:
        """Where that is news. An onset is more than the end of a murmur."""
        if murmurs != self._murmurs:
            self._murmurs = murmurs
            if self._endpointing.floor is Floor.SILENT:
                self._murmured(Murmur.BEGINS if murmurs else Murmur.ENDS)

    def _on_move(self, move: FloorMove) -> None:
        """What a move means for the user's words; then whoever decides about the agent's is told."""
        utterance = self._utterance
        match move.event:
            case FloorEvent.ONSET:
                self._speech_started(move)
            case FloorEvent.PAUSE:
                assert utterance is not None
                self._stop_following()
                self._judge(utterance)
            case FloorEvent.RESUME:
                assert utterance is not None
                self._stop_judging()
                utterance.reopen()
                self._follow(utterance)
            case FloorEvent.END:
                assert utterance is not None
                self._stop_judging()
                if not self._is_turn(move):
                    return
                self._session.emit(SpeechStopped(utterance.item_id, _ms(self._ears.position)))
                self._commit(utterance)
        self._moved(move, utterance)
        if move.event is FloorEvent.ONSET:
            self._growing("")

    def _speech_started(self, move: FloorMove) -> None:
        detection = self._session.settings.turn_detection
        padding_ms = detection.prefix_padding_ms if detection else 0
        audio = self._ears.since(move.at_sample - padding_ms * HEARING_HZ // 1000)
        self._pushed().add(audio)
        self._unannounced_sample = self._ears.position - len(audio)
        if self._is_turn(move):
            self.announce()

    def _pushed(self) -> Utterance:
        """The open utterance; opened here when there is none."""
        if self._utterance is None:
            self._utterance = self._writing.begin(new_id("item"))
            self._follow(self._utterance)
        return self._utterance

    def _behind_s(self) -> float:
        return self._ears.pending_s + (self._utterance.unheard_s if self._utterance else 0.0)

    def _follow(self, utterance: Utterance) -> None:
        self._stop_following()
        self._following = self._session.tasks.create_task(
            self._partials(utterance), name="partial transcripts"
        )

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    def _judge(self, utterance: Utterance) -> None:
        """Lets a model say whether the turn is over, where the client wants it and there is one."""
        detection = self._session.settings.turn_detection
        if (
            detection is not None
            and detection.eagerness is not None
            and self._session.stages.turn is not None
        ):
            self._judging = self._session.tasks.create_task(
                judge(self._session, utterance, self._judged), name="judging a pause"
            )

    def _judged(self, judgement: Judgement | None) -> None:
        for move in self._endpointing.judge(judgement):
            self._on_move(move)
        self._await_end()

    def _await_end(self) -> None:
        """Lets the clock say when the silence is over: its last samples need not be here for that."""
        ends_at = self._endpointing.ends_at
        if ends_at is None:
            self._ending.end()
        else:
            self._ending.begin(self.when_s(ends_at) - asyncio.get_running_loop().time())

    def _on_time(self) -> None:
        for move in self._endpointing.run_out():
            self._on_move(move)

    def _stop_judging(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

    async def _partials(self, utterance: Utterance) -> None:
        """Recognises an utterance as it grows, and tells the client if it wants to know."""
        tuning = self._session.tuning
        every_s = tuning.partial_every_ms / 1000
        while True:
            weighed = self._unannounced_sample is not None
            # Where no more may come before room is made, it is not waited for.
            if utterance.unheard_s <= self._session.tuning.backlog_s:
                await utterance.grown(tuning.weigh_every_ms / 1000 if weighed else every_s or _SETTLE_EVERY_S)
            try:
                await utterance.listen()
            except StageError as error:
                _log.warning("session %s: partial transcript: %s", self._session.id, error)
                if utterance.unheard_s > self._session.tuning.backlog_s:
                    utterance.skip()
            else:
                self._growing(utterance.so_far)
            self._room.set()
            told = every_s and self._session.settings.transcribe and self._unannounced_sample is None
            if told and (delta := utterance.news()):
                self._session.emit(TranscriptionDelta(utterance.item_id, delta))

    def _commit(self, utterance: Utterance) -> None:
        """The utterance becomes an item of the history; its words follow when they are known."""
        self._utterance = self._unannounced_sample = None
        self._stop_following()
        item = MessageItem(utterance.item_id, "user", (AudioPart(None),))
        before = self._session.history.add(item)
        self._session.emit(InputCommitted(item.id, before))
        self._session.emit(ItemAdded(item, before))
        self._writing.finish(utterance)
        self._room.set()


def _endpointing(session: Session, settings: Settings | None = None) -> Endpointing:
    """For push-to-talk, one that nobody will ask."""
    detection, tuning = (settings or session.settings).turn_detection or TurnDetection(), session.tuning
    return Endpointing(
        detection,
        onset_ms=tuning.onset_ms,
        pause_ms=tuning.pause_ms,
        finished_ms=tuning.finished_ms,
        doubtful_ms=tuning.doubtful_ms,
        judged=session.stages.turn is not None,
    )


def _kept_s(settings: Settings, tuning: Tuning) -> float:
    """An onset is noticed late, and its padding lies before it."""
    padding_ms = settings.turn_detection.prefix_padding_ms if settings.turn_detection else 0
    undecided_ms = UNDECIDED_FRAMES * FRAME_MS if tuning.echo else 0
    return (padding_ms + undecided_ms + tuning.onset_ms) / 1000 + 0.1


def _ms(samples: int) -> int:
    return samples * 1000 // HEARING_HZ


def _too_short(duration_ms: float) -> ClientError:
    return ClientError(
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. Expected at least "
        f"{SHORTEST_COMMIT_MS}ms of audio, but buffer only has {duration_ms:.2f}ms of audio.",
    )
