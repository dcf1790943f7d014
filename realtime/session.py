"""One client at one socket, from `session.created` to the hang-up.

Three things run side by side and end together: the conversation, a reader that obeys the client's events
strictly in the order of their arrival, and a writer that sends what the conversation tells. Here is the only
place where a fault of any kind is caught: it costs one session, and a log line with its id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Any, NoReturn, Protocol

from conversation.audio import HEARING_HZ, Audio, join
from conversation.conversation import Conversation
from conversation.errors import ClientError, ImpossibleMove
from conversation.events import Event, OutputAudio
from conversation.items import MessageItem, new_id
from conversation.settings import Settings, Tuning
from conversation.stages import Stages
from conversation.workload import Workload
from realtime import client_events as asked
from realtime.encodings import IncomingAudio, written
from realtime.items import from_wire, sounds_of
from realtime.limits import Limits
from realtime.outbox import ClientTooSlow, Outbox
from realtime.parse import decode, event_id, sound_bytes, typed
from realtime.server_events import ServerEvents
from realtime.session_object import SessionObject, new_session, new_transcription
from realtime.shapes import WIRE_HZ

log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""For the closing handshake."""

_EXPIRED = "Your session hit the maximum duration of {minutes:g} minutes."
_OUR_FAULT = "The server had an internal error."


class Hangup(Exception):
    """The client is gone.

    Attributes:
        code: of the close frame that ended the connection, whoever sent it; NO_FRAME where there was none.
    """

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        super().__init__(" ".join([str(code), *reason.split()]))
        self.code = code


NO_FRAME = 1006
"""As RFC 6455 (7.4.1) has it; 1005 is a frame without a code."""
_LEFT = (1000, 1001, 1005)
"""How clients take their leave; or with a code of their own, from 3000 on."""


class SessionExpired(Exception):
    """It has lasted as long as a session may."""


class ClientTooFast(Exception):
    """The client sends audio faster than it can be listened to, and does not stop."""


class PartEnded(Exception):
    """A part of the session ended by itself, which none ever does."""


class Socket(Protocol):
    """What a session needs of a WebSocket."""

    async def receive(self) -> str | bytes:
        """The next message; raises Hangup when the client is gone."""

    async def send(self, text: str) -> None:
        """Waits while the client is slow to read; raises Hangup when it is gone."""

    async def close(self, code: int, reason: str) -> None:
        """May be called when the client is gone."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a client came in.

    Attributes:
        model: the name it connected with; echoed, never checked here.
        transcription: it only wants to be written down.
        session: what its client secret sets, as in a `session.update`.
        antiphon: what its address asks of what only this server has, as in `session.antiphon`.
    """

    model: str = "antiphon"
    transcription: bool = False
    session: Mapping[str, Any] | None = None
    antiphon: Mapping[str, Any] | None = None


async def converse(
    socket: Socket,
    stages: Stages,
    opening: Opening,
    *,
    defaults: Settings,
    tuning: Tuning,
    limits: Limits,
    workload: Workload | None = None,
) -> None:
    """Serves one client until it hangs up, or its time is over.

    Args:
        defaults: what the session is set to until the client says otherwise.
        workload: that of all sessions which share the machine; None: there is no other.

    Nothing a client does raises, nor any fault of ours: either way the socket is closed with a code, and what
    was not the client's own leave is logged. When it returns, no task of the session is left. Cancelled (the
    server is going down), it closes with 1012, upon which clients reconnect, and raises CancelledError.
    """
    session_id = new_id("sess")

    async def served() -> tuple[int, str] | None:
        """The code and the reason to close with; None where the client hung up."""
        try:
            session = opened(opening, session_id, defaults, round(time.time() + limits.session_s))
        except ClientError as error:  # a secret from before the configuration changed
            log.warning("%s: its secret sets what cannot be: %s", session_id, error)
            await _send_last(socket, ServerEvents().error(error, None))
            return 1008, "The session of this client secret cannot be."
        return await _Session(socket, stages, session, tuning, limits, workload).run()

    # In a task of its own: a task group that fails in the moment of its cancellation forgets that one.
    serving = asyncio.create_task(served())
    try:
        await asyncio.wait([serving])
    except asyncio.CancelledError:
        serving.cancel()
        await _close(socket, 1012, "The server is restarting.")  # first, should we be cancelled once more
        await asyncio.wait([serving])
        raise
    try:
        closing = serving.result()
    except (Exception, asyncio.CancelledError):
        log.exception("%s: the session failed", session_id)
        closing = 1011, _OUR_FAULT
    if closing is not None:
        await _close(socket, *closing)


