"""What clients do to a server by mistake or on purpose, over real sockets, beside one who just talks.

Each of them costs itself at most: the other's conversation goes on, and afterwards nothing of it is left: no
session, no call in a stage, no socket, no memory. What is answered to a wrong event is tested over a socket
in memory, in tests/scenarios/test_wire.py.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from conversation.audio import join, silence, to_pcm16
from conversation.scripted import tone
from deployments.local_ray import ROOT, free_ports, processes_of
from realtime.parse import MAX_APPEND_BYTES
from tests.scenarios.malformed import malformed
from tests.serve.server import CONFIG, GONE_WITHIN_S, Server, configuration, launched, sockets_of
from tests.stock_events import stock_event

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "sk-antiphon.0123456789abcdef"
OTHER_KEY = "sk-antiphon.fedcba9876543210"
ELSEWHERE = "https://elsewhere.example"

BACKLOG_S = 2.0
LIMITS = {
    "unread_chars": 200_000,
    "unread_s": 3.0,
    "pressing_s": 5.0,
    "ping_every_s": 1.0,
    "pong_within_s": 3.0,
}
WITHIN_S = 30.0
"""For whatever should happen soon. Alone on two cores everything does within a second, or its limit."""
MORE_BYTES = 100 * 2**20
"""Of memory, or of audio in sockets and queues: far more than is kept, far less than without a bound."""
IDLE_SOCKETS = 2
"""HAProxy keeps some, of requests that are over, for those that come."""
WIRE_HZ = 24_000

SAID = [
    "Hello. How can I help?",
    "It is half past nine.",
    "You are welcome.",
]


# --- the server, and what can be seen of it from outside


@dataclass
class Watched:
    server: Server
    ingress: int
    stages: subprocess.Popen[str]

    async def sessions(self) -> int:
        return int((await asyncio.to_thread(self.server.health))["sessions"])

    def running(self) -> int:
        """Calls that the stages are working on."""
        assert self.stages.stdin
        assert self.stages.stdout
        print(file=self.stages.stdin, flush=True)
        return sum(json.loads(self.stages.stdout.readline()).values())

    def sockets(self) -> int:
        return len(sockets_of(self.ingress))

    def memory_bytes(self) -> int:
        [resident] = [
            line.split()[1]
            for line in Path(f"/proc/{self.ingress}/status").read_text().splitlines()
            if line.startswith("VmRSS:")
        ]
        return int(resident) * 1024


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    place = tmp_path_factory.mktemp("bad-input")
    config = configuration(
        place / "strict.yaml",
        ingress={"max_sessions": 8, "cpus": 0.1, "origins": [ELSEWHERE], "limits": LIMITS},
        conversation={"backlog_s": BACKLOG_S},
    )
    [port] = free_ports(1)
    (place / "keys").write_text(f"{OTHER_KEY}\n")
    keys = {"ANTIPHON_API_KEYS": KEY, "ANTIPHON_API_KEYS_FILE": str(place / "keys")}
    server = launched(config, port, place / "told.txt", "--host", "0.0.0.0", environment=keys)
    stages = None
    try:
        server.up()
        stages = connected_to(server)
        yield Watched(server, server.replica("ingress"), stages)
    finally:
        if stages:
            stages.kill()
            stages.communicate()
        server.process.kill()
        server.process.wait(GONE_WITHIN_S)
    assert server.left() == []


def connected_to(server: Server) -> subprocess.Popen[str]:
    """A process that asks the stages, see running.py."""
    arguments = b"\0".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes_of(server.home))
    [gcs] = {argument for argument in arguments.split(b"\0") if argument.startswith(b"--gcs-address=")}
    given = Path(f"/proc/{server.replica('vad')}/environ").read_bytes().split(b"\0")
    environment = dict(pair.decode().split("=", 1) for pair in given if b"=" in pair)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.serve.running", gcs.decode().partition("=")[2]],
        cwd=ROOT,
        env={name: value for name, value in environment.items() if name in KEPT or name.startswith(KEPT_BY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


KEPT = ("PATH", "HOME", "ANTIPHON_HOME", "PYTHONPATH", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
KEPT_BY = ("RAY_SERVE_", "RAY_ENABLE_", "RAY_USAGE_")


async def comes_true(what: str, is_so: Any) -> None:
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await asyncio.to_thread(is_so):
                pass
    except TimeoutError:
        pytest.fail(f"not within {WITHIN_S:.0f} s: {what}")


# --- clients


def connect(server: Server, *, key: str | None = KEY, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return websockets.connect(server.url, additional_headers=headers, max_size=None, **options)


async def say(client: ClientConnection, kind: str, **fields: Any) -> None:
    await client.send(json.dumps({"type": kind, **fields}))


async def append(client: ClientConnection, pcm: bytes) -> None:
    await say(client, "input_audio_buffer.append", audio=base64.b64encode(pcm).decode())


async def until(client: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            event = stock_event(str(await client.recv()))
            if event["type"] == kind:
                return event


async def closed(client: ClientConnection) -> tuple[int, str]:
    """The code and the reason with which the server closes, after all that it still sends."""
    async with asyncio.timeout(WITHIN_S):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await client.recv()
    return (client.close_code or 0), (client.close_reason or "")


@dataclass
class Talker:
    """Somebody who asks and is answered, over and over."""

    client: ClientConnection
    answers: int = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    SPEECH = to_pcm16(join([tone(0.7, WIRE_HZ), silence(0.7, WIRE_HZ)], WIRE_HZ))

    async def talk(self) -> None:
        session = {"type": "realtime", "output_modalities": ["text"]}
        await say(self.client, "session.update", session=session)
        while True:
            await append(self.client, self.SPEECH)
            done = await self._answer()
            assert done["response"]["status"] == "completed"
            assert done["response"]["output"][0]["content"][0]["text"] in SAID
            async with self._more:
                self.answers += 1
                self._more.notify_all()

    async def _answer(self) -> dict[str, Any]:
        heard: list[str] = []
        async with asyncio.timeout(WITHIN_S):
            while not heard or heard[-1] != "response.done":
                event = stock_event(str(await self.client.recv()))
                heard.append(event["type"])
        assert "error" not in heard
        once = ["speech_started", "speech_stopped", "committed"]
        assert [heard.count(f"input_audio_buffer.{kind}") for kind in once] == [1, 1, 1]
        return event

    async def is_answered(self) -> None:
        """From now on: a whole question and its answer."""
        enough = self.answers + 2
        async with self._more:
            await self._more.wait_for(lambda: self.answers >= enough)


@contextlib.asynccontextmanager
async def undisturbed(watched: Watched) -> AsyncIterator[Talker]:
    """Somebody talks the whole time; afterwards everything is as before."""
    sockets, memory_bytes = watched.sockets(), watched.memory_bytes()
    async with connect(watched.server) as client, asyncio.TaskGroup() as group:
        talker = Talker(client)
        talking = group.create_task(talker.talk())
        yield talker
        await talker.is_answered()
        assert await watched.sessions() == 1
        talking.cancel()
    await comes_true("no stage works on", lambda: watched.running() == 0)
    assert await watched.sessions() == 0
    await comes_true("no socket is left", lambda: watched.sockets() <= sockets + IDLE_SOCKETS)
    assert watched.memory_bytes() < memory_bytes + MORE_BYTES


# --- what they send


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("{", id="not JSON"),
        pytest.param('{"type": "nope"}', id="unknown type"),
        pytest.param('{"type": "input_audio_buffer.clear", "bogus": 1}', id="unknown field"),
        pytest.param('{"type": "input_audio_buffer.append", "audio": "!"}', id="wrong base64"),
        pytest.param(b"\x00\x01", id="binary frame"),
    ],
)
async def test_nonsense_is_answered_and_the_session_lives(watched: Watched, frame: str | bytes) -> None:
    async with undisturbed(watched), connect(watched.server) as client:
        for _ in range(100):
            await client.send(frame)
        for _ in range(100):
            await until(client, "error")
        await say(client, "input_audio_buffer.clear")
        await until(client, "input_audio_buffer.cleared")


async def test_malformed_frames_by_the_thousand_are_answered_one_by_one(watched: Watched) -> None:
    frames = list(islice(filter(can_be_sent, malformed(Random(1))), 2000))

    async def send(client: ClientConnection) -> None:
        for frame in frames:
            await client.send(frame)

    async with undisturbed(watched), connect(watched.server) as client:
        async with asyncio.TaskGroup() as group:
            group.create_task(send(client))
            for _ in frames:
                error = (await until(client, "error"))["error"]
                assert error["type"] == "invalid_request_error"
        await say(client, "input_audio_buffer.clear")
        await until(client, "input_audio_buffer.cleared")


def can_be_sent(frame: str | bytes) -> bool:
    """A text with half a surrogate pair in it, not written as an escape, is no text on a wire."""
    return isinstance(frame, bytes) or not any("\ud800" <= character <= "\udfff" for character in frame)


@pytest.mark.parametrize(
    ("frame", "codes"),
    [
        pytest.param(b"\xff", [1007], id="no UTF-8"),
        # A client that is still sending may be cut off before it can read the reason.
        pytest.param(bytes(33 * 2**20), [1009, 1006], id="too large a frame"),
    ],
)
async def test_what_is_no_message_ends_the_session(watched: Watched, frame: bytes, codes: list[int]) -> None:
    async with undisturbed(watched), connect(watched.server) as client:
        with contextlib.suppress(websockets.ConnectionClosed):
            await client.send(frame, text=True)
        assert (await closed(client))[0] in codes


async def test_the_longest_append_works_and_a_longer_one_is_an_error(watched: Watched) -> None:
    push_to_talk = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    async with undisturbed(watched), connect(watched.server) as client:
        await say(client, "session.update", session=push_to_talk)
        await append(client, bytes(MAX_APPEND_BYTES))
        await say(client, "input_audio_buffer.commit")
        await until(client, "input_audio_buffer.committed")
        await append(client, bytes(MAX_APPEND_BYTES + 1))
        assert (await until(client, "error"))["error"]["code"] == "string_above_max_length"
        await say(client, "input_audio_buffer.clear")
        await until(client, "input_audio_buffer.cleared")


# --- how they read and write


async def with_small_window(server: Server) -> socket.socket:
    """A connection whose client's side holds little of what it does not read."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", server.port))
    return line


