"""Whether the interpreter that a stage names can run it. Ray does not look, and would wait without end.

Knows what a replica needs before its model is loaded: the server's Python, Ray, our code. Whether the model
then loads is seen when it does. Only nodes that are there can be asked, not those that join later; nor is any
where the application is built before there is a cluster (`serve run graph:build`).
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ray
from ray.serve.exceptions import RayServeException
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from conversation.errors import ConfigError

logger = logging.getLogger("ray.serve")

LOOK_S = 60.0
"""For it to start and import Ray and our code: a second or two, from a slow disk many."""
ANSWER_S = LOOK_S + 30.0
"""For a node: it starts a worker first."""

OURS = ("conversation", "deployments")

LOOK = """
import importlib, json, sys
seen = {"python": list(sys.version_info[:3])}
try:
    import ray
    seen["ray"] = ray.__version__
    for module in ["ray.serve"] + sys.argv[1:]:
        importlib.import_module(module)
except Exception as error:
    seen["error"] = "%s: %s" % (type(error).__name__, error)
    seen["missing"] = getattr(error, "name", None) or ""
print(json.dumps(seen))
"""
"""Runs there; for any Python, however old, so that it can say how old it is."""


class NoInterpreter(ConfigError, RayServeException):  # type: ignore[misc]  # Ray is untyped
    """No node can run the stage. Serve reports this kind at once: DEPLOY_FAILED, with these words."""


def require_interpreter(stage: str, python: str, modules: Sequence[str], nodes: Mapping[str, str]) -> None:
    """Raises NoInterpreter where `python` can host the stage on none of the nodes.

    One of them is enough. A replica that comes to another does not start, so those are named in the log.

    Args:
        stage: whose it is, for the message.
        python: full path.
        modules: what it must be able to import beside Ray Serve: the module of the stage's model.
        nodes: ids, with addresses, of the nodes of this Ray that could hold a replica.
    """
    look = ray.remote(num_cpus=0, max_retries=0)(fault)
    looks = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            python, modules
        ): address
        for node, address in nodes.items()
    }
    answered, _ = ray.wait(list(looks), num_returns=len(looks), timeout=ANSWER_S) if looks else ([], [])
    wrong = []
    for asked, address in looks.items():
        told = _told(asked) if asked in answered else f"may be missing: no answer within {ANSWER_S:g} s"
        if told:
            wrong.append(f"{stage}.python: on {address} {python} {told}")
    if wrong and len(wrong) == len(looks):
        raise NoInterpreter("\n".join(wrong))
    for line in wrong:
        logger.warning("%s. Keep the replicas of %s off that node, or they never start", line, stage)


def _told(asked: Any) -> str | None:
    try:
        wrong: str | None = ray.get(asked)
    except ray.exceptions.RayError as error:
        return f"may be missing: {error}"
    return wrong


def fault(python: str, modules: Iterable[str]) -> str | None:
    """Why it cannot host a stage here, and what to do; None when it can."""
    if not os.path.isfile(python):
        return "is no file; make that environment there (docs/adr/0012), or name another"
    if not os.access(python, os.X_OK):
        return "cannot be executed; name an interpreter, such as the bin/python of an environment"
    try:
        done = subprocess.run(
            [python, "-c", LOOK, *modules],
            cwd="/",  # where a stage finds our code only if it finds it everywhere
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LOOK_S,
            check=False,
        )
        seen = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"did not import Ray within {LOOK_S:g} s"
    except OSError as error:
        return f"does not start: {error.strerror}"
    except (ValueError, IndexError):
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        return f"is no Python that runs: exit status {done.returncode} {' '.join(last)}".rstrip()
    return _fault_seen(python, seen)


def _fault_seen(python: str, seen: Mapping[str, Any]) -> str | None:
    version, ours = tuple(seen["python"]), sys.version_info[:3]
    if version[:2] != ours[:2]:
        return (
            f"is Python {_dotted(version)} and the server {_dotted(ours)}: code travels between them, so "
            f"they must not differ; make the environment with Python {_dotted(ours)}"
        )
    wants_ray = f"{python} -m pip install 'ray[serve]=={ray.__version__}'"
    if "ray" not in seen:
        return f"has no Ray ({seen['error']}); {wants_ray}"
    if seen["ray"] != ray.__version__:
        return f"has Ray {seen['ray']} and the server {ray.__version__}; {wants_ray}"
    if "error" in seen:
        if seen["missing"].partition(".")[0] in OURS:
            return (
                f"does not find our code ({seen['error']}): put the folder that holds deployments/ on "
                "PYTHONPATH on every node, before `ray start`"
            )
        return f"cannot import what the stage needs ({seen['error']}); install it into that environment"
    if version != ours:
        logger.warning(
            "%s is Python %s and the server runs %s: it works, and Ray complains for each worker",
            python,
            _dotted(version),
            _dotted(ours),
        )
    return None


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))
