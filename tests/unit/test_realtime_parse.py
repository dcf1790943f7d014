from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.errors import ClientError
from conversation.items import AudioPart, CallItem, CallOutputItem, ItemReference, MessageItem, TextPart
from conversation.settings import ResponseRequest
from conversation.stages import Tool, ToolCall
from realtime import client_events as asked
from realtime.items import from_wire
from realtime.parse import MAX_APPEND_BYTES, decode, event_id, typed

TEXT_PART = {"type": "input_text", "text": "Hello."}


def message(**fields: Any) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [TEXT_PART], **fields}
    return {"type": "conversation.item.create", "item": item}


def refusal(event: dict[str, Any]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        typed(event)
    return caught.value


# --- frames


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x00\x01", "invalid_event"),
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ('{"type": "session.update", "a": NaN}', "invalid_json"),
        ('{"a": 1e999}', "invalid_json"),
        ("[1]", "invalid_event"),
        ("null", "invalid_event"),
        ("[" * 40_000, "invalid_json"),
        ('{"a":[' + "1," * 60_000 + "1]}", "invalid_event"),
        ('{"a":' + "9" * 5000 + "}", "invalid_json"),
    ],
)
def test_a_frame_that_is_no_event_gets_a_documented_code(frame: str | bytes, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        decode(frame)
    assert caught.value.code == code


def test_a_deep_event_is_refused() -> None:
    event = decode('{"type": "session.update", "session": ' + '{"a":' * 50 + "1" + "}" * 50 + "}")
    assert refusal(event).code == "invalid_event"


def test_the_id_that_an_error_echoes_is_any_text_and_nothing_else() -> None:
    assert event_id({"event_id": "mine"}) == "mine"
    assert event_id({"event_id": 5}) is None
    assert event_id({}) is None


# --- errors name the field


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": None}, "missing_required_parameter", "type"),
        ({"type": "nope"}, "invalid_value", "type"),
        ({"type": 5}, "invalid_value", "type"),
        ({"type": "output_audio_buffer.clear"}, "unsupported_value", "type"),
        ({"type": "response.cancel", "event_id": 5}, "invalid_type", "event_id"),
        ({"type": "response.cancel", "bogus": 5}, "unknown_parameter", "bogus"),
        ({"type": "response.cancel", "bogus": None}, "unknown_parameter", "bogus"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": []}, "invalid_type", "session"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.delete", "item_id": None}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.delete", "item_id": ""}, "string_below_min_length", "item_id"),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "conversation.item.create", "item": 5}, "invalid_type", "item"),
        ({"type": "conversation.item.create", "item": {}}, "missing_required_parameter", "item.type"),
        (message(type="nope"), "invalid_value", "item.type"),
        (message(type="mcp_call"), "unsupported_value", "item.type"),
        (
            {"type": "conversation.item.create", "item": {"type": "function_call_output", "output": "{}"}},
            "missing_required_parameter",
            "item.call_id",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "item_reference", "id": "a"}},
            "invalid_value",
            "item.type",
        ),
        (message(role="tool"), "invalid_value", "item.role"),
        (message(role=None), "missing_required_parameter", "item.role"),
        (message(content="Hello."), "invalid_type", "item.content"),
        (message(content=[TEXT_PART, {"type": "text"}]), "invalid_value", "item.content[1].type"),
        (message(content=[{"type": "input_text"}]), "missing_required_parameter", "item.content[0].text"),
        (message(content=[{"type": "input_text", "text": 5}]), "invalid_type", "item.content[0].text"),
        (message(content=[{**TEXT_PART, "x": 5}]), "unknown_parameter", "item.content[0].x"),
        (
            message(content=[{"type": "input_text", "text": "\ud800"}]),
            "invalid_value",
            "item.content[0].text",
        ),
        ({"type": "\ud800"}, "invalid_value", None),
        (message(role="\ud800"), "invalid_value", "item.role"),
        (message(content=[{"type": "input_image"}]), "unsupported_value", "item.content[0].type"),
        (message(status="finished"), "invalid_value", "item.status"),
        (
            {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": -1},
            "integer_below_min_value",
            "audio_end_ms",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": "1"},
            "invalid_type",
            "audio_end_ms",
        ),
        (
            {"type": "response.create", "response": {"input": [{"type": "item_reference"}]}},
            "missing_required_parameter",
            "response.input[0].id",
        ),
        (
            {"type": "response.create", "response": {"tools": [{}]}},
            "missing_required_parameter",
            "response.tools[0].name",
        ),
        (
            {"type": "response.create", "response": {"tools": [{"type": "mcp"}]}},
            "unsupported_value",
            "response.tools[0].type",
        ),
        (
            {"type": "response.create", "response": {"tools": [{"type": "function", "name": "no spaces"}]}},
            "invalid_value",
            "response.tools[0].name",
        ),
        (
            {"type": "response.create", "response": {"max_output_tokens": 5000}},
            "integer_above_max_value",
            "response.max_output_tokens",
        ),
        (
            {"type": "response.create", "response": {"metadata": {"key": 5}}},
            "invalid_type",
            "response.metadata.key",
        ),
        (
            {"type": "response.create", "response": {"metadata": {str(n): "" for n in range(17)}}},
            "object_above_max_length",
            "response.metadata",
        ),
        (
            {
                "type": "response.create",
                "response": {"audio": {"output": {"format": {"type": "audio/opus"}}}},
            },
            "invalid_value",
            "response.audio.output.format.type",
        ),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": 5}, "invalid_type", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "AAA"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "A-_A"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "\u00e4AAA"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "", "x": 1}, "unknown_parameter", "x"),
    ],
)
def test_what_is_wrong_with_an_event_is_named(event: dict[str, Any], code: str, param: str | None) -> None:
    error = refusal(event)
    assert (error.code, error.param) == (code, param), error.message


