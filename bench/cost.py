"""What a server costs before anybody speaks, and what one event costs: start, memory, idling, the wire.

    python -m bench.cost

Starts the server with `make run`, a few times, in the laptop's configuration and in the scripted one (no
models: what is left is Ray and this project). Holds a conversation of three turns with the last of each, then
looks at the memory of all its processes, then at what they do while nobody is connected.
bench/reports/cost.json gets every number.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import getloadavg
from typing import Any

from bench import wire
from bench.antiphon import Antiphon, asked
from bench.headset import HZ
from bench.processes import Process, looked_at, spent_s
from bench.report import Percentiles, circumstances, percentiles, table, write
from bench.speech import recordings, utterances
from bench.start import Running, make_run, reached_ms
from bench.systems import System
from bench.talking import QUIET_TURNS
from bench.talking import converse as converse_with

CONFIGS = ("configs/laptop.yaml", "configs/scripted.yaml")
AIMED_AT = CONFIGS[0]

START_AIM_S = 25.0
MEMORY_AIM_MIB = 2.5 * 1024
EVENT_AIM_US = 50.0

SETTLE_S = 5.0
"""After the conversation, before idling is measured."""
IDLE_S = 20.0

AIMED_EVENTS = (
    "append 20 ms: parsed and resampled",
    "append 40 ms: parsed and resampled",
    "audio delta 20 ms",
    "audio delta 40 ms",
)

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """A number that is not to be exceeded."""

    what: str
    unit: str
    at_most: float
    measured: float

    @property
    def met(self) -> bool:
        return self.measured <= self.at_most


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=3, help="of each configuration")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the server would go on
    about = circumstances()
    events_us = wire.costs()
    servers = {config: whole(config, arguments.starts) for config in CONFIGS}
    reached = aims(servers[AIMED_AT], events_us)
    report = {
        **about,
        "aims": [{**_plain(aim), "met": aim.met} for aim in reached],
        "servers": servers,
        "cost_of_an_event_us": events_us,
    }
    path = write("cost", report)
    machine = about["machine"]
    print(f"\n{machine['cpu']}, {machine['cores']} cores, load before {machine['load_before'][0]}\n")
    for config, server in servers.items():
        print(f"{config}\n{told(server)}\n")
    print(f"processor time of one event, microseconds\n{table(events_us)}\n")
    for aim in reached:
        verdict = "met   " if aim.met else "MISSED"
        print(f"{verdict} {aim.what}: {aim.measured:.1f} {aim.unit} (aim {aim.at_most:.0f})")
    print(path)


# --- the measurement


def whole(config: str, times: int) -> JSON:
    """Everything about one configuration."""
    starts: list[JSON] = []
    for number in range(times):
        load = getloadavg()[0]
        with make_run(config) as server:
            spent = spent_by_title(looked_at(server.pids()))
            starts.append(
                {
                    "ready_s": round(server.ready_s, 2),
                    "reached_ms": reached_ms(server.lines, server.ready_s),
                    "processor_s": round(sum(spent.values()), 1),
                    "processor_s_by_process": spent,
                    "load_before": round(load, 2),
                    "output": [f"{line.at_s:6.2f} {line.text}" for line in server.lines],
                }
            )
            print(f"{config}: ready after {server.ready_s:.1f} s", flush=True)
            if number == times - 1:
                before = memory(looked_at(server.pids()))
                turns = converse(server)
                after = memory(looked_at(server.pids()))
                time.sleep(SETTLE_S)
                idling = idle(server)
    return {
        "starts": starts,
        "ready_s": percentiles(start["ready_s"] for start in starts),
        "reached_ms": {
            part: percentiles(start["reached_ms"][part] for start in starts)
            for part in starts[0]["reached_ms"]
        },
        "turns_of_the_conversation": turns,
        "memory_before_it_mib": before["pss_mib"],
        "memory": after,
        "idle": idling,
    }


def converse(server: Running) -> list[str]:
    """Three turns by people, the third over the second answer. Returns how each ended."""
    takes = [take for take in recordings() if take.group == "librivox"]
    clips = list(islice(utterances(takes, HZ), QUIET_TURNS + 1))
    system = System("antiphon", Antiphon, server.url.replace("http", "ws", 1), asked(None), server.pids)
    return [turn.outcome for turn in asyncio.run(converse_with(system, 0, clips))]


def idle(server: Running) -> JSON:
    """Nobody is connected."""
    pids = server.pids()
    before, started_s = spent_s(pids), time.monotonic()
    time.sleep(IDLE_S)
    after, lasted_s = spent_s(pids), time.monotonic() - started_s
    titles = {process.pid: process.title for process in looked_at(pids)}
    return busy(before, after, lasted_s, titles)


# --- what it comes to


def spent_by_title(processes: Iterable[Process]) -> dict[str, float]:
    """Processor time in seconds, the busiest first. Of processes that have ended nothing is known."""
    spent: dict[str, float] = {}
    for process in processes:
        spent[process.title] = round(spent.get(process.title, 0.0) + process.cpu_s, 2)
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def memory(processes: Sequence[Process]) -> JSON:
    """In all, and of each."""
    return {
        "pss_mib": round(sum(process.pss_mib for process in processes)),
        "rss_mib": round(sum(process.rss_mib for process in processes)),
        "processes": [
            {"title": process.title, "pss_mib": round(process.pss_mib), "rss_mib": round(process.rss_mib)}
            for process in processes
        ],
    }


def busy(
    before: Mapping[int, float], after: Mapping[int, float], lasted_s: float, titles: Mapping[int, str]
) -> JSON:
    """Cores in use, in all and by process, the busiest first; those that used none are left out.

    Of a process that began or ended meanwhile nothing is known.
    """
    cores = {pid: (after[pid] - before[pid]) / lasted_s for pid in before.keys() & after.keys()}
    busiest = sorted((pid for pid in cores if cores[pid] > 0), key=lambda pid: -cores[pid])
    return {
        "cores": round(sum(cores.values()), 3),
        "over_s": round(lasted_s, 1),
        "processes": [{"title": titles.get(pid, str(pid)), "cores": round(cores[pid], 4)} for pid in busiest],
    }


def aims(server: JSON, events_us: Mapping[str, Percentiles | None]) -> list[Aim]:
    """Medians; of memory there is one number."""
    found = [
        Aim("make run until /healthz, median", "s", START_AIM_S, server["ready_s"]["p50"]),
        Aim("memory after a conversation (PSS)", "MiB", MEMORY_AIM_MIB, server["memory"]["pss_mib"]),
    ]
    for name in AIMED_EVENTS:
        if cost := events_us[name]:
            found.append(Aim(f"{name}, median", "us", EVENT_AIM_US, cost["p50"]))
    return found


def told(server: JSON) -> str:
    """One configuration, for people."""
    last, held, idling = server["starts"][-1], server["memory"], server["idle"]
    return "\n".join(
        [
            "milliseconds from `make run` until",
            _indented(table(server["reached_ms"])),
            f"processor time until then, last start: {last['processor_s']} s",
            *(f"  {spent:13.2f}  {title}" for title, spent in last["processor_s_by_process"].items()),
            f"memory after a conversation: {held['pss_mib']} MiB PSS ({held['rss_mib']} MiB RSS); "
            f"before it {server['memory_before_it_mib']}",
            *(f"  {one['pss_mib']:6} {one['rss_mib']:6}  {one['title']}" for one in held["processes"]),
            f"idle: {idling['cores']:.3f} cores",
            *(f"  {one['cores']:13.4f}  {one['title']}" for one in idling["processes"]),
        ]
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _plain(aim: Aim) -> JSON:
    return {"what": aim.what, "unit": aim.unit, "at_most": aim.at_most, "measured": aim.measured}


if __name__ == "__main__":
    main()
