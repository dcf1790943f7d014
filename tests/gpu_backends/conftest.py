"""The small random models; without FunASR these tests are not collected."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("funasr") else ["test_*.py"]


@pytest.fixture(scope="session")
def tiny_models() -> Path:
    """A directory for each model, written by `python -m tests.gpu_backends.tiny`."""
    directory = Path(os.environ["ANTIPHON_TINY_MODELS"]).resolve()
    assert (directory / "paraformer").exists(), f"python -m tests.gpu_backends.tiny {directory} makes them"
    return directory
