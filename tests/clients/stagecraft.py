"""What every Python client's `talk.py` needs, by the standard library alone: each has its own environment.

A scene is "text", "voice", "barge_in" or "tool". A client plays it with its own API and prints what it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BYTES_PER_MS = 48
"""PCM of 16 bits at 24 kHz."""
CHUNK_MS = 20

GREETING = "Hello there."
QUESTION = "How is the weather in Paris?"
OUTPUT = "18 degrees"
"""Of the function `weather`, which takes a city."""

SCENE_S = 60.0
"""A scene takes less than ten on an idle machine."""


@dataclass
class Seen:
    """What a client's user would have seen and heard.

    Attributes:
        heard: the user's words, as the client was told them.
        said: the agent's answers, in text or as the transcripts of its speech.
        sound_ms: how much sound came of each answer.
        interrupted: the client took the agent to be interrupted.
        called: functions that the client was asked to call, and with what.
        errors: everything the client complained about.
    """

    heard: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    sound_ms: list[int] = field(default_factory=list)
    interrupted: bool = False
    called: list[tuple[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Sounds:
    """What came of each answer, by the id of its item.

    Args:
        began: called once, at the first sound of all.
    """

    def __init__(self, began: Callable[[], None] | None = None) -> None:
        self._began = began
        self._bytes: dict[str, int] = {}

    def add(self, item_id: str, pcm: bytes) -> None:
        self._bytes[item_id] = self._bytes.get(item_id, 0) + len(pcm)
        if self._began:
            self._began()
            self._began = None

    def ms(self, item_id: str) -> int:
        return self._bytes.get(item_id, 0) // BYTES_PER_MS

    @property
    def last(self) -> str | None:
        return next(reversed(self._bytes), None)


class Microphone:
    """Sends sound as it runs, silent but for the speech that is asked for.

    Args:
        speech: PCM of 16 bits at 24 kHz.
        send: takes the next stretch of it.
    """

    def __init__(self, speech: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._speech, self._send = speech, send
        self._next = b""

    def speak(self) -> None:
        self._next = self._speech

    async def __aenter__(self) -> Microphone:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s, size = loop.time(), CHUNK_MS * BYTES_PER_MS
        while True:
            chunk, self._next = self._next[:size], self._next[size:]
            await self._send(chunk.ljust(size, b"\0"))
            due_s += CHUNK_MS / 1000
            await asyncio.sleep(due_s - loop.time())


def play(scenes: Callable[[str, str, bytes], Awaitable[Seen]]) -> None:
    """Runs `talk.py URL SCENE SPEECH` and prints what was seen.

    Args:
        scenes: given the URL, the name of the scene and what the user says, PCM of 16 bits at 24 kHz.
    """
    url, scene, speech = sys.argv[1:]
    seen = asyncio.run(asyncio.wait_for(scenes(url, scene, Path(speech).read_bytes()), SCENE_S))
    print(json.dumps(asdict(seen)))