async def ask_without_reading(client: ClientConnection) -> None:
    """For a long text, over and over."""
    content = [{"type": "input_text", "text": "long " * 5_000}]
    item = {"id": "long", "type": "message", "role": "user", "content": content}
    with contextlib.suppress(websockets.ConnectionClosed):
        await say(client, "conversation.item.create", item=item)
        while True:
            await say(client, "conversation.item.retrieve", item_id="long")
            await asyncio.sleep(0)


async def test_clients_that_never_read_are_closed_whether_or_not_they_take_note(watched: Watched) -> None:
    server = watched.server
    async with undisturbed(watched) as talker:
        await talker.is_answered()
        sockets = watched.sockets()
        late, *never = [
            await connect(server, sock=await with_small_window(server), max_queue=1) for _ in range(4)
        ]
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(ask_without_reading(client)) for client in (late, *never)]
            await talker.is_answered()
            async with asyncio.timeout(WITHIN_S):
                while await watched.sessions() > 1:
                    pass
            for task in asking:
                task.cancel()
            code = await closed(late)
        assert code == (1008, "The client does not read what it is sent.")
        await comes_true("their sockets are gone", lambda: watched.sockets() <= sockets + IDLE_SOCKETS)
        for client in never:
            client.transport.abort()


async def test_more_than_the_backlog_at_once_is_heard_to_its_end(watched: Watched) -> None:
    """Twice what may wait: reading stops for a while."""
    said = join([silence(2 * BACKLOG_S, WIRE_HZ), tone(0.7, WIRE_HZ), silence(0.7, WIRE_HZ)], WIRE_HZ)
    async with undisturbed(watched), connect(watched.server) as client:
        await append(client, to_pcm16(said))
        done = await until(client, "response.done")
        assert done["response"]["status"] == "completed"


