"""deploy/llm-application.yaml against the schemas that can be had without vLLM.

`ray.serve.llm` itself imports only where vLLM or SGLang is installed. Its model of `llm_configs` needs no
more than pyarrow: tests/gpu_backends/test_llm_application.py. With a stand-in for the model it is deployed:
tests/serve/test_llm_application.py.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray import serve
from ray.serve._private.config import DeploymentConfig
from ray.serve.schema import ServeDeploySchema

from deployments.local_ray import ROOT

FILE = ROOT / "deploy" / "llm-application.yaml"


@pytest.fixture(scope="module")
def application() -> dict[str, Any]:
    [application] = yaml.safe_load(FILE.read_text())
    assert isinstance(application, dict)
    return application


def test_it_stands_beside_the_server_in_one_file(application: dict[str, Any]) -> None:
    file = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    file["applications"].append(application)
    schema = ServeDeploySchema.model_validate(file)
    assert [app.name for app in schema.applications] == ["antiphon", "llm"]


def test_what_it_names_is_there(application: dict[str, Any]) -> None:
    """Read, not imported."""
    assert application["import_path"] == "ray.serve.llm:build_openai_app"
    assert "build_openai_app" in defined_in("serve/llm/__init__.py")
    [model] = application["args"]["llm_configs"]
    router = model["deployment_config"]["request_router_config"]["request_router_class"]
    assert router == "ray.serve.llm.request_router.PrefixCacheAffinityRouter"
    assert "PrefixCacheAffinityRouter" in defined_in("serve/llm/request_router.py")


def defined_in(file: str) -> set[str]:
    tree = ast.parse((Path(ray.__file__).parent / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_its_deployments_take_what_they_are_given(application: dict[str, Any]) -> None:
    [model] = application["args"]["llm_configs"]
    options = dict(model["deployment_config"])
    del options["request_router_config"]  # Serve imports the class as soon as it is named, and it wants vLLM
    assert DeploymentConfig(**options).autoscaling_config.max_replicas == 2
    assert serve.deployment(**application["args"]["ingress_deployment_config"])


def test_it_says_how_the_server_reaches_it(application: dict[str, Any]) -> None:
    said = FILE.read_text()
    [model] = application["args"]["llm_configs"]
    assert f"LLM_MODEL={model['model_loading_config']['model_id']} " in said
    assert f":8765{application['route_prefix']}/v1 " in said


def test_thoughts_are_not_left_in_the_text(application: dict[str, Any]) -> None:
    [model] = application["args"]["llm_configs"]
    assert model["engine_kwargs"]["reasoning_parser"]
