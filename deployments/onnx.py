"""ONNX models on cores that other stages share.

Knows how to open and run one; knows nothing of what it computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from conversation.errors import ConfigError, StageFailed

if TYPE_CHECKING:
    from onnxruntime import RunOptions

_ERRORS_ONLY = 3
"""ONNX Runtime's log severity."""


class OnnxModel:
    """One model file, run on the CPU by the thread that calls, and `threads - 1` of its own."""

    def __init__(self, path: Path, *, stage: str, threads: int) -> None:
        """Raises ConfigError when there is no such file or it holds no model.

        Args:
            path: an .onnx or .ort file.
            stage: whose failures its failures are: "vad", "asr", ...
            threads: for the operators of one run; idle ones sleep rather than spin, since somebody else
                needs the core (https://onnxruntime.ai/docs/performance/tune-performance/threading.html).
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise ConfigError(
                f"{path} cannot be opened as a model of the {stage} stage ({error}); "
                f"does `weights:` name the right thing?"
            ) from error
        self._stage = stage
        self.inputs: dict[str, list[int | str]] = {i.name: i.shape for i in self._session.get_inputs()}
        """Names and shapes; a dimension that may vary is given by its name."""
        self.outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str] | None = None,
        options: RunOptions | None = None,
    ) -> list[NDArray[Any]]:
        """The named outputs, or all.

        Raises StageFailed when the model does, and soon after another thread sets `options.terminate`.
        """
        try:
            results: list[NDArray[Any]] = self._session.run(outputs, inputs, options)
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise StageFailed(self._stage, f"the model failed: {error}") from error
        return results
