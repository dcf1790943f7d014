"""The beta dialect: what a client of it sends as today's session reads it, and what it is told."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.beta.realtime import Session as BetaSession
from openai.types.beta.realtime.response_create_event import Response as BetaResponse
from starlette.websockets import WebSocket

from conversation.errors import ClientError
from conversation.events import Event, ItemAdded, OutputArguments, OutputDone, OutputStarted, ResponseStarted
from conversation.events import Response as Answer
from conversation.items import AudioPart, CallItem, MessageItem, TextPart
from conversation.settings import Settings
from conversation.stages import ToolCall
from deployments.ingress.app import wire
from deployments.ingress.client_secrets import ClientSecrets
from deployments.ingress.keys import keys_in
from deployments.local_ray import ROOT
from realtime.beta import BetaSocket, from_beta, secret_answer, secret_error, secret_request, to_beta
from realtime.parse import decode, typed
from realtime.server_events import EventType, ServerEvents
from realtime.session_object import SessionObject, new_session, new_transcription
from tests.stock_events import beta_event, stock_event
from tests.unit.test_realtime_server_events import answer

NEVER_TOLD = {
    "conversation.created",
    "rate_limits.updated",
    *(f"output_audio_buffer.{end}" for end in ("started", "stopped", "cleared")),
}

DEFAULTS = Settings(instructions="Be kind.", voice="anna")

SAME = {"event_id": "event_1", "type": "conversation.item.delete", "item_id": "item_1"}

TRANSCRIPTION = {"model": "whisper-1", "language": "en", "prompt": "Ray, Serve"}
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.4,
    "prefix_padding_ms": 200,
    "silence_duration_ms": 300,
    "create_response": False,
    "interrupt_response": True,
}
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}

SESSIONS = st.fixed_dictionaries(
    {},
    optional={
        "instructions": st.sampled_from(["Sing.", "Whisper."]),
        "modalities": st.sampled_from([["text", "audio"], ["text"]]),
        "voice": st.sampled_from(["alloy", "ben"]),
        "speed": st.sampled_from([0.5, 1.25]),
        "input_audio_format": st.sampled_from(["pcm16", "g711_ulaw", "g711_alaw"]),
        "output_audio_format": st.sampled_from(["pcm16", "g711_ulaw", "g711_alaw"]),
        "input_audio_transcription": st.sampled_from([None, TRANSCRIPTION]),
        "input_audio_noise_reduction": st.sampled_from([None, {"type": "near_field"}]),
        "turn_detection": st.sampled_from(
            [None, SERVER_VAD, {"type": "semantic_vad", "eagerness": "low", "interrupt_response": False}]
        ),
        "tools": st.sampled_from([[], [TOOL]]),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "max_response_output_tokens": st.sampled_from(["inf", 7]),
        "tracing": st.sampled_from([None, "auto"]),
    },
)


def sent(kind: str, **fields: Any) -> dict[str, Any]:
    """What a session reads of a client's event."""
    frame = from_beta(json.dumps({"type": kind, **fields}))
    return decode(frame)


def told(text: str) -> dict[str, Any]:
    """What a client of the beta is told, and judges by the types of that time."""
    beta = to_beta(text)
    assert beta is not None
    return beta_event(beta)


def session(model: str = "gpt-realtime") -> SessionObject:
    return new_session("sess_1", model, DEFAULTS, 1_800_000_000)


