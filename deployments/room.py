"""Whether a cluster can ever run what a server asks for. Serve itself would wait without end.

Refuses only what is certain: a replica that is larger than every node, and a sum that is larger than the
cluster. It packs nothing, and knows nothing of labels, placement groups, what others use, or the replicas
that autoscaling adds later.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.serve.exceptions import RayServeException

from conversation.errors import ConfigError
from deployments.config import Config
from deployments.interpreters import NoInterpreter, require_interpreter
from deployments.local_ray import serve_environment

Resources = Mapping[str, float]
"""By Ray's names: CPU, GPU, memory (bytes), accelerator_type:..., and those that a cluster made up itself."""

SURE = 1e-6
"""Shares add up in binary fractions: so much more than there is, is not more."""

ANSWER_S = 10.0
"""For a question to the Serve controller, which answers within milliseconds."""

REMEDY = (
    "Ask for less under `deployments:` (or in the configuration), or give the cluster more nodes. If nodes "
    "join it on demand, say `cluster: {grows: true}` in `args:`. To try Antiphon on a laptop: `make run`, "
    "with the models of configs/laptop.yaml."
)


class NoRoom(ConfigError, RayServeException):  # type: ignore[misc]  # Ray is untyped
    """The cluster can never hold it. Serve reports this kind at once: DEPLOY_FAILED, with these words."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one deployment wants before it counts as up."""

    replicas: int
    each: Resources
    """For one replica, all of it on one node."""
    python: str | None = None
    """Its interpreter, where that is not the server's own."""


def require_cluster(config: Config) -> None:
    """Raises NoRoom where Serve builds the application from a file, on a cluster that cannot run it.

    Elsewhere (a test, `make run`, `serve run graph:build`) it does nothing: there may be no cluster yet.
    """
    if not (ray.is_initialized() and ray.get_runtime_context().worker.mode == ray.WORKER_MODE):
        return
    require_environment()
    asks = asked(config, _overrides(config))
    if not config.cluster.grows:
        require_room(asks)
    require_interpreters(config, asks)


def require_room(asks: Mapping[str, Ask]) -> None:
    """Raises NoRoom, which names what is missing, where the nodes of this Ray can never hold it."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    lacking = list(missing(asks, nodes))
    if lacking:
        raise NoRoom("\n".join(["this cluster can never run it:", *lacking, REMEDY]))


def require_interpreters(config: Config, asks: Mapping[str, Ask]) -> None:
    """Raises NoInterpreter, a ConfigError, where a stage's own interpreter can run it on no node."""
    for name, stage in config.stages.items():
        ask = asks[name]
        if stage.python is not None and ask.python != stage.python:
            raise NoInterpreter(
                f"deployments: {name}: its ray_actor_options replace those of {name}.python as a whole; add "
                f"`runtime_env: {{py_executable: {stage.python}}}` to them, or leave {name}.python out"
            )
        if ask.python is not None:
            nodes = {
                node["NodeID"]: node["NodeManagerAddress"]
                for node in ray.nodes()
                if node["Alive"] and _holds(node["Resources"], ask.each)
            }
            require_interpreter(name, ask.python, [stage.model.partition(":")[0]], nodes)


def asked(config: Config, overrides: Iterable[Mapping[str, Any]] = ()) -> dict[str, Ask]:
    """By deployment: what the configuration asks for, unless `overrides` do.

    Args:
        overrides: items of a Serve file's `deployments:`.
    """
    asks = {"ingress": Ask(config.ingress.replicas, {"CPU": config.ingress.cpus})}
    for name, stage in config.stages.items():
        asks[name] = Ask(stage.replicas, {"CPU": stage.cpus, "GPU": stage.gpus}, stage.python)
    for override in overrides:
        name = override["name"]
        if name in asks:  # else Serve says which ones there are
            asks[name] = _overridden(asks[name], override)
    return asks


def missing(asks: Mapping[str, Ask], nodes: Iterable[Resources]) -> Iterator[str]:
    """In words, each thing that keeps the deployments off these nodes for ever."""
    nodes = list(nodes)
    for name, ask in asks.items():
        if not any(_holds(node, ask.each) for node in nodes):
            yield f"- {name}: each replica asks for {_listed(ask.each)} on one node, and no node has that"
    for resource in sorted({resource for ask in asks.values() for resource in ask.each}):
        wanted = sum(ask.replicas * ask.each.get(resource, 0) for ask in asks.values())
        present = sum(node.get(resource, 0) for node in nodes)
        if wanted > present + SURE:
            parts = ", ".join(
                f"{name} {ask.replicas} x {ask.each[resource]:g}"
                for name, ask in asks.items()
                if ask.each.get(resource)
            )
            yield f"- {wanted:g} {resource} together ({parts}), and the cluster has {present:g}"


def _holds(node: Resources, each: Resources) -> bool:
    return all(node.get(resource, 0) + SURE >= share for resource, share in each.items())


def _listed(resources: Resources) -> str:
    return ", ".join(f"{share:g} {resource}" for resource, share in resources.items() if share)


def _overridden(ask: Ask, override: Mapping[str, Any]) -> Ask:
    """As Serve does it: `ray_actor_options` are replaced as a whole."""
    options = override.get("ray_actor_options")
    if options is not None:
        python = (options.get("runtime_env") or {}).get("py_executable")
        ask = replace(ask, each=_share(options), python=python)
    scaling = override.get("autoscaling_config")
    if scaling:
        return replace(ask, replicas=scaling.get("initial_replicas") or scaling.get("min_replicas", 1))
    replicas = override.get("num_replicas")
    if replicas == "auto":
        return replace(ask, replicas=1)
    return ask if replicas is None else replace(ask, replicas=replicas)


def _share(options: Mapping[str, Any]) -> Resources:
    share = {"CPU": options.get("num_cpus", 1), "GPU": options.get("num_gpus", 0)}
    share |= {"memory": options.get("memory") or 0} | (options.get("resources") or {})
    if options.get("accelerator_type"):
        share[f"accelerator_type:{options['accelerator_type']}"] = 0.001  # what Ray itself asks for
    return share


def _overrides(config: Config) -> list[Mapping[str, Any]]:
    """The `deployments:` of the file that is being deployed.

    Serve applies them after the builder and does not show them to it; its controller knows the file. The
    application's name is not told either: it is the one whose arguments make this configuration.
    """
    controller = ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    files = ray.get(controller.get_app_configs.remote(), timeout=ANSWER_S)
    return [
        override
        for file in files.values()
        if file.import_path in ("graph:build", "graph.build") and _makes(file.args, config)
        for override in file.model_dump(exclude_unset=True).get("deployments", [])
    ]


def _makes(args: Mapping[str, Any], config: Config) -> bool:
    try:
        return Config.model_validate(args) == config
    except ConfigError:
        return False  # another application's, whose own builder says so


def require_environment() -> None:
    """Raises NoRoom where Ray runs without serve.env: sockets would go through Serve's own proxy."""
    ours = serve_environment()
    data_path = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_USE_GRPC_BY_DEFAULT")
    unset = [f"{name}={ours[name]}" for name in data_path if os.environ.get(name) != ours[name]]
    if unset:
        raise NoRoom(
            f"Ray was started without {' '.join(unset)}; on every node, before `ray start`: "
            "set -a; . deployments/serve.env; set +a"
        )
