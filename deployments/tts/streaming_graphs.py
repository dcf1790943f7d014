"""A Piper voice in three parts: what must see the whole sentence, and what can be run a few frames at a time.

A VITS network is a front end (text encoder, durations, prior), which makes the latent frames of the whole
sentence; a flow; and a vocoder (HiFi-GAN), which is most of the work. The latter two are convolutions over
the frames. streaming-vits (https://pypi.org/project/streaming-vits/, MIT) finds the first seam in the ONNX
graph. The second one is ours: the flow sees much further than the vocoder, so a chunk costs less when each is
given no more frames around it than it needs.

The parts are made once, and lie beside the voice. This module runs no network.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from conversation.errors import ConfigError
from deployments.tts.graph_parts import make_parts

_PROGRAM = Path(__file__).with_name("split_process.py")

_FORMAT = 3
"""Of the parts; to be raised when the program writes others."""


@dataclass(frozen=True, slots=True)
class StreamingGraphs:
    """The parts and the names of what passes between them. Frames are (1, channels, n) float32."""

    directory: Path
    latent: str
    """Frames: an output of the front end, an input of the flow."""
    mask: str
    """An input of the flow, (1, 1, n) float32, ones."""
    durations: str
    """An output of the front end, (1, 1, ids) float32: how many frames each phoneme lasts."""
    flowed: str
    """Frames: the output of the flow, the input of the vocoder."""
    hop_samples: int
    """What the vocoder makes of a frame."""

    @property
    def frontend(self) -> Path:
        """Inputs input (1, ids) int64, input_lengths (1,) int64, scales (3,) float32."""
        return self.directory / "frontend.onnx"

    @property
    def flow(self) -> Path:
        return self.directory / "flow.onnx"

    @property
    def vocoder(self) -> Path:
        """Output (1, 1, n * hop_samples)."""
        return self.directory / "vocoder.onnx"


def voice_file(directory: Path) -> Path:
    """The one voice in `directory`. Raises ConfigError when there is not exactly one."""
    voices = sorted(directory.glob("*.onnx"))
    if len(voices) != 1 or not config_file(voices[0]).is_file():
        raise ConfigError(
            f"{directory} must hold one Piper voice: NAME.onnx with NAME.onnx.json beside it; it holds "
            + (", ".join(path.name for path in sorted(directory.iterdir())) or "nothing")
        )
    return voices[0]


def config_file(voice: Path) -> Path:
    return voice.with_name(voice.name + ".json")


def streaming_graphs(voice: Path) -> StreamingGraphs:
    """The parts of the voice, made at the first call.

    Raises ConfigError when the file is no single-speaker Piper voice or the directory cannot be written.
    """
    directory = _directory(voice)
    make_parts(_PROGRAM, voice, directory)
    return StreamingGraphs(directory, **json.loads((directory / "graphs.json").read_text()))


def _directory(voice: Path) -> Path:
    """Named for what goes in: another splitter or another voice makes another directory."""
    checksum = zlib.crc32(voice.read_bytes())
    return voice.parent / f"streaming-{_FORMAT}-{version('streaming-vits')}-{checksum:08x}"
