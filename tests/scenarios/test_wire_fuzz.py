"""Malformed frames by the thousand, in one session: one error answers each, and nothing of them stays.

ANTIPHON_FRAMES says how many, ANTIPHON_SEED which; `make test-fuzz` sends 100,000 others each time.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from conversation.scripted import ScriptedAsr, ScriptedLlm, ScriptedTts, ScriptedVad
from conversation.settings import Settings, Tuning
from conversation.stages import Stages
from realtime.limits import Limits
from realtime.session import Hangup, Opening, converse
from tests.scenarios.malformed import malformed

FRAMES = int(os.environ.get("ANTIPHON_FRAMES", "10000"))
SEED = int(os.environ.get("ANTIPHON_SEED", "0"))

WARM_UP = 1000
"""Frames after which everything that is made once is made."""
MORE_OBJECTS = 2000
MORE_BYTES = 20 * 2**20
LONGEST_MESSAGE = 1000

ALIVE = json.dumps({"type": "input_audio_buffer.clear"})


class Fuzzer:
    """A socket in memory that keeps nothing: it sends a frame when the one before was answered."""

    def __init__(self, frames: Iterator[str | bytes]) -> None:
        self._frames = frames
        self._answered = asyncio.Event()
        self._answered.set()
        self.frame: str | bytes = ""
        self.codes: Counter[str | None] = Counter()
        self.answers = 0
        """To the question, after all the frames, whether anybody is there."""
        self.sent = 0
        self.at_warm_up = self.at_end = (0, 0, 0)

    async def receive(self) -> str | bytes:
        async with asyncio.timeout(10):
            await self._answered.wait()
        self._answered.clear()
        if self.sent == WARM_UP:
            self.at_warm_up = _held()
        self.sent += 1
        self.frame = next(self._frames, ALIVE)
        if self.answers:
            raise Hangup
        return self.frame

    async def send(self, text: str) -> None:
        event = json.loads(text)
        if event["type"] == "session.created":
            return
        if self.frame is ALIVE:
            assert event["type"] == "input_audio_buffer.cleared"
            self.at_end = _held()
            self.answers += 1
        else:
            self._check(event)
        self._answered.set()

    async def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code} {reason} after {self.frame!r}")

    def _check(self, event: dict[str, Any]) -> None:
        shown = str(self.frame)[:1000]
        assert not self._answered.is_set(), f"two answers to {shown}"
        assert event["type"] == "error", f"{event} to {shown}"
        error = event["error"]
        assert error["type"] == "invalid_request_error", f"{error} to {shown}"
        assert error["message"]
        assert len(error["message"]) < LONGEST_MESSAGE, shown
        self.codes[error["code"]] += 1


def _held() -> tuple[int, int, int]:
    """Tasks, objects, and bytes of memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(asyncio.all_tasks()), len(gc.get_objects()), pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("seed", [SEED])
async def test_every_malformed_frame_is_answered_with_one_error_and_nothing_of_it_stays(seed: int) -> None:
    fuzzer = Fuzzer(itertools.islice(malformed(Random(seed)), FRAMES))
    stages = Stages(ScriptedVad(), ScriptedAsr(script=()), ScriptedLlm(script=()), ScriptedTts())
    await converse(fuzzer, stages, Opening("m"), defaults=Settings(), tuning=Tuning(), limits=Limits())
    assert fuzzer.answers == 1
    assert fuzzer.codes.total() == FRAMES
    assert len(fuzzer.codes) >= 10, "the frames are too much alike"
    (tasks, objects, held_bytes), (tasks_then, objects_then, bytes_then) = fuzzer.at_warm_up, fuzzer.at_end
    assert tasks_then == tasks
    assert objects_then < objects + MORE_OBJECTS
    assert bytes_then < held_bytes + MORE_BYTES
    assert asyncio.all_tasks() == {asyncio.current_task()}
