"""Kokoro in two parts: what must see the whole sentence, and what can be run a few frames at a time.

A front end makes of the phonemes frames of 25 ms, which have a sound, a pitch and an energy; it takes a
fifteenth of the time. A decoder (StyleTTS 2's, with iSTFTNet) makes samples of them. Between the two the
silence that the network puts around every sentence can be left out, 1.4 s that nobody has to compute: 0.4 s
before the first sound and 1 s after the last.

The decoder normalises each of its channels over all the frames that it is given (AdaIN), so chunks are not
the very samples of the whole, nor as loud; kokoro.py sets that right. Measured on 8 sentences, Whisper reads
chunks of 0.6 and 1.2 s as well as wholes (9.8 and 10.6 % wrong characters).
Architecture: Li et al., "StyleTTS 2", arXiv:2306.07691; https://github.com/hexgrad/kokoro.

The parts are made once, and lie beside the weights. This module runs no network.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from conversation.errors import ConfigError
from deployments.tts.graph_parts import make_parts

RATE_HZ = 24_000
FRAME_SAMPLES = 600
"""What the decoder makes of a frame."""

_PROGRAM = Path(__file__).with_name("kokoro_split_process.py")

_FORMAT = 2
"""Of the parts; to be raised when the program writes others."""


@dataclass(frozen=True, slots=True)
class KokoroGraphs:
    directory: Path

    @property
    def front(self) -> Path:
        """Inputs tokens (1, n) int64, style (1, 256) float32, speed (1,) float32. Outputs, all float32:
        sounds (1, 512, frames), pitch and energy (1, 2 * frames), durations (1, n): the frames of each
        token."""
        return self.directory / "front.onnx"

    @property
    def decoder(self) -> Path:
        """Inputs sounds, pitch and energy of the frames wanted, and the style. Output audio
        (frames * FRAME_SAMPLES,) float32."""
        return self.directory / "decoder.onnx"


def kokoro_graphs(directory: Path) -> KokoroGraphs:
    """The parts of `directory`'s kokoro.onnx, made at the first call. Raises ConfigError when it is none, or
    when the directory cannot be written."""
    network = directory / "kokoro.onnx"
    if not network.is_file():
        raise ConfigError(f"{directory} has no kokoro.onnx; does `weights:` name the right thing?")
    parts = directory / f"streaming-{_FORMAT}-{zlib.crc32(network.read_bytes()):08x}"
    make_parts(_PROGRAM, network, parts)
    return KokoroGraphs(parts)
