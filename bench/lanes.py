"""What is measured beside the peer, setting against setting, and what is to be reached there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.client import JSON
from bench.peers import CONFIGS, Stages, Turn
from bench.turns.scores import CLIENTS
from bench.turns.targets import Target
from bench.waiting import Table, TurnResult, tables

Speech = Literal["clauses", "sentences", "questions"]
"""What is said: all that people read, whose ends are mostly those of clauses; their whole sentences; or a
machine's questions."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One setting of ours beside one of the peer's.

    Attributes:
        config: of our server.
        turn_detection: ours, as a client asks for it; None: as the configuration has it.
        peer: its stages, the same as ours, and what ends a turn there; None: there is nothing beside ours.
        silence_ms: what is said has no pause as long, by our own ears.
        at_most_ms: p50 and p90 of voice to voice that are aimed at; empty where none are.
        speech: where the end of a turn is judged, it must be one.
    """

    title: str
    config: str
    turn_detection: JSON | None
    peer: tuple[Stages, Turn] | None
    silence_ms: int
    at_most_ms: tuple[float, ...] = ()
    speech: Speech = "clauses"


def _lane(
    title: str,
    ours: JSON,
    stages: Stages,
    turn: Turn,
    silence_ms: int = 200,
    at_most_ms: tuple[float, ...] = (),
    speech: Speech = "clauses",
) -> Lane:
    return Lane(title, CONFIGS[stages], ours, (stages, turn), silence_ms, at_most_ms, speech)


def _silence(silence_ms: int) -> JSON:
    return {"type": "server_vad", "silence_duration_ms": silence_ms}


SEMANTIC: JSON = {"type": "semantic_vad"}

LANES: Mapping[str, Lane] = {
    "scripted-silence": _lane(
        "scripted stages, 200 ms of silence", _silence(200), "scripted", "silence", at_most_ms=(225, 250)
    ),
    "scripted-semantic": _lane(
        "scripted stages, semantic end of turn", SEMANTIC, "scripted", "smart", at_most_ms=(300, 400)
    ),
    "laptop-semantic": _lane(
        "laptop models, semantic end of turn, whole sentences of people",
        SEMANTIC,
        "laptop",
        "smart",
        at_most_ms=(500, 800),
        speech="sentences",
    ),
    "laptop-eager": _lane(
        "laptop models, semantic end of turn, eagerness high, whole sentences of people",
        {**SEMANTIC, "eagerness": "high"},
        "laptop",
        "smart",
        at_most_ms=(500, 800),
        speech="sentences",
    ),
    "laptop-questions": _lane(
        "laptop models, semantic end of turn, synthetic questions",
        SEMANTIC,
        "laptop",
        "smart",
        at_most_ms=(500, 800),
        speech="questions",
    ),
    "laptop-silence": _lane("laptop models, 200 ms of silence", _silence(200), "laptop", "silence"),
    "laptop-default": _lane(
        "laptop models, each with its own default of silence: 500 ms, and the peer's 800",
        _silence(500),
        "laptop",
        "timeout",
        silence_ms=500,
    ),
}
"""`semantic_vad` has the eagerness of a client that names none. Smart Turn is the peer's default."""

HOLD_MS = (150.0,)
VERDICT_MS = (500.0, 800.0)
SILENCE_MS = (318.0, 372.0)
"""After the onset of an interruption, p50 and p90: until the agent holds, until it is decided, until a client
that holds is silent. The last is the peer's, as it was measured before, alone on two cores."""


def ratios(ours: Table, theirs: Table) -> dict[str, dict[str, float]]:
    """p50 and p90 of ours divided by theirs, in every row that both have; below 1 ours is sooner."""
    return {
        row: {at: round(mine[at] / other[at], 3) for at in ("p50", "p90")}
        for row, mine in ours.items()
        if mine and (other := theirs.get(row)) and other["p50"] > 0
    }


BESIDE = ("voice to voice", "stop, after the onset of the user's voice")
"""The tables that both systems have."""


def by_system(results: Sequence[TurnResult]) -> dict[str, list[TurnResult]]:
    names = dict.fromkeys(result.system for result in results)
    return {name: [result for result in results if result.system == name] for name in names}


def beside(results: Sequence[TurnResult]) -> dict[str, Any]:
    """Those tables of both systems, and the ratios."""
    of = {name: tables(one, {}) for name, one in by_system(results).items()}
    told: dict[str, Any] = {}
    for title in BESIDE:
        told[title] = {name: table[title] for name, table in of.items()}
        if {"antiphon", "pipecat"} <= of.keys():
            told[title]["ratio"] = ratios(of["antiphon"][title], of["pipecat"][title])
    return told


def targets(lane: Lane, results: Sequence[TurnResult]) -> list[Target]:
    """What this lane was to reach, and by how much it did not. It takes a recogniser to decide by words."""
    told = tables([result for result in results if result.system == "antiphon"], {})
    stops = told["stop, after the onset of the user's voice"]
    aims = {
        "voice to voice": (told["voice to voice"]["in quiet"], lane.at_most_ms),
        "told to hold": (stops["told to hold"], HOLD_MS),
        "decided": (stops["decided"], VERDICT_MS if lane.peer and lane.peer[0] == "laptop" else ()),
        CLIENTS["holds"]: (stops[CLIENTS["holds"]], SILENCE_MS),
    }
    return [
        Target(f"{what}, {at}", limit, row[at] if row else None, "ms", int(row["n"]) if row else 0)
        for what, (row, limits) in aims.items()
        for at, limit in zip(("p50", "p90"), limits, strict=False)
    ]
