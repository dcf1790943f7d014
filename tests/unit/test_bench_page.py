"""The pages of reports: they hold what the report says, and their plots are sound SVG."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.html import middle
from bench.latency_page import latency_page
from bench.page import draw
from bench.svg import Bar, Scale, Series, distributions, shares, strips, timeline
from bench.turns.page import turns_page
from bench.turns.results import OverlapResult, SentenceResult
from bench.turns.targets import targets

CIRCUMSTANCES: dict[str, Any] = {
    "date": "2026-11-22T20:13:08+00:00",
    "command": "python -m bench.turns",
    "commit": "0123abc",
    "machine": {"cpu": "a processor", "cores": 2, "load_before": [0.1, 0.2, 0.3]},
    "machine_busy": 0.4,
}

MARKS_MS = {
    "asked_ms": 100.0,
    "transcript_ms": 180.0,
    "llm_first_ms": 200.0,
    "clause_ms": 300.0,
    "tts_first_ms": 350.0,
    "released_ms": 400.0,
    "first_audio_ms": 400.0,
}

SENTENCE = SentenceResult(
    "antiphon", 1, "s<1>", "human", 700, "natural", True, wait_ms=520, first_delta_ms=500, server_ms=MARKS_MS
)
INTERRUPTION = OverlapResult(
    "antiphon",
    2,
    "wait",
    "interruption",
    "human",
    1.0,
    600.0,
    "stopped",
    hold_ms=120.0,
    verdict_ms=480.0,
    silence_ms={"holds": 120.0, "flushes": 300.0, "keeps": 300.0},
)
COUGH = replace(
    INTERRUPTION,
    item="cough-01",
    kind="cough",
    origin="synthetic",
    outcome="held and resumed",
    verdict_ms=None,
    resumed_ms=500.0,
    silence_ms={},
    gap_ms={"holds": 380.0, "flushes": 200.0, "keeps": 200.0},
)


def drawings(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def words(drawing: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in drawing.iter("text")]


def turns_report(**changes: Any) -> dict[str, Any]:
    said, over = [SENTENCE, replace(SENTENCE, system="pipecat", cut_off=True)], [INTERRUPTION, COUGH]
    return {
        **CIRCUMSTANCES,
        "targets": [target.told() for target in targets(said, over, [], None)],
        "sentences": [asdict(one) for one in said],
        "overlaps": [asdict(one) for one in over],
        **changes,
    }


def test_the_page_of_turns_shows_a_turn_a_barge_in_and_what_was_dismissed() -> None:
    page = turns_page(turns_report())
    turn, barge_in, dismissed, *rest = drawings(page)
    assert "heard after 520" in words(turn)
    assert "asked 200" in words(turn)  # the server's 100, and 100 between its clock and the client's
    assert {"hold 120", "verdict 480"} <= set(words(barge_in))
    assert {"hold 120", "resumed 500", "silent 380"} <= set(words(dismissed))
    assert len(rest) == 5
    assert "s&lt;1&gt;" in page
    assert "s<1>" not in page


def test_a_missed_target_says_by_how_much_and_one_without_a_measurement_says_so() -> None:
    page = turns_page(turns_report())
    assert "missed by 50 %" not in page
    assert "not measured" in page
    missed = turns_report(targets=[{**turns_report()["targets"][0], "measured": 12.5, "missed_by": 7.5}])
    assert "missed by 7.5 %" in turns_page(missed)


def test_a_report_without_overlaps_has_a_page_too() -> None:
    assert "There was none." in turns_page(turns_report(overlaps=[], sentences=[]))


def test_the_page_of_waiting_has_a_part_for_each_lane() -> None:
    turn = {
        "lane": "one",
        "system": "antiphon",
        "utterance": "u",
        "outcome": "answered",
        "interrupts": False,
        "voice_to_voice_ms": 420.0,
        "first_delta_ms": 410.0,
        "server_ms": MARKS_MS,
        "hold_ms": None,
        "verdict_ms": None,
        "stop_ms": {},
    }
    late = {"target": "voice to voice, p50", "limit": 225, "at_least": False, "unit": "ms"}
    lane = {
        "title": "scripted",
        "targets": [{**late, "measured": 420.0, "n": 1, "missed_by": 195.0}],
        "systems": {"antiphon": {"percentiles": {"in quiet, the parts of the wait": {"asr": {"p50": 80.0}}}}},
    }
    page = latency_page({**CIRCUMSTANCES, "lanes": {"one": lane}, "turns": [turn]})
    assert "missed by 195 ms" in page
    assert 'class="where">asr 80' in page
    assert len(drawings(page)) == 2


def test_a_page_lies_beside_its_report(tmp_path: Path) -> None:
    (tmp_path / "try.json").write_text(json.dumps(turns_report()))
    assert draw("try", of="turns", directory=tmp_path) == tmp_path / "try.html"
    assert (tmp_path / "try.html").read_text().startswith("<!doctype html>")


def test_a_scale_keeps_what_is_beyond_it_at_its_edge_and_has_round_ticks() -> None:
    scale = Scale(0, 730, left=100, right=200)
    assert [scale.at(value) for value in (-10, 365, 9999)] == [100, 150, 200]
    assert scale.ticks() == [0, 100, 200, 300, 400, 500, 600, 700]


@pytest.mark.parametrize(
    "plot",
    [
        distributions([Series("a & b", [3, 1, 2], "ours"), Series("none", [], "peer")], "ms", "t"),
        strips({"row": [Series("a", [1, 2], "ours")]}, "ms", "t", {"row": 1.5}),
        timeline({"user": [Bar(-100, 0, "user", "<speaks>")]}, {"over": 10}, "ms", "t"),
        shares({"row": {"good": 3, "bad": 0}}, {"good": "good", "bad": "bad"}, "t"),
    ],
)
def test_every_plot_is_sound_xml(plot: str) -> None:
    assert ElementTree.fromstring(plot).tag == "svg"


def test_the_middle_of_nothing_is_nothing() -> None:
    assert middle([], lambda item: 0.0) is None
    assert middle([{"a": 3}, {"a": 1}, {"a": 2}], lambda item: float(item["a"])) == {"a": 2}
