"""The whole of Antiphon: the stages, and the ingress that owns the sessions and calls them all.

serve run graph:build config=configs/laptop.yaml      one replica a stage
serve run serve_config.yaml                           production: its `deployments:` override what is set here
"""
# No postponed annotations here: Serve reads the type of `config` to make one of the arguments it is given.

from typing import Any

from ray.serve import Application, Deployment

from deployments.asr.deployment import Asr, SegmentAsr
from deployments.config import Config, StageConfig
from deployments.ingress.deployment import Ingress
from deployments.ingress.one_loop import ONE_LOOP
from deployments.llm.deployment import Llm
from deployments.room import require_cluster
from deployments.tts.deployment import Tts
from deployments.turn.deployment import Turn
from deployments.vad.deployment import Vad


def build(config: Config) -> Application:
    """One stage is one deployment; its section of the configuration says which model it hosts, on what.

    Raises NoRoom, a ConfigError, where Serve builds it on a cluster that can never hold it.
    """
    require_cluster(config)
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
        turn=config.turn and hosted(Turn, config.turn),
        asr_final=config.asr_final and hosted(SegmentAsr, config.asr_final, name="asr_final"),
    )


def hosted(stage: Deployment, config: StageConfig, name: str | None = None) -> Application:
    actor: dict[str, Any] = {"num_cpus": config.cpus, "num_gpus": config.gpus}
    if config.python is not None:
        actor["runtime_env"] = {"py_executable": config.python}
    return stage.options(
        name=name or stage.name,
        num_replicas=config.replicas,
        ray_actor_options=actor,
        max_ongoing_requests=config.max_ongoing,
        graceful_shutdown_timeout_s=5,
    ).bind(config.model, config.options)
