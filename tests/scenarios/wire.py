"""A client at an in-memory socket, in virtual time, against a whole session over scripted stages."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from conversation.audio import to_pcm16
from conversation.scripted import Lines, ScriptedAsr, ScriptedLlm, ScriptedTts, ScriptedVad, tone
from conversation.settings import Settings, Tuning
from conversation.stages import Stages
from realtime.beta import BetaSocket
from realtime.limits import Limits
from realtime.session import Hangup, Opening, converse
from tests import virtual_time
from tests.stock_events import beta_event, stock_event

WIRE_HZ = 24_000
CHUNK_S = 0.04
STORY = "Once upon a time there was a little dog who lived in a big house by the sea."


class Wire:
    """A socket in memory. The server holds it as its Socket; a scene plays the client.

    Args:
        judge: reads an event as the client would, and raises where that would not take it.
    """

    def __init__(self, judge: Callable[[str], dict[str, Any]] = stock_event) -> None:
        self._judge = judge
        self._to_server: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._arrived = asyncio.Condition()
        self.sent: list[dict[str, Any]] = []
        self.times_s: list[float] = []
        self.closed: tuple[int, str] | None = None
        self.reads = True
        self.gone = False
        self.llm: ScriptedLlm
        """What the session talks to."""
        self.said: dict[str, dict[str, Any]] = {}
        """What the client sent, by event id."""
        self._ids = itertools.count()

    # --- the server's end

    async def receive(self) -> str | bytes:
        frame = await self._to_server.get()
        if frame is None:
            raise Hangup
        return frame

    async def send(self, text: str) -> None:
        if self.gone:
            raise Hangup
        if not self.reads:
            await asyncio.Event().wait()
        async with self._arrived:
            self.sent.append(self._judge(text))
            self.times_s.append(asyncio.get_running_loop().time())
            self._arrived.notify_all()

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason

    # --- the client's end

    def say(self, kind: str, **fields: Any) -> str:
        """Sends an event; gives its id."""
        event_id = f"client_{next(self._ids)}"
        self.said[event_id] = {"type": kind, "event_id": event_id, **fields}
        self.frame(json.dumps(self.said[event_id]))
        return event_id

    def frame(self, frame: str | bytes) -> None:
        self._to_server.put_nowait(frame)

    def hang_up(self) -> None:
        self.gone = True
        self._to_server.put_nowait(None)

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits for the `count`-th event of that type."""
        async with asyncio.timeout(60), self._arrived:
            await self._arrived.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def voice(self, *stretches: tuple[float, float], until_s: float) -> None:
        """Streams the user's microphone as it runs, silent but for the stretches."""
        loop, start_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for number in range(round(until_s / CHUNK_S)):
            now_s = number * CHUNK_S
            loud = any(begin_s <= now_s < end_s for begin_s, end_s in stretches)
            self.append(CHUNK_S, level=0.2 if loud else 0.0)
            await asyncio.sleep(max(0.0, start_s + now_s + CHUNK_S - loop.time()))

    def append(self, duration_s: float, level: float = 0.2) -> None:
        pcm = to_pcm16(tone(duration_s, WIRE_HZ, level))
        self.say("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["type"] == kind]

    @property
    def story(self) -> list[str]:
        """The types, in order; those of the same kind in a row count once."""
        types = [event["type"] for event in self.sent]
        return [kind for place, kind in enumerate(types) if place == 0 or types[place - 1] != kind]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.of("error")]


Scene = Callable[[Wire], Awaitable[None]]


def play(
    scene: Scene,
    *,
    asr: Lines | ScriptedAsr = (),
    llm: Lines = (),
    tts: Lines = (),
    settings: Settings | None = None,
    antiphon: dict[str, Any] | None = None,
    repeat: bool = False,
    tuning: Tuning | None = None,
    limits: Limits | None = None,
    opening: Opening | None = None,
    beta: bool = False,
) -> Wire:
    """Runs the scene against a session, hangs up after it, and sees to it that no task is left."""
    model = ScriptedLlm(script=llm, repeat=repeat)
    stages = Stages(
        ScriptedVad(),
        asr if isinstance(asr, ScriptedAsr) else ScriptedAsr(script=asr, repeat=repeat),
        model,
        ScriptedTts(script=tts, repeat=repeat),
    )

    async def whole() -> Wire:
        wire = Wire(beta_event if beta else stock_event)
        wire.llm = model
        serving = asyncio.create_task(
            converse(
                BetaSocket(wire) if beta else wire,
                stages,
                replace(opening or Opening("m"), antiphon=antiphon),
                defaults=settings or Settings(transcribe=True),
                tuning=(tuning or Tuning()).model_copy(update={"echo": False}),  # all voices are tones
                limits=limits or Limits(),
            )
        )
        try:
            await scene(wire)
        finally:
            wire.hang_up()
            async with asyncio.timeout(60):
                await serving
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left: {left}"
        return wire

    return virtual_time.run(whole())


PUSH_TO_TALK = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
TEXT_ONLY = {"type": "realtime", "output_modalities": ["text"]}


def text_item(text: str, item_id: str | None = None) -> dict[str, Any]:
    return {
        "id": item_id,
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }
