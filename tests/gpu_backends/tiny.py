"""Writes small models with random weights for the tests of the GPU stages.

    python -m tests.gpu_backends.tiny [DIRECTORY]

Without a directory: into the one that ANTIPHON_TINY_MODELS names. What is already there stays.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.gpu_backends import tiny_funasr

COSYVOICE_VERSIONS = (1, 2)
"""Those of the package; version 3 exists as a source checkout only."""


def write(into: Path) -> None:
    tiny_funasr.write(into)
    try:
        tiny_cosyvoice = importlib.import_module("tests.gpu_backends.tiny_cosyvoice")
    except ImportError as error:
        print(f"no CosyVoice models: {error}")  # noqa: T201  # the command's output
        return
    for version in (*COSYVOICE_VERSIONS, 3) if os.environ.get("COSYVOICE_HOME") else COSYVOICE_VERSIONS:
        if not (into / f"cosyvoice{version}").exists():
            tiny_cosyvoice.write(into, version)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_backends.tiny")
    named = os.environ.get("ANTIPHON_TINY_MODELS")
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        default=named and Path(named),
        help="default: $ANTIPHON_TINY_MODELS",
    )
    directory = parser.parse_args(arguments).directory
    if directory is None:
        parser.error("say where: as an argument or in ANTIPHON_TINY_MODELS")
    write(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
