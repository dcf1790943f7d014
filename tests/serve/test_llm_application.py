"""deploy/llm-application.yaml on real Ray, with a stand-in for the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from ray import serve
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

from conversation.errors import StageError
from conversation.stages import Message, ReplyPart, TextDelta
from deployments.llm.openai_compatible import OpenAiCompatible
from deployments.local_ray import ROOT, LocalRay
from tests import remote

pytestmark = pytest.mark.asyncio(loop_scope="session")

UP_WITHIN_S = 60.0
"""It takes 5 s, some of them until HAProxy knows of it."""


@pytest_asyncio.fixture(loop_scope="session")
async def llm(ray_server: LocalRay, environment: Path) -> AsyncIterator[OpenAiCompatible]:
    """As LLM_BASE_URL points at it."""
    [application] = yaml.safe_load((ROOT / "deploy" / "llm-application.yaml").read_text())
    application["runtime_env"]["py_executable"] = f"{environment}/bin/python"
    application |= {"import_path": "tests.serve.chat_application:build", "args": {}}
    client = _get_global_client()
    assert client is not None
    client.deploy_apps(ServeDeploySchema.model_validate({"applications": [application]}))
    async with aclosing(OpenAiCompatible(base_url=f"{ray_server.url}/llm/v1", model="m")) as llm:
        async with asyncio.timeout(UP_WITHIN_S):
            await up(llm)
        yield llm
    serve.delete("llm")


async def up(llm: OpenAiCompatible) -> None:
    while True:
        try:
            await said(llm, "Hello.")
            return
        except StageError:
            await asyncio.sleep(0.2)


async def said(llm: OpenAiCompatible, what: str) -> list[ReplyPart]:
    return [part async for part in llm.reply([Message("user", what)])]


async def test_a_model_beside_the_server_is_reached_and_left_over_http(
    llm: OpenAiCompatible, environment: Path
) -> None:
    """All of the application runs in its own interpreter, the builder too."""
    assert await said(llm, "Hello.") == [TextDelta(str(environment))]
    async with aclosing(llm.reply([Message("user", "Go on.")])) as endless:
        for _ in range(5):
            await anext(endless)
    async with asyncio.timeout(10):
        assert await remote.handle("llm", "chat").left.remote()
