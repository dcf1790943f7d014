"""Splits one Piper voice: `python split_process.py VOICE.onnx DIRECTORY`.

A program, since it needs 400 MB for 3 s, which the server should not keep.
deployments/tts/streaming_graphs.py starts it and says what the parts are. It imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
from streaming_vits.graph import split


def main(voice: Path, directory: Path) -> None:
    first = split(voice, directory, verbose=False)
    if first.seam.g is not None:
        raise ValueError("it has several speakers, and only single-speaker voices can be used")
    decoder = directory / first.decoder
    inputs = [first.seam.z_p, first.seam.mask]
    seam = _vocoder_input(onnx.load(decoder, load_external_data=False))
    onnx.utils.extract_model(decoder, directory / "flow.onnx", inputs, [seam])
    onnx.utils.extract_model(decoder, directory / "vocoder.onnx", [seam], ["output"])
    decoder.unlink()
    frontend = directory / first.frontend
    durations = _telling_durations(frontend)
    frontend.rename(directory / "frontend.onnx")
    names = {"latent": inputs[0], "mask": inputs[1], "flowed": seam, "durations": durations}
    (directory / "graphs.json").write_text(json.dumps({**names, "hop_samples": first.hop}))


def _telling_durations(frontend: Path) -> str:
    """Makes an output of the frames that each phoneme lasts, and names it. They are rounded up, which nothing
    else in the network is: `w_ceil` in VITS's models.py, see below."""
    model = onnx.load(frontend)
    rounded = [node.output[0] for node in model.graph.node if node.op_type == "Ceil"]
    if len(rounded) != 1:
        raise ValueError("it has no durations of phonemes")
    shape: list[str | int] = ["batch", 1, "ids"]
    model.graph.output.append(onnx.helper.make_tensor_value_info(rounded[0], onnx.TensorProto.FLOAT, shape))
    onnx.save(model, frontend)
    return str(rounded[0])


def _vocoder_input(decoder: onnx.ModelProto) -> str:
    """What the first convolution of HiFi-GAN reads. Its weights keep the name they had in PyTorch:
    https://github.com/rhasspy/piper/blob/master/src/python/piper_train/vits/models.py"""
    for node in decoder.graph.node:
        if node.op_type == "Conv" and "dec.conv_pre.weight" in node.input:
            return str(node.input[0])
    raise ValueError("it has no HiFi-GAN decoder")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
