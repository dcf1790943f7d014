"""What every deployment does: it logs where its replica does, and may listen on loopback only. And what a
stage's does around a call: it counts it, and lets nothing out but StageError.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from conversation.errors import StageError, StageFailed

T = TypeVar("T")

logger = logging.getLogger("ray.serve")
"""Serve's own logger: it writes to the replica's file."""


_OURS = ("conversation", "realtime", "deployments")


def log_to_the_replicas_file() -> None:
    """What this project logs is written as Serve's own lines are, from Serve's level on.

    Else only warnings would be, by way of stderr: there as INFO, without time and place. To be called in the
    constructor of a hosted class, when Serve has set its logger up.
    """
    for name in _OURS:
        ours = logging.getLogger(name)
        ours.handlers, ours.propagate = logger.handlers, logger.propagate
        ours.setLevel(logger.level)


class LiveCalls:
    """The calls that one replica is working on now."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self.count = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call. What the model raises by mistake becomes StageFailed; cancellation passes."""
        self.count += 1
        try:
            yield
        except StageError:
            raise
        except Exception as error:
            logger.exception("%s failed", self._stage)
            raise StageFailed(self._stage, f"{type(error).__name__}: {error}") from error
        finally:
            self.count -= 1


async def never_empty(items: AsyncGenerator[T, None]) -> AsyncGenerator[T | None, None]:
    """The items; None in place of none at all, which deployments/calls.py drops again.

    Where the end of a stream is all there is of it, gRPC may hand it out before its beginning on a busy
    machine, and Serve 2.60 then takes the call for lost (`over_before_it_began` in deployments/calls.py). An
    item must be read before the end, so that the beginning comes first.
    """
    is_empty = True
    async with aclosing(items):
        async for item in items:
            is_empty = False
            yield item
    if is_empty:
        yield None


def listen_on_loopback_if_asked() -> None:
    """Keeps the calls between replicas on this machine, where ANTIPHON_LOOPBACK says so.

    Serve 2.60 opens each replica's gRPC port on all interfaces, without authentication, and unpickles what
    arrives: whoever reaches it can run code. It has no setting for the address; the port is opened after the
    constructor of the hosted class, which is where this is called.
    """
    if os.environ.get("ANTIPHON_LOOPBACK") != "1":
        return
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    if getattr(add_port, "loopback", False):
        return

    def add_loopback_port(server: object, address: str) -> int:
        port: int = add_port(server, address.replace("[::]", "127.0.0.1"))
        return port

    add_loopback_port.loopback = True  # type: ignore[attr-defined]
    replica.add_port_to_grpc_server = add_loopback_port
