"""A stage in another interpreter than the server's, on real Ray."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from conversation.stages import Message, ReplyParams, ReplyPart, TextDelta, Tool
from deployments.calls import RemoteLlm
from deployments.config import StageConfig
from deployments.interpreters import NoInterpreter, require_interpreter
from deployments.local_ray import ROOT, LocalRay
from graph import hosted
from tests import remote

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = "tests.serve.test_interpreters"
REFUSED_WITHIN_S = 60.0
"""It takes 4 s: the builder's process starts."""


class WhereLlm:
    """Says which environment it runs in."""

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), params: ReplyParams = ReplyParams()
    ) -> AsyncGenerator[ReplyPart, None]:
        yield TextDelta(sys.prefix)


def this_node() -> dict[str, str]:
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}


async def test_a_stage_runs_in_the_interpreter_that_it_names(ray_server: LocalRay, environment: Path) -> None:
    stage = StageConfig(model=f"{HERE}:WhereLlm", cpus=remote.CPUS, python=f"{environment}/bin/python")
    remote.deploy("elsewhere", llm=hosted(remote.Llm, stage))
    llm = RemoteLlm(remote.handle("elsewhere", "llm"))
    assert [part async for part in llm.reply([Message("system", "")])] == [TextDelta(str(environment))]


async def test_one_node_that_can_run_it_is_enough_and_the_others_are_named(
    ray_server: LocalRay, environment: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = {"0" * 56: "10.0.0.7"}
    python = f"{environment}/bin/python"
    with caplog.at_level("WARNING", logger="ray.serve"):
        require_interpreter("tts", python, ["conversation.scripted"], {**this_node(), **gone})
    assert f"tts.python: on 10.0.0.7 {python} may be missing" in caplog.text
    with pytest.raises(NoInterpreter, match=r"on 10\.0\.0\.7"):
        require_interpreter("tts", python, [], gone)


async def test_a_file_with_a_wrong_path_is_refused_at_once(ray_server: LocalRay) -> None:
    """Without the check its replica would be starting for ever."""
    scripted = yaml.safe_load((ROOT / "configs" / "scripted.yaml").read_text())
    scripted["tts"]["python"] = "/opt/nowhere/bin/python"
    file: dict[str, Any] = {
        "applications": [
            {"name": "refused", "route_prefix": "/refused", "import_path": "graph:build", "args": scripted}
        ]
    }
    client = _get_global_client()
    assert client is not None
    client.deploy_apps(ServeDeploySchema.model_validate(file))
    deadline_s = time.monotonic() + REFUSED_WITHIN_S
    while (status := serve.status().applications["refused"]).status != "DEPLOY_FAILED":
        assert status.status == "DEPLOYING", status
        assert time.monotonic() < deadline_s, status
        await asyncio.sleep(0.1)
    serve.delete("refused")
    assert "tts.python: on 127.0.0.1 /opt/nowhere/bin/python is no file; " in status.message
