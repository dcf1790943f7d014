"""What processes are called, how much memory they hold and how much processor time they took: Linux's /proc.

Knows nothing of what they do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One, at a moment.

    Attributes:
        pss_mib: proportional set size: each page it shares with others counts for its share. These add up.
        rss_mib: resident set size: each page counts in full in every process that has it.
        cpu_s: user and system time since it began.
    """

    pid: int
    title: str
    pss_mib: float
    rss_mib: float
    cpu_s: float


def looked_at(pids: Iterable[int]) -> list[Process]:
    """Those that still live, the largest first."""
    found = []
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            folder = PROC / str(pid)
            memory = memory_mib((folder / "smaps_rollup").read_text())
            title = title_of((folder / "cmdline").read_bytes().decode(errors="replace").split("\0"))
            found.append(
                Process(pid, title, memory["Pss"], memory["Rss"], cpu_s((folder / "stat").read_text()))
            )
    return sorted(found, key=lambda process: -process.pss_mib)


def spent_s(pids: Iterable[int]) -> dict[int, float]:
    """The processor time of each that still lives; cheaper than `looked_at`."""
    spent = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            spent[pid] = cpu_s((PROC / str(pid) / "stat").read_text())
    return spent


def parents() -> dict[int, int]:
    """The parent of each process of this machine."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[int(entry.name)] = int(_after_name((entry / "stat").read_text())[1])
    return found


def family(pid: int, parent_of: Mapping[int, int]) -> set[int]:
    """The process itself, its children and theirs."""
    members = {pid}
    while more := {child for child, parent in parent_of.items() if parent in members} - members:
        members |= more
    return members


def memory_mib(smaps_rollup: str) -> dict[str, float]:
    """Its fields; the file's first line is no field."""
    fields = (line.split() for line in smaps_rollup.splitlines()[1:])
    return {name.rstrip(":"): int(kib) / 1024 for name, kib, _ in fields}


def cpu_s(stat: str) -> float:
    """User and system time, the 14th and 15th field; see proc(5)."""
    user, system = _after_name(stat)[11:13]
    return (int(user) + int(system)) / TICKS_A_SECOND


def cpu_times() -> tuple[int, int]:
    """Jiffies that all cores of this machine were busy, and all jiffies there were."""
    times = [int(value) for value in (PROC / "stat").read_text().split(maxsplit=9)[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, sum(times)


def _after_name(stat: str) -> list[str]:
    """The fields from the third on. The second is a name in brackets, which may hold spaces and brackets."""
    return stat.rpartition(")")[2].split()


def title_of(arguments: Sequence[str]) -> str:
    """What a reader calls it: the title it gave itself, the module or script it runs, or the program."""
    program, *rest = arguments
    if "::" in program:
        return program.split()[0].partition(".")[0]
    name = Path(program).name
    if not name.startswith("python"):
        return name
    if rest[:1] == ["-m"]:
        return f"python -m {rest[1]}"
    script = next((argument for argument in rest if argument.endswith(".py")), "")
    return f"python {Path(script).name}".rstrip()
