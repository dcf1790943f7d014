"""Where the calls of a session go, over several replicas of a real stage."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager

import pytest
from ray.serve.context import _RequestContext, _serve_request_context

from conversation.errors import StageLost
from conversation.stages import Message, ReplyParams, ReplyPart, TextDelta, Tool, Usage
from deployments.calls import RemoteLlm
from deployments.local_ray import LocalRay
from tests import remote

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = "tests.serve.test_routing"
LLAMA = "deployments.llm.llama_cpp:LlamaCpp"
AT_ONCE = 20
"""Calls that one replica takes."""
PATIENCE_S = 30.0
"""Only so that a defect fails and does not hang."""


class NamedLlm:
    """Answers with the number of its process. Asked to stay, it then says nothing more."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        yield TextDelta(str(os.getpid()))
        if messages[-1].text == "stay":
            await asyncio.Event().wait()


@pytest.fixture(scope="module")
def app(ray_server: LocalRay) -> str:
    options = {"seed": 7, "prompt_tokens": 256, "context_tokens": 512}  # short prompts: a quick test
    remote.deploy(
        "routing",
        named=remote.hosted(remote.Llm, "named", f"{HERE}:NamedLlm", replicas=2, max_ongoing=AT_ONCE),
        llama=remote.hosted(remote.Llm, "llama", LLAMA, options, replicas=2),
    )
    return "routing"


def asked_to(what: str) -> list[Message]:
    return [Message("system", "Be brief."), Message("user", what)]


async def replica_of(llm: RemoteLlm, session: str) -> int:
    """The process that answers the session's next call."""
    async with asyncio.timeout(PATIENCE_S):
        [said] = [part async for part in llm.reply(asked_to("answer"), (), ReplyParams(session))]
    assert isinstance(said, TextDelta)
    return int(said.text)


@contextmanager
def one_request() -> Iterator[None]:
    """Calls made inside are made for one and the same request, as all of a session are for its socket."""
    token = _serve_request_context.set(_RequestContext(_internal_request_id="socket"))
    try:
        yield
    finally:
        _serve_request_context.reset(token)


async def test_each_session_stays_with_one_replica_and_each_replica_has_as_many(app: str) -> None:
    llm = RemoteLlm(remote.handle(app, "named"))
    homes = {f"s{n}": {await replica_of(llm, f"s{n}") for _ in range(3)} for n in range(24)}
    assert all(len(home) == 1 for home in homes.values())
    shares = Counter(min(home) for home in homes.values())
    assert len(shares) == 2
    assert min(shares.values()) >= 11  # of 24; other tests have their sessions there too


async def test_calls_without_a_session_are_spread(app: str) -> None:
    llm = RemoteLlm(remote.handle(app, "named"))
    assert len({await replica_of(llm, "") for _ in range(24)}) == 2  # in all but one of 8 million runs


async def test_calls_of_one_session_at_once_all_go_to_one_replica(app: str) -> None:
    """With Serve's ConsistentHashRouter most of them would wait for ever."""
    llm = RemoteLlm(remote.handle(app, "named"))
    with one_request():
        for session in ("twin-1", "twin-2", "twin-3", "twin-4"):
            homes = await asyncio.gather(*(replica_of(llm, session) for _ in range(AT_ONCE)))
            assert set(homes) == {await replica_of(llm, session)}


async def test_a_busy_moment_of_its_replica_sends_a_session_elsewhere_and_back_again(app: str) -> None:
    llm = RemoteLlm(remote.handle(app, "named"))
    home = await replica_of(llm, "patient")
    async with AsyncExitStack() as busy:
        for _ in range(AT_ONCE):
            parts = await busy.enter_async_context(
                aclosing(llm.reply(asked_to("stay"), (), ReplyParams("patient")))
            )
            assert await anext(parts) == TextDelta(str(home))
        elsewhere = await asyncio.gather(*(replica_of(llm, "patient") for _ in range(5)))
        assert home not in elsewhere
    async with asyncio.timeout(PATIENCE_S):  # closed here, a stream takes a moment to end in the replica
        while await replica_of(llm, "patient") != home:
            pass


async def test_a_local_model_finds_the_prompts_of_its_sessions_again(app: str) -> None:
    """Each of four sessions asks three times; from the second time on its prompt has been read before."""
    llm = RemoteLlm(remote.handle(app, "llama"))

    async def usage(session: str, messages: Sequence[Message]) -> Usage:
        async with asyncio.timeout(2 * PATIENCE_S):
            parts = [part async for part in llm.reply(messages, (), ReplyParams(session, max_tokens=3))]
        assert isinstance(parts[-1], Usage)
        return parts[-1]

    names = ("Ada", "Bela", "Cleo", "Dora")
    histories = {
        name: [Message("system", f"You talk to {name}. " * 8), Message("user", f"I am {name}, hello!")]
        for name in names
    }
    for turn in range(3):
        for name, messages in histories.items():
            counted = await usage(name, messages)
            share = counted.cached_tokens / counted.input_tokens
            assert turn == 0 or share > 0.5, (turn, name, counted)
            messages += [Message("assistant", "Hello."), Message("user", "And what is the time?")]


async def test_a_session_whose_replica_dies_gets_another_and_stays_there(app: str) -> None:
    llm = RemoteLlm(remote.handle(app, "named"))
    home = await replica_of(llm, "orphan")
    async with aclosing(llm.reply(asked_to("stay"), (), ReplyParams("orphan"))) as under_way:
        await anext(under_way)
        os.kill(home, signal.SIGKILL)
        with pytest.raises(StageLost):
            await anext(under_way)
    homes = [await replica_of(llm, "orphan") for _ in range(5)]
    assert home not in homes
    assert len(set(homes)) == 1
