"""How long a person waits for the answer, and how long the agent talks on when interrupted, beside Pipecat.

    python -m bench.latency                                 all lanes; see lanes.py
    python -m bench.latency --lanes laptop-semantic --turns 10
    python -m bench.latency --config FILE [--url http://127.0.0.1:8765]     one server as it comes, alone

Recorded people speak through a real WebSocket in real time; what counts is when sound reaches the client's
loudspeaker. Both servers of a lane run all the while, and are talked to in turn: a session with the one, then
the same session with the other. bench/reports/latency.json gets every single turn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from time import monotonic

import numpy as np
from websockets.exceptions import ConnectionClosed

from bench.antiphon import Antiphon, asked
from bench.client import JSON, Timeout
from bench.endpoints import heard_turns
from bench.headset import HZ, ROOM_DB
from bench.lanes import LANES, Lane, Speech, beside, by_system, targets
from bench.page import draw
from bench.peers import Pipecat, peer_server, peer_versions
from bench.processes import cpu_times
from bench.report import circumstances, table, write
from bench.server import Address, server
from bench.speech import (
    WHOLE,
    Utterance,
    at_rate,
    interleaved,
    recordings,
    room_noise,
    synthetic_questions,
    utterances,
)
from bench.systems import System
from bench.talking import QUIET_TURNS, converse
from bench.turns.targets import Target
from bench.waiting import TurnResult, counts, tables
from conversation.audio import HEARING_HZ, Audio
from conversation.settings import TurnDetection
from deployments.config import Config, load_config
from deployments.loading import load

ENVIRONMENT = ("LLM_MODEL", "RAY_worker_niceness")
"""What else decides how fast an answer is. Without the latter Ray gives its workers a niceness of 15."""

EARLY_S = 0.1
"""Ears that hear the end of an utterance so much before our mark have missed a word of it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--lanes", type=_lanes, default=list(LANES), help=f"of {', '.join(LANES)}; default: all"
    )
    parser.add_argument(
        "--turns", type=int, default=20, help="in quiet, of each server; half as many interrupt"
    )
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--config", help="measure a server with that configuration, alone")
    parser.add_argument("--url", help="of a running server; default: start one")
    parser.add_argument("--name", default="latency", help="of the report")
    arguments = parser.parse_args()
    about = {**circumstances(), "peer": peer_versions()}
    lanes: Mapping[str, Lane] = {name: LANES[name] for name in arguments.lanes}
    if arguments.config:
        lanes = {"as configured": as_configured(arguments.config)}
    measured: dict[str, Measured] = {}
    for name, lane in lanes.items():
        print(f"\n=== {name}: {lane.title}", flush=True)
        alone = arguments.alone or bool(arguments.config)
        measured[name] = asyncio.run(measure(lane, arguments.url, alone=alone, turns=arguments.turns))
        print(shown(lane, measured[name]), flush=True)
        print(
            write(arguments.name, told(about, lanes, measured)), draw(arguments.name, of="latency"), sep="\n"
        )


def _lanes(names: str) -> list[str]:
    chosen = names.split(",")
    if unknown := set(chosen) - set(LANES):
        raise argparse.ArgumentTypeError(f"no lane {', '.join(unknown)}; there are {', '.join(LANES)}")
    return chosen


def as_configured(file: str) -> Lane:
    """A server alone, whose sessions ask for nothing."""
    detection = load_config(file).session.turn_detection or TurnDetection()
    return Lane(file, file, None, None, detection.silence_duration_ms)


# --- what is played


@dataclass(frozen=True, slots=True)
class Clips:
    """What there is to say.

    Attributes:
        fit: the utterances that the configured ears hear as one turn.
        unfit: the names of the others.
        later_ms: by how much those ears hear each mark of the fit ones after ours.
    """

    fit: list[Utterance]
    unfit: list[str]
    later_ms: dict[str, list[float]]


def _utterances(speech: Speech) -> list[Utterance]:
    if speech == "questions":
        return utterances(synthetic_questions(), HZ)
    said = interleaved(utterances(recordings(), HZ))
    return said if speech == "clauses" else [one for one in said if one.name in WHOLE]


