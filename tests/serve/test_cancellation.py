"""What a caller gives up, a replica stops. At whatever moment."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, suppress

import pytest
from ray.serve.handle import DeploymentHandle

from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.conversation import Conversation
from conversation.events import Event, OutputAudio, ResponseDone
from conversation.scripted import ScriptedAsr, ScriptedVad, tone
from conversation.settings import Settings, Tuning
from conversation.stages import Message, ReplyParams, Stages
from deployments.calls import RemoteLlm, RemoteTts, call, stream
from deployments.vad.rows import Rows
from tests import remote
from tests.serve.models import TirelessTts

pytestmark = pytest.mark.asyncio(loop_scope="session")

GO_ON = [Message("system", ""), Message("user", "go on")]
CALLS = 200
LONGEST_S = 0.3
QUIET_WITHIN_S = 5.0
PROBE_CHUNKS = 20
"""A probe's own stream is a few chunks ahead of it when it is closed."""


async def stops_running(handle: DeploymentHandle, replicas: int = 1) -> None:
    """Every replica must say that nothing runs. Two answer in turns, so each is asked often enough."""
    quiet = 0
    async with asyncio.timeout(QUIET_WITHIN_S):
        while quiet < 4 * replicas:
            quiet = quiet + 1 if await handle.running.remote() == 0 else 0


async def cancelled_at_random(begin, count: int) -> int:  # type: ignore[no-untyped-def]
    """How many of the calls were cancelled."""
    moments = random.Random(20260101)

    async def one() -> bool:
        task = asyncio.ensure_future(begin())
        await asyncio.sleep(moments.uniform(0, LONGEST_S))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return bool(task.cancelled())

    return sum(await asyncio.gather(*(one() for _ in range(count))))


async def test_after_two_hundred_cancelled_streams_no_replica_works_on(trouble: str) -> None:
    handle = remote.handle(trouble, "endless-llm")
    llm = RemoteLlm(handle)

    async def listen() -> None:
        async with aclosing(llm.reply(GO_ON)) as parts:
            async for _ in parts:
                pass

    assert await cancelled_at_random(listen, CALLS) == CALLS
    await stops_running(handle, replicas=2)


class CancelledAtAssignment:
    """A method of a handle that cancels its caller in the loop turn of the call's assignment."""

    def __init__(self, method: DeploymentHandle) -> None:
        self._method = method

    def remote(self, *args: object) -> object:
        caller = asyncio.current_task()
        assert caller is not None
        response = self._method.remote(*args)
        response._replica_result_future.add_done_callback(lambda _: caller.cancel())
        return response


async def test_a_stream_given_up_in_the_loop_turn_of_its_assignment_does_not_run_on(trouble: str) -> None:
    handle = remote.handle(trouble, "endless-llm")
    method = CancelledAtAssignment(handle.options(method_name="reply", stream=True))

    async def listen() -> None:
        async with aclosing(stream("llm", method, tuple(GO_ON), (), ReplyParams())) as parts:
            async for _ in parts:
                pass

    for _ in range(20):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(listen())
    await stops_running(handle, replicas=2)


async def test_after_two_hundred_cancelled_unary_calls_no_replica_works_on(trouble: str) -> None:
    handle = remote.handle(trouble, "hanging-vad")
    step = handle.options(method_name="step")
    frame = Rows(bytes(1024), b"\0", b"")

    async def ask() -> None:
        await call("vad", step, frame, deadline_s=60)

    assert await cancelled_at_random(ask, CALLS) == CALLS
    await stops_running(handle)


async def test_a_stream_that_is_closed_between_two_items_stops_in_the_replica(trouble: str) -> None:
    handle = remote.handle(trouble, "endless-llm")
    parts = RemoteLlm(handle).reply(GO_ON)
    await anext(parts)
    await parts.aclose()
    await stops_running(handle, replicas=2)


async def test_talking_over_the_agent_ends_its_calls_in_every_replica(trouble: str) -> None:
    """The whole conversation, but for the ears, which are scripted; the model and the voice never end."""
    llm, tts = remote.handle(trouble, "endless-llm"), remote.handle(trouble, "tireless-tts")
    ears = ScriptedVad(), ScriptedAsr(script=["go on", "stop"], repeat=True)
    spoke, ended = asyncio.Event(), asyncio.Event()
    ends: list[tuple[str, str | None]] = []

    def emit(event: Event) -> None:
        if isinstance(event, OutputAudio):
            spoke.set()
        if isinstance(event, ResponseDone):
            ends.append((event.response.status, event.response.reason))
            ended.set()

    conversation = Conversation(
        Stages(*ears, RemoteLlm(llm), RemoteTts(tts)),
        Settings(),
        # Nothing else is to be asked, no turn to end by itself, and every scripted voice is a tone.
        Tuning(read_ahead=False, mute_s=60.0, echo=False),
        emit,
        session_id="over",
    )
    session = asyncio.create_task(conversation.run())
    try:
        async with asyncio.timeout(QUIET_WITHIN_S):
            await conversation.hear(join([tone(0.6), silence(0.6, HEARING_HZ)], HEARING_HZ))
            await spoke.wait()
            assert await tts.running.remote() == 1
            await conversation.hear(tone(0.3))
            await ended.wait()
        await stops_running(llm, replicas=2)
        await stops_running(tts)
        assert ends == [("cancelled", "turn_detected")]
        assert not session.done()
    finally:
        session.cancel()
        await asyncio.wait([session])


async def test_a_voice_that_nobody_listens_to_waits_and_stops_when_closed(trouble: str) -> None:
    handle = remote.handle(trouble, "tireless-tts")
    tts = RemoteTts(handle)

    async def spoken() -> int:
        """How many chunks the model has made for everybody, this one included."""
        async with aclosing(tts.speak("how far are you", "default")) as chunks:
            chunk = await anext(chunks)
            assert isinstance(chunk, Audio)
            return TirelessTts.number(chunk)

    unheard = tts.speak("on and on", "default")
    await anext(unheard)
    async with asyncio.timeout(QUIET_WITHIN_S):
        before = await spoken()
        while (now := await spoken()) > before + PROBE_CHUNKS:
            before = now
    await unheard.aclose()
    await stops_running(handle)
