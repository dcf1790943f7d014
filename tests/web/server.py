"""A server that can be killed and started again on its port."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.serve import server
from tests.serve.server import GONE_WITHIN_S

LOOK_EVERY_S = 0.1


@dataclass
class Server:
    config: Path
    port: int
    output: Path
    running: server.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime?model=scripted"

    def start(self) -> None:
        self.running = server.launched(self.config, self.port, self.output)
        self.running.up()

    def kill(self) -> None:
        """Without a word to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def until_idle(self) -> None:
        """Every session is over."""
        assert self.running is not None
        deadline_s = time.monotonic() + GONE_WITHIN_S
        while self.running.health()["sessions"]:
            assert time.monotonic() < deadline_s, "the client is gone and its session goes on"
            time.sleep(LOOK_EVERY_S)

    def _end(self, how: signal.Signals) -> None:
        if self.running is not None:
            self.running.process.send_signal(how)
            self.running.process.wait(GONE_WITHIN_S)
            self.running = None
