"""Models from ModelScope and Hugging Face, fetched by the hub's own client.

The clients need not be installed where no model comes from a hub, and are never imported here: one runs in a
process of its own, which can be ended at a deadline, and shows its progress on standard error. What it had
fetched when it failed is kept, since the clients go on from there. Mirrors, tokens and proxies are the
client's own settings (HF_ENDPOINT, HF_TOKEN, MODELSCOPE_ENDPOINT ...).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from conversation.errors import ConfigError
from deployments.weights import cache
from deployments.weights.entries import Hub, OnHub, Repository

HUB_TIMEOUT_S = 3 * 3600
"""For 5 GB at 5 Mbit/s. The clients have deadlines of their own for a line that is dead."""

CLIENTS: dict[Hub, str] = {"modelscope": "modelscope", "huggingface": "huggingface_hub"}
"""The package, and module, of each hub's client. Both have a `snapshot_download` with these arguments:
https://huggingface.co/docs/huggingface_hub/package_reference/file_download#huggingface_hub.snapshot_download,
https://modelscope.cn/docs/models/download
"""

_STDERR = 2
"""The file descriptor: standard output stays free for what the command says itself."""

_PROGRAM = """
import importlib, json, sys
asked = json.loads(sys.argv[1])
client = importlib.import_module(asked["client"])
try:
    client.snapshot_download(asked["id"], **asked["arguments"])
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def choose(name: str, model: OnHub) -> tuple[Hub, Repository]:
    """Which hub a model comes from: ANTIPHON_HUB, else the first whose client is installed.

    A model that is on one hub alone comes from there. Raises ConfigError for a hub that does not exist or a
    client that is not installed.
    """
    asked = os.environ.get("ANTIPHON_HUB")
    if asked and asked not in CLIENTS:
        raise ConfigError(f"ANTIPHON_HUB: {asked!r} is no hub; it takes {' or '.join(CLIENTS)}")
    possible = [hub for hub in model.repositories if hub == asked] or list(model.repositories)
    for hub in possible:
        if importlib.util.find_spec(CLIENTS[hub]) is not None:
            return hub, model.repositories[hub]
    commands = " or ".join(f"`{sys.executable} -m pip install {CLIENTS[hub]}`" for hub in possible)
    raise ConfigError(
        f"{name} comes from {' or '.join(possible)}, whose client is not installed: {commands}; or set "
        f"`weights:` to a local directory that holds " + ", ".join(file.path for file in model.files)
    )


def bring(name: str, model: OnHub) -> Path:
    """Fetches a model into the cache, unless another process just did; its directory.

    Raises ConfigError, with the remedy, when the client fails or the repository lacks a file.
    """
    hub, repository = choose(name, model)
    directory = cache.directory(name, f"{hub}-{repository.revision}")
    with cache.workshop(directory) as workshop:
        if not cache.missing(directory, model.files):
            return directory
        _download(name, hub, repository, model.ignore, workshop)
        try:
            cache.publish(workshop, directory, model.files)
        except cache.NotAsDescribed as error:
            shutil.rmtree(workshop)
            raise ConfigError(
                f"{name}: {repository.id} at {repository.revision} on {hub} is not what the catalogue "
                f"describes: {error}\n"
                f"Nothing of it was kept. Try again, or set ANTIPHON_HUB to the other hub, or `weights:` to "
                f"a local directory"
            ) from error
    return directory


def _download(name: str, hub: Hub, repository: Repository, ignore: list[str], into: Path) -> None:
    arguments = {"revision": repository.revision, "local_dir": str(into), "ignore_patterns": ignore}
    asked = {"client": CLIENTS[hub], "id": repository.id, "arguments": arguments}
    command = [sys.executable, "-c", _PROGRAM, json.dumps(asked)]
    try:
        failed = subprocess.run(command, stdout=_STDERR, timeout=HUB_TIMEOUT_S, check=False).returncode != 0
        why = "its own words stand above"
    except subprocess.TimeoutExpired:
        failed, why = True, f"no end after {HUB_TIMEOUT_S} s"
    if failed:
        raise ConfigError(
            f"{name}: {CLIENTS[hub]} could not download {repository.id} at {repository.revision}: {why}\n"
            f"What had come is kept: `python -m deployments.weights {name}` goes on from there. Or set "
            f"ANTIPHON_HUB to {' or '.join(CLIENTS)}, or `weights:` to a local directory"
        )
