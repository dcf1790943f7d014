"""Models that show what the hosting does: they never end, remember much, die, or break."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ, Audio, join, silence
from conversation.errors import StageFailed
from conversation.scripted import ScriptedVad
from conversation.stages import Hints, Message, ReplyParams, ReplyPart, TextDelta, Tool, Transcript, VadState


class HangingVad:
    """Never answers."""

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class MortalVad(ScriptedVad):
    """Kills its process when it hears a frame of nothing but -1, once for each file in `dying`."""

    def __init__(self, *, died: str) -> None:
        super().__init__()
        self._died = died

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        if frames.min(axis=1).max() <= -1:
            try:
                os.close(os.open(self._died, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return await super().step(frames, states)


@dataclass(frozen=True, slots=True)
class LongMemory:
    """All that was heard, and more than travels."""

    heard: Audio
    ballast: NDArray[np.float32] = field(default_factory=lambda: np.zeros(100_000, np.float32))


class LongMemoryAsr:
    """Hears the loudness of each tenth of a second as a number; its memory is too large to travel."""

    async def step(
        self, audio: Audio, memory: LongMemory | None, *, final: bool, hints: Hints = Hints()
    ) -> tuple[Transcript, LongMemory]:
        heard = join([memory.heard if memory else silence(0, HEARING_HZ), audio], HEARING_HZ)
        tenths = [heard[start : start + 1600] for start in range(0, len(heard), 1600)]
        levels = [round(float(np.abs(tenth.samples).max()) * 10) for tenth in tenths]
        return Transcript(" ".join(str(level) for level in levels)), LongMemory(heard)


class DyingSegmentAsr:
    """Kills its process over its first segment, and over every other."""

    async def transcribe(self, segments: Sequence[Audio], hints: Sequence[Hints] = ()) -> list[Transcript]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


class EndlessLlm:
    """Goes on until it is stopped. Breaks when asked to."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        match messages[-1].text:
            case "break":
                raise ZeroDivisionError("of all things")
            case "refuse":
                raise StageFailed("llm", "the prompt is empty")
            case "die":
                yield TextDelta("I ")
                os.kill(os.getpid(), signal.SIGKILL)
        while True:
            await asyncio.sleep(0.005)
            yield TextDelta("and ")


class TirelessTts:
    """Speaks faster than anybody listens, and numbers its chunks over all calls."""

    def __init__(self) -> None:
        self._made = 0

    async def speak(self, text: str, voice: str, speed: float = 1.0) -> AsyncGenerator[Audio, None]:
        while True:
            await asyncio.sleep(0)
            self._made += 1
            low, high = self._made % 1000, self._made // 1000
            yield Audio(np.array([low, high] * 1200, np.float32) / np.float32(32768), 24_000)

    @staticmethod
    def number(chunk: Audio) -> int:
        low, high = np.rint(chunk.samples[:2] * 32768)
        return int(high * 1000 + low)


class BrokenLlm:
    """Does not load."""

    def __init__(self) -> None:
        raise RuntimeError("the weights are made of cheese")


class Witness:
    """Leaves word of the devices that its process was given."""

    def __init__(self, seen: str) -> None:
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        (Path(seen) / str(os.getpid())).write_text(devices)


class WitnessLlm(Witness, EndlessLlm):
    """Never asked anything."""


class WitnessTts(Witness, TirelessTts):
    """Never asked anything."""
