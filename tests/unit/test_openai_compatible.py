"""OpenAiCompatible against a real HTTP server on this machine that does as it was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from conversation.errors import ConfigError, StageError, StageFailed, StageLate, StageLost
from conversation.stages import (
    Message,
    ReplyParams,
    ReplyPart,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from deployments.llm.openai_compatible import OpenAiCompatible

KEY = "sk-very-secret-0123456789"
HELLO = [Message("system", "Be brief."), Message("user", "Hello?")]
TIMER = Tool("set_timer", "Sets a timer.", {"type": "object", "properties": {"minutes": {"type": "number"}}})

DONE = "[DONE]"
HANG = "hang until the client goes away"
DROP = "break the connection"


@dataclass(frozen=True)
class Refuse:
    status: int
    body: str = '{"error": {"message": "no"}}'


Script = list[str] | Refuse
"""What one request is answered with: server-sent events or orders like HANG, or a refusal."""


@dataclass
class ChatServer:
    """Answers each request with the next script."""

    scripts: list[Script]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """The client closed its connection during a HANG."""
    host: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = next(
            int(h.split(":")[1]) for h in head.split("\r\n") if h.lower().startswith("content-length")
        )
        self.headers.append(head)
        self.requests.append(json.loads(await reader.readexactly(length)))
        script = self.scripts.pop(0)
        if isinstance(script, Refuse):
            body = script.body.encode()
            writer.write(
                f"HTTP/1.1 {script.status} No\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for event in script:
            if event == HANG:
                self.hanging.set()
                await reader.read()
                self.left.set()
            if event in (HANG, DROP):
                raise ConnectionError
            data = f"data: {event}\n\n".encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[ChatServer]:
    chat = ChatServer(list(scripts))
    server = await asyncio.start_server(chat.serve, "127.0.0.1", 0)
    chat.host = "127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    async with server:
        yield chat


@asynccontextmanager
async def asking(chat: ChatServer, **options: Any) -> AsyncIterator[OpenAiCompatible]:
    async with aclosing(OpenAiCompatible(base_url=chat.url, model="m", **options)) as llm:
        yield llm


async def soon(event: asyncio.Event) -> None:
    """Only so that a defect fails and does not hang."""
    async with asyncio.timeout(10):
        await event.wait()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", KEY)
    monkeypatch.delenv("LLM_BASE_URL", raising=False)
    monkeypatch.delenv("LLM_MODEL", raising=False)
    monkeypatch.delenv("LLM_EXTRA", raising=False)


def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
    )


def says(*texts: str, finish: str = "stop") -> list[str]:
    return [chunk({"role": "assistant"}), *(chunk({"content": t}) for t in texts), chunk({}, finish)]


def calls(*deltas: dict[str, Any], finish: str = "tool_calls") -> list[str]:
    return [*(chunk({"tool_calls": [delta]}) for delta in deltas), chunk({}, finish), DONE]


def call(index: int, arguments: str, call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def counted(cached: int = 0) -> str:
    usage = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [],
            "usage": {**usage, "prompt_tokens_details": {"cached_tokens": cached}},
        }
    )


async def parts_of(
    llm: OpenAiCompatible, tools: list[Tool] | None = None, params: ReplyParams = ReplyParams()
) -> list[ReplyPart]:
    return [part async for part in llm.reply(HELLO, tools or [], params)]


async def failure_of(chat: ChatServer, **options: Any) -> StageError:
    async with asking(chat, **options) as llm:
        with pytest.raises(StageError) as caught:
            await parts_of(llm)
    assert KEY not in f"{caught.value!r} {caught.value}"
    assert chat.host in caught.value.reason
    return caught.value


async def test_text_streams_and_usage_comes_last() -> None:
    async with serving([*says("Hel", "lo."), counted(cached=7), DONE]) as chat, asking(chat) as llm:
        assert await parts_of(llm) == [TextDelta("Hel"), TextDelta("lo."), Usage(20, 3, cached_tokens=7)]


async def test_the_first_delta_is_there_before_the_reply_is_complete() -> None:
    async with serving([chunk({"content": "Well"}), HANG]) as chat, asking(chat) as llm:
        parts = llm.reply(HELLO)
        assert await anext(parts) == TextDelta("Well")
        await parts.aclose()


async def test_a_reply_stopped_by_the_token_limit_says_so() -> None:
    async with serving([*says("He", finish="length"), counted(), DONE]) as chat, asking(chat) as llm:
        assert (await parts_of(llm))[-1] == Usage(20, 3, cut_off=True)


async def test_a_reply_stopped_by_the_limit_of_a_server_that_does_not_count_says_so_too() -> None:
    async with serving([*says("He", finish="length"), DONE]) as chat, asking(chat) as llm:
        assert (await parts_of(llm))[-1] == Usage(0, 0, cut_off=True)


async def test_the_request_is_what_the_conversation_was() -> None:
    timer = ToolCall("c1", "set_timer", '{"minutes": 3}')
    messages = [
        Message("system", "Be brief."),
        Message("user", "Three minutes."),
        Message("assistant", "", (timer,)),
        Message("tool", "done", call_id="c1"),
    ]
    params = ReplyParams(max_tokens=50, tool_choice="set_timer")
    async with serving([*says("Ok."), DONE]) as chat, asking(chat, max_tokens=90, temperature=0.4) as llm:
        async for _ in llm.reply(messages, [TIMER], params):
            pass
    [sent] = chat.requests
    assert f"Bearer {KEY}" in chat.headers[0]
    assert sent["model"] == "m"
    assert sent["max_tokens"] == 50
    assert sent["temperature"] == 0.4
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "set_timer"}}
    assert sent["tools"][0]["function"]["parameters"] == dict(TIMER.parameters)
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Three minutes."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "set_timer", "arguments": '{"minutes": 3}'},
                }
            ],
        },
        {"role": "tool", "content": "done", "tool_call_id": "c1"},
    ]


async def test_what_was_not_asked_for_is_left_to_the_server() -> None:
    async with serving([*says("Ok."), DONE]) as chat, asking(chat) as llm:
        await parts_of(llm)
    assert chat.requests[0].keys() == {"model", "messages", "stream", "stream_options"}


def written(call_id: str, *arguments: str) -> list[ReplyPart]:
    return [ToolCallDelta(call_id, "set_timer", each) for each in arguments]


def made(call_id: str, arguments: str) -> ToolCall:
    return ToolCall(call_id, "set_timer", arguments)


async def test_a_tool_call_arrives_as_it_is_written_and_then_whole() -> None:
    script = calls(call(0, "", "c1", "set_timer"), call(0, '{"min'), call(0, 'utes": 3}'))
    async with serving(script) as chat, asking(chat) as llm:
        assert await parts_of(llm, [TIMER]) == [
            *written("c1", "", '{"min', 'utes": 3}'),
            made("c1", '{"minutes": 3}'),
        ]


async def test_a_tool_calls_first_words_are_there_before_the_rest() -> None:
    begun = chunk({"tool_calls": [call(0, "{", "c1", "set_timer")]})
    async with serving([begun, HANG]) as chat, asking(chat) as llm:
        parts = llm.reply(HELLO, [TIMER])
        assert [await anext(parts)] == written("c1", "{")
        await parts.aclose()


@pytest.mark.parametrize("second_index", [1, 0])
async def test_two_tool_calls_are_kept_apart_even_when_a_server_does_not_number_them(
    second_index: int,
) -> None:
    script = calls(
        call(0, '{"minutes":', "c1", "set_timer"), call(0, "3}"), call(second_index, "", "c2", "set_timer")
    )
    async with serving(script) as chat, asking(chat) as llm:
        assert await parts_of(llm, [TIMER]) == [
            *written("c1", '{"minutes":', "3}"),
            *written("c2", ""),
            made("c1", '{"minutes":3}'),
            *written("c2", "{}"),
            made("c2", "{}"),
        ]


async def test_calls_that_a_server_writes_side_by_side_are_kept_apart() -> None:
    script = calls(
        call(0, "{", "c1", "set_timer"), call(1, "{", "c2", "set_timer"), call(0, "}"), call(1, " }")
    )
    async with serving(script) as chat, asking(chat) as llm:
        assert await parts_of(llm, [TIMER]) == [
            *[*written("c1", "{"), *written("c2", "{"), *written("c1", "}"), *written("c2", " }")],
            *[made("c1", "{}"), made("c2", "{ }")],
        ]


async def test_a_call_is_told_once_its_name_is_known() -> None:
    script = calls(call(0, '{"min', "c1"), call(0, "utes", name="set_timer"), call(0, '": 3}'))
    async with serving(script) as chat, asking(chat) as llm:
        assert await parts_of(llm, [TIMER]) == [
            *written("c1", '{"minutes', '": 3}'),
            made("c1", '{"minutes": 3}'),
        ]


async def test_a_call_that_was_given_no_id_has_one_of_its_own() -> None:
    async with serving(calls(call(0, "{", name="set_timer"), call(0, "}"))) as chat, asking(chat) as llm:
        *deltas, whole = await parts_of(llm, [TIMER])
    assert isinstance(whole, ToolCall)
    assert whole.call_id.startswith("call_")
    assert deltas == written(whole.call_id, "{", "}")


async def test_a_call_without_a_name_is_the_replys_failure() -> None:
    async with serving(calls(call(0, "{}", "c1"))) as chat:
        assert type(failure := await failure_of(chat)) is StageFailed
    assert "without a name" in failure.reason


async def test_a_tool_call_cut_short_by_the_limit_is_never_made() -> None:
    script = calls(call(0, "{}", "c1", "set_timer"), call(1, '{"minu', "c2", "set_timer"), finish="length")
    async with serving(script) as chat, asking(chat) as llm:
        assert await parts_of(llm, [TIMER]) == [
            *[*written("c1", "{}"), *written("c2", '{"minu')],
            made("c1", "{}"),
            Usage(0, 0, cut_off=True),
        ]


async def test_a_tool_call_that_breaks_off_is_never_made_nor_asked_for_again() -> None:
    begun = chunk({"tool_calls": [call(0, '{"min', "c1", "set_timer")]})
    async with serving([begun, DROP]) as chat, asking(chat) as llm:
        parts = llm.reply(HELLO, [TIMER])
        assert [await anext(parts)] == written("c1", '{"min')
        with pytest.raises(StageLost):
            await anext(parts)
    assert len(chat.requests) == 1


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thoughts_that_a_server_sets_apart_are_never_said(field: str) -> None:
    """DeepSeek and SGLang stream them as the one, vLLM and OpenRouter as the other."""
    script = [
        chunk({"role": "assistant", "content": None, field: "They "}),
        chunk({"content": "", field: "greet me."}),
        *says("Hi."),
        DONE,
    ]
    async with serving(script) as chat, asking(chat) as llm:
        assert await parts_of(llm) == [TextDelta("Hi.")]


async def test_thoughts_that_a_server_leaves_in_the_text_are_never_said() -> None:
    """As Qwen 3 writes them: its server has no reasoning parser."""
    async with (
        serving([*says("<think>", "\n", "\n", "</think>", "\n\n", "Hi.")]) as chat,
        asking(chat) as llm,
    ):
        assert await parts_of(llm) == [TextDelta("Hi.")]


THOUGHT_FIRST = [*says("They greet", " me.</thi", "nk>\n\n", "Hi."), DONE]
"""As DeepSeek R1 writes it: the prompt ended with <think>."""


async def test_thoughts_that_the_prompt_opened_are_never_said_where_that_is_known() -> None:
    async with serving(THOUGHT_FIRST) as chat, asking(chat, thinks_first=True) as llm:
        assert await parts_of(llm) == [TextDelta("Hi.")]


async def test_a_server_whose_thoughts_were_said_is_named_with_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(THOUGHT_FIRST) as chat, asking(chat) as llm:
        assert (await parts_of(llm))[-1] == TextDelta("Hi.")
    assert f"{chat.host} wrote </think> without <think>" in caplog.text
    assert "thinks_first" in caplog.text


THINKING_OFF = {"chat_template_kwargs": {"enable_thinking": False}}


@pytest.mark.parametrize("from_environment", [False, True])
async def test_what_only_some_servers_know_is_sent_along(
    from_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_EXTRA", json.dumps(THINKING_OFF if from_environment else {"seed": 1}))
    options = {} if from_environment else {"extra": THINKING_OFF}
    async with serving([*says("Ok."), DONE]) as chat, asking(chat, **options) as llm:
        await parts_of(llm)
    assert chat.requests[0].items() >= THINKING_OFF.items()
    assert "seed" not in chat.requests[0]


@pytest.mark.parametrize("first", [Refuse(500), Refuse(429), [DROP]])
async def test_a_passing_failure_before_the_first_token_is_tried_again_once(first: Script) -> None:
    async with serving(first, [*says("Hi."), DONE]) as chat, asking(chat) as llm:
        assert await parts_of(llm) == [TextDelta("Hi.")]
    assert len(chat.requests) == 2


async def test_a_failure_that_stays_is_lost_and_names_the_host() -> None:
    async with serving(Refuse(503), Refuse(503)) as chat:
        assert type(failure := await failure_of(chat)) is StageLost
    assert "503" in failure.reason


async def test_a_refused_key_is_named_by_its_variable_and_not_tried_again() -> None:
    async with serving(Refuse(401, f'{{"error": {{"message": "wrong key {KEY}"}}}}')) as chat:
        assert type(failure := await failure_of(chat)) is StageFailed
    assert "LLM_API_KEY" in failure.reason


async def test_a_server_that_repeats_the_key_in_its_error_does_not_spread_it() -> None:
    async with serving(Refuse(400, f'{{"error": {{"message": "bad header {KEY}"}}}}')) as chat:
        assert "bad header …" in (await failure_of(chat)).reason


async def test_an_unknown_model_is_named() -> None:
    async with serving(Refuse(404)) as chat:
        assert type(failure := await failure_of(chat)) is StageFailed
    assert "LLM_MODEL" in failure.reason


async def test_an_error_event_inside_the_stream_is_the_replys_failure() -> None:
    async with serving(['{"error": {"message": "out of memory"}}']) as chat:
        assert type(failure := await failure_of(chat)) is StageFailed
    assert "out of memory" in failure.reason


async def test_what_is_not_json_is_the_replys_failure() -> None:
    async with serving(["{so much for"]) as chat:
        assert type(await failure_of(chat)) is StageFailed


@pytest.mark.parametrize("end", [[DROP], [], [DONE]])
async def test_a_connection_lost_after_the_first_token_is_not_tried_again(end: list[str]) -> None:
    async with serving([chunk({"content": "Well"}), *end]) as chat, asking(chat) as llm:
        parts = llm.reply(HELLO)
        assert await anext(parts) == TextDelta("Well")
        with pytest.raises(StageLost):
            await anext(parts)
    assert len(chat.requests) == 1


@pytest.mark.parametrize("said", [[], [chunk({"role": "assistant"})]])
async def test_a_server_that_falls_silent_is_late(said: list[str]) -> None:
    async with serving([*said, HANG]) as chat:
        assert type(failure := await failure_of(chat, read_s=0.1)) is StageLate
        await soon(chat.left)
    assert "0.1 s" in failure.reason
    assert len(chat.requests) == 1


async def test_nobody_listening_is_lost_and_named() -> None:
    async with serving() as chat:
        pass
    assert type(failure := await failure_of(chat)) is StageLost
    assert "LLM_BASE_URL" in failure.reason


@pytest.mark.parametrize("said", [[], [chunk({"content": "Well"})]])
async def test_cancelling_closes_the_connection(said: list[str]) -> None:
    async with serving([*said, HANG]) as chat, asking(chat) as llm:
        listener = asyncio.create_task(parts_of(llm))
        await soon(chat.hanging)
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener
        await soon(chat.left)
    assert len(chat.requests) == 1


async def test_closing_the_stream_closes_the_connection() -> None:
    async with serving([chunk({"content": "Well"}), HANG]) as chat, asking(chat) as llm:
        parts = llm.reply(HELLO)
        await anext(parts)
        await parts.aclose()
        await soon(chat.left)


async def test_the_environment_says_where_and_what(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving([*says("Hi."), DONE]) as chat:
        monkeypatch.setenv("LLM_BASE_URL", chat.url)
        monkeypatch.setenv("LLM_MODEL", "from-the-environment")
        async with aclosing(OpenAiCompatible()) as llm:
            await parts_of(llm)
            assert KEY not in repr(llm)
    assert chat.requests[0]["model"] == "from-the-environment"


async def test_no_key_is_needed_where_the_server_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_API_KEY")
    async with serving([*says("Hi."), DONE]) as chat, asking(chat) as llm:
        assert await parts_of(llm) == [TextDelta("Hi.")]


SOMEWHERE: dict[str, Any] = {"base_url": "http://localhost:8000/v1", "model": "m"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "m"}, "LLM_BASE_URL"),
        ({"model": "m", "base_url": "localhost:8000"}, "LLM_BASE_URL"),
        ({"base_url": "http://localhost:8000/v1"}, "LLM_MODEL"),
        (
            {**SOMEWHERE, "extra": {"stream": False, "model": "x"}},
            r"llm\.extra: model, stream cannot be set",
        ),
        ({**SOMEWHERE, "extra": ["seed"]}, r"llm\.extra: give an object"),
        (
            {**SOMEWHERE, "extra": {"day": date(2026, 1, 1)}},
            r"llm\.extra: it does not fit into JSON",
        ),
    ],
)
def test_a_wrong_or_missing_setting_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        OpenAiCompatible(**options)


@pytest.mark.parametrize("text", ["{thinking: off}", '"off"', '{"messages": []}'])
def test_a_wrong_setting_in_the_environment_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_EXTRA", text)
    with pytest.raises(ConfigError, match=r"^LLM_EXTRA: "):
        OpenAiCompatible(**SOMEWHERE)
