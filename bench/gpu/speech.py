"""CosyVoice 2: how soon it speaks, and how many it can speak to at a time.

Some listeners ask for the same sentence at one moment, several times over. What counts is when the first
chunk is there, whether the next ones come before it has been played, and how much is computed in a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gpu.architectures import SENTENCE
from bench.gpu.measures import SpokenChunk, gap_s, latencies
from bench.gpu.profile import Profile, named, profiled
from deployments.tts.cosyvoice import CosyVoice

AIMS_MS = {1: 150.0, 8: 500.0}
"""For the first chunk, by listeners at a time."""

PATIENCE_S = 120.0
"""For one sentence; a level beyond it fails."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One sentence."""

    first_ms: float
    took_s: float
    audio_s: float
    gap_ms: float


def measure(
    directory: Path, voices: Path, levels: Sequence[int], rounds: int, *, fp16: bool
) -> dict[str, Any]:
    """One entry of the `tts` part of the report."""
    tts = CosyVoice(weights=str(directory), voices=str(voices), concurrent=max(levels), fp16=fp16)
    try:
        asyncio.run(_level(tts, 1, 1))  # what the first sentence costs is not counted
        measured = {listeners: asyncio.run(_level(tts, listeners, rounds)) for listeners in levels}
        profile = _profile(tts)
    finally:
        tts.close()
    return {
        "precision": "fp16" if fp16 else "fp32",
        "sentence": SENTENCE,
        "levels": [_summary(listeners, *level) for listeners, level in measured.items()],
        "profile": profile,
    }


def line(level: dict[str, Any]) -> str:
    first = level["first_chunk_ms"]
    return (
        f"{level['listeners']:4} listeners: first chunk p50 {first['p50']:.0f} ms, longest {first['max']:.0f}"
        f" ms; real-time factor {level['real_time_factor']:.3f}; longest gap {level['longest_gap_ms']:.0f} ms"
    )


def _summary(listeners: int, spoken: Sequence[Spoken], took_s: float) -> dict[str, Any]:
    audio_s = sum(one.audio_s for one in spoken)
    first = latencies([one.first_ms for one in spoken])
    aim_ms = AIMS_MS.get(listeners)
    return {
        "listeners": listeners,
        "first_chunk_ms": first,
        "aim_ms": aim_ms,
        "met": None if aim_ms is None or first is None else first["p50"] <= aim_ms,
        "real_time_factor": round(took_s / audio_s, 4),
        "audio_s": round(audio_s / len(spoken), 2),
        "longest_gap_ms": round(max(one.gap_ms for one in spoken), 1),
    }


async def _level(tts: CosyVoice, listeners: int, rounds: int) -> tuple[list[Spoken], float]:
    """Every sentence, and how long all rounds took."""
    spoken: list[Spoken] = []
    began_s = time.perf_counter()
    for _ in range(rounds):
        async with asyncio.timeout(PATIENCE_S):
            spoken += await asyncio.gather(*(_speak(tts) for _ in range(listeners)))
    return spoken, time.perf_counter() - began_s


async def _speak(tts: CosyVoice) -> Spoken:
    began_s = time.perf_counter()
    chunks = [
        SpokenChunk(time.perf_counter() - began_s, audio.duration_s)
        async for audio in tts.speak(SENTENCE, "default")
    ]
    return Spoken(
        first_ms=chunks[0].at_s * 1000,
        took_s=time.perf_counter() - began_s,
        audio_s=sum(chunk.audio_s for chunk in chunks),
        gap_ms=gap_s(chunks) * 1000,
    )


# --- where the time goes


class _Tokens(list[int]):
    """Takes what the library's language model makes, where deployments/tts keeps its own of that kind."""

    def step(self) -> None:
        """A token was made."""


def _profile(tts: CosyVoice) -> dict[str, Profile]:
    """Of the two halves of a sentence apart: its speech tokens, and the sound of its first chunk."""
    model = tts._sounds._model
    voice = tts._voices.find("default")
    [text], speaker = tts._read(SENTENCE, voice)

    def tokens() -> _Tokens:
        made = model.tts_speech_token_dict["profile"] = _Tokens()
        try:
            model.llm_job(
                text,
                speaker["prompt_text"],
                speaker["llm_prompt_speech_token"],
                speaker["llm_embedding"],
                "profile",
            )
        finally:
            del model.tts_speech_token_dict["profile"]
            model.llm_end_dict.pop("profile", None)
        return made

    made = tokens()

    def first_chunk() -> None:
        sound = tts._sounds.begin(speaker)
        sound.chunk(made[: sound.wanted])

    of_tokens = profiled(tokens, parts=())
    with named(model.flow, "inference", "flow"), named(model.hift, "inference", "hift"):
        of_sound = profiled(first_chunk, parts=("flow", "hift"))
    return {f"language model, {len(made)} tokens": of_tokens, "sound of the first chunk": of_sound}
