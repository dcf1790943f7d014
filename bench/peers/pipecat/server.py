"""Starts the bot's program in its own environment, and ends it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Literal

from bench.report import ROOT
from bench.server import STOP_S, NotStarted
from deployments.local_ray import free_ports

Stages = Literal["scripted", "laptop", "talkative"]
"""What answers: the scripted stages of bench/scripted.yaml, the models of configs/laptop.yaml, or those of
bench/turns/agent.yaml."""

Turn = Literal["silence", "smart"]
"""What ends a turn: 200 ms of silence, or Smart Turn, which is Pipecat's default."""

PYTHON = ROOT / ".venv-peers" / "pipecat" / "bin" / "python"
READY = "ready"
"""The program's line when a client may connect."""
START_S = 120.0


class PeerServer(str):
    """The address, ws://host:port, and the process behind it."""

    pid: int


@asynccontextmanager
async def peer_server(*, stages: Stages, turn: Turn) -> AsyncIterator[PeerServer]:
    """A server, ready. Raises NotStarted, with what the program printed."""
    if not PYTHON.exists():
        raise NotStarted(f"{PYTHON.relative_to(ROOT)} is missing; `make bench` makes it")
    [port] = free_ports(1)
    command = ["-m", "bench.peers.pipecat.bot", "--stages", stages, "--turn", turn, "--port", str(port)]
    with tempfile.TemporaryFile("w+") as output:
        process = await asyncio.create_subprocess_exec(
            PYTHON, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=output
        )
        try:
            await _until_ready(process, output)
            url = PeerServer(f"ws://127.0.0.1:{port}")
            url.pid = process.pid
            yield url
        finally:
            await _stop(process)


async def _until_ready(process: asyncio.subprocess.Process, output: IO[str]) -> None:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline()
    except TimeoutError:
        line = b""
    if line.decode().strip() != READY:
        output.seek(0)
        raise NotStarted(f"the peer's server did not come up: {line.decode()}\n{output.read()}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
