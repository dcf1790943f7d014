"""The page of bench/reports/latency.json."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.html import JSON, SYSTEMS, caption, middle, nothing, page, targets
from bench.svg import Series, distributions, strips
from bench.turn_timeline import turn_timeline

PARTS = "in quiet, the parts of the wait"
"""A table of the report: what the wait of each turn is made of."""

STOPS: dict[str, Callable[[JSON], float | None]] = {
    "told to hold": lambda turn: turn["hold_ms"],
    "decided": lambda turn: turn["verdict_ms"],
    "silent; obeys a hold": lambda turn: turn["stop_ms"].get("holds"),
    "silent; flushes": lambda turn: turn["stop_ms"].get("flushes"),
    "silent; plays what it has": lambda turn: turn["stop_ms"].get("keeps"),
}


def latency_page(report: JSON) -> str:
    sections = [("Targets", "".join(_targets(lane) for lane in report["lanes"].values()))]
    for name, lane in report["lanes"].items():
        turns = [turn for turn in report["turns"] if turn["lane"] == name]
        sections += [
            (f"{lane['title']}: voice to voice", _waits(turns)),
            (f"{lane['title']}: where the time goes", _timeline(turns) + _parts(lane)),
            (f"{lane['title']}: after the onset of an interruption", _stops(turns)),
        ]
    return page("How long a person waits for the answer", report, sections)


def _targets(lane: JSON) -> str:
    """With what the wait is made of, where it is too long."""
    where = _made_of(lane)
    told = [
        {**target, "where": where if target["missed_by"] and "voice to voice" in target["target"] else ""}
        for target in lane["targets"]
    ]
    return f"<h3>{lane['title']}</h3>{targets(told)}" if told else ""


def _waits(turns: Sequence[JSON]) -> str:
    quiet = [turn for turn in turns if turn["outcome"] == "answered" and not turn["interrupts"]]
    series = _by_system(quiet, lambda turn: turn["voice_to_voice_ms"])
    if not series:
        return nothing()
    return distributions(series, "ms", "Voice to voice") + caption("Share of answers that had begun by then.")


def _timeline(turns: Sequence[JSON]) -> str:
    """Of the turn with the median wait, in quiet."""
    timed = [
        turn
        for turn in turns
        if turn["outcome"] == "answered"
        and not turn["interrupts"]
        and turn["server_ms"].get("first_audio_ms") is not None
    ]
    turn = middle(timed, lambda turn: float(turn["voice_to_voice_ms"]))
    if turn is None:
        return nothing()
    return turn_timeline(
        turn["utterance"], turn["server_ms"], turn["first_delta_ms"], turn["voice_to_voice_ms"]
    )


def _parts(lane: JSON) -> str:
    return caption(f"Medians: {_made_of(lane)}.")


def _made_of(lane: JSON) -> str:
    rows = lane["systems"].get("antiphon", {}).get("percentiles", {}).get(PARTS, {})
    return "; ".join(f"{name} {numbers['p50']:.0f}" for name, numbers in rows.items() if numbers)


def _stops(turns: Sequence[JSON]) -> str:
    rows = {name: _by_system(turns, measure) for name, measure in STOPS.items()}
    if not any(rows.values()):
        return nothing()
    limits = {"told to hold": 150.0, "decided": 500.0, "silent; obeys a hold": 318.0}
    return strips(rows, "ms", "After the onset of interruptions", limits) + caption(
        "Every interruption a dot; upright, the median. Dashed: the target for the median."
    )


def _by_system(turns: Sequence[JSON], measure: Callable[[JSON], float | None]) -> list[Series]:
    found = []
    for system, colour in SYSTEMS.items():
        same = [measure(turn) for turn in turns if turn["system"] == system]
        values = [value for value in same if value is not None]
        if values:
            found.append(Series(system, values, colour))
    return found