async def turn_away(socket: Socket, error: ClientError, reason: str) -> None:
    """Tells a client that it may not come in, and why, and closes with 3000. Nothing it does raises."""
    await _send_last(socket, ServerEvents().error(error, None))
    await _close(socket, 3000, reason)


def opened(opening: Opening, session_id: str, defaults: Settings, expires_at: int = 0) -> SessionObject:
    """The session that a client begins with. Raises ClientError where its secret sets what cannot be."""
    if opening.transcription:
        session = new_transcription(session_id, defaults, expires_at)
    else:
        session = new_session(session_id, opening.model, defaults, expires_at)
    if opening.session:
        session = session.updated(dict(opening.session), voice_locked=False)
    if opening.antiphon and not session.is_transcription:
        asked = {"type": "realtime", "antiphon": dict(opening.antiphon)}
        session = session.updated(asked, voice_locked=False)
    return session


class _Session:
    """The wiring: what the client asks goes to the conversation, what that tells goes to the outbox."""

    def __init__(
        self,
        socket: Socket,
        stages: Stages,
        session: SessionObject,
        tuning: Tuning,
        limits: Limits,
        workload: Workload | None,
    ) -> None:
        self._socket, self._limits, self._object = socket, limits, session
        self._events = ServerEvents()
        self._outbox = Outbox(limits.unread_chars)
        self._input = IncomingAudio(self._object.input_encoding)
        self._pressing_since_s: float | None = None
        """Loop time since which audio has come without a break for which there was no room yet."""
        self._has_spoken = False
        self._conversation = Conversation(
            stages,
            self._object.settings(),
            tuning,
            self._tell,
            session_id=self._object.id,
            output_hz=WIRE_HZ,
            workload=workload,
        )

    async def run(self) -> tuple[int, str] | None:
        """The code and the reason to close with; None where the client hung up."""
        closing: tuple[int, str] | None = None
        self._outbox.put(self._events.session_created(self._object))
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(_for_ever(self._conversation.run()), name="conversation")
                together.create_task(_for_ever(self._outbox.overflow()), name="overflow")
                together.create_task(_for_ever(self._write()), name="writer")
                together.create_task(_for_ever(self._read()), name="reader")
                together.create_task(_for_ever(self._expire()), name="expiry")
        except* Hangup as gone:
            closing = self._gone(gone.exceptions)
        except* SessionExpired:
            closing = 1001, _EXPIRED.format(minutes=self._limits.session_s / 60)
            await _send_last(
                self._socket, self._events.error(ClientError("session_expired", closing[1]), None)
            )
        except* ClientTooSlow as slow:
            log.warning("%s: %s", self._object.id, slow.exceptions[0])
            closing = 1008, "The client does not read what it is sent."
        except* ClientTooFast as fast:
            log.warning("%s: %s", self._object.id, fast.exceptions[0])
            closing = 1008, "Audio came faster than it can be listened to, for too long."
        except* Exception:
            log.exception("%s: the session failed", self._object.id)
            closing = 1011, _OUR_FAULT
        return closing

    def _gone(self, hangups: Sequence[BaseException]) -> tuple[int, str] | None:
        """Reader and writer may both have noticed. Where nobody saw a close frame, one is sent, in case the
        client is there after all."""
        codes = [hangup.code for hangup in hangups if isinstance(hangup, Hangup)]
        code = min(codes, key=lambda code: code == NO_FRAME)
        if code in _LEFT or code >= 3000:
            log.debug("%s: the client hung up", self._object.id)
            return None
        log.warning("%s: the connection was lost: %s", self._object.id, hangups[codes.index(code)])
        return (1011, "The connection was lost.") if code == NO_FRAME else None

    async def _expire(self) -> NoReturn:
        await asyncio.sleep(self._limits.session_s)
        raise SessionExpired

    async def _write(self) -> NoReturn:
        while True:
            text = await self._outbox.next()
            try:
                async with asyncio.timeout(self._limits.unread_s):
                    await self._socket.send(text)
            except TimeoutError:
                raise ClientTooSlow(f"nothing was read for {self._limits.unread_s:g} s") from None

    async def _read(self) -> NoReturn:
        while True:
            await self._answer(await self._socket.receive())
            if not self._outbox.empty():
                # A burst of events must not keep the writer from sending what they cause.
                await asyncio.sleep(0)

    async def _answer(self, frame: str | bytes) -> None:
        with self._errors_told(None):
            event = decode(frame)
            with self._errors_told(event_id(event)):
                await self._obey(typed(event))

    @contextmanager
    def _errors_told(self, of_event: str | None) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            self._outbox.put(self._events.error(error, of_event))
        except ImpossibleMove:
            log.exception("%s: a defect; the client's event is given up", self._object.id)
            self._outbox.put(self._events.server_error(_OUR_FAULT, of_event))

    def _tell(self, event: Event) -> None:
        self._has_spoken = self._has_spoken or isinstance(event, OutputAudio)
        for text in self._events.of(event):
            self._outbox.put(text)

    async def _hear(self, audio: Audio) -> None:
        """Waits for room, and so stops reading from the client: TCP tells it."""
        if not len(audio):
            return
        since_s = self._pressing_since_s
        if since_s is None:
            since_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(since_s + self._limits.pressing_s):
                waited = await self._conversation.hear(audio)
        except TimeoutError:
            raise ClientTooFast(
                f"audio came faster than it was listened to for {self._limits.pressing_s:g} s"
            ) from None
        self._pressing_since_s = since_s if waited else None

    async def _listened_to(self, sounds: list[str]) -> Audio | None:
        """The sound inside an item, second by second like that of the input buffer."""
        incoming, pieces = IncomingAudio(self._object.input_encoding), []
        for sound in sounds:
            for piece in incoming.pieces(sound_bytes(sound, "item.content")):
                pieces.append(piece)
                await asyncio.sleep(0)
        pieces.append(incoming.end())
        return join(pieces, HEARING_HZ) if sounds else None

    # --- one method for each thing a client can ask

    @singledispatchmethod
    async def _obey(self, event: asked.ClientEvent) -> None:
        raise TypeError(f"no such event: {event!r}")

    @_obey.register
    async def _(self, event: asked.Append) -> None:
        for piece in self._input.pieces(event.sound):
            await self._hear(piece)
            if len(event.sound) > self._input.piece_bytes:
                await asyncio.sleep(0)

    @_obey.register
    async def _(self, event: asked.InputAudioBufferCommit) -> None:
        await self._hear(self._input.end())
        self._conversation.commit()

    @_obey.register
    async def _(self, event: asked.InputAudioBufferClear) -> None:
        self._input.end()
        self._conversation.clear_input()

    @_obey.register
    async def _(self, event: asked.SessionUpdate) -> None:
        changed = self._object.updated(event.session, voice_locked=self._has_spoken)
        if changed.input_encoding is not self._object.input_encoding:
            await self._hear(self._input.end())
            self._input = IncomingAudio(changed.input_encoding)
        self._conversation.configure(changed.settings())
        self._object = changed
        self._outbox.put(self._events.session_updated(changed))

    @_obey.register
    async def _(self, event: asked.ConversationItemCreate) -> None:
        sound = await self._listened_to(sounds_of(event.item))
        self._conversation.add_item(from_wire(event.item), event.previous_item_id or None, sound)

    @_obey.register
    async def _(self, event: asked.ConversationItemRetrieve) -> None:
        item, sound = self._conversation.item(event.item_id), self._conversation.sound(event.item_id)
        by_user = isinstance(item, MessageItem) and item.role == "user"
        encoding = self._object.input_encoding if by_user else self._object.output_encoding
        bytes_ = None if sound is None else written(sound, encoding)
        self._outbox.put(self._events.item_retrieved(item, bytes_))

    @_obey.register
    async def _(self, event: asked.ConversationItemTruncate) -> None:
        self._conversation.truncate_item(event.item_id, int(event.audio_end_ms))

    @_obey.register
    async def _(self, event: asked.ConversationItemDelete) -> None:
        self._conversation.delete_item(event.item_id)

    @_obey.register
    async def _(self, event: asked.ResponseCreate) -> None:
        if self._object.is_transcription:
            raise ClientError(
                "invalid_value", "There are no responses in a transcription session: it only listens.", "type"
            )
        self._conversation.respond(event.response.request())

    @_obey.register
    async def _(self, event: asked.ResponseCancel) -> None:
        self._conversation.cancel_response(event.response_id)


async def _for_ever(part: Coroutine[Any, Any, None]) -> None:
    """A part of a session, which runs until it is cancelled or raises.

    A task group takes it for no failure when a task of its own accord ends, or dies of a cancellation that
    nobody asked for: the session would go on without it, deaf or mute.
    """
    task = asyncio.current_task()
    assert task is not None
    try:
        await part
    except asyncio.CancelledError as error:
        if task.cancelling():
            raise
        raise PartEnded(f"{task.get_name()} was cancelled by nobody") from error
    raise PartEnded(f"{task.get_name()} ended")


async def _send_last(socket: Socket, text: str) -> None:
    with suppress(Hangup, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await socket.send(text)


async def _close(socket: Socket, code: int, reason: str) -> None:
    with suppress(Hangup, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await socket.close(code, reason)
