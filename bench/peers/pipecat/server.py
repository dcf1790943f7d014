"""Starts the bot's program in its own environment, and ends it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Literal

from bench.processes import family, parents
from bench.report import ROOT
from bench.server import STOP_S, Address, NotStarted
from deployments.local_ray import free_ports

Stages = Literal["scripted", "laptop", "talkative"]
"""What answers: that of one of CONFIGS."""

Turn = Literal["smart", "silence", "timeout"]
"""What ends a turn: Smart Turn, which is Pipecat's default; 200 ms of silence, the least that it can do; or
its rule of silence as it comes, which waits for another 600 ms."""

CONFIGS: dict[Stages, str] = {
    "scripted": "bench/scripted.yaml",
    "laptop": "configs/laptop.yaml",
    "talkative": "bench/turns/agent.yaml",
}

VERSIONS = ("pipecat-ai", "onnxruntime", "xllamacpp", "streaming-vits", "numpy", "websockets", "uvloop")
"""Of whose packages a report tells."""

ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
"""As Ray sets it for our models. Without it numpy's threads wait for each other while Smart Turn's features
are made: measured here, 95 ms of processor time for each question instead of 50."""

PYTHON = ROOT / ".venv-peers" / "pipecat" / "bin" / "python"
READY = "ready"
"""The program's line when a client may connect."""
START_S = 120.0


@asynccontextmanager
async def peer_server(*, stages: Stages, turn: Turn) -> AsyncIterator[Address]:
    """The address (ws://host:port) of a server, ready. Raises NotStarted, with what the program printed."""
    if not PYTHON.exists():
        raise NotStarted(f"{PYTHON.relative_to(ROOT)} is missing; `make bench` makes it")
    [port] = free_ports(1)
    command = ["-m", "bench.peers.pipecat.bot", "--stages", stages, "--turn", turn, "--port", str(port)]
    with tempfile.TemporaryFile("w+") as output:
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            *command,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            start_new_session=True,  # Linux shares a busy machine out by sessions: as for our own server
        )
        try:
            await _until_ready(process, output)
            yield Address(f"ws://127.0.0.1:{port}", lambda: family(process.pid, parents()))
        finally:
            await _stop(process)


def peer_versions() -> dict[str, str]:
    """As they are locked."""
    lines = Path(__file__).with_name("requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines)
    return {name: pinned[name] for name in VERSIONS}


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
