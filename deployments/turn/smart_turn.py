"""Smart Turn 3: from the sound of the last 8 s, whether the speaker has finished. On the CPU.

The encoder of Whisper Tiny and a small head, trained on whole and on broken-off turns in 23 languages. It
goes by intonation and pace, and knows no words. What it makes of a pause changes while the silence grows.
Source: https://github.com/pipecat-ai/smart-turn
"""

from __future__ import annotations

import numpy as np

from conversation.audio import HEARING_HZ, Audio, silence
from conversation.errors import StageFailed
from conversation.stages import JUDGED_S
from deployments.model_thread import ModelThread
from deployments.onnx import OnnxModel
from deployments.weights import locate

_SAMPLES = round(JUDGED_S * HEARING_HZ)
_LEAST_VARIANCE = 1e-7


class SmartTurn:
    """An `EndOfTurn`. One question after the other: a batch is no faster on a CPU."""

    def __init__(self, *, weights: str = "smart-turn-v3", threads: int = 1) -> None:
        """Raises ConfigError when the weights cannot be had.

        Args:
            weights: a catalogue name or a directory with smart-turn-v3.2-cpu.onnx.
            threads: for one operator.
        """
        from faster_whisper.feature_extractor import FeatureExtractor

        self._features = FeatureExtractor(chunk_length=round(JUDGED_S))
        self._network = OnnxModel(locate(weights) / "smart-turn-v3.2-cpu.onnx", stage="turn", threads=threads)
        self._thread = ModelThread("smart-turn")
        self._predict(silence(JUDGED_S, HEARING_HZ))  # what the first time costs is paid here

    async def predict(self, audio: Audio) -> float:
        """See `EndOfTurn.predict`. Raises StageFailed for another rate than 16 kHz."""
        if audio.rate_hz != HEARING_HZ:
            raise StageFailed("turn", f"audio must be at {HEARING_HZ} Hz, got {audio.rate_hz} Hz")
        return await self._thread.run(self._predict, audio)

    def _predict(self, audio: Audio) -> float:
        """What is shorter than JUDGED_S begins with silence; the loudness does not count."""
        samples = audio.samples[-_SAMPLES:]
        sound = np.pad(samples, (_SAMPLES - len(samples), 0))
        level = (sound - sound.mean()) / np.sqrt(sound.var() + _LEAST_VARIANCE)
        features = self._features(level.astype(np.float32), padding=0)
        [probability] = self._network.run({"input_features": features[None].astype(np.float32)})
        return float(probability[0, 0])

    def close(self) -> None:
        """Lets the step under way end; what still waits is dropped."""
        self._thread.close()
