"""The callers' side of the stages: the contracts of conversation/stages.py, over Serve deployment handles.

Knows how a call is ended in every mode Serve has, which failures are worth a second attempt, and how much
travels together. Knows nothing of conversations. Everything here belongs to the event loop it is used on.

Sound travels as 16-bit PCM with its rate. A unary call has a deadline and, where asking twice does no harm, a
second attempt within it when a replica was lost. A stream of which anything was read is never asked for again
here: only its consumer knows what was already heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import numpy as np
from grpc.aio import AioRpcError
from numpy.typing import NDArray
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray.serve.handle import DeploymentHandle

from conversation.audio import HEARING_HZ, Audio, from_pcm16, to_pcm16
from conversation.errors import StageError, StageFailed, StageLate, StageLost
from conversation.stages import (
    Hints,
    Message,
    ReplyParams,
    ReplyPart,
    SpeechPart,
    Tool,
    Transcript,
    VadState,
    WordTimes,
)
from deployments.asr.memories import Ticket, TicketLost, Token
from deployments.vad.rows import FRAME_BYTES, Rows, join, pack, split_states

READY_DEADLINE_S = 2.0
VAD_DEADLINE_S = 2.0
ASR_DEADLINE_S = 10.0
TURN_DEADLINE_S = 2.0
STREAM_ITEM_DEADLINE_S = 60.0
"""Between two items of a stream: the last resort behind the consumer's own, tighter deadlines. Without it a
call to a stage that has no replica left waits for ever."""

BEGINNINGS = 2
"""A stream that was over before Serve saw it begin is asked for so often in all. Rare, since none is empty
(`never_empty` in deployments/hosting.py): with 2000 empty ones it happened 239 times in one run, on a busy
machine, and in the run with an item in each of them never."""

GATHER_S = 0.003
"""Frames that arrive within so long travel together: a tenth of a frame, unheard, and it halves the calls."""
CALLS_IN_FLIGHT = 2
"""While one call is answered the next is on its way; a third would only split the batches."""
MAX_ROWS = 512
"""In one call: about 1.2 MB of frames and Silero states."""
MAX_ROWS_BYTES = 3 * 2**20
"""Of the 4 MiB that a gRPC message may have. It takes 73 rows of a model whose states are as large as FSMN's,
42 KB."""

REPLAYED_AT_ONCE_S = 30.0
"""A lost segment is replayed in steps of so much audio: 1 MB of the same 4."""


# --- one call, one stream


async def call(stage: str, method: DeploymentHandle, *args: Any, deadline_s: float) -> Any:
    """A unary call that does no harm twice.

    Where the first attempt met a replica that is gone there is a second, within the same deadline. Raises
    StageError; cancelled, it is cancelled in the replica too.
    """
    try:
        async with asyncio.timeout(deadline_s):
            try:
                return await _attempt(stage, method, *args)
            except StageLost:
                return await _attempt(stage, method, *args)
    except TimeoutError as error:
        raise as_stage_error(stage, error) from error


async def is_ready(stage: str, deployment: DeploymentHandle) -> bool:
    """Whether a replica of the stage answers. It does once its model is loaded."""
    try:
        return bool(await call(stage, deployment.options(method_name="ready"), deadline_s=READY_DEADLINE_S))
    except StageError:
        return False


async def _attempt(stage: str, method: DeploymentHandle, *args: Any) -> Any:
    response = method.remote(*args)
    try:
        return await response
    except Exception as error:  # the boundary between Serve's errors and ours
        raise as_stage_error(stage, error) from error
    finally:
        abandon(response)


async def stream(stage: str, method: DeploymentHandle, *args: Any) -> AsyncGenerator[Any, None]:
    """The items of one streaming call, read as fast as the consumer takes them.

    Nobody reads ahead: what the consumer has not taken waits in the replica, behind gRPC's flow control (on
    the caller's own event loop; Serve's other mode reads ahead without bound). Closed, cancelled or failed,
    the call is cancelled in the replica, at whatever moment: before it is assigned, before its first item,
    between two items.
    """
    for attempt in range(1, BEGINNINGS + 1):
        response, begun = method.remote(*args), False
        try:
            while True:
                try:
                    async with asyncio.timeout(STREAM_ITEM_DEADLINE_S):
                        item = await anext(response)
                except StopAsyncIteration:
                    return
                except Exception as error:  # the boundary between Serve's errors and ours
                    if attempt < BEGINNINGS and not begun and over_before_it_began(error):
                        break
                    raise as_stage_error(stage, error) from error
                begun = True
                if item is not None:  # see `never_empty` in deployments/hosting.py
                    yield item
        finally:
            abandon(response)


def over_before_it_began(error: Exception) -> bool:
    """Whether a call went well, but so quickly that Serve did not notice that it was accepted.

    Serve 2.60 reads from the initial metadata of a gRPC call whether the replica took it. When the end of a
    very short call comes in together with its beginning, gRPC may hand out the end first, and empty metadata;
    Serve then raises this (_private/replica_result.py, `get_rejection_response`). Nothing of it was seen: it
    may be asked again.
    """
    return isinstance(error, RuntimeError) and "Unexpected error (StatusCode.OK)" in str(error)


def abandon(response: Any) -> None:
    """Cancels a call in its replica, in every mode and at every moment; does nothing to one that is over.

    Cancelling the local task is not enough: where the router has its own loop, the replica works on. Nor is
    `response.cancel()`: where it shares ours, Ray 2.60 only remembers to cancel a call whose result somebody
    began to fetch (serve/handle.py, `_DeploymentResponseBase.cancel`), so one that was assigned in this very
    loop turn would run to its end. Hence the look at the future behind it.
    """
    response.cancel()
    assigned = response._replica_result_future
    if assigned.done() and not assigned.cancelled() and assigned.exception() is None:
        assigned.result().cancel()


def as_stage_error(stage: str, error: Exception) -> StageError:
    """Serve's, Ray's and gRPC's errors in the words of conversation/errors.py."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    match cause:
        case StageError():
            return cause
        case TimeoutError():
            return StageLate(stage, "no answer within the deadline")
        case BackPressureError():
            return StageLost(stage, "all replicas are full and so is the queue before them")
        case RayActorError():
            return StageLost(stage, "its replica died or cannot be reached")
        case DeploymentUnavailableError():
            return StageLost(stage, "it could not be deployed")
        case RuntimeError() if over_before_it_began(cause):
            return StageLost(stage, "its answer was over before it was seen to begin")
        case RequestCancelledError():
            return StageLost(stage, "its replica is shutting down")
        case AioRpcError() if cause.code().name in ("UNAVAILABLE", "CANCELLED"):
            return StageLost(stage, f"its replica closed the connection: {cause.details()}")
    return StageFailed(stage, f"{type(cause).__name__}: {cause}")


