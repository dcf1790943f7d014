"""The ingress runs on one event loop: sockets, sessions, calls. What that needs, and the check for it."""

from __future__ import annotations

import os

from conversation.errors import ConfigError

ONE_LOOP = {
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
}
"""Environment of its replicas: no thread is crossed on the way of a frame, and the ingress never blocks.
The stages keep Serve's own threads, so that a model can never hold up a health check."""


def require_one_loop() -> None:
    """Raises ConfigError in a replica that was started without ONE_LOOP.

    It would seem to work: but in Serve's other mode streams are read ahead without bound, see
    deployments/calls.py.
    """
    if any(os.environ.get(name) != value for name, value in ONE_LOOP.items()):
        raise ConfigError(
            "the ingress must run on one event loop. `ray_actor_options` in a Serve file replace what the "
            "builder set: repeat there, beside num_cpus, `runtime_env: {env_vars: {"
            + ", ".join(f'{name}: "{value}"' for name, value in ONE_LOOP.items())
            + "}}`"
        )
