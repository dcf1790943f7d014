"""Where a VAD that hears nothing else puts the beginnings of the sounds: what of a reaction is its own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.endpoints import heard_turns
from bench.headset import HZ, ROOM_DB
from bench.speech import at_rate, room_noise
from bench.turns.items import Overlap
from conversation.audio import HEARING_HZ, Audio
from conversation.settings import Tuning, TurnDetection
from conversation.stages import Vad


async def onsets_ms(items: Iterable[Overlap], vad: Vad, tuning: Tuning) -> dict[str, float | None]:
    """By the item's name, after its onset as it is marked; None where the VAD hears nothing."""
    return {item.name: await _onset_ms(item, vad, tuning) for item in items}


async def _onset_ms(item: Overlap, vad: Vad, tuning: Tuning) -> float | None:
    room = room_noise(HZ, ROOM_DB)  # a second
    audio = at_rate(Audio(np.concatenate([room, item.audio.samples, room]), HZ), HEARING_HZ)
    turns = await heard_turns(audio, vad, TurnDetection(), tuning)
    return round((turns[0].onset / HEARING_HZ - 1 - item.onset_s) * 1000, 1) if turns else None
