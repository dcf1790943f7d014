"""When the agent takes the turn and what makes it give it up, with Pipecat beside it.

    python -m bench.turns                   starts both servers: agent.yaml, and Pipecat with the same models
    python -m bench.turns --items 12 --alone --url http://127.0.0.1:8765        a look at a running server

Sentences with pauses inside are said to a silent agent; interruptions, backchannels, coughs, laughs and
noises over one that speaks. Both systems hear the same in real time, a session of the one and then one of
the other. bench/reports/turns.json gets every single item, turns.html the plots.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count, cycle
from typing import Any, TypeVar

from bench.antiphon import Antiphon, asked
from bench.client import JSON
from bench.page import draw
from bench.peers import CONFIGS, Pipecat, peer_server, peer_versions
from bench.processes import cpu_times
from bench.report import circumstances, write
from bench.server import Address, server
from bench.systems import System
from bench.turns.ears import onsets_ms
from bench.turns.items import Overlap, Sentence, overlaps, questions, sentences
from bench.turns.lost import Comparison, comparisons
from bench.turns.play import BETWEEN_S, Scene
from bench.turns.results import Found, OverlapResult, SentenceResult
from bench.turns.scores import MISSED_S
from bench.turns.told import line, shown, told
from deployments.config import load_config
from deployments.loading import load

AGENT, LOST = CONFIGS["talkative"], "bench/turns/lost.yaml"

IN_A_SESSION = 10
"""Items; then comes the other system."""

PARTS = ("sentences", "overlaps", "lost")

T = TypeVar("T")
R = TypeVar("R", SentenceResult, OverlapResult)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="of a running server with agent.yaml; default: start one")
    parser.add_argument("--items", type=int, help="so many of each part; default: all")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"default: {','.join(PARTS)}")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--eagerness", choices=["low", "medium", "high"], default="medium", help="ours")
    parser.add_argument("--name", default="turns", help="of the report")
    arguments = parser.parse_args()
    about = {**circumstances(), "peer": None if arguments.alone else peer_versions()}
    said = sentences()[: arguments.items] if "sentences" in arguments.parts else []
    over = overlaps()[: arguments.items] if "overlaps" in arguments.parts else []
    # What clients hear that obey no hold is reckoned from the same session.
    session = asked({"type": "semantic_vad", "eagerness": arguments.eagerness})
    found, compared = Found(), list[Comparison]()
    if said or over:
        with _running(arguments.url) as url:
            found = asyncio.run(measure(url, session, said, over, alone=arguments.alone))
        asyncio.run(_listen_alone(found, over))
    if "lost" in arguments.parts and not arguments.url:
        with server(LOST) as url:
            compared = asyncio.run(comparisons(_socket(url), session))
    report = {**about, **_circumstances(found, session), **told(found, compared)}
    path = write(arguments.name, report)
    print(shown(report))
    print(path, draw(arguments.name, of="turns"), sep="\n")


async def _listen_alone(found: Found, over: Sequence[Overlap]) -> None:
    """Tells each result what the VAD would have heard."""
    config = load_config(AGENT)
    alone_ms = await onsets_ms(over, load(config.vad.model, config.vad.options), config.conversation)
    for result in found.overlaps:
        result.vad_ms = alone_ms[result.item]


def _parts(names: str) -> list[str]:
    parts = names.split(",")
    if unknown := set(parts) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return parts


def _running(url: str | None) -> contextlib.AbstractContextManager[Address]:
    return contextlib.nullcontext(Address(url, tuple)) if url else server(AGENT)


def _socket(url: str) -> str:
    return url.replace("http", "ws", 1)


# --- the measurement


async def measure(
    address: Address, session: JSON, said: Sequence[Sentence], over: Sequence[Overlap], *, alone: bool
) -> Found:
    """Each batch to the one system, then to the other."""
    found, numbers = Found(), count(1)
    async with _systems(address, session, alone) as systems:
        before = cpu_times()
        for batch in _batches(said):
            for system in systems:
                found.sentences += await _say(system, next(numbers), batch)
        for sounds in _batches(over):
            for system in systems:
                questioned, results = await _say_over(system, next(numbers), sounds)
                found.sentences += questioned
                found.overlaps += results
        busy, total = (after - start for after, start in zip(cpu_times(), before, strict=True))
        found.busy = round(busy / total, 2)
    return found


@asynccontextmanager
async def _systems(address: Address, session: JSON, alone: bool) -> AsyncIterator[list[System]]:
    ours = System("antiphon", Antiphon, _socket(address), session, address.pids)
    if alone:
        yield [ours]
        return
    async with peer_server(stages="talkative", turn="smart") as peer:
        yield [ours, System("pipecat", Pipecat, peer, {}, peer.pids)]


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), IN_A_SESSION):
        yield items[start : start + IN_A_SESSION]


async def _say(system: System, number: int, items: Sequence[Sentence]) -> list[SentenceResult]:
    results: list[SentenceResult] = []
    for within in _until_fragments(items):
        async with _scene(system, number) as scene:
            for item in within:
                results.append(await scene.say_sentence(item))
                if item.whole:
                    await scene.silence()
        scene.look_up()
    return _shown(results)


def _until_fragments(items: Sequence[Sentence]) -> Iterator[Sequence[Sentence]]:
    """Cut after each that is no whole sentence: in the same session the next would be heard as its end."""
    start = 0
    for end, item in enumerate(items, 1):
        if not item.whole or end == len(items):
            yield items[start:end]
            start = end


async def _say_over(
    system: System, number: int, items: Sequence[Overlap]
) -> tuple[list[SentenceResult], list[OverlapResult]]:
    """The questions that make the agent speak are sentences too."""
    async with _scene(system, number) as scene:
        for item in items:
            await scene.say_over(item)
    scene.look_up()
    questioned = _shown([result for result, _, _ in scene.sentences])
    return questioned, _shown([result for result, _, _ in scene.overlaps])


@asynccontextmanager
async def _scene(system: System, number: int) -> AsyncIterator[Scene]:
    async with system.session() as client:
        await asyncio.sleep(BETWEEN_S)
        yield Scene(client, system.name, number, cycle(questions()))


def _shown(results: list[R]) -> list[R]:
    for result in results:
        print(line(result), flush=True)
    return results


def _circumstances(found: Found, session: JSON) -> dict[str, Any]:
    return {
        "configuration": {"file": AGENT, **load_config(AGENT).model_dump(mode="json")},
        "session": session,
        "machine_busy": found.busy,
        "unit": "ms",
        "missed_after_s": MISSED_S,
    }


if __name__ == "__main__":
    main()
