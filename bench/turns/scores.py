"""Numbers from the results of all items: shares and percentiles by system.

Pure. People and machines are never put together, nor two systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.report import Percentiles, percentiles
from bench.turns.heard import Obedience
from bench.turns.results import OverlapResult, SentenceResult

MISSED_S = 3.0
"""An answer that has not begun so long after the true end of a sentence has missed it."""

CLIENTS: dict[Obedience, str] = {
    "holds": "client that obeys a hold",
    "flushes": "client that flushes on an interruption",
    "keeps": "client that plays what it has",
}

Table = dict[str, Percentiles | None]
Measure = Callable[[OverlapResult], float | None]
R = TypeVar("R", SentenceResult, OverlapResult)


@dataclass(frozen=True, slots=True)
class Share:
    """`of` items, `count` of which are so."""

    count: int
    of: int

    @property
    def percent(self) -> float | None:
        return round(100 * self.count / self.of, 1) if self.of else None

    def told(self) -> dict[str, Any]:
        return {"count": self.count, "of": self.of, "percent": self.percent}


def share(results: Iterable[R], holds: Callable[[R], bool]) -> Share:
    items = list(results)
    return Share(sum(map(holds, items)), len(items))


def grouped(results: Iterable[R], key: Callable[[R], str]) -> dict[str, list[R]]:
    """In the order in which the keys come."""
    groups: dict[str, list[R]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


# --- sentences


def cut_offs(
    sentences: Sequence[SentenceResult],
    so: Callable[[SentenceResult], bool] = lambda result: result.cut_off,
) -> dict[str, Share]:
    """Of sentences with a long pause inside, by who spoke and how the pause came about."""
    paused = [result for result in sentences if result.pause_ms is not None]
    groups = grouped(paused, lambda result: f"{result.origin}, {result.pause_is} pause")
    everybody = grouped(paused, lambda result: f"{result.origin}, all")
    return {name: share(group, so) for name, group in (everybody | groups).items()}


def misses(sentences: Sequence[SentenceResult]) -> dict[str, Share]:
    """Whole sentences that nobody answered in time. Those that were cut off are left out."""
    return {
        origin: share(group, lambda result: result.wait_ms is None or result.wait_ms > MISSED_S * 1000)
        for origin, group in _ended(sentences).items()
    }


def waits(sentences: Sequence[SentenceResult]) -> Table:
    """From the true end of a whole sentence to the first sound of the answer."""
    return {
        origin: percentiles(result.wait_ms for result in group) for origin, group in _ended(sentences).items()
    }


def _ended(sentences: Sequence[SentenceResult]) -> dict[str, list[SentenceResult]]:
    fair = [result for result in sentences if result.whole and not result.cut_off]
    return grouped(fair, lambda result: result.origin)


# --- overlaps


def stopped(result: OverlapResult) -> bool:
    return result.outcome == "stopped"


def stops(overlaps: Sequence[OverlapResult]) -> dict[str, Share]:
    """How many of each kind stopped the agent for good."""
    return {name: share(group, stopped) for name, group in grouped(played(overlaps), _kind).items()}


def outcomes(overlaps: Sequence[OverlapResult]) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for name, group in grouped(overlaps, _kind).items():
        counted[name] = {outcome: len(same) for outcome, same in grouped(group, _outcome).items()}
    return counted


def reactions(overlaps: Sequence[OverlapResult]) -> Table:
    """When the agent held, and when it gave the turn up, after the onset of interruptions that stopped it."""
    rows: Table = {}
    for origin, group in grouped(yielded(overlaps), lambda result: result.origin).items():
        rows[f"{origin}: hold"] = percentiles(result.hold_ms for result in group)
        rows[f"{origin}: verdict"] = percentiles(result.verdict_ms for result in group)
        for client, name in CLIENTS.items():
            rows[f"{origin}: silence, {name}"] = percentiles(
                result.silence_ms.get(client) for result in group
            )
    return rows


def disturbances(overlaps: Sequence[OverlapResult]) -> Table:
    """What sounds that were dismissed did to the answer."""
    held = [result for result in overlaps if result.outcome == "held and resumed"]
    rows: Table = {}
    for name, group in grouped(held, _kind).items():
        rows[f"{name}: held"] = percentiles(result.hold_ms for result in group)
        rows[f"{name}: resumed"] = percentiles(result.resumed_ms for result in group)
        for client in ("holds", "keeps"):
            gaps_ms = (result.gap_ms.get(client) for result in group)
            rows[f"{name}: gap, {CLIENTS[client]}"] = percentiles(gaps_ms)
    return rows


def played(overlaps: Iterable[OverlapResult]) -> list[OverlapResult]:
    return [result for result in overlaps if result.outcome != "not played"]


def yielded(overlaps: Iterable[OverlapResult]) -> list[OverlapResult]:
    return [result for result in overlaps if result.kind == "interruption" and stopped(result)]


def _kind(result: OverlapResult) -> str:
    return f"{result.kind}, {result.origin}"


def _outcome(result: OverlapResult) -> str:
    return result.outcome
