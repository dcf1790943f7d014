"""Silero VAD: is there speech in this frame?

One call answers for many listeners, whose recurrent states come and go with it, so nothing is kept here. What
a probability means for the conversation is not known here either.
Model: https://github.com/snakers4/silero-vad (v6, 16 kHz).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conversation.audio import HEARING_HZ
from conversation.stages import VadState
from deployments.model_thread import ModelThread
from deployments.onnx import OnnxModel
from deployments.vad.shapes import check
from deployments.weights import locate

CONTEXT_SAMPLES = 64
"""The model is shown the end of the frame before, 4 ms at 16 kHz, in front of each frame.

Source: `OnnxWrapper.__call__` in silero_vad/utils_vad.py.
"""

_LAYERS, _CELLS = 2, 128
_RECURRENT = _LAYERS * _CELLS
STATE_VALUES = _RECURRENT + CONTEXT_SAMPLES

_NEW_LISTENER = np.zeros(STATE_VALUES, np.float32)


class Silero:
    """A `Vad`. A state is float32 of shape (STATE_VALUES,): recurrent (2, 128), then context (64,)."""

    def __init__(self, *, weights: str = "silero-vad", threads: int = 1) -> None:
        """Raises ConfigError when the weights cannot be had."""
        self._model = OnnxModel(locate(weights) / "silero_vad_16k_op15.onnx", stage="vad", threads=threads)
        self._thread = ModelThread("silero")

    async def step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        """See `Vad.step`. Raises StageFailed when a shape or dtype is wrong, or the model fails."""
        check(frames, states, STATE_VALUES)
        return await self._thread.run(self._step, frames, states)

    def _step(
        self, frames: NDArray[np.float32], states: Sequence[VadState | None]
    ) -> tuple[NDArray[np.float32], list[VadState]]:
        listeners = len(frames)
        before = np.stack([_NEW_LISTENER if state is None else state for state in states])
        layers_first = before[:, :_RECURRENT].reshape(listeners, _LAYERS, _CELLS).swapaxes(0, 1)
        heard = np.concatenate([before[:, _RECURRENT:], frames], axis=1)
        probabilities, recurrent = self._model.run(
            {
                "input": heard,  # (B, 576)
                "state": np.ascontiguousarray(layers_first),  # (2, B, 128)
                "sr": np.array(HEARING_HZ, np.int64),
            }
        )
        recurrent = recurrent.swapaxes(0, 1).reshape(listeners, _RECURRENT)
        after = np.concatenate([recurrent, heard[:, -CONTEXT_SAMPLES:]], axis=1)
        return probabilities[:, 0], list(after)
