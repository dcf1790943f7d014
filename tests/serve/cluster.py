"""A cluster of pretended nodes on this machine, in a process of its own: `python -m tests.serve.cluster`.

First a head and a node without GPUs; more join when told. Reads a command a line, answers each with a line of
JSON:

    deploy PATH     what `serve run PATH` does; answers with its exit status and last words
    grow            two nodes with three GPUs each join; answers with their ids
    look            answers with what Serve says of its applications
"""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deployments.local_ray import (
    OBJECT_STORE_BYTES,
    ROOT,
    closed_environment,
    new_home,
    own_environment,
    serve_environment,
    tidied_up_after,
)

NODE: dict[str, Any] = {"num_cpus": 8, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
SUBMITTED_WITHIN_S = 60
OVER_WITHIN_S = 300
"""All of it. Nobody waits longer for an answer."""


def main() -> None:
    faulthandler.dump_traceback_later(OVER_WITHIN_S, exit=True)
    home = new_home()
    with tidied_up_after(home):
        os.environ.update(serve_environment() | closed_environment() | own_environment(home))
        os.environ["RAY_TMPDIR"] = str(home)  # where Ray notes the address of the last cluster started
        (home / "ray").mkdir()
        answer(str(home))
        _work(str(home))


def _work(home: str) -> None:
    import ray
    from ray.cluster_utils import Cluster
    from ray.serve.context import _get_global_client

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": home})
    cluster.add_node(**NODE)
    ray.init(address=cluster.address, namespace="serve", log_to_driver=False, logging_level="ERROR")
    answer(cluster.address)
    for line in sys.stdin:
        match line.split():
            case ["deploy", path]:
                answer(_serve_run(path, cluster.address))
            case ["grow"]:
                answer([cluster.add_node(**NODE, num_gpus=3).node_id for _ in range(2)])
            case ["look"]:
                client = _get_global_client()
                assert client is not None
                answer(client.get_serve_details()["applications"])
    ray.shutdown()
    cluster.shutdown()


def _serve_run(path: str, address: str) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("serve"), "run", "--non-blocking", "--address", address, path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SUBMITTED_WITHIN_S,
        check=False,
    )
    return done.returncode, done.stdout[-2000:]


def answer(value: Any) -> None:
    print("ANSWER", json.dumps(value, default=str), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
