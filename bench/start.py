"""`make run` as somebody types it, each line of its output with the second at which it came."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from bench.processes import family, parents
from bench.report import ROOT
from bench.server import LOOK_EVERY_S, START_S, STOP_S, NotStarted, home_in, is_ready
from deployments.local_ray import free_ports, processes_of

PARTS = ("models are there", "Ray is up", "stages are ready", "/healthz says so")
"""When each is reached, in their order."""


@dataclass(frozen=True, slots=True)
class Line:
    """Of the output, `at_s` after the start."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Running:
    """A server that `make run` started, ready.

    Attributes:
        ready_s: from the command until /healthz answered that it is.
        lines: what it printed until then.
    """

    url: str
    pid: int
    ready_s: float
    lines: tuple[Line, ...]

    def pids(self) -> list[int]:
        """Of everything that runs because of the command."""
        return sorted(
            {*family(self.pid, parents()), *processes_of(home_in(line.text for line in self.lines))}
        )


def reached_ms(lines: Sequence[Line], ready_s: float) -> dict[str, int | None]:
    """When each of PARTS was reached, in ms; None where the output does not say."""

    def last(*endings: str) -> float | None:
        return max((line.at_s for line in lines if any(word in line.text for word in endings)), default=None)

    times = last("already there", "done"), last("Ray is up"), last(": ready ("), ready_s
    return {name: None if at is None else round(at * 1000) for name, at in zip(PARTS, times, strict=True)}


@contextmanager
def make_run(config: str) -> Iterator[Running]:
    """Raises NotStarted, with the output. Ctrl-C and the end of the block stop the server."""
    [port] = free_ports(1)
    command = ["make", "--no-print-directory", "run", f"CONFIG={config}", f"PORT={port}"]
    lines: list[Line] = []
    started_s = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    reader = threading.Thread(target=_note, args=(process.stdout, lines, started_s), daemon=True)
    reader.start()
    try:
        ready_s = _until_ready(f"http://127.0.0.1:{port}", process, started_s, lines)
        yield Running(f"http://127.0.0.1:{port}", process.pid, ready_s, tuple(lines))
    finally:
        _stop(process)
        reader.join(STOP_S)


def _note(output: IO[str], lines: list[Line], started_s: float) -> None:
    for text in output:
        lines.append(Line(time.monotonic() - started_s, text.rstrip()))


def _until_ready(url: str, process: subprocess.Popen[str], started_s: float, lines: list[Line]) -> float:
    while (after_s := time.monotonic() - started_s) < START_S:
        if process.poll() is not None:
            raise NotStarted("\n".join([f"`make run` ended: {process.returncode}", *(n.text for n in lines)]))
        if is_ready(url):
            return time.monotonic() - started_s
        time.sleep(LOOK_EVERY_S)
    raise NotStarted("\n".join([f"not ready after {after_s:.0f} s", *(line.text for line in lines)]))


def _stop(process: subprocess.Popen[str]) -> None:
    """As Ctrl-C does: everyone in the terminal's foreground group gets the signal."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
