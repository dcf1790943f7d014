"""A server as `make run` starts it, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deployments.local_ray import ROOT, processes_of

UP_WITHIN_S = 200.0
"""Alone on two cores it takes 15 s, with torch in three stages a minute. The launcher gives up after 180."""
GONE_WITHIN_S = 30.0
"""It takes 3 s."""

CONFIG = ROOT / "configs" / "scripted.yaml"


@dataclass
class Server:
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime?model=scripted"

    @property
    def told(self) -> str:
        return self.output.read_text()

    @property
    def home(self) -> Path:
        found = re.search(r"Logs of the stages: (\S+)/session_latest/", self.told)
        assert found, self.told
        return Path(found[1])

    def up(self) -> None:
        deadline_s = time.monotonic() + UP_WITHIN_S
        while not re.search(rf"Antiphon listens on ws://\S+:{self.port}/v1/realtime", self.told):
            assert self.process.poll() is None, self.told
            assert time.monotonic() < deadline_s, self.told
            time.sleep(0.1)

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as answer:
            health: dict[str, Any] = json.load(answer)
            return health

    def replica(self, stage: str) -> int:
        """The process of the stage's one replica."""
        title = f"ServeReplica:antiphon:{stage}".encode()
        pids = processes_of(self.home)
        [pid] = [pid for pid in pids if title in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return pid

    def log_of(self, stage: str) -> str:
        """What its replicas have written."""
        files = (self.home / "session_latest" / "logs" / "serve").glob(f"replica_antiphon_{stage}_*.log")
        return "".join(file.read_text() for file in files)

    def left(self) -> list[int]:
        """Its processes that are still there when it should be gone, and time enough has passed."""
        deadline_s = time.monotonic() + GONE_WITHIN_S
        while (left := processes_of(self.home)) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return left

    def open_to_the_network(self) -> set[int]:
        """Ports that its processes listen on beyond loopback."""
        return {port for pid in processes_of(self.home) for port in listening_beyond_loopback(pid)}


def listening_beyond_loopback(pid: int) -> set[int]:
    sockets = sockets_of(pid)
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            listening = fields[3] == "0A"
            if listening and f"socket:[{fields[9]}]" in sockets and not address.endswith("0100007F"):
                found.add(int(port, 16))
    return found


def sockets_of(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            file = os.readlink(link)
        except OSError:  # closed meanwhile
            continue
        if file.startswith("socket:"):
            found.add(file)
    return found


def launched(
    config: Path, port: int, output: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Server:
    """Begins to start one; `arguments` are more of the launcher's."""
    command = [sys.executable, "-m", "deployments.launch", "--config", str(config), "--port", str(port)]
    with output.open("wb") as told:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(port, process, output)


def configuration(path: Path, **sections: Any) -> Path:
    """The scripted one, with these sections instead of its own."""
    path.write_text(yaml.safe_dump({**yaml.safe_load(CONFIG.read_text()), **sections}))
    return path
