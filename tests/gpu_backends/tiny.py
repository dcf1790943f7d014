"""Writes small models with random weights for the tests of the GPU stages.

    python -m tests.gpu_backends.tiny [DIRECTORY]

Without a directory: into the one that ANTIPHON_TINY_MODELS names. What is already there stays.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.gpu_backends import tiny_cosyvoice, tiny_funasr


def cosyvoice_versions() -> tuple[int, ...]:
    """Those that can be made here: the third exists as a source checkout only."""
    if os.environ.get("COSYVOICE_HOME"):
        return (1, 2, 3)
    return (1, 2) if importlib.util.find_spec("cosyvoice") else ()


def write(into: Path) -> None:
    tiny_funasr.write(into)
    for version in cosyvoice_versions():
        directory = into / f"cosyvoice{version}"
        if not directory.exists():
            unfinished = into / f".{directory.name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            tiny_cosyvoice.write(unfinished, version)
            unfinished.rename(directory)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_backends.tiny")
    named = os.environ.get("ANTIPHON_TINY_MODELS")
    parser.add_argument("directory", type=Path, nargs="?", default=named and Path(named))
    directory = parser.parse_args(arguments).directory
    if directory is None:
        parser.error("say where: as an argument or in ANTIPHON_TINY_MODELS")
    write(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