def test_an_unknown_type_is_answered_with_the_known_ones() -> None:
    error = refusal({"type": "nope"})
    assert error.message.startswith("Invalid value: 'nope'. Supported values are: ")
    assert all(f"'{kind}'" in error.message for kind in asked.CLIENT_EVENT_TYPES)


def test_an_error_never_quotes_more_than_a_line_of_what_was_sent() -> None:
    assert len(refusal({"type": "n" * 10_000}).message) < 1000
    assert len(refusal({"type": "response.cancel", "x" * 10_000: 1}).message) < 1000


# --- audio


def test_an_append_gives_its_bytes() -> None:
    pcm = bytes(range(256)) * 7 + b"\x01"
    audio = base64.b64encode(pcm).decode()
    assert typed({"type": "input_audio_buffer.append", "audio": audio}) == asked.Append(pcm)
    with_id = {"type": "input_audio_buffer.append", "audio": audio, "event_id": "e"}
    assert typed(with_id) == asked.Append(pcm)
    assert typed({**with_id, "event_id": None}) == asked.Append(pcm)


def test_an_append_holds_15_mib_and_no_more() -> None:
    fits = base64.b64encode(bytes(MAX_APPEND_BYTES)).decode()
    event = decode(json.dumps({"type": "input_audio_buffer.append", "audio": fits}))
    assert typed(event) == asked.Append(bytes(MAX_APPEND_BYTES))
    error = refusal({"type": "input_audio_buffer.append", "audio": fits + "AAAA"})
    assert (error.code, error.param) == ("string_above_max_length", "audio")


# --- meaning


def test_null_for_an_optional_field_means_not_given() -> None:
    fields = dict.fromkeys(asked.ResponseParams.model_fields)
    event = typed({"type": "response.create", "event_id": None, "response": fields})
    assert isinstance(event, asked.ResponseCreate)
    assert event.response.request() == ResponseRequest()
    assert typed({"type": "response.create", "response": None}) == event


def test_empty_instructions_of_a_response_are_those_of_the_session() -> None:
    event = typed({"type": "response.create", "response": {"instructions": ""}})
    assert isinstance(event, asked.ResponseCreate)
    assert event.response.request().instructions is None


def test_a_response_is_asked_for_in_the_conversation_s_terms() -> None:
    event = typed(
        {
            "type": "response.create",
            "response": {
                "instructions": "Be brief.",
                "output_modalities": ["text"],
                "audio": {"output": {"voice": {"id": "mine"}, "format": {"type": "audio/pcm"}}},
                "max_output_tokens": 50,
                "metadata": {"client_event_id": "7"},
                "conversation": "auto",
                "tools": [],
                "tool_choice": "auto",
            },
        }
    )
    assert isinstance(event, asked.ResponseCreate)
    assert event.response.request() == ResponseRequest(
        instructions="Be brief.",
        modality="text",
        voice="mine",
        max_output_tokens=50,
        metadata={"client_event_id": "7"},
        encoding="audio/pcm",
        tools=(),
        tool_choice="auto",
    )