async def test_a_flood_is_pushed_back_and_closed_when_it_does_not_end(watched: Watched) -> None:
    """Its pongs lie behind minutes of audio: the server must not take that for silence."""
    second = json.dumps(
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(2 * WIRE_HZ)).decode()}
    )
    sent_bytes = 0

    async def flood(client: ClientConnection) -> None:
        nonlocal sent_bytes
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await client.send(second)
                sent_bytes += len(second)
                await asyncio.sleep(0)

    async with undisturbed(watched) as talker, connect(watched.server) as client:
        async with asyncio.TaskGroup() as group:
            flooding = group.create_task(flood(client))
            await talker.is_answered()
            assert await closed(client) == (
                1008,
                "Audio came faster than it can be listened to, for too long.",
            )
            flooding.cancel()
        assert sent_bytes < MORE_BYTES


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "end of stream"])
async def test_a_client_that_vanishes_while_it_is_spoken_to_is_let_go(watched: Watched, reset: bool) -> None:
    async with undisturbed(watched):
        client = await connect(watched.server)
        session_id = (await until(client, "session.created"))["session"]["id"]
        await append(client, Talker.SPEECH)
        await until(client, "response.output_audio.delta")
        if reset:
            line = client.transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.transport.abort()
        told = re.compile(rf"WARNING .*{session_id}: the connection was lost: 1006 without a close frame")
        await comes_true("it is logged", lambda: bool(told.search(watched.server.log_of("ingress"))))