# --- ears


@dataclass(frozen=True, slots=True)
class _Asked:
    """One caller's rows, waiting to travel."""

    rows: Rows
    answer: asyncio.Future[tuple[bytes, bytes]]


class RemoteVad:
    """A `Vad` far away, shared by all sessions of this process.

    The rows of all callers that arrive within GATHER_S travel in one call: what a call costs no longer
    depends on the number of sessions. A failure reaches the callers whose rows were in the call, and nobody
    else.
    """

    def __init__(self, vad: DeploymentHandle) -> None:
        self._step = vad.options(method_name="step")
        self._waiting: list[_Asked] = []
        self._gathering = False
        self._in_flight: set[asyncio.Task[None]] = set()
        self._state_bytes = 0
        """Of this model's states; known with the first answer, which is for those who have none yet."""

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        answer: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(pack(frames, states), answer))
        self._gather()
        probabilities, new_states = await answer
        return np.frombuffer(probabilities, np.float32), split_states(new_states, len(states))

    def _gather(self) -> None:
        if self._waiting and not self._gathering and len(self._in_flight) < CALLS_IN_FLIGHT:
            self._gathering = True
            # In an empty context: Serve notes there which request a call is made for, and cancels the call
            # when that request ends. This one is made for many.
            asyncio.get_running_loop().call_later(GATHER_S, self._send, context=Context())

    def _send(self) -> None:
        self._gathering = False
        batch = self._next_batch()
        if not batch:
            return
        task = asyncio.create_task(self._travel(batch))
        self._in_flight.add(task)
        task.add_done_callback(self._arrived)
        self._gather()

    def _next_batch(self) -> list[_Asked]:
        """Those who still wait, oldest first, as many as fit."""
        waiting = [asked for asked in self._waiting if not asked.answer.done()]
        most = min(MAX_ROWS, MAX_ROWS_BYTES // (FRAME_BYTES + self._state_bytes))
        rows, fit = 0, 0
        while fit < len(waiting) and (fit == 0 or rows + len(waiting[fit].rows) <= most):
            rows += len(waiting[fit].rows)
            fit += 1
        self._waiting = waiting[fit:]
        return waiting[:fit]

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._gather()

    async def _travel(self, batch: list[_Asked]) -> None:
        rows = join([asked.rows for asked in batch])
        try:
            probabilities, states = await call("vad", self._step, rows, deadline_s=VAD_DEADLINE_S)
        except StageError as error:
            _fail(batch, error)
        except BaseException:
            _fail(batch, StageLost("vad", "the call was given up"))
            raise
        else:
            self._state_bytes = len(states) // len(rows)
            _share_out(batch, probabilities, states)


def _share_out(batch: list[_Asked], probabilities: bytes, states: bytes) -> None:
    rows = sum(len(asked.rows) for asked in batch)
    p_size, s_size = len(probabilities) // rows, len(states) // rows
    row = 0
    for asked in batch:
        end = row + len(asked.rows)
        if not asked.answer.done():
            asked.answer.set_result(
                (probabilities[row * p_size : end * p_size], states[row * s_size : end * s_size])
            )
        row = end


def _fail(batch: list[_Asked], error: StageError) -> None:
    for asked in batch:
        if not asked.answer.done():
            # One each: an exception that several tasks raise collects all their tracebacks.
            asked.answer.set_exception(type(error)(error.stage, error.reason))


@dataclass(frozen=True, slots=True)
class _Heard:
    """The memory of `RemoteAsr`: what the replica gave, and, where that is a ticket, the sound behind it."""

    token: Token
    sound: tuple[bytes, ...] = ()


class RemoteAsr:
    """An `Asr` far away. A lost, expired or misrouted ticket means that the segment is replayed, once."""

    def __init__(self, asr: DeploymentHandle) -> None:
        self._step = asr.options(method_name="step")

    async def step(
        self, audio: Audio, memory: _Heard | None, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, _Heard]:
        pcm = to_pcm16(audio)
        sound = (*(memory.sound if memory else ()), pcm)
        answer = await self._ask(pcm, memory.token if memory else None, final, hints)
        if isinstance(answer, TicketLost):
            answer = await self._replay(b"".join(sound), final, hints)
        if isinstance(answer, TicketLost):
            raise StageLost("asr", "it forgot the segment twice in a row")
        transcript, token = answer
        return transcript, _Heard(token, sound if isinstance(token, Ticket) else ())

    async def _replay(self, pcm: bytes, final: bool, hints: Hints) -> tuple[Transcript, Token] | TicketLost:
        size = round(REPLAYED_AT_ONCE_S * HEARING_HZ) * 2
        token: Token | None = None
        while len(pcm) > size:
            answer = await self._ask(pcm[:size], token, False, hints)
            if isinstance(answer, TicketLost):
                return answer
            token, pcm = answer[1], pcm[size:]
        return await self._ask(pcm, token, final, hints)

    async def _ask(
        self, pcm: bytes, token: Token | None, final: bool, hints: Hints
    ) -> tuple[Transcript, Token] | TicketLost:
        step = self._step.options(session_id=token.replica) if isinstance(token, Ticket) else self._step
        answer: tuple[Transcript, Token] | TicketLost = await call(
            "asr", step, pcm, HEARING_HZ, token, final, hints, deadline_s=ASR_DEADLINE_S
        )
        return answer


class RemoteSegmentAsr:
    """A `SegmentAsr` far away. Each segment is a call; the replica decodes together what it has."""

    def __init__(self, asr: DeploymentHandle, *, stage: str = "asr") -> None:
        self._stage = stage
        self._transcribe = asr.options(method_name="transcribe")

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        each = zip(segments, hints or [Hints()] * len(segments), strict=True)
        try:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(self._one(segment, its_hints)) for segment, its_hints in each]
        except* StageError as failed:
            raise failed.exceptions[0] from None
        return [call.result() for call in calls]

    async def _one(self, segment: Audio, hints: Hints) -> Transcript:
        transcript: Transcript = await call(
            self._stage,
            self._transcribe,
            to_pcm16(segment),
            segment.rate_hz,
            hints,
            deadline_s=ASR_DEADLINE_S,
        )
        return transcript


class RemoteTurn:
    """An `EndOfTurn` far away."""

    def __init__(self, turn: DeploymentHandle) -> None:
        self._predict = turn.options(method_name="predict")

    async def predict(self, audio: Audio) -> float:
        pcm = to_pcm16(audio)
        probability: float = await call("turn", self._predict, pcm, audio.rate_hz, deadline_s=TURN_DEADLINE_S)
        return probability


# --- mouths


class RemoteLlm:
    """An `Llm` far away. Replies of one session come from one replica, which may keep its prompt's prefix."""

    def __init__(self, llm: DeploymentHandle) -> None:
        self._reply = llm.options(method_name="reply", stream=True)

    def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        reply = self._reply.options(session_id=params.session) if params.session else self._reply
        return stream("llm", reply, tuple(messages), tuple(tools), params)


class RemoteTts:
    """A `Tts` far away."""

    def __init__(self, tts: DeploymentHandle) -> None:
        self._speak = tts.options(method_name="speak", stream=True)

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[SpeechPart, None]:
        parts = stream("tts", self._speak, text, voice, speed)
        try:
            async for part in parts:
                yield part if isinstance(part, WordTimes) else from_pcm16(*part)
        finally:
            await parts.aclose()