def holds(whole: Any, part: Any) -> bool:
    """Whether everything in `part` is in `whole`, at the same place."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(holds(whole.get(name), value) for name, value in part.items())
    return bool(whole == part)


# --- who speaks it


@pytest.mark.parametrize(
    ("header", "subprotocols", "beta"),
    [
        (None, [], False),
        (None, ["realtime", "openai-insecure-api-key.k"], False),
        ("assistants=v2", [], False),
        ("realtime=v1", [], True),
        ("assistants=v2, realtime=v1", [], True),
        (None, ["realtime", "openai-insecure-api-key.k", "openai-beta.realtime-v1"], True),
    ],
)
def test_a_client_says_that_it_speaks_the_beta(
    header: str | None, subprotocols: list[str], beta: bool
) -> None:
    headers = [] if header is None else [(b"openai-beta", header.encode())]
    socket = WebSocket(
        {"type": "websocket", "headers": headers, "subprotocols": subprotocols}, nothing, nothing
    )
    assert isinstance(wire(socket), BetaSocket) == beta


async def nothing(*_: Any) -> Any:
    raise AssertionError("nobody reads or writes here")


# --- sessions


@given(SESSIONS)
def test_what_a_session_is_set_to_is_what_it_is_told_to_be(given: dict[str, Any]) -> None:
    update = sent("session.update", session={**given, "temperature": 0.8})["session"]
    text = ServerEvents().session_updated(session().updated(update, voice_locked=False))
    stock_event(text)
    after = told(text)["session"]
    assert holds(after, given)
    assert not {"type", "audio", "output_modalities", "max_output_tokens", "temperature"} & after.keys()


@given(SESSIONS)
def test_what_an_update_leaves_out_stays(given: dict[str, Any]) -> None:
    before = told(ServerEvents().session_created(session()))["session"]
    update = sent("session.update", session=given)["session"]
    text = ServerEvents().session_updated(session().updated(update, voice_locked=False))
    after = told(text)["session"]
    assert {name for name in before if after[name] != before[name]} <= given.keys()


def test_every_field_of_the_package_s_types_is_understood() -> None:
    """None of them is an error, or tells an older client of a newer field."""
    update = sent("session.update", session=dict.fromkeys(BetaSession.model_fields.keys() - {"id"}))
    session().updated(update["session"], voice_locked=False)
    typed(sent("response.create", response=dict.fromkeys(BetaResponse.model_fields)))
    beta = told(ServerEvents().session_created(session()))["session"]
    assert BetaSession.model_fields.keys() - beta.keys() == {"temperature"}


def test_every_field_that_is_called_otherwise_is_in_the_documentation() -> None:
    section = (ROOT / "docs/protocol.md").read_text().split("\n## The beta dialect\n")[1].split("\n## ")[0]
    today = new_session("sess_1", "m", DEFAULTS).on_the_wire()
    assert [
        name for name in BetaSession.model_fields if name not in today and f"`{name}`" not in section
    ] == []
    names = {
        kind
        for event in get_args(get_args(BetaServerEvent)[0])
        for kind in get_args(event.model_fields["type"].annotation)
    }
    assert "response.audio.delta" in names
    renamed = names - set(get_args(EventType)) - NEVER_TOLD
    assert [
        name for name in renamed if f"`{name}`" not in section and f"`.{name.split('.')[-1]}`" not in section
    ] == []


def test_a_new_session_in_the_words_of_the_beta() -> None:
    event = told(ServerEvents().session_created(session()))
    assert event["type"] == "session.created"
    assert holds(
        event["session"],
        {
            "id": "sess_1",
            "object": "realtime.session",
            "model": "gpt-realtime",
            "expires_at": 1_800_000_000,
            "modalities": ["text", "audio"],
            "instructions": "Be kind.",
            "voice": "anna",
            "speed": 1.0,
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_noise_reduction": None,
            "tools": [],
            "tool_choice": "auto",
            "max_response_output_tokens": "inf",
        },
    )
    assert event["session"]["turn_detection"]["type"] == "server_vad"


def test_a_session_that_only_listens() -> None:
    listening = new_transcription("sess_1", DEFAULTS)
    server = ServerEvents()
    assert told(server.session_created(listening))["type"] == "transcription_session.created"
    update = sent(
        "transcription_session.update",
        session={
            "input_audio_format": "g711_ulaw",
            "input_audio_transcription": TRANSCRIPTION,
            "turn_detection": SERVER_VAD,
            "include": ["item.input_audio_transcription.logprobs"],
            "modalities": ["text"],
        },
    )
    assert update["type"] == "session.update"
    event = told(server.session_updated(listening.updated(update["session"], voice_locked=False)))
    assert event["type"] == "transcription_session.updated"
    after = event["session"]
    assert after["input_audio_format"] == "g711_ulaw"
    assert holds(after["input_audio_transcription"], TRANSCRIPTION)
    assert after["turn_detection"]["silence_duration_ms"] == 300
    assert not {"modalities", "voice", "output_audio_format"} & after.keys()


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ("auto", "auto"),
        ("look", {"type": "function", "name": "look"}),
        ({"type": "function", "name": "look"}, {"type": "function", "name": "look"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "function", "name": "look"}),
    ],
)
def test_a_function_may_be_chosen_in_three_ways(given: Any, today: Any) -> None:
    for event in (
        sent("session.update", session={"tool_choice": given})["session"],
        sent("response.create", response={"tool_choice": given})["response"],
    ):
        assert event["tool_choice"] == today


def test_today_s_fields_are_understood_beside_those_of_the_beta() -> None:
    audio = {"output": {"speed": 0.5}}
    assert sent("session.update", session={"audio": audio, "voice": "ben"})["session"] == {
        "type": "realtime",
        "audio": {"output": {"speed": 0.5, "voice": "ben"}},
    }


# --- responses and items


def test_a_response_is_asked_for_in_today_s_words() -> None:
    event = sent(
        "response.create",
        event_id="mine",
        response={
            "modalities": ["audio", "text"],
            "voice": "ben",
            "output_audio_format": "g711_alaw",
            "max_response_output_tokens": 9,
            "temperature": 0.6,
            "conversation": "none",
            "metadata": {"a": "b"},
            "input": [
                {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
                {"type": "item_reference", "id": "item_1"},
            ],
        },
    )
    assert event == {
        "type": "response.create",
        "event_id": "mine",
        "response": {
            "output_modalities": ["audio"],
            "audio": {"output": {"voice": "ben", "format": {"type": "audio/pcma"}}},
            "max_output_tokens": 9,
            "conversation": "none",
            "metadata": {"a": "b"},
            "input": [
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
                {"type": "item_reference", "id": "item_1"},
            ],
        },
    }
    typed(event)
    assert sent("response.create", response={"max_output_tokens": 9})["response"] == {"max_output_tokens": 9}
    typed(sent("response.create", response={"voice": None, "output_audio_format": None, "modalities": None}))


def test_the_parts_of_an_item() -> None:
    said = [{"type": "text", "text": "Hi."}, {"type": "audio", "transcript": "There."}]
    item = {"id": "item_a", "type": "message", "role": "assistant", "content": said}
    event = sent("conversation.item.create", item=item, previous_item_id="root")
    assert [part["type"] for part in event["item"]["content"]] == ["output_text", "output_audio"]
    assert event["previous_item_id"] == "root"
    asked = [{"type": "input_text", "text": "Hello."}, {"type": "input_audio", "audio": "AAAA"}]
    item = {"type": "message", "role": "user", "content": asked}
    assert sent("conversation.item.create", item=item)["item"] == item

    message = MessageItem("item_a", "assistant", (TextPart("Hi."), AudioPart("There.")))
    added, done = ServerEvents().of(ItemAdded(message, "item_u"))
    created = told(added)
    assert created["type"] == "conversation.item.created"
    assert created["previous_item_id"] == "item_u"
    assert created["item"]["content"] == said
    assert to_beta(done) is None
    retrieved = ServerEvents().item_retrieved(MessageItem("i", "assistant", (AudioPart("A."),)), b"12")
    [part] = told(retrieved)["item"]["content"]
    assert part == {"type": "audio", "transcript": "A.", "audio": base64.b64encode(b"12").decode()}


@pytest.mark.parametrize("modality", ["text", "audio"])
@pytest.mark.parametrize(
    ("status", "reason"), [("completed", None), ("cancelled", "turn_detected"), ("failed", None)]
)
def test_an_answer_in_the_words_of_the_beta(modality: Any, status: str, reason: str | None) -> None:
    texts = told_today(*answer(modality, status=status, reason=reason))
    today = [stock_event(text) for text in texts if '"conversation.item.done"' not in text]
    beta = [told(text) for text in texts if to_beta(text)]
    for before, after in zip(today, beta, strict=True):
        assert before["event_id"] == after["event_id"]
        assert after["type"] == before["type"].replace("output_text", "text").replace(
            "output_audio", "audio"
        ).replace("item.added", "item.created" if "conversation" in before["type"] else "item.added")
        changed = {"type", "response", "item"}
        assert {name: value for name, value in before.items() if name not in changed} == {
            name: value for name, value in after.items() if name not in changed
        }
    done, was = beta[-1]["response"], today[-1]["response"]
    assert done["modalities"] == (["text", "audio"] if modality == "audio" else ["text"])
    assert (done["voice"], done["output_audio_format"]) == ("anna", "pcm16")
    kept = {
        "id",
        "object",
        "status",
        "status_details",
        "usage",
        "metadata",
        "conversation_id",
        "max_output_tokens",
    }
    assert {name: done[name] for name in kept} == {name: was[name] for name in kept}
    assert done.keys() - kept == {"modalities", "voice", "output_audio_format", "output"}
    part = (
        {"type": "audio", "transcript": "Hi there."}
        if modality == "audio"
        else {"type": "text", "text": "Hi there."}
    )
    assert done["output"][0]["content"] == [part]
    assert beta[-2]["item"] == done["output"][0]


def test_a_call_is_told_as_today() -> None:
    call = CallItem("item_c", ToolCall("call_1", "look", '{"at": 1}'))
    begun = CallItem("item_c", ToolCall("call_1", "look", ""), "in_progress")
    texts = told_today(
        ResponseStarted(Answer("resp_1", "audio", "anna")),
        OutputStarted("resp_1", begun, None),
        OutputArguments("resp_1", "item_c", "call_1", '{"at": 1}'),
        OutputDone("resp_1", call, None),
    )
    for text in texts:
        before, after = json.loads(text), to_beta(text)
        if before["type"] == "conversation.item.done":
            assert after is None
        elif before["type"] != "response.created":
            assert after is not None
            created = {"type": "conversation.item.created"} if "item.added" in before["type"] else {}
            renamed = created if before["type"].startswith("conversation") else {}
            assert beta_event(after) == {**before, **renamed}


def told_today(*events: Event) -> list[str]:
    server = ServerEvents()
    return [text for event in events for text in server.of(event)]


OUTPUT = [
    kind for kind in get_args(EventType) if kind.startswith(("response.output_text", "response.output_audio"))
]


@pytest.mark.parametrize("kind", OUTPUT)
def test_output_is_renamed_whatever_is_in_it(kind: str) -> None:
    beta = to_beta(json.dumps({"type": kind, "event_id": "e", "delta": '{"type": "x'}))
    assert beta is not None
    assert json.loads(beta) == {"type": kind.replace("output_", ""), "event_id": "e", "delta": '{"type": "x'}


# --- errors


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"bogus": 1}, "unknown_parameter", "session.bogus"),
        ({"turn_detection": {"bogus": 1}}, "unknown_parameter", "session.turn_detection.bogus"),
        ({"turn_detection": {"threshold": 2}}, "integer_above_max_value", "session.turn_detection.threshold"),
        ({"turn_detection": {"type": "nope"}}, "invalid_value", "session.turn_detection.type"),
        ({"input_audio_format": "mp3"}, "invalid_value", "session.input_audio_format"),
        ({"output_audio_format": 5}, "invalid_value", "session.output_audio_format"),
        ({"voice": 5}, "invalid_type", "session.voice"),
        ({"speed": 9}, "integer_above_max_value", "session.speed"),
        ({"modalities": ["video"]}, "invalid_value", "session.modalities[0]"),
        ({"modalities": []}, "invalid_value", "session.modalities"),
        ({"max_response_output_tokens": 0}, "integer_below_min_value", "session.max_response_output_tokens"),
        (
            {"input_audio_transcription": {"model": 1}},
            "invalid_type",
            "session.input_audio_transcription.model",
        ),
        ({"input_audio_noise_reduction": 1}, "invalid_type", "session.input_audio_noise_reduction"),
        ({"tools": [{"type": "mcp"}]}, "unsupported_value", "session.tools[0].type"),
    ],
)
def test_an_error_names_the_field_of_the_beta(fields: dict[str, Any], code: str, param: str) -> None:
    update = sent("session.update", session=fields)["session"]
    with pytest.raises(ClientError) as caught:
        session().updated(update, voice_locked=False)
    error = told(ServerEvents().error(caught.value, "mine"))["error"]
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    assert caught.value.param == param or str(caught.value.param) not in error["message"]
    assert "audio/" not in error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"modalities": 1}, "response.modalities"),
        ({"output_audio_format": "mp3"}, "response.output_audio_format"),
        ({"voice": 1}, "response.voice"),
        ({"max_response_output_tokens": 5000}, "response.max_response_output_tokens"),
        ({"bogus": 1}, "response.bogus"),
    ],
)
def test_so_does_one_about_a_response(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ClientError) as caught:
        typed(sent("response.create", response=fields))
    error = told(ServerEvents().error(caught.value, None))["error"]
    assert error["param"] == param


def test_an_error_lists_the_values_of_the_beta() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "input_text", "text": ""}]}
    with pytest.raises(ClientError) as caught:
        typed(sent("conversation.item.create", item=item))
    error = told(ServerEvents().error(caught.value, None))["error"]
    assert error["param"] == "item.content[0].type"
    assert error["message"] == "Invalid value: 'input_text'. Supported values are: 'text', 'audio'."


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\1",
        "{",
        "[]",
        '"text"',
        '{"type": ["session.update"]}',
        '{"type": "session.update"}',
        '{"type": "session.update", "session": 1}',
        '{"type": "response.create"}',
        '{"type": "response.create", "response": null}',
        '{"type": "conversation.item.create", "item": []}',
        '{"type": "nope", "session": {"modalities": ["text"]}}',
        json.dumps(SAME),
        '{"type": "session.update", "session": {"tools": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        '{"type": "session.update", "session": {"tools": [' + "0," * 60_000 + "0]}}",
    ],
)
def test_what_there_is_nothing_to_translate_in_stays_as_it_is(frame: str | bytes) -> None:
    assert from_beta(frame) is frame


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "modalities",
        "voice",
        "audio",
        "input_audio_format",
        "turn_detection",
        "tool_choice",
        "input",
        "content",
        "role",
    ]
)


HOLDERS = {
    "session.update": "session",
    "transcription_session.update": "session",
    "response.create": "response",
    "conversation.item.create": "item",
}


@given(st.sampled_from(sorted(HOLDERS)), st.dictionaries(NAMES, JSON))
def test_nothing_that_a_client_sends_fails_in_the_translation(kind: str, fields: dict[str, Any]) -> None:
    sent(kind, **{HOLDERS[kind]: fields})


def test_sound_is_not_parsed() -> None:
    """What is no JSON stays as it is in any case; what is would be written anew."""
    append = '{"type":"input_audio_buffer.append",  "audio":"AAAA"}'
    assert from_beta(append) is append
    late = f'{{"audio":"{"A" * 4000}",  "type":"input_audio_buffer.append"}}'
    assert from_beta(late) is late
    delta = '{"type": "response.output_audio.delta", "delta": "no JSON from here on'
    assert to_beta(delta) == '{"type": "response.audio.delta", "delta": "no JSON from here on'


# --- client secrets


SECRETS = ClientSecrets(keys_in({}), DEFAULTS)


def test_a_client_secret_in_the_words_of_the_beta() -> None:
    body = {
        "model": "m",
        "voice": "ben",
        "modalities": ["text"],
        "client_secret": {"expires_after": {"seconds": 60}},
    }
    made = SECRETS.made(secret_request(body, "realtime"))
    answer = secret_answer(made)
    assert answer["client_secret"] == {"value": made["value"], "expires_at": made["expires_at"]}
    assert answer["client_secret"]["expires_at"] == pytest.approx(
        SECRETS.made({})["expires_at"] - 540, abs=60
    )
    assert (answer["object"], answer["voice"], answer["modalities"]) == ("realtime.session", "ben", ["text"])
    stands_for = SECRETS.read(made["value"])
    assert stands_for == {
        "type": "realtime",
        "model": "m",
        "output_modalities": ["text"],
        "audio": {"output": {"voice": "ben"}},
    }


@pytest.mark.parametrize("body", [None, {}, {"client_secret": None}, {"input_audio_format": "g711_ulaw"}])
def test_one_of_a_session_that_only_listens(body: Any) -> None:
    answer = secret_answer(SECRETS.made(secret_request(body, "transcription")))
    assert answer["object"] == "realtime.transcription_session"
    assert answer["client_secret"]["value"].startswith("ek_")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"voice": 1}, "voice"),
        ({"bogus": 1}, "bogus"),
        ({"client_secret": 1}, "client_secret"),
        ({"client_secret": {"expires_after": {"seconds": 1}}}, "client_secret.expires_after.seconds"),
        ({"turn_detection": {"threshold": "high"}}, "turn_detection.threshold"),
        ([], ""),
    ],
)
def test_what_is_wrong_in_a_request_is_named_as_it_was(body: Any, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        SECRETS.made(secret_request(body, "realtime"))
    error = secret_error(caught.value)
    assert error.param == param
    assert not param or f"'{param}'" in error.message
