"""The small random models; without FunASR these tests are not collected."""

from __future__ import annotations

import faulthandler
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("funasr") else ["test_*.py"]


@pytest.fixture(scope="session")
def tiny_models() -> Path:
    """A directory for each model, written by `python -m tests.gpu_backends.tiny`."""
    named = os.environ.get("ANTIPHON_TINY_MODELS")
    if not named or not Path(named).is_dir():
        pytest.fail("`make test-gpu-backends` writes the models and sets ANTIPHON_TINY_MODELS")
    return Path(named).resolve()


HARD_LIMIT_S = 300
"""For one test. Beyond it hangs, and the whole run is ended with the stacks of all threads."""


@pytest.fixture(autouse=True)
def hard_limit() -> Iterator[None]:
    assert sys.__stderr__ is not None
    faulthandler.dump_traceback_later(HARD_LIMIT_S, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()
