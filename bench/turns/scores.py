"""Numbers from the results of all items: shares and percentiles by system, and how far each target is.

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

SLOWEST = 8
"""So many are named where a target is missed."""

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
    return {name: share(group, stopped) for name, group in grouped(_played(overlaps), _kind).items()}


def outcomes(overlaps: Sequence[OverlapResult]) -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = {}
    for name, group in grouped(overlaps, _kind).items():
        counted[name] = {outcome: len(same) for outcome, same in grouped(group, _outcome).items()}
    return counted


def reactions(overlaps: Sequence[OverlapResult]) -> Table:
    """When the agent held, and when it gave the turn up, after the onset of interruptions that stopped it."""
    rows: Table = {}
    for origin, group in grouped(_yielded(overlaps), lambda result: result.origin).items():
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


def _played(overlaps: Iterable[OverlapResult]) -> list[OverlapResult]:
    return [result for result in overlaps if result.outcome != "not played"]


def _yielded(overlaps: Iterable[OverlapResult]) -> list[OverlapResult]:
    return [result for result in overlaps if result.kind == "interruption" and stopped(result)]


def _kind(result: OverlapResult) -> str:
    return f"{result.kind}, {result.origin}"


def _outcome(result: OverlapResult) -> str:
    return result.outcome


# --- targets


@dataclass(frozen=True, slots=True)
class Target:
    """What shall be reached.

    Attributes:
        limit: the measured value must not be above it, or below it where `at_least`.
        where: what the difference is made of: the items that went wrong, or where the time went.
    """

    name: str
    limit: float
    measured: float | None
    unit: str
    n: int
    at_least: bool = False
    where: str = ""

    @property
    def missed_by(self) -> float | None:
        """0.0: met. None: not measured."""
        if self.measured is None:
            return None
        beyond = self.limit - self.measured if self.at_least else self.measured - self.limit
        return round(max(0.0, beyond), 1)

    def told(self) -> dict[str, Any]:
        return {
            "target": self.name,
            "limit": self.limit,
            "at_least": self.at_least,
            "unit": self.unit,
            "measured": self.measured,
            "n": self.n,
            "missed_by": self.missed_by,
            "where": self.where if self.missed_by else "",
        }


ALONE_MS = (318.0, 372.0)
"""p50 and p90 of the silence after an interruption, as Pipecat was measured before, alone."""


def targets(
    sentences: Sequence[SentenceResult],
    overlaps: Sequence[OverlapResult],
    peers: Sequence[OverlapResult],
    lost_samples: int | None,
) -> list[Target]:
    """What this server is to reach; `peers` are the other system's results of the same run."""
    found = []
    for origin in ("human", "synthetic"):
        said = [result for result in sentences if result.origin == origin]
        over = [result for result in overlaps if result.origin == origin]
        beside = [result for result in peers if result.origin == origin]
        found += [*_of_sentences(origin, said), *_of_overlaps(origin, over)]
        found += _beside_peer(origin, over, beside)
    lost = None if lost_samples is None else float(lost_samples)
    return [*found, Target("samples lost when an answer resumes", 0, lost, "samples", int(lost is not None))]


def _of_sentences(origin: str, sentences: list[SentenceResult]) -> list[Target]:
    paused = [result for result in sentences if result.pause_ms is not None]
    cut = share(paused, lambda result: result.cut_off)
    where = "; ".join(f"{r.item} after {r.taken_ms:.0f} ms" for r in paused if r.taken_ms is not None)
    name = f"{origin}: false cut-offs in pauses of 600 to 900 ms"
    return [Target(name, 5, cut.percent, "%", cut.of, where=where)]


def _of_overlaps(origin: str, overlaps: list[OverlapResult]) -> list[Target]:
    yielded, played = _yielded(overlaps), _played(overlaps)
    interruptions = [result for result in played if result.kind == "interruption"]
    backchannels = [result for result in played if result.kind == "backchannel"]
    found = [
        *_within(f"{origin}: hold after the onset", (150, None), yielded, lambda r: r.hold_ms),
        *_within(f"{origin}: verdict after the onset", (500, 800), yielded, lambda r: r.verdict_ms),
        *_within(f"{origin}: silence for a client that holds", ALONE_MS, yielded, _silence("holds")),
        _no_less(f"{origin}: interruptions stop it", 95, interruptions, stopped),
    ]
    if backchannels:
        found.append(
            _no_less(f"{origin}: backchannels ignored", 80, backchannels, lambda result: not stopped(result))
        )
    return found


def _no_less(
    name: str, percent: float, results: Sequence[OverlapResult], right: Callable[[OverlapResult], bool]
) -> Target:
    found = share(results, right)
    wrong = "; ".join(f"{r.item} {r.understood or ''}".strip() for r in results if not right(r))
    return Target(name, percent, found.percent, "%", found.of, at_least=True, where=wrong)


def _beside_peer(origin: str, ours: list[OverlapResult], theirs: list[OverlapResult]) -> list[Target]:
    """No later than the peer in the same run, whose clients flush."""
    peer = percentiles(map(_silence("flushes"), _yielded(theirs)))
    if peer is None:
        return []
    limits = (peer["p50"], peer["p90"])
    return _within(f"{origin}: silence, beside the peer's", limits, _yielded(ours), _silence("holds"))


def _silence(client: Obedience) -> Measure:
    return lambda result: result.silence_ms.get(client)


def _within(
    name: str,
    limits: tuple[float | None, float | None],
    results: Sequence[OverlapResult],
    measure: Measure,
) -> list[Target]:
    """p50 and p90, where there is a limit for it."""
    values = [(value, result) for result in results if (value := measure(result)) is not None]
    measured = percentiles(value for value, _ in values) or {}
    return [
        Target(name_of, limit, measured.get(rank), "ms", len(values), where=_slow(values, limit))
        for rank, limit in zip(("p50", "p90"), limits, strict=True)
        if limit is not None
        for name_of in [f"{name}, {rank}"]
    ]


def _slow(values: Sequence[tuple[float, OverlapResult]], limit: float) -> str:
    """What is known of those beyond the limit, and the slowest of them."""
    slow = sorted(((value, r) for value, r in values if value > limit), key=lambda one: -one[0])
    names = ", ".join(f"{r.item} {value:.0f}" for value, r in slow[:SLOWEST])
    marks = {mark: percentiles(measure(r) for _, r in slow) for mark, measure in MARKS.items()}
    medians = ", ".join(f"{mark} {ms['p50']:.0f}" for mark, ms in marks.items() if ms)
    return f"medians of those beyond it: {medians}. {names}"


MARKS: dict[str, Measure] = {
    "onset as the VAD alone hears it": lambda result: result.vad_ms,
    "hold": lambda result: result.hold_ms,
    "verdict": lambda result: result.verdict_ms,
}
