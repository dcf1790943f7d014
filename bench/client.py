"""A client as users have one: a microphone that never stops, a loudspeaker that plays at once, a WebSocket.

Everything is noted with the loop time at which it happened. What is made of the notes is not known here.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from bench.speech import room_noise
from conversation.audio import Audio, Samples, from_pcm16, to_pcm16

HZ = 24_000
"""The only rate of PCM on the wire."""

CHUNK_MS = 20
CHUNK = HZ * CHUNK_MS // 1000
"""What browsers and telephony send at a time."""

AUDIBLE = 10 ** (-45 / 20)
"""A sample of the answer counts as heard above -45 dBFS."""

ROOM_DB = -65.0
"""The noise of the microphone's room, RMS: as quiet as the room of the recordings."""

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noted:
    """An event of the server and the loop time at which it was here."""

    at_s: float
    event: JSON

    @property
    def kind(self) -> str:
        return str(self.event["type"])


class Timeout(Exception):
    """Something that was to come did not."""


class Speaker:
    """Plays what it is given as soon as it can, and keeps what it played.

    Attributes:
        gap_s: silence between chunks that arrived too late.
    """

    def __init__(self) -> None:
        self.gap_s = 0.0
        self._ends_s = 0.0
        self._played: list[tuple[float, Samples]] = []
        """When each chunk begins to sound, and its samples."""

    @property
    def ends_s(self) -> float:
        """When all that was received will have been played."""
        return self._ends_s

    def play(self, samples: Samples, at_s: float) -> None:
        """A chunk arrives at `at_s`."""
        if self._played and at_s > self._ends_s:
            self.gap_s += at_s - self._ends_s
        begins_s = max(at_s, self._ends_s)
        self._played.append((begins_s, samples))
        self._ends_s = begins_s + len(samples) / HZ

    @property
    def first_audible_s(self) -> float | None:
        """When the first sample above -45 dBFS sounds."""
        for begins_s, samples in self._played:
            loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
            if len(loud):
                return begins_s + int(loud[0]) / HZ
        return None


class Microphone:
    """Gives a chunk every 20 ms: room noise, and over it whatever is said."""

    def __init__(self) -> None:
        self._noise = room_noise(HZ, ROOM_DB)
        self._said: Samples = np.zeros(0, np.float32)
        self._chunk = 0
        """The one that is being spoken now."""
        self._start_s = 0.0
        self.worst_delay_s = 0.0
        """By how much the latest chunk was late: this machine was busy."""

    def say(self, audio: Audio) -> float:
        """Speaks from the beginning of the chunk under way. Returns the loop time of the first sample."""
        if len(self._said):
            raise ValueError("the microphone is still busy with what was said before")
        self._said = audio.samples
        return self._start_s + self._chunk * CHUNK_MS / 1000

    async def chunks(self) -> AsyncIterator[bytes]:
        """PCM, each chunk when its last sample has been spoken."""
        clock = asyncio.get_running_loop().time
        self._start_s = clock()
        while True:
            due_s = self._start_s + (self._chunk + 1) * CHUNK_MS / 1000
            await asyncio.sleep(due_s - clock())
            self.worst_delay_s = max(self.worst_delay_s, clock() - due_s)
            yield self._next_chunk()

    def _next_chunk(self) -> bytes:
        begin = self._chunk * CHUNK % HZ
        samples = self._noise[begin : begin + CHUNK].copy()
        said, self._said = self._said[:CHUNK], self._said[CHUNK:]
        samples[: len(said)] += said
        self._chunk += 1
        return to_pcm16(Audio(samples, HZ))


@dataclass
class Client:
    """One session. `notes` grows with every event of the server; audio is kept apart, by response."""

    microphone: Microphone = field(default_factory=Microphone)
    notes: list[Noted] = field(default_factory=list)
    speakers: dict[str, Speaker] = field(default_factory=dict)
    """By response id."""
    _socket: ClientConnection | None = None
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, kind: str, **fields: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def wait(self, wanted: Callable[[Noted], bool], *, since: int, within_s: float) -> Noted:
        """The first note from number `since` on that is wanted. Raises Timeout."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for number in itertools.count(since):
                        if number >= len(self.notes):
                            break
                        since = number + 1
                        if wanted(self.notes[number]):
                            return self.notes[number]
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise Timeout from None

    async def _listen(self) -> None:
        assert self._socket is not None
        clock = asyncio.get_running_loop().time
        async for message in self._socket:
            event, at_s = json.loads(message), clock()
            if event["type"] == "response.output_audio.delta":
                audio = from_pcm16(base64.b64decode(event.pop("delta")), HZ)
                self.speakers.setdefault(event["response_id"], Speaker()).play(audio.samples, at_s)
            self.notes.append(Noted(at_s, event))
            self._came.set()

    async def _talk(self) -> None:
        async for pcm in self.microphone.chunks():
            await self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode("ascii"))


@asynccontextmanager
async def session(url: str, settings: JSON) -> AsyncIterator[Client]:
    """A client whose session is set up and whose microphone is on.

    Args:
        url: of the server, ws://host:port.
        settings: for `session.update`.
    """
    client = Client()
    query = "model=antiphon&antiphon=timing"
    async with (
        connect(f"{url}/v1/realtime?{query}", max_size=None, compression=None, proxy=None) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        client._socket = socket
        listening = tasks.create_task(client._listen())
        await client.send("session.update", session={"type": "realtime", **settings})
        await client.wait(lambda note: note.kind == "session.updated", since=0, within_s=10)
        talking = tasks.create_task(client._talk())
        try:
            yield client
        finally:
            talking.cancel()
            listening.cancel()
