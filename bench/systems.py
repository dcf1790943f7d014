"""A server to be talked to, whichever it is: where it is, how it is spoken to, and its processes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from bench.client import JSON, Client, Wire, session
from bench.processes import spent_s

Name = Literal["antiphon", "pipecat"]


@dataclass(frozen=True, slots=True)
class System:
    """
    Attributes:
        wire: makes that of a session.
        address: ws://host:port.
        settings: of its sessions.
        pids: of all that runs because of it, now.
    """

    name: Name
    wire: Callable[[], Wire]
    address: str
    settings: JSON
    pids: Callable[[], Collection[int]]

    def session(self) -> AbstractAsyncContextManager[Client]:
        return session(self.wire(), self.address, self.settings)

    def cpu_s(self) -> float:
        """Processor time of all its processes so far."""
        return sum(spent_s(self.pids()).values())
