"""The timing record of a turn: when each part of the answer was there, counted from the end of speech."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TurnTiming:
    """Milliseconds after the last sample of the user's speech reached us; None for what did not happen.

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
    first_audio_ms: float | None = None
    """The first audio was handed to the client."""
