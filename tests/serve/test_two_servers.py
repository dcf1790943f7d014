"""Servers as `make run` starts them: two on one machine, what the door lets in, and that they leave
nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets

from conversation.audio import join, silence, to_pcm16
from conversation.scripted import tone
from deployments.local_ray import ROOT, free_ports
from tests.serve.server import CONFIG, GONE_WITHIN_S, UP_WITHIN_S, Server, configuration, launched

ANSWERED_WITHIN_S = 30.0
"""The answer is a second of speech, sent as it is played."""
MAX_SESSIONS = 2
WIRE_HZ = 24_000


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    place = tmp_path_factory.mktemp("servers")
    config = configuration(place / "few.yaml", ingress={"max_sessions": MAX_SESSIONS, "cpus": 0.1})
    servers = [launched(config, port, place / f"{port}.txt") for port in free_ports(2)]
    try:
        for server in servers:
            server.up()
        yield servers[0], servers[1]
    finally:
        for server in servers:
            server.process.kill()
            server.process.wait(GONE_WITHIN_S)
    left = {server.port: server.left() for server in servers}
    assert not any(left.values()), f"servers that were killed left processes: {left}"


@pytest.fixture
def server(both: tuple[Server, Server]) -> Server:
    return both[0]


async def idle(server: Server) -> None:
    """The sessions of the test before are over."""
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(server.health))["sessions"]:
            pass


def test_a_server_that_is_up_says_that_every_stage_answers(server: Server) -> None:
    assert server.health() == {
        "ready": True,
        "waiting_for": [],
        "sessions": 0,
        "max_sessions": MAX_SESSIONS,
    }


def test_a_stage_that_died_is_named_until_it_is_back(server: Server) -> None:
    os.kill(server.replica("tts"), signal.SIGKILL)

    seen: list[tuple[int, list[str]]] = [(200, [])]
    deadline_s = time.monotonic() + UP_WITHIN_S
    while seen[-1] != (200, []) or len(seen) == 1:
        assert time.monotonic() < deadline_s, seen
        if (health := waiting_for(server)) != seen[-1]:
            seen.append(health)

    assert seen == [(200, []), (503, ["tts"]), (200, [])]


def waiting_for(server: Server) -> tuple[int, list[str]]:
    try:
        return 200, server.health()["waiting_for"]
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)["waiting_for"]


async def test_a_client_is_greeted_and_the_subprotocol_is_accepted(server: Server) -> None:
    async with websockets.connect(server.url, subprotocols=[websockets.Subprotocol("realtime")]) as client:
        assert client.subprotocol == "realtime"
        assert client.response is not None
        assert "permessage-deflate" not in client.response.headers.get("Sec-WebSocket-Extensions", "")
        assert json.loads(await client.recv())["type"] == "session.created"
    await idle(server)


async def test_somebody_who_speaks_is_answered(server: Server) -> None:
    said = join([tone(1.0, WIRE_HZ), silence(1.0, WIRE_HZ)], WIRE_HZ)
    audio = base64.b64encode(to_pcm16(said)).decode()
    async with websockets.connect(server.url) as client:
        await client.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        heard: list[str] = []
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while not heard or heard[-1] != "response.done":
                event = json.loads(await client.recv())
                heard.append(event["type"])
    assert event["response"]["status"] == "completed"
    assert "input_audio_buffer.speech_started" in heard
    assert "response.output_audio.delta" in heard
    await idle(server)


def recorded_question(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, WIRE_HZ, 0, "NONE", ""))
        file.writeframes(to_pcm16(tone(1.2, WIRE_HZ)))


def ran(place: Path, *command: str) -> str:
    """What a program prints that a reader of the documentation runs."""
    done = subprocess.run(
        [sys.executable, *command], cwd=place, capture_output=True, text=True, timeout=ANSWERED_WITHIN_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_program_in_the_readme_is_answered(server: Server, tmp_path: Path) -> None:
    recorded_question(tmp_path / "question.wav")
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(program.replace("8765", str(server.port)))

    assert ran(tmp_path, "program.py").strip()


def test_the_example_asks_with_one_recording_and_keeps_the_answer_in_another(
    server: Server, tmp_path: Path
) -> None:
    recorded_question(tmp_path / "question.wav")
    url = server.url.partition("?")[0]

    told = ran(tmp_path, str(ROOT / "examples/talk.py"), url, "question.wav", "answer.wav")

    assert re.search(r"you: +\w+", told)
    assert re.search(r"agent: \w+", told)
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert answer.getnframes() / answer.getframerate() > 0.5


async def test_a_client_more_than_there_is_room_for_is_told_when_to_come_back(server: Server) -> None:
    clients = [await websockets.connect(server.url) for _ in range(MAX_SESSIONS)]
    for client in clients:
        await client.recv()
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(server.url)
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0
    for client in clients:
        await client.close()
    await idle(server)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null"])
async def test_a_page_of_another_origin_is_refused(server: Server, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(server.url, origin=websockets.Origin(origin))
    assert refused.value.response.status_code == 403


async def test_a_page_of_this_server_is_let_in(server: Server) -> None:
    own = websockets.Origin(f"http://127.0.0.1:{server.port}")
    async with websockets.connect(server.url, origin=own) as client:
        assert json.loads(await client.recv())["type"] == "session.created"
    await idle(server)


async def test_an_event_of_twenty_megabytes_is_read(server: Server) -> None:
    async with websockets.connect(server.url) as client:
        await client.recv()
        await client.send(json.dumps({"type": "no.such.event", "filler": "x" * 20_000_000}))
        async with asyncio.timeout(20):
            assert json.loads(await client.recv())["type"] == "error"
    await idle(server)


async def test_a_client_that_is_cut_off_leaves_no_session(server: Server) -> None:
    client = await websockets.connect(server.url)
    await client.recv()
    client.transport.abort()
    await idle(server)


def test_no_port_of_a_server_is_open_to_the_network(server: Server) -> None:
    assert server.open_to_the_network() == set()


async def test_ctrl_c_ends_one_server_its_clients_are_told_and_the_other_goes_on(
    both: tuple[Server, Server],
) -> None:
    staying, leaving = both
    client = await websockets.connect(leaving.url)
    await client.recv()
    leaving.process.send_signal(signal.SIGINT)
    await asyncio.wait_for(client.wait_closed(), GONE_WITHIN_S)
    assert client.close_code == 1012
    assert await asyncio.to_thread(leaving.process.wait, GONE_WITHIN_S) == 0
    assert leaving.left() == []
    assert not leaving.home.exists()
    assert staying.health()["ready"]


def test_a_stage_that_does_not_load_is_named_with_its_error(tmp_path: Path) -> None:
    config = configuration(
        tmp_path / "broken.yaml", llm={"model": "tests.serve.models:BrokenLlm", "cpus": 0.1}
    )
    server = launched(config, free_ports(1)[0], tmp_path / "told.txt")
    try:
        assert server.process.wait(UP_WITHIN_S) == 1
    finally:
        server.process.kill()
    assert "llm failed: RuntimeError: the weights are made of cheese" in server.told
    assert server.left() == []


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = launched(CONFIG, port, tmp_path / "told.txt")
        assert server.process.wait(UP_WITHIN_S) == 2
    assert f"port {port} is not free" in server.told


def test_a_configuration_that_is_wrong_is_named(tmp_path: Path) -> None:
    config = configuration(tmp_path / "wrong.yaml", vat={})
    server = launched(config, free_ports(1)[0], tmp_path / "told.txt")
    assert server.process.wait(UP_WITHIN_S) == 2
    assert "vat: no such key (did you mean 'vad'?)" in server.told
