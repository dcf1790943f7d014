"""What shall be reached, whether it was, and where it went if not. Pure.

People and machines are never put together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report import percentiles
from bench.turns.heard import Obedience
from bench.turns.results import OverlapResult, SentenceResult
from bench.turns.scores import Measure, played, share, stopped, yielded

SLOWEST = 8
"""So many are named where a target is missed."""


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
    stopping, heard = yielded(overlaps), played(overlaps)
    interruptions = [result for result in heard if result.kind == "interruption"]
    backchannels = [result for result in heard if result.kind == "backchannel"]
    found = [
        *_within(f"{origin}: hold after the onset", (150, None), stopping, lambda r: r.hold_ms),
        *_within(f"{origin}: verdict after the onset", (500, 800), stopping, lambda r: r.verdict_ms),
        *_within(f"{origin}: silence for a client that holds", ALONE_MS, stopping, _silence("holds")),
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
    peer = percentiles(map(_silence("flushes"), yielded(theirs)))
    if peer is None:
        return []
    limits = (peer["p50"], peer["p90"])
    return _within(f"{origin}: silence, beside the peer's", limits, yielded(ours), _silence("holds"))


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
