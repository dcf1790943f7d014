"""What a voice has said."""

from __future__ import annotations

from collections.abc import Sequence

from conversation.audio import Audio, join
from conversation.stages import SpeechPart, Tts, Word, WordTimes


async def said(tts: Tts, text: str, voice: str = "", speed: float = 1.0) -> list[SpeechPart]:
    return [part async for part in tts.speak(text, voice, speed)]


def chunks(parts: Sequence[SpeechPart]) -> list[Audio]:
    return [part for part in parts if isinstance(part, Audio)]


def sound(parts: Sequence[SpeechPart], rate_hz: int) -> Audio:
    """Of all; `rate_hz` is the voice's."""
    return join(chunks(parts), rate_hz)


def times(parts: Sequence[SpeechPart]) -> list[Word]:
    return [word for part in parts if isinstance(part, WordTimes) for word in part.words]
