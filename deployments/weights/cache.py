"""Where fetched models lie: $ANTIPHON_CACHE/models/NAME-VERSION, each there whole or not at all.

Knows files, sizes and hashes; not where they come from or what they mean.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import filelock

from conversation.errors import ConfigError
from deployments.weights.entries import SUMS

LOCK_TIMEOUT_S = 3 * 3600
"""How long a process waits for another one that fetches the same model: as long as that may take."""


class NotAsDescribed(Exception):
    """What came is not what the catalogue describes. Says which file, and how."""


class WantedFile(Protocol):
    """What a complete directory must hold. Size and hash are None where the catalogue does not know them."""

    @property
    def filename(self) -> str: ...
    @property
    def bytes(self) -> int | None: ...
    @property
    def sha256(self) -> str | None: ...


def directory(name: str, version: str) -> Path:
    return _root() / "models" / f"{name}-{version}"


def missing(directory: Path, files: Sequence[WantedFile]) -> list[str]:
    """What the directory lacks, in words; nothing when it is complete.

    Cheap: hashes were computed once, when they were recorded; now only sizes and the record are looked at.
    """
    recorded = _recorded(directory)
    return [lack for file in files if (lack := _lack(directory, file, recorded))]


@contextmanager
def workshop(directory: Path) -> Iterator[Path]:
    """A place on the same disk to prepare `directory` in, for one process at a time.

    It need not exist, and may hold what another process left there. Raises ConfigError when another
    process does not finish.
    """
    fetching = _root() / "fetching"
    fetching.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(fetching / f"{directory.name}.lock", timeout=LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ConfigError(
            f"{directory.name}: another process has been fetching it for {LOCK_TIMEOUT_S} s "
            f"({lock.lock_file} is locked); end that process and try again"
        ) from error
    try:
        yield fetching / directory.name
    finally:
        lock.release()


def publish(prepared: Path, directory: Path, files: Sequence[WantedFile]) -> None:
    """Checks and records what was prepared, then moves it in place with one rename.

    Raises NotAsDescribed when a file is not what the catalogue says; nothing is moved then.
    """
    (prepared / SUMS).write_text("".join(f"{_checked(prepared, file)}  {file.filename}\n" for file in files))
    directory.parent.mkdir(parents=True, exist_ok=True)
    if directory.exists():  # damaged, or of an older catalogue
        shutil.rmtree(directory)
    prepared.rename(directory)


def _root() -> Path:
    return Path(os.environ.get("ANTIPHON_CACHE") or "~/.cache/antiphon").expanduser()


def _recorded(directory: Path) -> dict[str, str]:
    """The hash that each file had when it was fetched."""
    try:
        lines = (directory / SUMS).read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def _lack(directory: Path, file: WantedFile, recorded: dict[str, str]) -> str | None:
    path = directory / file.filename
    if not path.is_file():
        return file.filename
    if file.bytes not in (None, path.stat().st_size):
        return f"{file.filename} ({path.stat().st_size} bytes instead of {file.bytes})"
    if file.filename not in recorded:
        return f"{file.filename} (not recorded in {SUMS})"
    if file.sha256 not in (None, recorded[file.filename]):
        return f"{file.filename} (the catalogue wants another one now)"
    return None


def _checked(prepared: Path, file: WantedFile) -> str:
    """The file's sha256, which is the catalogue's where that states one."""
    path = prepared / file.filename
    if not path.is_file() or path.stat().st_size == 0:
        raise NotAsDescribed(f"{file.filename} did not come, or came empty")
    if file.bytes not in (None, path.stat().st_size):
        raise NotAsDescribed(f"{file.filename} has {path.stat().st_size} bytes, expected {file.bytes}")
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    if file.sha256 not in (None, sha256):
        raise NotAsDescribed(f"{file.filename} has sha256 {sha256}, expected {file.sha256}")
    return sha256
