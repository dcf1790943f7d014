"""Cuts a Piper voice in two, once: what must see the whole sentence, and what can be run chunk by chunk.

A VITS network is a front end (text encoder, durations, prior), which makes the latent frames of the whole
sentence, and a decoder (flow, HiFi-GAN), which is a convolution over these frames and most of the work.
streaming-vits (https://pypi.org/project/streaming-vits/, MIT) finds the seam in the ONNX graph and splits it.

The result lies beside the voice. Making it takes 3 s and 400 MB, so it is done in a process of its own. This
module runs no network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from conversation.errors import ConfigError

_DEADLINE_S = 300
"""Two hundred times what it took; a hung disk must not hang the server's start for ever."""


@dataclass(frozen=True, slots=True)
class StreamingGraphs:
    frontend: Path
    """Inputs input (1, ids) int64, input_lengths (1,) int64, scales (3,) float32."""
    decoder: Path
    """Inputs `latent` (1, channels, n) and `mask` (1, 1, n), float32; output (1, 1, n x hop_samples)."""
    latent: str
    mask: str
    hop_samples: int


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
    """The two halves of the voice, made at the first call.

    Safe beside other processes that do the same: each makes its own, the first one stays. Raises ConfigError
    when the file is no single-speaker Piper voice or the directory cannot be written.
    """
    from streaming_vits.graph import SplitModel

    directory = _directory(voice)
    if not directory.is_dir():
        _split(voice, directory)
    split = SplitModel.load(directory / f"{voice.stem}.split.json")
    if split.seam.g is not None:
        raise ConfigError(f"{voice} has several speakers; only single-speaker Piper voices can be used")
    return StreamingGraphs(
        directory / split.frontend, directory / split.decoder, split.seam.z_p, split.seam.mask, split.hop
    )


def _directory(voice: Path) -> Path:
    """Named for what went in: another version of the splitter or of the voice makes another directory."""
    return voice.parent / f"streaming-{version('streaming-vits')}-{zlib.crc32(voice.read_bytes()):08x}"


def _split(voice: Path, directory: Path) -> None:
    program = "import sys, streaming_vits.graph as g; g.split(sys.argv[1], sys.argv[2], verbose=False)"
    try:
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".splitting-") as workshop:
            made = Path(workshop) / "graphs"
            process = subprocess.run(
                [sys.executable, "-P", "-c", program, str(voice), str(made)],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                timeout=_DEADLINE_S,
                check=False,
            )
            if process.returncode != 0:
                last_words = (process.stderr.strip() or "no message").splitlines()[-1]
                raise ConfigError(f"{voice} cannot be split for streaming: {last_words}")
            if not directory.is_dir():
                made.rename(directory)
    except OSError as error:
        if not directory.is_dir():  # else another process was first
            raise ConfigError(
                f"{directory} cannot be made: {error}; let the server start once where it may write there"
            ) from error
