"""CT-Transformer: puts the punctuation into a text that came without.

Model: ct-punc, Chen et al., "Controllable Time-Delay Transformer for Real-Time Punctuation Prediction and
Disfluency Detection", arXiv:2003.01309.
"""

from __future__ import annotations

from deployments.funasr_library import open_model
from deployments.model_thread import ModelThread


class Punctuation:
    """On the CPU: a sentence takes it a few milliseconds, and its vocabulary is a gigabyte."""

    def __init__(self, *, weights: str, threads: int = 1) -> None:
        """Raises ConfigError when the weights cannot be had or are another model's.

        Args:
            weights: a catalogue name, or a directory in FunASR's layout.
            threads: of the CPU.
        """
        self._model = open_model(weights, "asr", kinds={"CTTransformer"}, device="cpu", threads=threads)
        self._thread = ModelThread("punctuation")

    async def punctuated(self, text: str) -> str:
        """`text`, whose Han characters may have spaces between them, with punctuation and as it is written.

        Raises StageFailed when the model fails. Cancelled, it gives the thread back after this text.
        """
        return await self._thread.run(self._punctuated, text) if text else ""

    def _punctuated(self, text: str) -> str:
        # Without the space FunASR would download a text that begins like an address.
        [result] = self._model.infer([f" {text}"])
        return str(result["text"]).strip()

    def close(self) -> None:
        """Lets the step under way end; texts still waiting are dropped."""
        self._thread.close()