async def fit_to_measure(config: Config, silence_ms: int, speech: Speech = "clauses") -> Clips:
    """Those in which no silence is long enough to be taken for the end."""
    vad = load(config.vad.model, config.vad.options)
    detection = TurnDetection(silence_duration_ms=silence_ms)
    clips = Clips([], [], {"onset": [], "end": []})
    around = room_noise(HZ, ROOM_DB)  # a second
    for clip in _utterances(speech):
        audio = at_rate(Audio(np.concatenate([around, clip.audio.samples, around]), HZ), HEARING_HZ)
        match await heard_turns(audio, vad, detection, config.conversation):
            case [turn] if (later_s := turn.end / HEARING_HZ - 1 - clip.end_s) > -EARLY_S:
                clips.fit.append(clip)
                clips.later_ms["onset"].append(_ms(turn.onset / HEARING_HZ - 1 - clip.onset_s))
                clips.later_ms["end"].append(_ms(later_s))
            case _:
                clips.unfit.append(clip.name)
    return clips


# --- the measurement


@dataclass(slots=True)
class Measured:
    """One lane.

    Attributes:
        broken_off: the sessions that did not come to their end, and why.
        busy: the share of all processor time of the machine that anybody used.
        cores: what each server used, in cores, while it was talked to and while only the other one was.
    """

    clips: Clips
    results: list[TurnResult] = field(default_factory=list)
    broken_off: list[str] = field(default_factory=list)
    busy: float = 0.0
    cores: dict[str, dict[str, float]] = field(default_factory=dict)


async def measure(lane: Lane, url: str | None, *, alone: bool, turns: int) -> Measured:
    """So many turns in quiet of each system, and half as many that interrupt."""
    config = load_config(lane.config)
    measured = Measured(await fit_to_measure(config, lane.silence_ms, lane.speech))
    print(
        f"{len(measured.clips.fit)} utterances; {len(measured.clips.unfit)} more are not one turn", flush=True
    )
    with _running(lane, url) as ours:
        async with _beside(lane, ours, alone=alone) as systems:
            for system in systems:  # what the first time costs is not counted
                await _session(system, 0, measured.clips.fit[:QUIET_TURNS], Measured(measured.clips))
            await _talk(systems, measured, turns)
    return measured


async def _talk(systems: Sequence[System], measured: Measured, turns: int) -> None:
    source: Iterator[Utterance] = cycle(measured.clips.fit)
    before, used = cpu_times(), _Used(systems)
    for number in range(1, turns + 1):
        clips = list(islice(source, QUIET_TURNS + 1))
        for system in systems:
            with used.talking_to(system):
                await _session(system, number, clips, measured)
        if all(_quiet(measured.results, system) >= turns for system in systems):
            break
    busy, total = (after - start for after, start in zip(cpu_times(), before, strict=True))
    measured.busy, measured.cores = round(busy / total, 2), used.cores()


async def _session(system: System, number: int, clips: Sequence[Utterance], measured: Measured) -> None:
    """One that breaks off is told of, and its turns are lost."""
    try:
        results = await converse(system, number, clips)
        measured.results += results
        print("\n".join(map(_line, results)), flush=True)
    except* (ConnectionClosed, Timeout) as broken:
        why = f"{system.name} {number}: {broken.exceptions[0]!r}"
        measured.broken_off.append(why)
        print(why, flush=True)


def _quiet(results: Sequence[TurnResult], system: System) -> int:
    return sum(not result.interrupts for result in results if result.system == system.name)


def _running(lane: Lane, url: str | None) -> AbstractContextManager[Address]:
    return nullcontext(Address(url, tuple)) if url else server(lane.config)


@asynccontextmanager
async def _beside(lane: Lane, ours: Address, *, alone: bool) -> AsyncIterator[list[System]]:
    address = ours.replace("http", "ws", 1)
    systems = [System("antiphon", Antiphon, address, asked(lane.turn_detection), ours.pids)]
    if alone or lane.peer is None:
        yield systems
        return
    stages, turn = lane.peer
    async with peer_server(stages=stages, turn=turn) as peer:
        yield [*systems, System("pipecat", Pipecat, peer, {}, peer.pids)]


