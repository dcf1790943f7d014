"""Stages on the real Ray of the tests, called as the ingress does it: over gRPC, on the caller's loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Deployment
from ray.serve.handle import DeploymentHandle

from deployments.asr.deployment import Asr, SegmentAsr
from deployments.llm.deployment import Llm
from deployments.tts.deployment import Tts
from deployments.turn.deployment import Turn
from deployments.vad.deployment import Vad

CPUS = 0.1


@serve.deployment(name="root", ray_actor_options={"num_cpus": CPUS})
class Root:
    """Serve wants one deployment above all others."""

    def __init__(self, **stages: DeploymentHandle) -> None:
        self._stages = stages


def hosted(
    stage: Deployment,
    name: str,
    model: str,
    options: Mapping[str, Any] | None = None,
    *,
    replicas: int = 1,
    max_ongoing: int = 500,
) -> Any:
    return stage.options(
        name=name,
        num_replicas=replicas,
        ray_actor_options={"num_cpus": CPUS},
        max_ongoing_requests=max_ongoing,
        graceful_shutdown_timeout_s=1,
    ).bind(model, dict(options or {}))


def deploy(app: str, **stages: Any) -> None:
    root: Any = Root  # a Deployment, which Ray does not say
    serve.run(root.options(name=f"{app}-root").bind(**stages), name=app, route_prefix=f"/{app}")


def handle(app: str, name: str) -> DeploymentHandle:
    """Call it on the loop that will use it."""
    handle = serve.get_deployment_handle(name, app)
    if not handle.is_initialized:  # Serve gives out the same one again
        handle._init(_run_router_in_separate_loop=False)
    return handle


__all__ = ["Asr", "Llm", "SegmentAsr", "Tts", "Turn", "Vad", "deploy", "handle", "hosted"]
