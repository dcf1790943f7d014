"""Hosts a voice activity detector. Holds nothing between calls: states travel with the frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray import serve

from conversation.stages import Vad as VadModel
from deployments.hosting import LiveCalls, listen_on_loopback_if_asked, log_to_the_replicas_file
from deployments.loading import load
from deployments.vad.rows import Rows, unpack


@serve.deployment(name="vad")
class Vad:
    def __init__(self, model: str, options: dict[str, Any]) -> None:
        log_to_the_replicas_file()
        listen_on_loopback_if_asked()
        self._live = LiveCalls("vad")
        self._model: VadModel = load(model, options)

    async def step(self, rows: Rows) -> tuple[bytes, bytes]:
        """Probabilities and new states, float32, in the order of the rows."""
        with self._live.call():
            probabilities, states = await self._model.step(*unpack(rows))
            return probabilities.astype(np.float32).tobytes(), np.stack(states).astype(np.float32).tobytes()

    async def ready(self) -> bool:
        return True

    async def running(self) -> int:
        return self._live.count
