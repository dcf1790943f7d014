"""Where the server's own ears, its VAD and its endpointing, hear turns begin and end in a recording.

For comparison with marks that were made another way, and to hand a recogniser what the server would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversation.audio import HEARING_HZ, Audio
from conversation.endpointing import Endpointing
from conversation.floor import FloorEvent
from conversation.settings import Tuning, TurnDetection
from conversation.stages import FRAME_SAMPLES, Vad, VadState


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """One turn of the user, in samples at 16 kHz.

    Attributes:
        start, stop: of the audio that the recogniser gets.
        onset: where the speech began.
        end: where the silence began that ended the turn.
    """

    start: int
    onset: int
    end: int
    stop: int


async def heard_turns(audio: Audio, vad: Vad, detection: TurnDetection, tuning: Tuning) -> list[HeardTurn]:
    """The turns in `audio`, 16 kHz; a silence that ends the last one is appended."""
    silence = np.zeros((detection.silence_duration_ms + 200) * HEARING_HZ // 1000, np.float32)
    samples = np.concatenate([audio.samples, silence])
    endpointing = Endpointing(detection, onset_ms=tuning.onset_ms, pause_ms=tuning.pause_ms)
    state: VadState | None = None
    turns, onset = [], 0
    for start in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        frame = samples[start : start + FRAME_SAMPLES]
        probabilities, [state] = await vad.step(frame[None], [state])
        for move in endpointing.step(float(probabilities[0]), start, frame):
            if move.event is FloorEvent.ONSET:
                onset = move.at_sample
            elif move.event is FloorEvent.END:
                padded = max(0, onset - detection.prefix_padding_ms * HEARING_HZ // 1000)
                turns.append(HeardTurn(padded, onset, move.at_sample, start + FRAME_SAMPLES))
    return turns
