"""The whole of Antiphon: four stages, and the ingress that owns the sessions and calls them all.

serve run graph:build config=configs/laptop.yaml
"""
# No postponed annotations here: Serve reads the type of `config` to make one of the arguments it is given.

from typing import Any

from ray.serve import Application, Deployment

from deployments.asr.deployment import Asr, SegmentAsr
from deployments.config import Config, StageConfig
from deployments.ingress.deployment import Ingress
from deployments.llm.deployment import Llm
from deployments.tts.deployment import Tts
from deployments.vad.deployment import Vad


def build(config: Config) -> Application:
    """One stage is one deployment; its section of the configuration says which model it hosts, on what."""
    ingress: Any = Ingress  # a Deployment, which Ray does not say
    return ingress.options(
        num_replicas=config.ingress.replicas,
        ray_actor_options={"num_cpus": config.ingress.cpus, "runtime_env": {"env_vars": ONE_LOOP}},
        # Room for those who are told that the server is full, and for /healthz.
        max_ongoing_requests=2 * config.ingress.max_sessions + 32,
        graceful_shutdown_timeout_s=5,
    ).bind(
        config,
        vad=hosted(Vad, config.vad),
        asr=hosted(Asr if config.asr_streams else SegmentAsr, config.asr),
        llm=hosted(Llm, config.llm),
        tts=hosted(Tts, config.tts),
    )


def hosted(stage: Deployment, config: StageConfig) -> Application:
    return stage.options(
        num_replicas=config.replicas,
        ray_actor_options={"num_cpus": config.cpus, "num_gpus": config.gpus},
        max_ongoing_requests=config.max_ongoing,
        graceful_shutdown_timeout_s=5,
    ).bind(config.model, config.options)


ONE_LOOP = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
}
"""Sockets, sessions and calls share one event loop in the ingress, which never blocks: no thread is crossed
on the way of a frame. The stages keep Serve's own threads, so that a model can never hold up a health
check."""
