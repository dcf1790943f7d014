from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.errors import ClientError
from conversation.settings import HintSettings, Settings, TurnDetection
from conversation.stages import Hints, Tool
from realtime.server_events import ServerEvents
from realtime.session_object import SessionObject, new_session
from realtime.session_shape import Extensions, FillerShape, Session
from tests.stock_events import stock_event

DEFAULTS = Settings(
    instructions="Be kind.", voice="anna", turn_detection=TurnDetection(silence_duration_ms=700)
)
AS_DEFAULT = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 700,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}


def updated(*updates: dict[str, Any], voice_locked: bool = False) -> SessionObject:
    session = new_session("sess_1", "m", DEFAULTS)
    for update in updates:
        session = session.updated({"type": "realtime", **update}, voice_locked=voice_locked)
        stock_event(ServerEvents().session_updated(session))
    return session


def refused(update: dict[str, Any], *, voice_locked: bool = False) -> ClientError:
    with pytest.raises(ClientError) as caught:
        updated(update, voice_locked=voice_locked)
    return caught.value


def hearing(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def speaking(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


def vad(session: SessionObject) -> Any:
    return session.on_the_wire()["audio"]["input"]["turn_detection"]


def test_a_new_session_is_echoed_whole() -> None:
    event = stock_event(ServerEvents().session_created(updated()))
    assert event["type"] == "session.created"
    pcm = {"type": "audio/pcm", "rate": 24000}
    assert event["session"] == {
        "expires_at": 0,
        "object": "realtime.session",
        "id": "sess_1",
        "type": "realtime",
        "model": "m",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "audio": {
            "input": {
                "format": pcm,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": AS_DEFAULT,
            },
            "output": {"format": pcm, "voice": "anna", "speed": 1.0},
        },
        "include": None,
    }


@pytest.mark.parametrize(
    "defaults",
    [
        Settings(),
        DEFAULTS,
        Settings(turn_detection=None, transcribe=True, modality="text", max_output_tokens=40, speed=1.5),
    ],
)
def test_a_session_that_nobody_changed_means_the_operator_s_defaults(defaults: Settings) -> None:
    assert new_session("sess_1", "m", defaults).settings() == defaults


def test_only_what_is_given_changes() -> None:
    session = updated(hearing(turn_detection={"type": "server_vad", "threshold": 0.8}), speaking(speed=1.2))
    assert session.settings() == DEFAULTS.model_copy(
        update={"speed": 1.2, "turn_detection": TurnDetection(threshold=0.8, silence_duration_ms=700)}
    )


def test_a_partial_turn_detection_keeps_the_rest_and_never_turns_it_off() -> None:
    first = hearing(turn_detection={"type": "server_vad", "threshold": 0.8, "create_response": False})
    second = hearing(turn_detection={"silence_duration_ms": 900})
    expected = {**AS_DEFAULT, "threshold": 0.8, "create_response": False, "silence_duration_ms": 900}
    assert vad(updated(first, second)) == expected


def test_null_turns_turn_detection_off_and_server_vad_comes_back_with_the_operator_s_defaults() -> None:
    off = hearing(turn_detection=None)
    assert updated(off).settings().turn_detection is None
    again = hearing(turn_detection={"type": "server_vad", "threshold": None, "interrupt_response": False})
    assert vad(updated(off, again)) == {**AS_DEFAULT, "interrupt_response": False}


def test_semantic_vad_is_echoed_as_such() -> None:
    session = updated(hearing(turn_detection={"type": "semantic_vad", "interrupt_response": False}))
    assert vad(session) == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": False,
    }
    expected = TurnDetection(silence_duration_ms=700, interrupt_response=False, eagerness="medium")
    assert session.settings().turn_detection == expected


def test_empty_instructions_are_the_server_s() -> None:
    session = updated({"instructions": "Be rude."}, {"instructions": ""})
    assert session.settings().instructions == "Be kind."


def test_null_for_a_field_that_has_none_leaves_it_as_it_is() -> None:
    given = {"instructions": "Be brief.", "max_output_tokens": 9, **speaking(voice="ben", speed=0.5)}
    nulls = {"instructions": None, "max_output_tokens": None, **speaking(voice=None, speed=None, format=None)}
    assert updated(given, nulls, {"audio": None}) == updated(given)


def test_the_telephone_s_sound_is_chosen_and_given_up_again() -> None:
    session = updated(hearing(format={"type": "audio/pcmu"}), speaking(format={"type": "audio/pcma"}))
    assert (session.input_encoding.name, session.output_encoding.name) == ("audio/pcmu", "audio/pcma")
    assert session.on_the_wire()["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    back = session.updated(
        {"type": "realtime", **hearing(format={"type": "audio/pcm", "rate": 24000})}, voice_locked=False
    )
    assert back.on_the_wire()["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}


@pytest.mark.parametrize(
    ("told", "eagerness"), [("low", "low"), ("auto", "medium"), ("medium", "medium"), ("high", "high")]
)
def test_semantic_vad_has_an_eagerness_and_server_vad_none(told: str, eagerness: str) -> None:
    session = updated(hearing(turn_detection={"type": "semantic_vad", "eagerness": told}))
    detection = session.settings().turn_detection
    assert detection is not None
    assert (detection.eagerness, detection.silence_duration_ms) == (eagerness, 700)
    back = session.updated(
        {"type": "realtime", **hearing(turn_detection={"type": "server_vad"})}, voice_locked=False
    )
    assert back.settings().turn_detection == DEFAULTS.turn_detection


def test_an_operator_may_prefer_the_semantic_one() -> None:
    defaults = Settings(turn_detection=TurnDetection(eagerness="high", interrupt_response=False))
    session = new_session("sess_1", "m", defaults)
    assert session.settings() == defaults
    assert session.on_the_wire()["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "high",
        "create_response": True,
        "interrupt_response": False,
    }


def test_functions_are_offered_and_cleared() -> None:
    offered = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    choice = {"type": "function", "name": "weather"}
    session = updated({"tools": [offered], "tool_choice": choice})
    assert session.settings().tools == (Tool("weather", "", {"type": "object"}),)
    assert session.settings().tool_choice == "weather"
    assert session.on_the_wire()["tools"] == [offered]
    assert session.on_the_wire()["tool_choice"] == choice
    cleared = session.updated({"type": "realtime", "tools": [], "tool_choice": "auto"}, voice_locked=False)
    assert (cleared.settings().tools, cleared.settings().tool_choice) == ((), "auto")


def test_pipecat_is_told_of_no_field_of_transcription_that_it_did_not_send() -> None:
    """It takes `model`, `language` and `prompt`; anything else, null or not, ends its session."""
    for asked in ({"model": "gpt-realtime-whisper"}, {"model": "whisper-1", "prompt": "Antiphon"}, {}):
        session = updated(hearing(transcription=asked))
        assert session.on_the_wire()["audio"]["input"]["transcription"] == asked


def test_any_transcription_model_turns_transcription_on() -> None:
    session = updated(hearing(transcription={"model": "gpt-4o-mini-transcribe", "language": "en"}))
    assert session.settings().transcribe
    assert session.on_the_wire()["audio"]["input"]["transcription"] == {
        "model": "gpt-4o-mini-transcribe",
        "language": "en",
    }
    off = session.updated({"type": "realtime", **hearing(transcription=None)}, voice_locked=False)
    assert not off.settings().transcribe


def test_the_recogniser_is_told_what_the_client_knows_of_the_words() -> None:
    given = {"model": "m", "language": "zh", "keywords": ["科大讯飞"], "prompt": "天气预报"}
    hints = updated(hearing(transcription=given)).settings().hints
    assert hints.told() == Hints("zh", ("科大讯飞",), "天气预报")


@pytest.mark.parametrize(("languages", "language"), [(["fr"], "fr"), (["fr", "de"], "zh"), ([], "zh")])
def test_what_the_client_leaves_open_is_the_operator_s(languages: list[str], language: str) -> None:
    ours = HintSettings(language="zh", words=("Antiphon",), prompt="你好")
    session = new_session("sess_1", "m", Settings(hints=ours))
    assert session.settings().hints == ours
    given = {"type": "realtime", **hearing(transcription={"model": "m", "languages": languages})}
    hints = session.updated(given, voice_locked=False).settings().hints
    assert hints.told() == Hints(language, ("Antiphon",), "你好")


def test_a_repeated_model_is_accepted_and_another_one_is_told_the_true_name() -> None:
    assert updated({"model": "m"}).on_the_wire()["model"] == "m"
    assert updated({"model": "gpt-realtime"}).on_the_wire()["model"] == "m"


STOCK_UPDATES = [
    pytest.param(
        {
            "model": "gpt-realtime",
            "instructions": "Be brief.",
            "output_modalities": ["audio"],
            "tools": [],
            "tool_choice": "auto",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "noise_reduction": None,
                    "transcription": {"model": "gpt-4o-mini-transcribe"},
                    "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash", "speed": 1},
            },
        },
        id="agents",
    ),
    pytest.param({"tracing": "auto"}, id="agents-tracing"),
    pytest.param({"tracing": {"workflow_name": "w", "group_id": None, "metadata": {"a": 1}}}, id="tracing"),
    pytest.param(
        {
            "tracing": None,
            "max_output_tokens": "inf",
            "audio": {
                "input": {
                    "noise_reduction": None,
                    "turn_detection": {
                        "type": "semantic_vad",
                        "eagerness": "medium",
                        "create_response": True,
                        "interrupt_response": True,
                    },
                }
            },
        },
        id="livekit",
    ),
    pytest.param({"tools": [], "audio": {"input": {"transcription": {"model": "whisper-1"}}}}, id="mastra"),
    pytest.param(
        {
            "audio": {"input": {"noise_reduction": {"type": "near_field"}}, "output": {"voice": {"id": "v"}}},
            "prompt": {"id": "p", "version": "2", "variables": {"city": "Paris"}},
            "truncation": {
                "type": "retention_ratio",
                "retention_ratio": 0.8,
                "token_limits": {"post_instructions": 10},
            },
            "include": ["item.input_audio_transcription.logprobs"],
            "reasoning": {"effort": "low"},
            "parallel_tool_calls": False,
            "tool_choice": "none",
        },
        id="everything-without-effect",
    ),
]