async def test_a_client_behind_a_dead_line_is_let_go_and_a_silent_one_stays(watched: Watched) -> None:
    """Nothing comes and nothing is refused; only that no ping is answered gives it away."""
    async with undisturbed(watched) as talker, connect(watched.server) as silent:
        dead = await connect(watched.server)
        for client in (silent, dead):
            await until(client, "session.created")
        dead.transport.pause_reading()
        await talker.is_answered()
        assert await watched.sessions() == 3
        async with asyncio.timeout(WITHIN_S):
            while await watched.sessions() == 3:
                pass
        dead.transport.abort()
        await say(silent, "input_audio_buffer.clear")
        await until(silent, "input_audio_buffer.cleared")


# --- who they are


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "invalid_request_error"),
        (KEY[:-1], "invalid_request_error.invalid_api_key"),
    ],
)
async def test_a_stranger_is_told_once_and_closed(watched: Watched, key: str | None, reason: str) -> None:
    async with undisturbed(watched), connect(watched.server, key=key) as client:
        error = stock_event(str(await client.recv()))["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (3000, reason)


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"Authorization": f"Bearer {OTHER_KEY}"}},
        {"additional_headers": {"api-key": KEY}},
        {"subprotocols": ["realtime", f"openai-insecure-api-key.{KEY}"]},
        {"additional_headers": {"api-key": KEY}, "origin": ELSEWHERE},
    ],
    ids=["bearer", "api-key", "subprotocol", "allowed origin"],
)
async def test_who_shows_a_key_is_let_in(watched: Watched, options: Any) -> None:
    async with websockets.connect(watched.server.url, **options) as client:
        assert client.subprotocol == ("realtime" if "subprotocols" in options else None)
        await until(client, "session.created")


async def test_a_foreign_page_is_refused_even_with_a_key(watched: Watched) -> None:
    async with undisturbed(watched):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(watched.server, origin="https://foreign.example")
        assert refused.value.response.status_code == 403


async def test_nobody_can_find_the_keys_in_the_server(watched: Watched) -> None:
    """Its launcher was given them; nothing it started knows them."""
    home = watched.server.home
    for pid in processes_of(home):
        for place in ("cmdline", "environ"):
            assert not has_key(Path(f"/proc/{pid}/{place}")), f"{place} of {pid}"
    written = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert written
    assert [path for path in [*written, watched.server.output] if has_key(path)] == []


def has_key(path: Path) -> bool:
    content = path.read_bytes()
    return KEY.encode() in content or OTHER_KEY.encode() in content


async def test_with_a_key_the_door_is_open_to_the_network_and_nothing_else(watched: Watched) -> None:
    assert watched.server.open_to_the_network() == {watched.server.port}


async def test_without_a_key_no_server_listens_to_the_network(tmp_path: Path) -> None:
    server = launched(CONFIG, free_ports(1)[0], tmp_path / "told.txt", "--host", "0.0.0.0")
    assert await asyncio.to_thread(server.process.wait, WITHIN_S) == 2
    assert "listening on 0.0.0.0 would let in anybody" in server.told
    assert "ANTIPHON_API_KEYS" in server.told
