"""Who may know whom. The folders are the design; this keeps them so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HOUSE = {"conversation", "realtime", "deployments", "bench", "examples", "tests", "graph"}
WEB = {"fastapi", "starlette", "uvicorn", "websockets", "aiohttp", "httpx", "requests", "openai"}
MODELS = {"onnxruntime", "xllamacpp", "streaming_vits", "espeakng_loader", "torch", "transformers", "funasr"}
RAY = {"ray"}

HOSTS = {"__init__.py", "deployment.py", "app.py"}
"""Of a stage's folder, the files that are not a model's."""


def imported(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def files(*patterns: str) -> list[Path]:
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    assert found, patterns
    return found


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("conversation/*.py"), ids=relative)
def test_the_conversation_knows_no_ray_no_web_no_model_and_no_folder_beside_it(path: Path) -> None:
    assert not tops(path) & (RAY | WEB | MODELS | HOUSE - {"conversation"})


@pytest.mark.parametrize("path", files("realtime/*.py"), ids=relative)
def test_the_wire_knows_the_conversation_alone(path: Path) -> None:
    assert not tops(path) & (RAY | WEB | MODELS | HOUSE - {"conversation", "realtime"})


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in files("deployments/*/*.py")
        if path.name not in HOSTS and path.parent.name != "ingress"
    ],
    ids=relative,
)
def test_a_model_knows_the_contracts_and_not_who_hosts_it(path: Path) -> None:
    """It may use what models share, and its own folder."""
    shared = {
        "deployments.model_thread",
        "deployments.weights",
        "deployments.onnx",
        "deployments.funasr_library",
    }
    own = f"deployments.{path.parent.name}"
    assert not tops(path) & (RAY | HOUSE - {"conversation", "deployments"})
    ours = {name for name in imported(path) if name.startswith("deployments")}
    assert {name for name in ours if not name.startswith(own)} <= shared


@pytest.mark.parametrize("path", files("deployments/*/deployment.py"), ids=relative)
def test_a_host_knows_no_model_library(path: Path) -> None:
    assert not tops(path) & MODELS
