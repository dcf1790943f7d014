"""deploy/llm-application.yaml against ray.serve.llm's own model of it, which needs pyarrow but no vLLM."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deployments.local_ray import ROOT

pytestmark = pytest.mark.gpu_backends


@pytest.fixture
def described() -> dict[str, Any]:
    [application] = yaml.safe_load((ROOT / "deploy" / "llm-application.yaml").read_text())
    [model] = application["args"]["llm_configs"]
    assert isinstance(model, dict)
    # Serve imports this class as soon as it is named, and it wants vLLM: tests/unit/test_llm_application.py.
    del model["deployment_config"]["request_router_config"]
    return model


def test_ray_knows_every_key(described: dict[str, Any]) -> None:
    from ray.llm._internal.serve.core.configs.llm_config import LLMConfig

    model = LLMConfig.model_validate(described)
    assert model.model_id == "qwen3-8b"
    assert model.accelerator_config.kind == "gpu"
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        LLMConfig.model_validate({**described, "engine_kwarg": {}})
