"""An interpreter that cannot run a stage is told apart from one that can, and what to do about it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import ray

from deployments import interpreters
from deployments.interpreters import fault
from deployments.local_ray import ROOT

OURS = list(sys.version_info[:3])
MODEL = "conversation.scripted"


@pytest.fixture(autouse=True)
def _code_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment of this very Python, with nothing in it."""
    home = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=60)
    return home / "bin" / "python"


def scripted(path: Path, *, then: str = "", **seen: Any) -> str:
    """An interpreter that gives this answer, whatever it is asked."""
    path.write_text(f"#!/bin/sh\necho '{json.dumps(seen)}'\n{then}\n")
    path.chmod(0o755)
    return str(path)


def test_the_servers_own_interpreter_can() -> None:
    assert fault(sys.executable, [MODEL]) is None


def test_another_environment_with_the_same_libraries_can(bare: Path) -> None:
    libraries = sysconfig.get_path("purelib", vars={"base": str(bare.parent.parent)})
    link = Path(libraries) / "same.pth"
    link.write_text(sysconfig.get_path("purelib"))
    try:
        assert fault(str(bare), [MODEL]) is None
    finally:
        link.unlink()


def test_one_without_ray_is_told_how_to_get_it(bare: Path) -> None:
    wrong = fault(str(bare), [MODEL])
    assert wrong is not None
    assert "has no Ray (ModuleNotFoundError: No module named 'ray')" in wrong
    assert f"{bare} -m pip install 'ray[serve]=={ray.__version__}'" in wrong


def test_one_that_does_not_find_our_code_is_told_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    assert "PYTHONPATH on every node" in (fault(sys.executable, [MODEL]) or "")


def test_a_library_that_the_model_wants_is_named() -> None:
    assert "No module named 'cosy_voice'" in (fault(sys.executable, ["cosy_voice"]) or "")


def test_what_is_not_there_or_no_program_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("print()")
    (tmp_path / "odd").write_text("neither a script nor a binary")
    (tmp_path / "odd").chmod(0o755)
    assert "is no file" in (fault(str(tmp_path / "python"), []) or "")
    assert "is no file" in (fault(str(tmp_path), []) or "")
    assert "cannot be executed" in (fault(str(tmp_path / "text"), []) or "")
    assert "does not start: Exec format error" in (fault(str(tmp_path / "odd"), []) or "")
    assert "is no Python that runs: exit status 1" in (fault("/bin/false", []) or "")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"python": [3, 9, 1], "error": "SyntaxError"}, "is Python 3.9.1 and the server 3.11"),
        ({"python": OURS, "ray": "2.9.0"}, f"has Ray 2.9.0 and the server {ray.__version__}; "),
    ],
    ids=["python", "ray"],
)
def test_another_version_is_refused(tmp_path: Path, seen: dict[str, Any], words: str) -> None:
    assert words in (fault(scripted(tmp_path / "python", **seen), []) or "")


def test_another_patch_of_python_works_and_is_mentioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    python = scripted(tmp_path / "python", python=[*OURS[:2], 99], ray=ray.__version__)
    with caplog.at_level("WARNING", logger="ray.serve"):
        assert fault(python, []) is None
    assert f"{OURS[0]}.{OURS[1]}.99" in caplog.text


def test_one_that_does_not_come_to_an_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "LOOK_S", 0.3)
    assert "did not import Ray within 0.3 s" in (
        fault(scripted(tmp_path / "python", then="exec sleep 60"), []) or ""
    )
