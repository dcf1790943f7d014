"""The ports of servers that start at the same moment."""

from __future__ import annotations

import subprocess
import sys

from deployments.local_ray import FIRST_PORT, FIRST_RESERVED, ROOT, free_ports, reserved_ports

ANOTHER_SERVER = """
import sys
from deployments.local_ray import reserved_ports
print(reserved_ports(100).start, flush=True)
sys.stdin.read()
"""


def test_servers_that_start_at_once_take_different_ones() -> None:
    starts = [reserved_ports(100).start for _ in range(5)]
    others = [
        subprocess.Popen(
            [sys.executable, "-c", ANOTHER_SERVER],
            cwd=ROOT,
            stdin=-1,
            stdout=-1,
            text=True,
            env={"PYTHONPATH": "."},
        )
        for _ in range(3)
    ]
    try:
        for other in others:
            assert other.stdout is not None
            starts.append(int(other.stdout.readline()))
    finally:
        for other in others:
            other.communicate(timeout=30)
    assert len(set(starts)) == 8


def test_a_port_that_was_asked_for_alone_is_none_that_a_server_reserves() -> None:
    assert all(FIRST_PORT <= port < FIRST_RESERVED for port in free_ports(20))
