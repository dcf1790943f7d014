"""What a report says: all results, the sums of each system, the targets; and the same in lines to read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bench.client import JSON
from bench.report import table
from bench.turns.lost import Comparison, lost_samples
from bench.turns.results import Found, OverlapResult, SentenceResult
from bench.turns.scores import (
    Share,
    cut_offs,
    disturbances,
    misses,
    outcomes,
    reactions,
    stops,
    waits,
)
from bench.turns.targets import targets


def told(found: Found, compared: list[Comparison]) -> dict[str, Any]:
    """Everything that is known, the sums of it first."""
    ours, peers = ([r for r in found.overlaps if r.system == name] for name in ("antiphon", "pipecat"))
    said = [result for result in found.sentences if result.system == "antiphon"]
    names = dict.fromkeys(result.system for result in found.sentences)
    return {
        "targets": [target.told() for target in targets(said, ours, peers, lost_samples(compared))],
        "systems": {name: _sums(found, name) for name in names},
        "resumed_answers": [asdict(one) for one in compared],
        "sentences": [asdict(result) for result in found.sentences],
        "overlaps": [asdict(result) for result in found.overlaps],
    }


def _sums(found: Found, system: str) -> dict[str, Any]:
    said = [result for result in found.sentences if result.system == system]
    over = [result for result in found.overlaps if result.system == system]
    return {
        "false cut-offs in a pause": _told(cut_offs(said)),
        "agent heard in a pause": _told(cut_offs(said, lambda result: result.heard_early)),
        "missed ends": _told(misses(said)),
        "wait after the true end": waits(said),
        "stopped the agent": _told(stops(over)),
        "outcomes": outcomes(over),
        "interruptions, after the onset": reactions(over),
        "dismissed sounds": disturbances(over),
    }


def _told(shares: dict[str, Share]) -> dict[str, dict[str, Any]]:
    return {name: share.told() for name, share in shares.items()}


# --- lines to read


SHARES = ("false cut-offs in a pause", "agent heard in a pause", "missed ends", "stopped the agent")
TIMES = ("wait after the true end", "interruptions, after the onset", "dismissed sounds")


def shown(report: JSON) -> str:
    """The sums of each system, and the targets."""
    lines = []
    for name, sums in report["systems"].items():
        lines.append(f"\n{name}")
        for title in SHARES:
            lines.append(f"\n{title}")
            lines += [f"  {of:36} {told['count']:3} of {told['of']:3}" for of, told in sums[title].items()]
        lines += [f"\n{title}\n{table(sums[title])}" for title in TIMES]
    return "\n".join([*lines, "", *map(_target, report["targets"])])


def _target(target: JSON) -> str:
    bound = f"{'>=' if target['at_least'] else '<='}{target['limit']:6.0f} {target['unit']:8}"
    missed_by = target["missed_by"]
    verdict = "not measured" if missed_by is None else f"missed by {missed_by:g}" if missed_by else "met"
    return f"{target['target']:64}{bound}{_number(target['measured'])}  {verdict}"


def line(result: SentenceResult | OverlapResult) -> str:
    """Of an overlap: hold, verdict, resumed, silence for a client that holds."""
    what = f"{result.system:9}{result.session:4}  {result.item:22}"
    if isinstance(result, SentenceResult):
        outcome, times_ms = "cut off" if result.cut_off else "", _number(result.wait_ms)
    else:
        marks_ms = (result.hold_ms, result.verdict_ms, result.resumed_ms, result.silence_ms.get("holds"))
        outcome, times_ms = result.outcome, " ".join(map(_number, marks_ms))
    return f"{what} {outcome:17} {times_ms}  {result.understood}"


def _number(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.0f}':>6}"
