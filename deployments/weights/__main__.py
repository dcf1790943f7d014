"""The command `python -m deployments.weights`: fetches models, or lists the catalogue."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from conversation.errors import ConfigError
from deployments.weights import catalogue, fetch, find, hubs, names_in
from deployments.weights.entries import Entry, Packaged


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetches what is named, or lists the catalogue when nothing is. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deployments.weights", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a catalogue name")
    parser.add_argument("--config", type=Path, metavar="FILE", help="fetch what this run configuration names")
    options = parser.parse_args(arguments)
    try:
        names = dict.fromkeys([*options.names, *(names_in(options.config) if options.config else ())])
        for name in names:
            _fetch(name)
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


def _fetch(name: str) -> None:
    entry = catalogue().get(name)
    if entry is not None and find(name) is not None:
        _say(f"{name}: already there")
        return
    if entry is not None:
        _say(f"{name}, {_whence(name, entry)}: ", end="")
    fetch(name)
    _say("done")


def _whence(name: str, entry: Entry) -> str:
    if isinstance(entry, Packaged):
        return f"{entry.version}, {_size(entry)}"
    hub, repository = hubs.choose(name, entry)
    return f"from {hub}, {repository.id} at {repository.revision}"


def _list() -> None:
    for name, entry in catalogue().items():
        state = "not fetched" if find(name) is None else "fetched"
        _say(f"{name:23} {_size(entry):>8}  {state:12} {entry.licence}\n{'':24}{entry.about}")


def _size(entry: Entry) -> str:
    if isinstance(entry, Packaged):
        return f"{sum(file.bytes for file in entry.files) / 1e6:.1f} MB"
    return "from hub"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201  # the command's output


if __name__ == "__main__":
    sys.exit(main())
