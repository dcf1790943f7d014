"""The tables of docs/protocol.md say what the code does. That they are up to date, test_docs.py sees to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from conversation.errors import ClientError
from docs import protocol_tables
from realtime.client_events import CLIENT_EVENT_TYPES, SessionUpdate
from realtime.error_codes import CODES
from realtime.parse import typed
from realtime.server_events import EventType
from realtime.session_object import SessionObject, new_session
from tests.unit.test_realtime_session_object import DEFAULTS

ROOT = Path(__file__).parents[2]

MADE_UP = re.compile(
    "(integer|decimal)_(below_min|above_max)_value|(string|array|object)_(below_min|above_max)_length"
    "|item_(retrieve|delete|truncate)_invalid_item_id"
)
"""Codes whose names are put together."""


def names(table: str) -> list[str]:
    """The first cell of each row."""
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_every_event_is_in_its_table() -> None:
    assert names(protocol_tables.client_events()) == sorted(CLIENT_EVENT_TYPES)
    assert names(protocol_tables.server_events()) == list(get_args(EventType))


def test_the_table_of_codes_has_those_that_the_code_raises_and_no_others() -> None:
    raised: set[str] = set()
    for folder in ("realtime", "conversation", "deployments/ingress"):
        for source in (ROOT / folder).glob("*.py"):
            raised |= set(re.findall(r"(?:ClientError|return _?\w*rror)\(\s*\"(\w+)\"", source.read_text()))
    assert raised
    assert raised <= set(CODES)
    assert {code for code in CODES if not MADE_UP.fullmatch(code)} <= raised


def test_every_example_in_it_is_taken_as_it_stands() -> None:
    examples = re.findall(
        r"^```json\n(.*?)^```", (ROOT / "docs/protocol.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert examples
    for example in examples:
        event = typed(json.loads(example))
        assert isinstance(event, SessionUpdate)
        session().updated(event.session, voice_locked=False)


def test_every_extension_is_explained() -> None:
    explained = (ROOT / "docs/protocol.md").read_text().partition("## Extensions")[2].partition("\n## ")[0]
    for event in get_args(EventType):
        if event.startswith("antiphon."):
            name = event.removeprefix("antiphon.output")  # "`antiphon.output.hold` and `.resume`"
            assert f"`{event}`" in explained or f"`{name}`" in explained, event
    for field in names(protocol_tables.session()):
        if re.search(r"antiphon\.\w+$", field):
            assert f"`{field.rpartition('.')[2]}" in explained, field


def session() -> SessionObject:
    return new_session("sess", "m", DEFAULTS)


EXAMPLES: dict[str, dict[str, Any]] = {
    "type": {},
    "item.type": {"type": "conversation.item.create", "item": {}},
    "item.content[].type": {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{}]},
    },
    "response.tools[].type": {"type": "response.create", "response": {"tools": [{}]}},
    "response.tool_choice.type": {"type": "response.create", "response": {"tool_choice": {}}},
    "session.tools[].type": {"type": "session.update", "session": {"type": "realtime", "tools": [{}]}},
    "session.tool_choice.type": {
        "type": "session.update",
        "session": {"type": "realtime", "tool_choice": {}},
    },
}
"""An event with room for something unsupported, by the field that the table names."""


def test_what_the_table_calls_unsupported_is_refused_so() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \|", protocol_tables.refused(), re.MULTILINE)
    assert {field for field, _ in rows} == set(EXAMPLES)
    for field, kinds in rows:
        for kind in kinds.replace("`", "").split(", "):
            event = EXAMPLES[field]
            holder: Any = event
            for step in re.findall(r"\w+|\[\]", field)[:-1]:
                holder = holder[0 if step == "[]" else step]
            holder["type"] = kind
            with pytest.raises(ClientError) as caught:
                session().updated(typed(event).session, voice_locked=False)  # type: ignore[union-attr]
            assert (caught.value.code, caught.value.param) == (
                "unsupported_value",
                field.replace("[]", "[0]"),
            )


def test_what_the_table_says_is_without_effect_changes_nothing_but_the_echo() -> None:
    examples: dict[str, Any] = {
        "tracing": "auto",
        "truncation": "disabled",
        "prompt": {"id": "p"},
        "include": ["item.input_audio_transcription.logprobs"],
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
        "audio.input.noise_reduction": {"type": "near_field"},
        "audio.input.transcription.model": "other",
        "audio.input.transcription.delay": "low",
    }
    idle = re.findall(r"^\| `([^`]+)` \| .*? \| Without effect", protocol_tables.session(), re.MULTILINE)
    assert set(idle) == set(examples)
    on = session().updated(
        {"type": "realtime", "audio": {"input": {"transcription": {}}}}, voice_locked=False
    )
    for field, value in examples.items():
        for step in reversed(field.split(".")):
            value = {step: value}
        changed = on.updated({"type": "realtime", **value}, voice_locked=False)
        assert changed.on_the_wire() != on.on_the_wire(), field
        assert changed.settings() == on.settings(), field
