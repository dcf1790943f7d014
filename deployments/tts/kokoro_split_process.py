"""Splits Kokoro: `python kokoro_split_process.py KOKORO.onnx DIRECTORY`.

A program, since it needs 400 MB for a second, which the server should not keep.
deployments/tts/kokoro_graphs.py starts it and says what the parts are. It imports nothing of this project.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

_RENAMED: dict[str, tuple[str, list[str | int]]] = {
    "/encoder/MatMul_1_output_0": ("sounds", ["batch", 512, "frames"]),
    "/encoder/Reshape_output_0": ("pitch", ["batch", "halves"]),
    "/encoder/Reshape_1_output_0": ("energy", ["batch", "halves"]),
    "/encoder/Clip_output_0": ("durations", ["batch", "tokens"]),
}
"""What the front end gives, by the names that the export made of PyTorch's modules. But for the durations it
is what the decoder is called with in https://github.com/hexgrad/kokoro/blob/main/kokoro/model.py"""


def main(network: Path, directory: Path) -> None:
    model = onnx.load(network)
    made = {output for node in model.graph.node for output in node.output}
    if missing := _RENAMED.keys() - made:
        raise ValueError(f"it is no Kokoro that can be split: nothing in it is called {min(missing)}")
    _rename(model)
    given = [name for name, _ in _RENAMED.values()]
    extractor = onnx.utils.Extractor(model)
    front = extractor.extract_model(["tokens", "style", "speed"], given)
    onnx.save(front, directory / "front.onnx")
    taken = ["sounds", "pitch", "energy", "style"]
    onnx.save(extractor.extract_model(taken, ["audio"]), directory / "decoder.onnx")


def _rename(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name in _RENAMED:
                    names[index] = _RENAMED[name][0]
    known = [value for value in model.graph.value_info if value.name not in _RENAMED]
    del model.graph.value_info[:]
    model.graph.value_info.extend(known)
    for name, shape in _RENAMED.values():
        float32 = onnx.TensorProto.FLOAT
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, float32, shape))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