class _Used:
    """Processor time by system, while it is talked to and while it is not."""

    def __init__(self, systems: Sequence[System]) -> None:
        self._systems = systems
        self._cpu_s = {(system.name, state): 0.0 for system in systems for state in STATES}
        self._lasted_s = dict.fromkeys(self._cpu_s, 0.0)

    @contextmanager
    def talking_to(self, talked_to: System) -> Iterator[None]:
        before_s = {system.name: system.cpu_s() for system in self._systems}
        start_s = monotonic()
        yield
        lasted_s = monotonic() - start_s
        for system in self._systems:
            key = system.name, STATES[system is not talked_to]
            self._cpu_s[key] += system.cpu_s() - before_s[system.name]
            self._lasted_s[key] += lasted_s

    def cores(self) -> dict[str, dict[str, float]]:
        return {
            system.name: {
                state: round(self._cpu_s[system.name, state] / lasted_s, 3)
                for state in STATES
                if (lasted_s := self._lasted_s[system.name, state])
            }
            for system in self._systems
        }


STATES = ("talked to", "beside the other")


# --- the report


def told(about: JSON, lanes: Mapping[str, Lane], measured: Mapping[str, Measured]) -> JSON:
    return {
        **about,
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "machine_busy": round(sum(one.busy for one in measured.values()) / len(measured), 2),
        "turns_in_a_session": QUIET_TURNS + 1,
        "unit": "ms",
        "lanes": {name: told_of_lane(lanes[name], one) for name, one in measured.items()},
        "turns": [
            {"lane": name, **asdict(result)} for name, one in measured.items() for result in one.results
        ],
    }


def told_of_lane(lane: Lane, measured: Measured) -> JSON:
    fit = measured.clips.fit
    return {
        "title": lane.title,
        "session": asked(lane.turn_detection),
        "peer": None if lane.peer is None else dict(zip(("stages", "turn"), lane.peer, strict=True)),
        "configuration": {"file": lane.config, **load_config(lane.config).model_dump(mode="json")},
        "speech": {
            "kind": "synthetic" if lane.speech == "questions" else "human",
            "ends": lane.speech,
            "sources": sorted({clip.recording.source for clip in fit}),
            "utterances": [clip.name for clip in fit],
            "not_heard_as_one_turn": measured.clips.unfit,
        },
        "sessions_broken_off": measured.broken_off,
        "machine_busy": measured.busy,
        "cores_in_use": measured.cores,
        "targets": [target.told() for target in targets(lane, measured.results)],
        "beside": beside(measured.results),
        "systems": {
            name: {"counts": counts(results), "percentiles": tables(results, measured.clips.later_ms)}
            for name, results in by_system(measured.results).items()
        },
    }


def shown(lane: Lane, measured: Measured) -> str:
    """One lane, for people."""
    lines = [f"\n{lane.title}; machine busy {measured.busy:.0%}; cores {measured.cores}; all in ms"]
    for name, results in by_system(measured.results).items():
        lines += [f"\n{name}: " + ", ".join(f"{n} {what}" for what, n in counts(results).items())]
        for title, rows in tables(results, {}).items():
            lines += [title, table({row: numbers for row, numbers in rows.items() if numbers})]
    for title, told in beside(measured.results).items():
        for row, ratio in told.get("ratio", {}).items():
            lines.append(f"{title}, {row}: ours / theirs {ratio['p50']:.2f} p50, {ratio['p90']:.2f} p90")
    return "\n".join([*lines, *map(_verdict, targets(lane, measured.results))])


def _verdict(target: Target) -> str:
    if target.measured is None or target.missed_by is None:
        return f"not measured: {target.name}"
    verdict = f"missed by {target.missed_by:.0f} ms" if target.missed_by else "met"
    return f"{verdict}: {target.name} {target.measured:.0f} ms (at most {target.limit:.0f})"


def _line(turn: TurnResult) -> str:
    waited = "-" if turn.voice_to_voice_ms is None else f"{turn.voice_to_voice_ms:.0f} ms"
    stop = f", silent after {turn.stop_ms['holds']:.0f} ms" if turn.stop_ms else ""
    return (
        f"{turn.system:9}{turn.session:3} {turn.utterance:18} {turn.outcome}: {waited}{stop}  [{turn.heard}]"
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    main()
