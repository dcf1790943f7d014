"""The timing record of a turn: when each part of the answer was there, counted from the end of speech."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from conversation.speculation import NOTHING_IN_VAIN, InVain


@dataclass(frozen=True, slots=True)
class TurnTiming:
    """Milliseconds after the end of the user's speech, on the loop's clock; None for what did not happen.

    For a response that no speech asked for, after the request.
    """

    asked_ms: float | None = None
    """Work on the answer began."""
    transcript_ms: float | None = None
    """The final transcript was there."""
    llm_first_ms: float | None = None
    """The language model's first text."""
    clause_ms: float | None = None
    """The first clause was complete."""
    tts_first_ms: float | None = None
    """The first sound of it."""
    released_ms: float | None = None
    """The turn was over: the answer might be heard."""
    filler_ms: float | None = None
    """The first audio of a filler was handed to the client: no answer yet."""
    first_audio_ms: float | None = None
    """The first audio of the answer was handed to the client."""
    prepared: bool = False
    """Work on it began before the turn was over."""
    in_vain: InVain = NOTHING_IN_VAIN
    """What had been prepared in the same turn before, and was not needed."""


Mark = Literal["asked", "transcript", "llm_first", "clause", "tts_first", "released", "filler", "first_audio"]


class TurnClock:
    """Notes when each part of one answer was there first.

    Args:
        start_s: loop time of the end of the user's speech, or of the request.
        in_vain: see `TurnTiming`.

    Attributes:
        prepared: see `TurnTiming`.
    """

    def __init__(self, start_s: float, in_vain: InVain = NOTHING_IN_VAIN) -> None:
        self.prepared = False
        self._start_s, self._in_vain = start_s, in_vain
        self._marks_ms: dict[str, float] = {}

    def mark(self, part: Mark) -> None:
        """`part` is there now; only the first time counts."""
        elapsed_ms = (asyncio.get_running_loop().time() - self._start_s) * 1000
        self._marks_ms.setdefault(f"{part}_ms", round(elapsed_ms, 1))

    def timing(self) -> TurnTiming:
        return TurnTiming(**self._marks_ms, prepared=self.prepared, in_vain=self._in_vain)
