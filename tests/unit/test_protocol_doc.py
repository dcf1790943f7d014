"""The tables of docs/protocol.md against the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from conversation.errors import ClientError
from realtime.client_events import CLIENT_EVENT_TYPES
from realtime.parse import typed
from realtime.server_events import EventType

_DOC = Path(__file__).parents[2] / "docs" / "protocol.md"


def table(heading: str) -> dict[str, str]:
    """The rows under a heading: the name in the first cell, and the second cell."""
    section = _DOC.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `?([^`|]+?)`? \| (.*?) ?\|$", section, re.MULTILINE))


def test_the_client_events_are_those_that_are_understood() -> None:
    rows = table("What a client may send")
    understood = {name for name, note in rows.items() if not note.startswith("no:") and name != "event"}
    assert understood == set(CLIENT_EVENT_TYPES)


def test_the_server_events_are_those_that_are_sent() -> None:
    assert table("What the server sends").keys() - {"event"} == set(get_args(EventType))


def test_what_is_said_to_be_unsupported_is_refused_so() -> None:
    item = {"type": "message", "role": "user"}
    events: dict[str, dict[str, Any]] = {
        "item.type": {"type": "conversation.item.create", "item": {"type": "mcp_call"}},
        "item.content[0].type": {
            "type": "conversation.item.create",
            "item": {**item, "content": [{"type": "input_image"}]},
        },
        "type": {"type": "output_audio_buffer.clear"},
    }
    documented = {name for name in table("Not supported yet") if not name.startswith("session.")}
    assert documented - {"field"} == set(events)
    for param, event in events.items():
        with pytest.raises(ClientError) as caught:
            typed(event)
        assert (caught.value.code, caught.value.param) == ("unsupported_value", param)


def test_every_code_that_the_code_raises_is_in_the_table() -> None:
    root = _DOC.parents[1]
    sources = [*(root / "realtime").glob("*.py"), *(root / "conversation").glob("*.py")]
    raised = {
        code for source in sources for code in re.findall(r"ClientError\(\s*f?\"(\w+)\"", source.read_text())
    }
    errors = _DOC.read_text().split("\n## Errors\n")[1]
    assert raised
    assert {code for code in raised if f"`{code}`" not in errors} == set()
