"""The server that is measured: started for the measurement through its launcher, and stopped after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

from bench.report import ROOT
from deployments.local_ray import free_ports, processes_of

START_S = 240.0
STOP_S = 60.0
LOOK_EVERY_S = 0.1


class NotStarted(Exception):
    """The server did not come up; the message is its own."""


class Address(str):
    """Of a server that was started: its URL, and the processes that run because of it."""

    def __new__(cls, url: str, pids: Callable[[], Collection[int]]) -> Self:
        address = super().__new__(cls, url)
        address.pids = pids
        return address

    pids: Callable[[], Collection[int]]


@contextmanager
def server(config: str) -> Iterator[Address]:
    """The address (http://host:port) of a server with that configuration, ready. Raises NotStarted."""
    signal.signal(signal.SIGTERM, _leave)  # or the server would go on when only this process is ended
    [port] = free_ports(1)
    command = [sys.executable, "-m", "deployments.launch", "--config", config, "--port", str(port)]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process)
            output.seek(0)
            home = home_in(output.read().splitlines())
            yield Address(f"http://127.0.0.1:{port}", lambda: {process.pid, *processes_of(home)})
        except NotStarted as error:
            output.seek(0)
            raise NotStarted(f"{error}\n{output.read()}") from None
        finally:
            _stop(process)


def home_in(lines: Iterable[str]) -> Path:
    """The server's directory: the launcher tells where its logs are, HOME/session_latest/logs/serve."""
    [logs] = [line.partition("Logs of the stages: ")[2] for line in lines if "Logs of the" in line]
    return Path(logs).parents[2]


def wait_until_ready(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until /healthz says so. Raises NotStarted."""
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        if process is not None and process.poll() is not None:
            raise NotStarted(f"the server ended with status {process.returncode}")
        if is_ready(url):
            return
        time.sleep(LOOK_EVERY_S)
    raise NotStarted(f"{url}/healthz did not say that it is ready within {START_S:.0f} s")


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(json.load(answer)["ready"])
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
