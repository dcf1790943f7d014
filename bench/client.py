"""A client as users have one: a headset, and a WebSocket on whose other end is a server.

Everything is noted with the loop time at which it happened. What is made of the notes is not known here, nor
how a server speaks: a `Wire` knows that, one for each kind of server.

    async with session(Antiphon(), url, settings) as client:
        client.microphone.say(audio)
        await client.wait(lambda note: note.signal == "sound", since=0, within_s=10)
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from websockets.asyncio.client import ClientConnection, connect

from bench.headset import Microphone, Speaker
from conversation.audio import Samples

JSON = dict[str, Any]
Message = str | bytes
"""Of a WebSocket."""

Signal = Literal[
    "ready", "sound", "drop", "hold", "resume", "ended", "cut off", "understood", "said", "stopped"
]
"""What a message means to a client, whatever the wire:

ready: the session is set up. sound: a chunk of an answer. drop: what has not been played never shall be.
hold, resume: the answer shall pause; it goes on where it was. ended, cut off: an answer is over, by itself or
because it was interrupted. understood: words of the user. said: words of the answer. stopped: the user's
turn is over, as the server takes it.
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a wire takes a message for.

    Attributes:
        event: the message, without its sound.
        response: of which answer it tells.
        item: of which utterance of the user, where the wire names them.
        sound: at HZ of the headset.
    """

    event: JSON
    signal: Signal | None = None
    response: str | None = None
    item: str | None = None
    text: str | None = None
    sound: Samples | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A message of the server, and the loop time at which it was here; see Taken."""

    at_s: float
    event: JSON
    signal: Signal | None = None
    response: str | None = None
    item: str | None = None
    text: str | None = None

    @property
    def kind(self) -> str:
        """As the server calls it."""
        return str(self.event["type"])


class Wire(Protocol):
    """How a server is spoken to. One object serves one session."""

    @property
    def microphone_hz(self) -> int:
        """The rate of PCM that the server is sent."""

    def address(self, url: str) -> str:
        """Where to connect, from the server's ws://host:port."""

    def greeting(self, settings: JSON) -> Sequence[Message]:
        """What a client sends first; `settings` are the server's own."""

    def spoken(self, pcm: bytes) -> Message:
        """A chunk of the microphone."""

    def cancel(self) -> Message:
        """The answer shall end."""

    def taken(self, message: Message) -> Iterable[Taken]:
        """What a message of the server means."""


class Timeout(Exception):
    """Something that was to come did not."""


@dataclass
class Client:
    """One session. `notes` grows with every message of the server; audio is kept apart, by answer.

    Attributes:
        speakers: by response id; where the wire has no ids, answers are numbered.
    """

    wire: Wire
    notes: list[Noted] = field(default_factory=list)
    speakers: dict[str, Speaker] = field(default_factory=dict)
    _socket: ClientConnection | None = None
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.microphone = Microphone(self.wire.microphone_hz)

    @property
    def interrupted(self) -> list[float]:
        """When the server told the client to drop what it has not played."""
        return self.times("drop")

    def times(self, signal: Signal) -> list[float]:
        return [note.at_s for note in self.notes if note.signal == signal]

    async def cancel(self) -> None:
        """Asks the server to end its answer."""
        await self.send(self.wire.cancel())

    async def send(self, message: Message) -> None:
        assert self._socket is not None
        await self._socket.send(message)

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

    def take(self, message: Message, at_s: float) -> None:
        """A message of the server is here."""
        for taken in self.wire.taken(message):
            if taken.sound is not None:
                assert taken.response is not None
                self.speakers.setdefault(taken.response, Speaker()).play(taken.sound, at_s)
            self.notes.append(Noted(at_s, taken.event, taken.signal, taken.response, taken.item, taken.text))
        self._came.set()

    async def _listen(self) -> None:
        assert self._socket is not None
        clock = asyncio.get_running_loop().time
        async for message in self._socket:
            self.take(message, clock())

    async def _talk(self) -> None:
        async for pcm in self.microphone.chunks():
            await self.send(self.wire.spoken(pcm))


@asynccontextmanager
async def session(wire: Wire, url: str, settings: JSON) -> AsyncIterator[Client]:
    """A client whose session is set up and whose microphone is on.

    Args:
        wire: a new one for each session.
        url: of the server, ws://host:port.
        settings: what the server's own way to set up a session takes.
    """
    client = Client(wire)
    async with (
        connect(wire.address(url), max_size=None, compression=None, proxy=None) as socket,
        asyncio.TaskGroup() as tasks,
    ):
        client._socket = socket
        listening = tasks.create_task(client._listen())
        for message in wire.greeting(settings):
            await client.send(message)
        await client.wait(lambda note: note.signal == "ready", since=0, within_s=10)
        talking = tasks.create_task(client._talk())
        try:
            yield client
        finally:
            talking.cancel()
            listening.cancel()
