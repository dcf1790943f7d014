"""Streaming Paraformer: how many people one GPU can follow.

Each stream gives a stride of sound when it is due, whether or not the one before was answered in time, as
people do. A stride's latency is from then until its words are there, waiting for other streams included.
Several processes, each with the model, can share the GPU: one alone is bound by the Python that starts its
kernels, since the library takes one stream at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.gpu.measures import Latencies, latencies, most_streams, phases_s, shares
from bench.gpu.profile import Profile, named, profiled
from bench.speech import room_noise
from conversation.audio import HEARING_HZ, Audio
from deployments.asr.paraformer_streaming import ParaformerStreaming

STRIDE_S = 0.6
AIM_MS = 100.0
"""For a stride's words."""

FIRST_STRIDES = 2
"""Of each stream, not counted: the model remembers nothing yet, and so has less to do."""
OVERLOADED_MS = 5000.0
"""A level at which a stride took so long is over: the queue only grows."""
ALONE = 20
"""Strides of one stream, one after the other, for the real-time factor."""

SOUND_DB = -30.0
"""White noise: what is heard does not matter to random weights."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one process measured at one level.

    Attributes:
        latencies_ms: of every stride that counts.
        overloaded: it was given up.
        characters_a_second: how much the random weights said, for each second of sound.
    """

    latencies_ms: list[float]
    overloaded: bool
    characters_a_second: float


def measure(
    directory: Path, device: str, levels: Sequence[int], replicas: int, seconds: float
) -> dict[str, Any]:
    """The `asr` part of the report. Blocks for about `seconds` a level."""
    with _replicas(directory, device, replicas) as workers:
        alone = latencies([ms for worker in workers[:1] for ms in worker.submit(_alone).result()])
        heard = {streams: _level(workers, streams, seconds) for streams in levels}
        profile: Profile = workers[0].submit(_profile).result()
        memory_gib = [worker.submit(_memory_gib).result() for worker in workers]
    under = {streams: latencies(_counted(level)) for streams, level in heard.items()}
    return {
        "stride_ms": round(STRIDE_S * 1000),
        "precision": "fp32",
        "replicas": replicas,
        "memory_gib": memory_gib,
        "alone": {
            "latency_ms": alone,
            "real_time_factor": round(alone["p50"] / 1000 / STRIDE_S, 4) if alone else None,
        },
        "levels": [
            {
                "streams": streams,
                "latency_ms": under[streams],
                "overloaded": any(part.overloaded for part in parts),
                "characters_a_second": round(max(part.characters_a_second for part in parts), 1),
            }
            for streams, parts in heard.items()
        ],
        "aim_ms": AIM_MS,
        "most_streams_under_the_aim": {p: most_streams(under, p, AIM_MS) for p in ("p50", "p90", "p99")},
        "profile": profile,
    }


def _counted(parts: Sequence[Heard]) -> list[float]:
    """An overloaded level has no latency: it grows for as long as one measures."""
    if any(part.overloaded for part in parts):
        return [OVERLOADED_MS]
    return [ms for part in parts for ms in part.latencies_ms]


def line(level: dict[str, Any]) -> str:
    ms: Latencies | None = level["latency_ms"]
    said = "overloaded" if level["overloaded"] or ms is None else _numbers(ms)
    return f"{level['streams']:4} streams: {said}"


def _numbers(ms: Latencies) -> str:
    return ", ".join(f"{name} {ms[name]:.0f} ms" for name in ("p50", "p90", "p99"))


# --- the processes


@contextmanager
def _replicas(directory: Path, device: str, count: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Each with the model open. A process of its own, so that none waits for another's Python."""
    start_anew = get_context("spawn")  # CUDA does not survive a fork
    workers = [
        ProcessPoolExecutor(1, mp_context=start_anew, initializer=_open, initargs=(directory, device))
        for _ in range(count)
    ]
    try:
        for ready in [worker.submit(_memory_gib) for worker in workers]:
            ready.result()
        yield workers
    finally:
        for worker in workers:
            worker.shutdown(cancel_futures=True)


def _level(workers: Sequence[ProcessPoolExecutor], streams: int, seconds: float) -> list[Heard]:
    """All processes begin at one moment; the streams' strides come evenly over all of them."""
    phases = phases_s(streams, STRIDE_S)
    start_at_s = time.time() + 0.5
    parts, first = [], 0
    for worker, share in zip(workers, shares(streams, len(workers)), strict=True):
        if share:
            parts.append(worker.submit(_listen, phases[first : first + share], seconds, start_at_s))
        first += share
    return [part.result() for part in parts]


_asr: ParaformerStreaming


def _open(directory: Path, device: str) -> None:
    global _asr
    _asr = ParaformerStreaming(weights=str(directory), device=device)


def _sound() -> Audio:
    return Audio(room_noise(round(STRIDE_S * HEARING_HZ), SOUND_DB), HEARING_HZ)


def _memory_gib() -> float | None:
    """The most that this process has used of the GPU."""
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else None


def _alone() -> list[float]:
    async def listen() -> list[float]:
        memory, took_ms = None, []
        for _ in range(FIRST_STRIDES + ALONE):
            began_s = time.perf_counter()
            _, memory = await _asr.step(_sound(), memory, final=False)
            took_ms.append((time.perf_counter() - began_s) * 1000)
        return took_ms[FIRST_STRIDES:]

    return asyncio.run(listen())


def _listen(phases: Sequence[float], seconds: float, start_at_s: float) -> Heard:
    return asyncio.run(_all_streams(phases, seconds, start_at_s))


async def _all_streams(phases: Sequence[float], seconds: float, start_at_s: float) -> Heard:
    start_s = asyncio.get_running_loop().time() + start_at_s - time.time()
    strides = FIRST_STRIDES + max(1, round(seconds / STRIDE_S))
    streams = await asyncio.gather(*(_stream(start_s + phase, strides) for phase in phases))
    counted = [ms for latencies_ms, _ in streams for ms in latencies_ms[FIRST_STRIDES:]]
    sound_s = sum(len(latencies_ms) for latencies_ms, _ in streams) * STRIDE_S
    characters = sum(characters for _, characters in streams)
    overloaded = any(len(latencies_ms) < strides for latencies_ms, _ in streams)
    return Heard(counted, overloaded, characters / sound_s)


async def _stream(start_s: float, strides: int) -> tuple[list[float], int]:
    """The latency of each stride, and how many characters were heard. Stops when it is far behind."""
    loop, sound = asyncio.get_running_loop(), _sound()
    memory, characters = None, 0
    took_ms: list[float] = []
    for number in range(strides):
        due_s = start_s + number * STRIDE_S
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        transcript, memory = await _asr.step(sound, memory, final=False)
        took_ms.append((loop.time() - due_s) * 1000)
        characters = len(transcript.text)
        if took_ms[-1] > OVERLOADED_MS:
            break
    return took_ms, characters


def _profile() -> Profile:
    """Of one stride in the middle of a segment."""
    network = _asr._model.network
    front_end = _asr._model.settings["frontend"]

    async def remember() -> Any:
        memory = None
        for _ in range(FIRST_STRIDES + 3):
            _, memory = await _asr.step(_sound(), memory, final=False)
        return memory

    memory = asyncio.run(remember())
    with (
        named(front_end, "forward", "front end"),
        named(network, "encode_chunk", "encoder"),
        named(network, "calc_predictor_chunk", "predictor"),
        named(network, "cal_decoder_with_predictor_chunk", "decoder"),
    ):
        return profiled(
            lambda: _asr._heard(memory, _sound().samples, final=False),
            parts=("front end", "encoder", "predictor", "decoder"),
        )
