"""From the words of a clause to its sound, as an answer wants it.

This module knows neither answers nor clients.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from conversation.audio import Audio, Resampler
from conversation.pacing import PIECE_S
from conversation.punctual import punctual
from conversation.settings import Deadlines
from conversation.stages import SpeechPart, Tts, WordTimes


@dataclass(frozen=True, slots=True)
class Voicing:
    """How an answer is to sound.

    Attributes:
        speed: 1.0 is the voice's own.
        rate_hz: of the output.
    """

    voice: str
    speed: float
    rate_hz: int


async def spoken(
    clause: str, tts: Tts, voicing: Voicing, deadlines: Deadlines
) -> AsyncGenerator[SpeechPart, None]:
    """One clause: its sound at the output's rate, in pieces of at most PIECE_S, and its words' times.

    Raises StageError. Closed or cancelled, it closes the voice's stream.
    """
    resampler: Resampler | None = None
    stream = tts.speak(clause.strip(), voicing.voice, voicing.speed)
    async with aclosing(punctual(stream, "tts", deadlines.tts_first_s, deadlines.tts_next_s)) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, WordTimes):
                yield chunk
                continue
            resampler = resampler or Resampler(chunk.rate_hz, voicing.rate_hz)
            for piece in _pieces(resampler.feed(chunk)):
                yield piece
    if resampler is not None:
        for piece in _pieces(resampler.flush()):
            yield piece


def _pieces(audio: Audio) -> list[Audio]:
    size = round(PIECE_S * audio.rate_hz)
    return [audio[start : start + size] for start in range(0, len(audio), size)]
