"""The callers' side against replicas that die, break, forget and hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from conversation.audio import HEARING_HZ, Audio
from conversation.errors import StageFailed, StageLate, StageLost
from conversation.stages import FRAME_SAMPLES, Message, ReplyPart
from deployments.asr.memories import Ticket
from deployments.calls import RemoteAsr, RemoteLlm, RemoteVad, as_stage_error, call
from deployments.vad.rows import Rows
from tests import remote

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAME = Rows(bytes(2 * FRAME_SAMPLES), b"\0", b"")


def asked_to(what: str) -> list[Message]:
    return [Message("system", ""), Message("user", what)]


def level(tenths: int) -> Audio:
    """A tenth of a second, as loud as so many tenths."""
    return Audio(np.full(HEARING_HZ // 10, tenths / 10, np.float32), HEARING_HZ)


# --- errors


async def test_a_model_that_breaks_is_a_failed_stage(trouble: str) -> None:
    with pytest.raises(StageFailed, match="ZeroDivisionError: of all things"):
        await anext(RemoteLlm(remote.handle(trouble, "endless-llm")).reply(asked_to("break")))


async def test_what_a_model_says_of_its_failure_arrives_word_for_word(trouble: str) -> None:
    with pytest.raises(StageFailed, match=r"^llm: the prompt is empty$") as failed:
        await anext(RemoteLlm(remote.handle(trouble, "endless-llm")).reply(asked_to("refuse")))
    assert type(failed.value) is StageFailed


async def test_a_stage_that_does_not_answer_is_late(trouble: str) -> None:
    step = remote.handle(trouble, "hanging-vad").options(method_name="step")
    with pytest.raises(StageLate, match="vad"):
        await call("vad", step, FRAME, deadline_s=0.3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BackPressureError(num_queued_requests=3, max_queued_requests=3), "all replicas are full"),
        (RayActorError(), "died or cannot be reached"),
    ],
)
async def test_serves_own_errors_are_lost_stages(error: Exception, words: str) -> None:
    assert isinstance(lost := as_stage_error("tts", error), StageLost)
    assert words in lost.reason


# --- replicas that die


async def heard_to_the_end(parts: AsyncGenerator[ReplyPart, None]) -> None:
    async with aclosing(parts):
        async for _ in parts:
            pass


async def test_a_stream_whose_replica_dies_is_lost_and_the_next_one_is_served(trouble: str) -> None:
    llm = RemoteLlm(remote.handle(trouble, "endless-llm"))
    with pytest.raises(StageLost):
        await heard_to_the_end(llm.reply(asked_to("die")))
    async with aclosing(llm.reply(asked_to("go on"))) as parts:
        await anext(parts)


async def test_a_unary_call_whose_replica_dies_is_answered_by_another(trouble: str, died: Path) -> None:
    vad = RemoteVad(remote.handle(trouble, "mortal-vad"))
    deadly = np.full((1, FRAME_SAMPLES), -1, np.float32)
    probabilities, [state] = await vad.step(deadly, [None])
    assert (died / "vad").exists()
    assert probabilities == [1.0]
    assert state == [1.0]


# --- many listeners in one call


async def test_rows_of_many_listeners_never_mix(trouble: str) -> None:
    """Every listener has its own pattern of loud and silent frames, and a state that counts them."""
    vad = RemoteVad(remote.handle(trouble, "mortal-vad"))
    listeners, frames = 40, 25
    patterns = np.random.default_rng(7).integers(0, 2, (listeners, frames))

    async def listen(listener: int) -> None:
        state = None
        for number, loud in enumerate(patterns[listener], 1):
            frame = np.full((1, FRAME_SAMPLES), 0.3 * loud, np.float32)
            probabilities, [state] = await vad.step(frame, [state])
            assert probabilities == [loud]
            assert state == [number]

    async with asyncio.TaskGroup() as group:
        for listener in range(listeners):
            group.create_task(listen(listener))


async def test_frames_that_come_together_travel_together(trouble: str) -> None:
    handle = remote.handle(trouble, "mortal-vad")
    vad = RemoteVad(handle)
    sent: list[int] = []
    travel = vad._travel

    async def counted(batch):  # type: ignore[no-untyped-def]
        sent.append(len(batch))
        await travel(batch)

    vad._travel = counted  # type: ignore[method-assign]
    frame = np.zeros((1, FRAME_SAMPLES), np.float32)
    await asyncio.gather(*(vad.step(frame, [None]) for _ in range(100)))
    assert sum(sent) == 100
    assert len(sent) <= 3


async def test_a_listener_who_leaves_costs_the_others_nothing(trouble: str) -> None:
    vad = RemoteVad(remote.handle(trouble, "mortal-vad"))
    frame = np.zeros((1, FRAME_SAMPLES), np.float32)
    leaving = [asyncio.ensure_future(vad.step(frame, [None])) for _ in range(10)]
    staying = [asyncio.ensure_future(vad.step(frame, [None])) for _ in range(10)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    for _, [state] in await asyncio.gather(*staying):
        assert state == [1.0]
    assert all(task.cancelled() for task in await settled(leaving))


async def settled(tasks: list[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
    return tasks


async def test_a_failure_reaches_those_whose_rows_were_in_the_call_and_nobody_else(trouble: str) -> None:
    broken, sound = (RemoteVad(remote.handle(trouble, name)) for name in ("hanging-vad", "mortal-vad"))
    frame = np.zeros((1, FRAME_SAMPLES), np.float32)
    lost = [asyncio.ensure_future(broken.step(frame, [None])) for _ in range(3)]
    assert (await sound.step(frame, [None]))[1] == [1.0]
    for task in lost:
        with pytest.raises(StageLate):
            await task


# --- memories that stay in the replica


async def test_every_step_goes_to_the_replica_that_holds_the_memory(trouble: str) -> None:
    asr = RemoteAsr(remote.handle(trouble, "long-memory-asr"))
    memory: Any = None
    holders = set()
    for number in range(1, 10):
        transcript, memory = await asr.step(level(number), memory, final=number == 9)
        holders.add(memory.token.replica)
    assert transcript.text == "1 2 3 4 5 6 7 8 9"
    assert len(holders) == 1


@pytest.mark.parametrize("ticket", [Ticket("elsewhere", 1), "expired"], ids=["misrouted", "expired"])
async def test_a_ticket_that_is_lost_costs_a_replay_and_no_word(trouble: str, ticket: Ticket | str) -> None:
    asr = RemoteAsr(remote.handle(trouble, "long-memory-asr"))
    memory: Any = None
    for number in (1, 2, 3):
        _, memory = await asr.step(level(number), memory, final=False)
    lost = replace(memory.token, number=10**9) if ticket == "expired" else ticket
    transcript, memory = await asr.step(level(4), replace(memory, token=lost), final=False)
    assert transcript.text == "1 2 3 4"
    transcript, _ = await asr.step(level(5), memory, final=True)
    assert transcript.text == "1 2 3 4 5"


async def test_two_segments_at_once_are_kept_apart(trouble: str) -> None:
    asr = RemoteAsr(remote.handle(trouble, "long-memory-asr"))

    async def say(levels: list[int]) -> str:
        memory = None
        for number in levels:
            transcript, memory = await asr.step(level(number), memory, final=False)
        return transcript.text

    said = [[1, 2, 3, 4, 5], [9, 8, 7, 6, 5], [2, 2, 2, 3]]
    heard = await asyncio.gather(*(say(levels) for levels in said))
    assert heard == [" ".join(map(str, levels)) for levels in said]


async def test_a_segment_that_seemed_over_goes_on_from_the_memory_before(trouble: str) -> None:
    asr = RemoteAsr(remote.handle(trouble, "long-memory-asr"))
    _, open_segment = await asr.step(level(1), None, final=False)
    over, _ = await asr.step(level(2), open_segment, final=True)
    on, _ = await asr.step(level(3), open_segment, final=True)
    assert (over.text, on.text) == ("1 2", "1 3")


async def test_a_long_segment_is_replayed_in_pieces(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.calls.REPLAYED_AT_ONCE_S", 0.2)
    asr = RemoteAsr(remote.handle(trouble, "long-memory-asr"))
    memory: Any = None
    for number in (1, 2, 3, 4, 5):
        _, memory = await asr.step(level(number), memory, final=False)
    transcript, _ = await asr.step(level(6), replace(memory, token=Ticket("elsewhere", 1)), final=True)
    assert transcript.text == "1 2 3 4 5 6"
