"""Frames that are no events: what a broken, an outdated or a hostile client sends, as many as are wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

from conversation.errors import ClientError
from conversation.settings import Settings
from realtime.client_events import SessionUpdate
from realtime.parse import decode, typed
from realtime.session_object import new_session

TOOL = {"type": "function", "name": "f", "description": "", "parameters": {"type": "object"}}
PARTS: list[dict[str, Any]] = [
    {"type": "input_text", "text": "Hi."},
    {"type": "input_audio", "audio": "AAAA", "transcript": None},
]
MESSAGE = {"type": "message", "id": "a", "role": "user", "status": "completed", "content": PARTS}
ITEMS: list[dict[str, Any]] = [
    MESSAGE,
    {"type": "message", "role": "system", "content": PARTS[:1]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hm."}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "12"},
]
AUDIO: dict[str, Any] = {
    "input": {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": {"model": "any", "language": "en"},
        "noise_reduction": {"type": "near_field"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "silence_duration_ms": 200,
            "antiphon": {"barge_in": "words"},
        },
    },
    "output": {"format": {"type": "audio/pcmu"}, "voice": {"id": "v"}, "speed": 1.0},
}
ANTIPHON = {"events": True, "hold": False, "filler": {"after_ms": 900, "phrases": ["Hm."], "tools": True}}
WELL_FORMED: list[dict[str, Any]] = [
    {
        "type": "session.update",
        "session": {"type": "realtime", "audio": AUDIO, "tools": [TOOL], "tracing": {"group_id": "g"}},
    },
    {
        "type": "session.update",
        "session": {"type": "realtime", "antiphon": ANTIPHON},
    },
    {
        "type": "response.create",
        "response": {
            "metadata": {"k": "v"},
            "input": [*ITEMS, {"type": "item_reference", "id": "a"}],
            "tools": [TOOL],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": "inf",
            "audio": {"output": AUDIO["output"]["format"]},
        },
    },
    *[{"type": "conversation.item.create", "item": item, "previous_item_id": "root"} for item in ITEMS],
    {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 5},
    {"type": "conversation.item.retrieve", "item_id": "a"},
    {"type": "conversation.item.delete", "item_id": "a"},
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "response.cancel", "response_id": "r"},
]
STRANGE: list[Any] = [
    *[None, True, -1, 0, 2**53, 10**400, 1e308, 0.5, "", " ", "auto", "\x00", "\ud800", "𝄞", "n" * 5000],
    *[[], {}, [[]], [None], {"type": None}, {"type": []}, {"": ""}, {"type": "function"}, ["text", "text"]],
]
NO_JSON = ["", " ", "{", "nul", "NaN", '{"a":}', "'a'", "{}{}", '{"type": NaN}', '{"a": 1e999}', "\ufeff{}"]
HUGE = ["[" * 40_000, '{"a":' * 40_000, '{"a":[' + "1," * 60_000 + "1]}", '{"a":' + "9" * 5000 + "}"]

Place = tuple[Any, Any]
"""A list or an object, and a place in it."""


def malformed(random: Random) -> Iterator[str | bytes]:
    """For ever. What is left in order by the damage done to it is not among them."""
    update = new_session("sess", "m", Settings()).updated
    while True:
        kind = random.choices([_damaged, _torn, _noise], [6, 3, 1])[0]
        frame = kind(random)
        try:
            event = typed(decode(frame))
            if not isinstance(event, SessionUpdate):
                continue
            update(event.session, voice_locked=False)
        except ClientError:
            yield frame


def _damaged(random: Random) -> str:
    """An event with something in it that does not belong there, or without something that does."""
    event = _copy(random)
    for _ in range(random.choice([1, 1, 1, 2, 5])):
        if places := _places(event):
            random.choice(_DAMAGE)(random, *random.choice(places))
    return json.dumps(event, ensure_ascii=random.random() < 0.5)


def _torn(random: Random) -> str:
    """Text that lost, doubled or exchanged some of its characters."""
    text = json.dumps(_copy(random))
    for _ in range(random.choice([1, 1, 3])):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice([0, 1, 1, 10, 1000]))
        text = text[:start] + random.choice(["", text[start:end] * 2, '"', "}", ",", "\\", "é"]) + text[end:]
    return text


def _noise(random: Random) -> str | bytes:
    if random.random() < 0.02:
        return random.choice(HUGE)
    frames: list[str | bytes] = [
        random.choice(NO_JSON),
        random.randbytes(random.randrange(50)),
        json.dumps(random.choice(STRANGE)),
        "".join(chr(random.randrange(0xD800)) for _ in range(random.randrange(20))),
    ]
    return random.choice(frames)


def _copy(random: Random) -> Any:
    event: Any = json.loads(json.dumps(random.choice(WELL_FORMED)))
    if random.random() < 0.5:
        event["event_id"] = "mine"
    return event


def _places(value: Any) -> list[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[Place] = [(value, place) for place, _ in inner]
    for holder, place in list(found):
        if isinstance(holder[place], dict | list):
            found += _places(holder[place])
    return found


def _replace(random: Random, holder: Any, place: Any) -> None:
    if isinstance(holder, dict) or place < len(holder):
        holder[place] = deepcopy(random.choice(STRANGE))


def _remove(random: Random, holder: Any, place: Any) -> None:
    if isinstance(holder, dict):
        holder.pop(place, None)


def _add(random: Random, holder: Any, place: Any) -> None:
    if isinstance(holder, dict):
        holder[random.choice(["bogus", "type", "role", "\ud800", ""])] = deepcopy(random.choice(STRANGE))
    else:
        holder.append(deepcopy(random.choice(STRANGE)))


_DAMAGE: list[Callable[[Random, Any, Any], None]] = [_replace, _remove, _add]
