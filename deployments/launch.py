"""Starts one Antiphon server on this machine, and stops everything it started.

python -m deployments.launch --config configs/laptop.yaml --port 8765
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from conversation.errors import ConfigError
from deployments.config import Config, load_config
from deployments.ingress.keys import hand_on, require_keys_beyond_loopback
from deployments.loading import check_surroundings, find
from deployments.local_haproxy import LOOPBACK
from deployments.local_ray import LocalRay, local_ray

START_S = 180.0
"""Models of a laptop load within seconds; the largest ones, from a slow disk, within minutes."""
LOOK_EVERY_S = 0.2
HANG_UP_S = 3.0


class StartError(Exception):
    """The server did not come up; the message says which stage and why."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deployments.launch", description=__doc__)
    parser.add_argument(
        "--config", required=True, help="what the server is made of, e.g. configs/laptop.yaml"
    )
    parser.add_argument("--port", type=int, default=8765, help="default %(default)s")
    parser.add_argument(
        "--host", default=LOOPBACK, help="also listen on this address, e.g. 0.0.0.0; wants ANTIPHON_API_KEYS"
    )
    arguments = parser.parse_args()
    try:
        require_address(arguments.host)
        require_keys_beyond_loopback(arguments.host, hand_on(os.environ))
        serve(load_config(arguments.config), arguments.port, arguments.host)
    except ConfigError as error:
        _say(f"Antiphon cannot start: {error}", to=sys.stderr)
        return 2
    except StartError as error:
        _say(f"Antiphon did not start: {error}", to=sys.stderr)
        return 1
    return 0


def require_address(host: str) -> None:
    """Raises ConfigError when `host` is no IPv4 address."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise ConfigError(
            f"--host {host}: give an IPv4 address of this machine, or 0.0.0.0 for all of them"
        ) from None


def serve(config: Config, port: int, host: str = LOOPBACK) -> None:
    """Until a signal comes. Raises ConfigError or StartError when there is no way."""
    for name, stage in config.stages.items():
        check_surroundings(find(stage.model, f"{name}.model"), stage.options)
    started_s = time.monotonic()
    stop = stop_event()
    with local_ray(port, cpus=cpus_of(config), host=host) as ray:
        on_signals(stop)  # Ray has put its own handlers in place
        _say(f"Ray is up after {time.monotonic() - started_s:.0f} s. Logs of the stages: {ray.logs}")
        require_room(config)
        if not stop.is_set():
            deploy(config)
        if wait_until_ready(ray, started_s, stop):
            _say(f"Antiphon listens on ws://{host}:{port}/v1/realtime")
            _say(f"and on {ray.url}/ after {time.monotonic() - started_s:.0f} s. Ctrl-C stops it.")
            stop.wait()
            hang_up()
        _say("Stopping.")
    _say("Stopped.")


def cpus_of(config: Config) -> float:
    stages = sum(stage.replicas * stage.cpus for stage in config.stages.values())
    return stages + config.ingress.replicas * config.ingress.cpus


def require_room(config: Config) -> None:
    """Raises ConfigError when the stages want what this machine lacks: GPUs, an interpreter."""
    from deployments import room

    asks = room.asked(config)
    room.require_room(asks)
    room.require_interpreters(config, asks)


def deploy(config: Config) -> None:
    from ray import serve

    from graph import build

    serve.run_many(
        [
            serve.RunTarget(
                build(config),
                name="antiphon",
                route_prefix="/",
                logging_config={"log_level": "INFO", "enable_access_log": False},
            )
        ],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )


def wait_until_ready(ray: LocalRay, started_s: float, stop: threading.Event) -> bool:
    """Until /healthz says so; tells meanwhile how far each stage is.

    False when it is to stop instead. Raises StartError.
    """
    told: dict[str, str] = {}
    while not stop.wait(LOOK_EVERY_S):
        if time.monotonic() > started_s + START_S:
            raise StartError(f"not ready after {START_S:.0f} s: {told}")
        for name, (status, why) in _deployments().items():
            if status in ("DEPLOY_FAILED", "UNHEALTHY"):
                raise StartError(f"{name} failed: {why.strip().splitlines()[-1]}\n\n{why.strip()}")
            if told.get(name) != status:
                told[name] = status
                words = "ready" if status == "HEALTHY" else "loading"
                _say(f"  {name}: {words} ({time.monotonic() - started_s:.0f} s)")
        if told and all(status == "HEALTHY" for status in told.values()) and _is_healthy(ray):
            return True
    return False


def _deployments() -> dict[str, tuple[str, str]]:
    from ray import serve

    application = serve.status().applications.get("antiphon")
    if application is None:
        return {}
    return {name: (d.status.value, d.message) for name, d in application.deployments.items()}


def _is_healthy(ray: LocalRay) -> bool:
    try:
        with urllib.request.urlopen(f"{ray.url}/healthz", timeout=5) as answer:
            return bool(json.load(answer)["ready"])
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def hang_up() -> None:
    """Lets the clients know, so that they come back later instead of guessing."""
    from ray import serve
    from ray.exceptions import RayError
    from ray.serve.exceptions import RayServeException

    try:
        serve.get_deployment_handle("ingress", "antiphon").hang_up.remote().result(timeout_s=HANG_UP_S)
    except (RayError, RayServeException, TimeoutError):
        return  # it is being stopped anyway


# --- signals


def stop_event() -> threading.Event:
    """Set by Ctrl-C and SIGTERM. Not an exception: raised in Ray's native code it would end in a crash."""
    stop = threading.Event()
    on_signals(stop)
    return stop


def on_signals(stop: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())


def _say(text: str, to: Any = None) -> None:
    print(text, file=to or sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
