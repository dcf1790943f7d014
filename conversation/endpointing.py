"""Endpointing: when speech begins, pauses, goes on and ends, from one probability per frame.

Time is counted in samples received, never by a clock, so it does not matter how fast audio comes in. This
module knows no model and does not decide what follows from a pause.
"""

from __future__ import annotations

from dataclasses import dataclass

from conversation.audio import HEARING_HZ
from conversation.floor import Floor, FloorEvent, next_floor
from conversation.settings import TurnDetection
from conversation.stages import FRAME_SAMPLES

HYSTERESIS = 0.15
"""Speech that has begun lasts until the probability falls so far below the threshold.

Source: `neg_threshold` in https://github.com/snakers4/silero-vad/blob/master/src/silero_vad/utils_vad.py
"""


@dataclass(frozen=True, slots=True)
class FloorMove:
    """Something happened on the floor.

    Attributes:
        at_sample: where in the audio received: the first sample of speech for an onset or a resumption, the
            first of silence for a pause or an end.
    """

    event: FloorEvent
    at_sample: int


class Endpointing:
    """Listens to one user.

    Args:
        detection: threshold and the silence that ends a turn.
        onset_ms: unbroken speech that makes an onset.
        pause_ms: silence that makes a pause; without effect when it is not shorter than the ending silence.
    """

    def __init__(self, detection: TurnDetection, *, onset_ms: int, pause_ms: int) -> None:
        self.floor = Floor.SILENT
        self._onset, self._pause = _samples(onset_ms), _samples(pause_ms)
        self.adjust(detection)
        self._since: int | None = None
        """First sample of the speech that may become an onset, or of the silence that may become a pause."""

    def adjust(self, detection: TurnDetection) -> None:
        """From the next frame on."""
        self._threshold = detection.threshold
        self._end = _samples(detection.silence_duration_ms)

    def step(self, probability: float, start_sample: int) -> list[FloorMove]:
        """The moves that the frame which starts at `start_sample` brings about, in order; mostly none."""
        if self.floor is Floor.SILENT:
            return self._while_silent(probability, start_sample)
        if probability >= self._threshold:
            self._since = None
            return [self._move(FloorEvent.RESUME, start_sample)] if self.floor is Floor.PAUSED else []
        return self._while_held(probability, start_sample)

    def move(self, event: FloorEvent) -> None:
        """Something other than a frame moved the floor."""
        self.floor, self._since = next_floor(self.floor, event), None

    def _while_silent(self, probability: float, start_sample: int) -> list[FloorMove]:
        if probability < self._threshold - (HYSTERESIS if self._since is not None else 0.0):
            self._since = None
            return []
        onset_sample = start_sample if self._since is None else self._since
        self._since = onset_sample
        if start_sample + FRAME_SAMPLES - onset_sample < self._onset:
            return []
        self._since = None
        return [self._move(FloorEvent.ONSET, onset_sample)]

    def _while_held(self, probability: float, start_sample: int) -> list[FloorMove]:
        if self._since is None:
            if probability >= self._threshold - HYSTERESIS:
                return []
            self._since = start_sample
        silent = start_sample + FRAME_SAMPLES - self._since
        if silent >= self._end:
            moves = [self._move(FloorEvent.END, self._since)]
            self._since = None
            return moves
        if silent >= self._pause and self.floor is Floor.SPEAKING:
            return [self._move(FloorEvent.PAUSE, self._since)]
        return []

    def _move(self, event: FloorEvent, at_sample: int) -> FloorMove:
        self.floor = next_floor(self.floor, event)
        return FloorMove(event, at_sample)


def _samples(ms: int) -> int:
    return ms * HEARING_HZ // 1000
