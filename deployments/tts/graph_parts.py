"""A network taken apart into files that are run apart: made once, kept beside the weights.

Each is made by a program of its own, since that needs hundreds of megabytes for some seconds, which the
server should not keep. This module knows no network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from conversation.errors import ConfigError

_DEADLINE_S = 300
"""A hundred times what it took; a hung disk must not hang the server's start for ever."""


def make_parts(program: Path, network: Path, directory: Path) -> None:
    """`python PROGRAM NETWORK DIRECTORY`, unless the directory is there.

    Safe beside other processes that do the same: each makes its own, the first one stays. Raises ConfigError
    when the program refuses the network or the directory cannot be written.
    """
    if directory.is_dir():
        return
    try:
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".splitting-") as workshop:
            made = Path(workshop) / "parts"
            made.mkdir()
            _split(program, network, made)
            made.rename(directory)
    except OSError as error:
        if not directory.is_dir():  # else another process was first
            raise ConfigError(
                f"{directory} cannot be made: {error}; let the server start once where it may write there"
            ) from error


def _split(program: Path, network: Path, into: Path) -> None:
    try:
        process = subprocess.run(
            [sys.executable, "-P", str(program), str(network), str(into)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{network} could not be split for streaming within {_DEADLINE_S} s") from error
    if process.returncode != 0:
        last_words = (process.stderr.strip() or "no message").splitlines()[-1]
        raise ConfigError(f"{network} cannot be split for streaming: {last_words}")
