from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.antiphon import Antiphon
from bench.lanes import LANES, beside, ratios, targets
from bench.latency import Clips, Measured, _session, told
from bench.peers import CONFIGS, peer_versions
from bench.report import ROOT, percentiles
from bench.systems import System
from bench.waiting import TurnResult
from deployments.config import load_config


def waited(system: str, ms: float, *, stop_ms: float | None = None) -> TurnResult:
    result = TurnResult(system, 1, "reading/1", 2.0, interrupts=stop_ms is not None)
    result.outcome, result.voice_to_voice_ms, result.first_delta_ms = "answered", ms, ms
    if stop_ms is not None:
        result.verdict_ms, result.stop_ms = stop_ms, {"holds": stop_ms, "flushes": stop_ms, "keeps": stop_ms}
    return result


BOTH = [waited("antiphon", 200), waited("pipecat", 250), waited("antiphon", 220), waited("pipecat", 350)]


def test_a_ratio_below_one_means_that_ours_is_sooner() -> None:
    assert ratios({"row": percentiles([100.0])}, {"row": percentiles([200.0])}) == {
        "row": {"p50": 0.5, "p90": 0.5}
    }


def test_where_one_has_no_numbers_there_is_no_ratio() -> None:
    assert ratios({"a": percentiles([1.0]), "b": None}, {"a": None, "b": percentiles([1.0])}) == {}


def test_systems_stand_beside_each_other() -> None:
    waits = beside(BOTH)["voice to voice"]
    assert waits["antiphon"]["in quiet"]["p50"] == 210
    assert waits["pipecat"]["in quiet"]["p50"] == 300
    assert waits["ratio"]["in quiet"]["p50"] == 0.7


def test_alone_there_is_nothing_to_compare_with() -> None:
    assert "ratio" not in beside([waited("antiphon", 200)])["voice to voice"]


def test_targets_are_for_ours_and_a_missed_one_says_by_how_much() -> None:
    lane = replace(LANES["scripted-silence"], at_most_ms=(200.0, 250.0))
    p50, p90, *_ = targets(lane, BOTH)
    assert (p50.measured, p50.missed_by) == (210, 10)
    assert (p90.measured, p90.missed_by) == (218, 0)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    stops = targets(LANES["laptop-silence"], BOTH)
    assert {target.missed_by for target in stops} == {None}
    assert all("voice to voice" not in target.name for target in stops)


def test_the_heard_silence_has_the_peers_for_a_target() -> None:
    interrupted = [waited("antiphon", 500, stop_ms=330)]
    [p50, p90] = targets(LANES["laptop-silence"], interrupted)[-2:]
    assert (p50.missed_by, p90.missed_by) == (12, 0)


@pytest.mark.parametrize("name", LANES)
def test_both_systems_of_a_lane_have_the_same_stages(name: str) -> None:
    lane = LANES[name]
    assert lane.peer is not None
    assert lane.config == CONFIGS[lane.peer[0]]
    assert load_config(lane.config).turn is not None


def test_the_report_keeps_every_turn_and_its_lane() -> None:
    measured = Measured(Clips([], [], {"onset": [], "end": []}), BOTH, busy=0.5)
    name = "scripted-silence"
    report = told({"date": "today"}, {name: LANES[name]}, {name: measured})
    assert [(turn["lane"], turn["system"]) for turn in report["turns"]] == [
        (name, result.system) for result in BOTH
    ]
    assert report["lanes"][name]["systems"]["pipecat"]["counts"]["turns in quiet"] == 2
    assert report["machine_busy"] == 0.5


def test_the_peers_versions_are_those_of_its_lock() -> None:
    assert peer_versions()["pipecat-ai"] == "1.14.0"


def test_the_peer_runs_the_models_with_our_versions_of_their_libraries() -> None:
    ours, peers = (pins(ROOT / file) for file in ("requirements.txt", "bench/peers/pipecat/requirements.txt"))
    shared = {
        "onnxruntime",
        "xllamacpp",
        "streaming-vits",
        "numpy",
        "uvloop",
        "websockets",
        "espeakng-loader",
    }
    assert {name: peers[name] for name in shared} == {name: ours[name] for name in shared}


def pins(lock: Path) -> dict[str, str]:
    return dict(line.split("==") for line in lock.read_text().splitlines())


async def test_a_session_that_breaks_off_is_told_of_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def hang_up(socket: ServerConnection) -> None:
        await socket.close(1011)

    async with serve(hang_up, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        system = System("antiphon", Antiphon, f"ws://127.0.0.1:{port}", {}, tuple)
        measured = Measured(Clips([], [], {}))
        await _session(system, 7, [], measured)
    assert measured.results == []
    assert [why.partition(":")[0] for why in measured.broken_off] == ["antiphon 7"]
    assert "antiphon 7" in capsys.readouterr().out
