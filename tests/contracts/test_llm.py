from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from conversation.stages import Llm, Message, ReplyParams, ReplyPart, TextDelta, Usage
from tests.contracts.conftest import called

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT = [
    Message("system", "You are brief."),
    Message("user", "Count from one to ten."),
]
ANSWERED_WITHIN_S = 30.0
"""A small model on a busy machine takes about one."""


@pytest_asyncio.fixture(loop_scope="session")
async def llm(llm_candidate: Any) -> Llm:
    made: Llm = await called(llm_candidate)
    return made


async def whole(llm: Llm, params: ReplyParams = ReplyParams()) -> list[ReplyPart]:
    async with asyncio.timeout(ANSWERED_WITHIN_S), aclosing(llm.reply(PROMPT, (), params)) as parts:
        return [part async for part in parts]


async def test_a_reply_is_text_in_deltas_and_its_usage_last(llm: Llm) -> None:
    *deltas, usage = await whole(llm)
    assert all(isinstance(delta, TextDelta) and delta.text for delta in deltas)
    assert isinstance(usage, Usage)
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0


async def test_a_reply_is_cut_off_where_the_caller_says(llm: Llm) -> None:
    *_, usage = await whole(llm, ReplyParams(max_tokens=2))
    assert isinstance(usage, Usage)
    assert usage.output_tokens <= 2
    assert usage.cut_off


async def test_a_prompt_that_is_only_to_be_read_is_answered_with_no_word(llm: Llm) -> None:
    parts = await whole(llm, ReplyParams(max_tokens=0))
    assert not any(isinstance(part, TextDelta) for part in parts)


async def test_a_reply_that_is_closed_after_its_first_word_leaves_room_for_the_next(llm: Llm) -> None:
    async with aclosing(llm.reply(PROMPT)) as parts:
        assert isinstance(await anext(parts), TextDelta)
    assert len(await whole(llm)) > 1


async def test_a_reply_that_is_cancelled_before_its_first_word_leaves_room_for_the_next(llm: Llm) -> None:
    task = asyncio.create_task(whole(llm))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(await whole(llm)) > 1


async def test_replies_to_several_at_once_are_whole(llm: Llm) -> None:
    replies = await asyncio.gather(*(whole(llm, ReplyParams(session=str(number))) for number in range(3)))
    for *deltas, usage in replies:
        assert deltas
        assert isinstance(usage, Usage)
