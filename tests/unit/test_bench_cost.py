from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cost import AIMED_EVENTS, Aim, aims, busy, memory, spent_by_title
from bench.processes import Process, cpu_s, family, looked_at, memory_mib, parents, spent_s, title_of
from bench.server import home_in
from bench.start import PARTS, Line, reached_ms

LINES = [
    Line(0.16, "silero-vad 6.2.3, 1.3 MB: already there"),
    Line(0.31, "piper-joe 1.0.0, 63.2 MB: done"),
    Line(5.8, "Ray is up after 5 s. Logs of the stages: /tmp/antiphon-ab/session_latest/logs/serve"),
    Line(6.1, "  vad: loading (6 s)"),
    Line(9.25, "  vad: ready (9 s)"),
    Line(11.0, "  tts: ready (11 s)"),
]

STAT = "41 (a (very) odd name) S 7 41 41 0 -1 4194560 900 0 0 0 250 150 0 0 20 0 1 0 100 0 0"
"""As in proc(5), with user and system times of 250 and 150 ticks and parent 7."""

ROLLUP = """\
00400000-7ffe000 ---p 00000000 00:00 0                                   [rollup]
Rss:                2048 kB
Pss:                1024 kB
Pss_Dirty:           512 kB
"""


def test_the_output_tells_when_each_part_was_reached_and_where_the_server_lives() -> None:
    assert reached_ms(LINES, 11.5) == dict(zip(PARTS, (310, 5800, 11000, 11500), strict=True))
    assert home_in(line.text for line in LINES) == Path("/tmp/antiphon-ab")


def test_a_configuration_without_models_tells_nothing_about_them() -> None:
    assert reached_ms(LINES[2:], 11.5)["models are there"] is None


def test_memory_is_read_in_mib() -> None:
    assert memory_mib(ROLLUP) == {"Rss": 2.0, "Pss": 1.0, "Pss_Dirty": 0.5}


def test_processor_time_is_found_behind_any_name() -> None:
    assert cpu_s(STAT) * os.sysconf("SC_CLK_TCK") == 400


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (["ray::ServeReplica:antiphon:llm", ""], "ray::ServeReplica:antiphon:llm"),
        (
            ["ray::ServeReplica:antiphon:tts.initialize_and_get_metadata", ""],
            "ray::ServeReplica:antiphon:tts",
        ),
        (["/venv/bin/python", "-m", "deployments.launch", "--port", "1"], "python -m deployments.launch"),
        (["/venv/bin/python3", "-u", "/ray/log_monitor.py", "--x"], "python log_monitor.py"),
        (["/ray/core/gcs_server", "--log_dir=/tmp"], "gcs_server"),
        (["/venv/bin/python", "-c", "pass"], "python"),
    ],
)
def test_a_process_has_the_name_that_a_reader_knows(arguments: list[str], title: str) -> None:
    assert title_of(arguments) == title


def test_a_family_is_all_that_came_of_a_process() -> None:
    assert family(1, {2: 1, 3: 2, 4: 9, 5: 3}) == {1, 2, 3, 5}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_this_process_is_found_and_one_that_has_gone_is_left_out() -> None:
    gone = 2**22 + 1  # above the largest id that Linux gives
    [here] = looked_at([os.getpid(), gone])
    assert 0 < here.pss_mib <= here.rss_mib
    assert here.cpu_s > 0
    assert list(spent_s([os.getpid(), gone])) == [os.getpid()]
    assert parents()[os.getpid()] == os.getppid()


def test_memory_and_time_add_up_over_processes() -> None:
    processes = [Process(1, "replica", 310.4, 366, 5.0), Process(2, "replica", 100.3, 150, 2.5)]
    assert memory(processes)["pss_mib"] == 411
    assert spent_by_title([*processes, Process(3, "raylet", 1, 1, 9.0)]) == {"raylet": 9.0, "replica": 7.5}


def test_who_is_busy_is_told_by_the_cores_in_use() -> None:
    told = busy({1: 1.0, 2: 5.0, 3: 1.0}, {1: 2.0, 2: 5.0, 4: 9.0}, 20.0, {1: "raylet"})
    assert told["cores"] == 0.05
    assert told["processes"] == [{"title": "raylet", "cores": 0.05}]


@pytest.mark.parametrize(("measured", "met"), [(25.0, True), (25.1, False)])
def test_an_aim_is_met_up_to_its_number(measured: float, met: bool) -> None:
    assert Aim("start", "s", 25.0, measured).met is met


def test_there_is_an_aim_for_the_start_the_memory_and_each_event() -> None:
    server: dict[str, Any] = {"ready_s": {"p50": 20.0}, "memory": {"pss_mib": 3000}}
    reached = aims(server, {name: {"p50": 60.0} for name in AIMED_EVENTS})
    assert [aim.met for aim in reached] == [True, False, *[False] * len(AIMED_EVENTS)]