def test_a_response_out_of_band_brings_what_it_is_to_answer() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    event = typed(
        {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "input": [
                    {"type": "item_reference", "id": "earlier"},
                    {"type": "message", "id": "a", "role": "user", "content": [TEXT_PART]},
                    {"type": "function_call", "id": "b", "call_id": "c", "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "id": "d", "call_id": "c", "output": "12"},
                ],
                "tools": [
                    {"type": "function", "name": "f", "description": "Looks.", "parameters": parameters},
                    {"name": "g"},
                ],
                "tool_choice": {"type": "function", "name": "f"},
            },
        }
    )
    assert isinstance(event, asked.ResponseCreate)
    assert event.response.request() == ResponseRequest(
        aside=True,
        input=(
            ItemReference("earlier"),
            MessageItem("a", "user", (TextPart("Hello."),)),
            CallItem("b", ToolCall("c", "f", "{}")),
            CallOutputItem("d", "c", "12"),
        ),
        tools=(Tool("f", "Looks.", parameters), Tool("g", "", {"type": "object", "properties": {}})),
        tool_choice="f",
    )


@pytest.mark.parametrize(
    ("wire", "item"),
    [
        (
            {"id": "mine", "role": "user", "content": [TEXT_PART]},
            MessageItem("mine", "user", (TextPart("Hello."),)),
        ),
        (
            {"id": "a", "role": "user", "content": [{"type": "input_audio", "transcript": "Hi."}]},
            MessageItem("a", "user", (AudioPart("Hi."),)),
        ),
        (
            {"id": "a", "role": "user", "content": [{"type": "input_audio"}]},
            MessageItem("a", "user", (AudioPart(None),)),
        ),
        (
            {"id": "a", "role": "system", "content": [TEXT_PART], "object": "realtime.item"},
            MessageItem("a", "system", (TextPart("Hello."),)),
        ),
        (
            {"id": "a", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
            MessageItem("a", "assistant", (TextPart("Yes."),)),
        ),
        (
            {
                "id": "a",
                "role": "assistant",
                "status": "incomplete",
                "content": [{"type": "output_audio", "transcript": "Yes.", "audio": None}],
            },
            MessageItem("a", "assistant", (AudioPart("Yes."),), "incomplete"),
        ),
    ],
)
def test_an_item_keeps_its_id_and_its_words(wire: dict[str, Any], item: MessageItem) -> None:
    event = typed({"type": "conversation.item.create", "item": {"type": "message", **wire}})
    assert isinstance(event, asked.ConversationItemCreate)
    assert from_wire(event.item) == item


def test_an_item_without_an_id_gets_one() -> None:
    event = typed(message(id=None))
    assert isinstance(event, asked.ConversationItemCreate)
    assert from_wire(event.item).id.startswith("item_")


# --- anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["session", "item", "item_id", "audio", "response", "event_id", "content_index", "audio_end_ms"]
ITEM = st.fixed_dictionaries(
    {"type": st.just("message")},
    optional={
        "role": st.sampled_from(["user", "system", "assistant"]),
        "content": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["input_text", "input_audio", "output_audio"])},
                optional={"text": JSON, "transcript": JSON, "audio": JSON},
            )
        ),
        "id": JSON,
    },
)
RESPONSE = st.dictionaries(st.sampled_from(list(asked.ResponseParams.model_fields)), JSON)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(asked.CLIENT_EVENT_TYPES) | JSON},
    optional={name: JSON | ITEM | RESPONSE for name in FIELDS},
)


@given(EVENTS | st.dictionaries(st.text(), JSON))
def test_any_object_is_an_event_or_a_client_error(event: dict[str, Any]) -> None:
    try:
        frame = json.dumps(event)
        meaning = typed(decode(frame))
    except ClientError as error:
        json.dumps([error.code, error.message, error.param])
        return
    if isinstance(meaning, asked.ConversationItemCreate):
        from_wire(meaning.item)
    if isinstance(meaning, asked.ResponseCreate):
        meaning.response.request()


@given(st.text() | st.binary())
def test_any_frame_is_an_object_or_a_client_error(frame: str | bytes) -> None:
    with suppress(ClientError):
        assert isinstance(decode(frame), dict)