@pytest.mark.parametrize("update", STOCK_UPDATES)
def test_what_stock_clients_send_is_accepted_and_echoed(update: dict[str, Any]) -> None:
    echo = updated(update).on_the_wire()
    _assert_echoed({**update, "model": "m"}, echo)
    assert "antiphon" not in json.dumps(echo)


def _assert_echoed(given: dict[str, Any], echo: dict[str, Any]) -> None:
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(echo[name], dict):
            _assert_echoed(value, echo[name])
        else:
            assert echo[name] == value, name


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({"type": None}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"bogus_field": 1}, "unknown_parameter", "session.bogus_field"),
        ({"modalities": ["text", "audio"]}, "unknown_parameter", "session.modalities"),
        ({"id": "sess_2"}, "unknown_parameter", "session.id"),
        ({"audio": 5}, "invalid_type", "session.audio"),
        ({"audio": {"input": 5}}, "invalid_type", "session.audio.input"),
        (hearing(bogus=None), "unknown_parameter", "session.audio.input.bogus"),
        (
            hearing(format={"type": "audio/pcm", "rate": 16000}),
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            hearing(format={"type": "audio/pcm", "rate": 48000}),
            "integer_above_max_value",
            "session.audio.input.format.rate",
        ),
        (
            hearing(format={"type": "audio/opus"}),
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            speaking(format={"type": "audio/opus"}),
            "invalid_value",
            "session.audio.output.format.type",
        ),
        (
            hearing(turn_detection={"type": "nope"}),
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            hearing(turn_detection={"type": "server_vad", "threshold": 1.5}),
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            hearing(turn_detection={"type": "server_vad", "silence_duration_ms": 1.5}),
            "invalid_type",
            "session.audio.input.turn_detection.silence_duration_ms",
        ),
        (
            hearing(turn_detection={"type": "server_vad", "eagerness": "low"}),
            "unknown_parameter",
            "session.audio.input.turn_detection.eagerness",
        ),
        (
            hearing(turn_detection={"type": "server_vad", "idle_timeout_ms": 100}),
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
        (speaking(speed=2.0), "decimal_above_max_value", "session.audio.output.speed"),
        (speaking(voice=5), "invalid_type", "session.audio.output.voice"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": ["video"]}, "invalid_value", "session.output_modalities[0]"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
        ({"tools": [{"type": "mcp"}]}, "unsupported_value", "session.tools[0].type"),
        ({"tools": [{"name": "f"}] * 129}, "array_above_max_length", "session.tools"),
        ({"tool_choice": {"type": "function"}}, "missing_required_parameter", "session.tool_choice.name"),
        (
            {"tool_choice": {"type": "mcp", "server_label": "s"}},
            "unsupported_value",
            "session.tool_choice.type",
        ),
        ({"tool_choice": "sometimes"}, "invalid_value", "session.tool_choice"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
        ({"max_output_tokens": "lots"}, "invalid_value", "session.max_output_tokens"),
        ({"tracing": "always"}, "invalid_value", "session.tracing"),
        ({"tracing": {"bogus": 1}}, "unknown_parameter", "session.tracing.bogus"),
        ({"instructions": ["a"]}, "invalid_type", "session.instructions"),
    ],
)
def test_an_update_with_a_wrong_field_is_refused_by_its_name(
    update: dict[str, Any], code: str, param: str
) -> None:
    error = refused({"instructions": "Never seen.", **update})
    assert (error.code, error.param) == (code, param), error.message


def test_the_documented_words_of_an_unknown_field() -> None:
    assert refused({"bogus_field": 1}).message == "Unknown parameter: 'session.bogus_field'."


def test_the_voice_is_locked_once_the_assistant_has_spoken() -> None:
    error = refused({"instructions": "New.", **speaking(voice="ben")}, voice_locked=True)
    assert error.code == "cannot_update_voice"
    assert error.message == "Cannot update a conversation's voice if assistant audio is present."
    same = updated({"instructions": "New.", **speaking(voice={"id": "anna"})}, voice_locked=True)
    assert same.settings().instructions == "New."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
AUDIO = st.fixed_dictionaries(
    {},
    optional={
        side: st.dictionaries(
            st.sampled_from(fields), JSON | st.fixed_dictionaries({"type": JSON}), max_size=3
        )
        for side, fields in [
            ("input", ["format", "transcription", "noise_reduction", "turn_detection"]),
            ("output", ["format", "voice", "speed"]),
        ]
    },
)
EXTENSIONS = st.dictionaries(
    st.sampled_from([*Extensions.model_fields, "bogus"]),
    JSON | st.dictionaries(st.sampled_from(list(FillerShape.model_fields)), JSON, max_size=3),
    max_size=3,
)
UPDATES = st.dictionaries(
    st.sampled_from([*Session.model_fields, "bogus"]), JSON | AUDIO | EXTENSIONS, max_size=4
)


@given(UPDATES)
def test_any_update_is_taken_whole_or_refused_with_a_client_error(update: dict[str, Any]) -> None:
    session = new_session("sess_1", "m", DEFAULTS)
    try:
        after = session.updated({"type": "realtime", **update}, voice_locked=False)
    except ClientError as error:
        json.dumps([error.code, error.message, error.param])
        return
    after.settings()
    stock_event(ServerEvents().session_updated(after))
