"""The page of bench/reports/turns.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.html import JSON, SYSTEMS, caption, middle, nothing, page, targets
from bench.svg import Bar, Series, distributions, shares, strips, timeline
from bench.turn_timeline import BEFORE_MS, turn_timeline

OUTCOMES = {"ignored": "good", "held and resumed": "fair", "left held": "poor", "stopped": "bad"}
"""Of a sound that shall not stop the agent; and of one that shall."""
STOPPING = {"stopped": "good", "left held": "poor", "held and resumed": "fair", "ignored": "bad"}


def turns_page(report: JSON) -> str:
    overlaps, sentences = report["overlaps"], report["sentences"]
    return page(
        "Turn-taking",
        report,
        [
            ("Targets", targets(report["targets"])),
            ("A turn: who spoke, what was computed when, what was held", sentence_timeline(sentences)),
            ("A barge-in", barge_in_timeline(overlaps, "stopped", "interruption")),
            ("A sound that was dismissed", barge_in_timeline(overlaps, "held and resumed", "")),
            (
                "After the onset of interruptions that stopped the agent",
                barge_ins(overlaps),
            ),
            ("Interruptions: what became of them", fates(overlaps, ("interruption",), STOPPING)),
            (
                "Other sounds: what became of them",
                fates(overlaps, ("backchannel", "cough", "laugh", "noise"), OUTCOMES),
            ),
            ("From the true end of a sentence to the answer's first sound", waits(sentences)),
            ("Sentences with a long pause: whether the turn was taken inside", cuts(sentences)),
        ],
    )


def sentence_timeline(sentences: Sequence[JSON]) -> str:
    """Of the sentence whose answer came after the median wait, by this server, a person's if there is one."""
    timed = [
        turn
        for turn in sentences
        if turn["server_ms"].get("first_audio_ms") is not None
        and turn["first_delta_ms"] is not None
        and not turn["cut_off"]
    ]
    people = [turn for turn in timed if turn["origin"] == "human"]
    turn = middle(people or timed, lambda turn: float(turn["wait_ms"]))
    if turn is None:
        return nothing()
    return turn_timeline(turn["item"], turn["server_ms"], turn["first_delta_ms"], turn["wait_ms"])


def barge_in_timeline(overlaps: Sequence[JSON], outcome: str, kind: str) -> str:
    """The median one of this server's; any kind but interruptions where none is named."""
    found = [
        one
        for one in overlaps
        if one["system"] == "antiphon" and one["outcome"] == outcome and kind in ("", one["kind"])
    ]
    people = [one for one in found if one["origin"] == "human"]
    settled = "verdict_ms" if outcome == "stopped" else "resumed_ms"
    one = middle(people or found, lambda one: float(one[settled] or 0))
    if one is None:
        return nothing()
    hold, verdict, resumed = one["hold_ms"], one["verdict_ms"], one["resumed_ms"]
    rows = {"user": [Bar(0, one["sound_ms"], "user", one["item"])]}
    for client, name in LISTENERS.items():
        if outcome == "stopped":
            rows[name] = [Bar(-BEFORE_MS, one["silence_ms"][client], "ours")]
        elif client != "flushes":
            rows[name] = _with_gap(resumed, one["gap_ms"][client], one["sound_ms"])
    marks = {"hold": hold, "verdict": verdict, "resumed": resumed}
    shown = {name: ms for name, ms in marks.items() if ms is not None}
    title = f"{one['item']} ({one['origin']}), ms after its onset"
    return timeline(rows, shown, "ms", title) + caption(f"{title}. The median one.")


LISTENERS = {"holds": "heard: obeys a hold", "flushes": "heard: flushes", "keeps": "heard: plays what it has"}


def _with_gap(resumed: float, gap: float, sound: float) -> list[Bar]:
    """The gap ends when the agent resumes."""
    begin = resumed - gap
    after = max(sound, resumed) + BEFORE_MS
    if gap <= 0:
        return [Bar(-BEFORE_MS, after, "ours", "no gap")]
    return [
        Bar(-BEFORE_MS, begin, "ours"),
        Bar(begin, resumed, "held", f"silent {gap:.0f}"),
        Bar(resumed, after, "ours"),
    ]


def barge_ins(overlaps: Sequence[JSON]) -> str:
    stopped = [one for one in overlaps if one["kind"] == "interruption" and one["outcome"] == "stopped"]

    def of(measure: Callable[[JSON], float | None]) -> list[Series]:
        return _by_system_and_origin(stopped, measure)

    rows = {
        "hold": of(lambda one: one["hold_ms"]),
        "verdict": of(lambda one: one["verdict_ms"]),
        **{
            f"silence; {name.removeprefix('heard: ')}": of(lambda one, c=client: one["silence_ms"].get(c))  # type: ignore[misc]
            for client, name in LISTENERS.items()
        },
    }
    limits = {"hold": 150.0, "verdict": 500.0, "silence; obeys a hold": 318.0}
    return strips(rows, "ms", "Times after the onset of interruptions", limits) + caption(
        "Every interruption a dot; upright, the median. Dashed: the target for the median."
    )


def fates(overlaps: Sequence[JSON], kinds: Iterable[str], colours: Mapping[str, str]) -> str:
    rows: dict[str, dict[str, int]] = {}
    for kind in kinds:
        for system in SYSTEMS:
            for origin in ("human", "synthetic"):
                same = [
                    one["outcome"]
                    for one in overlaps
                    if (one["kind"], one["system"], one["origin"]) == (kind, system, origin)
                    and one["outcome"] != "not played"
                ]
                if same:
                    row = f"{kind}, {origin}, {system}"
                    rows[row] = {outcome: same.count(outcome) for outcome in colours}
    return shares(rows, colours, "Outcomes") if rows else nothing()


def waits(sentences: Sequence[JSON]) -> str:
    fair = [one for one in sentences if one["whole"] and not one["cut_off"]]
    series = _by_system_and_origin(fair, lambda one: one["wait_ms"])
    return distributions(series, "ms", "Waits") + caption("Share of answers that had begun by then.")


def cuts(sentences: Sequence[JSON]) -> str:
    paused = [one for one in sentences if one["pause_ms"] is not None]
    colours = {"waited": "good", "turn taken, unheard": "poor", "agent heard": "bad"}
    rows: dict[str, dict[str, int]] = {}
    for kind in dict.fromkeys(f"{one['origin']}, {one['pause_is']}" for one in paused):
        for system in SYSTEMS:
            same = [
                _fate(one)
                for one in paused
                if f"{one['origin']}, {one['pause_is']}" == kind and one["system"] == system
            ]
            if same:
                rows[f"{kind}, {system}"] = {fate: same.count(fate) for fate in colours}
    return shares(rows, colours, "Cut-offs") if rows else nothing()


def _fate(sentence: JSON) -> str:
    if sentence["heard_early"]:
        return "agent heard"
    return "turn taken, unheard" if sentence["cut_off"] else "waited"


def _by_system_and_origin(results: Sequence[JSON], measure: Callable[[JSON], float | None]) -> list[Series]:
    found = []
    for system, colour in SYSTEMS.items():
        for origin, suffix in (("human", ""), ("synthetic", "-2")):
            same = [one for one in results if (one["system"], one["origin"]) == (system, origin)]
            values = [value for one in same if (value := measure(one)) is not None]
            if values:
                found.append(Series(f"{system}, {origin}", values, f"{colour}{suffix}"))
    return found
