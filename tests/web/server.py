"""A server as `make run` starts it, that can be killed and started again on its port."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from deployments.local_ray import ROOT

UP_WITHIN_S = 120.0
"""Alone on two cores it takes 15 s."""
GONE_WITHIN_S = 30.0
LOOK_EVERY_S = 0.1


@dataclass
class Server:
    config: Path
    port: int
    output: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime?model=scripted"

    def start(self) -> None:
        command = [sys.executable, "-m", "deployments.launch", "--config", str(self.config)]
        with self.output.open("wb") as told:
            process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=ROOT,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        deadline_s = time.monotonic() + UP_WITHIN_S
        while "Ctrl-C stops it" not in self.output.read_text():
            assert process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline_s, self.output.read_text()
            time.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        """Without a word to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process = self.processes.pop()
        process.send_signal(how)
        process.wait(GONE_WITHIN_S)

    def until_idle(self) -> None:
        """Every session is over."""
        deadline_s = time.monotonic() + GONE_WITHIN_S
        while self._sessions():
            assert time.monotonic() < deadline_s, "the client is gone and its session goes on"
            time.sleep(LOOK_EVERY_S)

    def _sessions(self) -> int:
        with urllib.request.urlopen(f"{self.url}healthz", timeout=10) as answer:
            return int(json.load(answer)["sessions"])
