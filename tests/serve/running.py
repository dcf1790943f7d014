"""Asks the stages of a server in other processes what they work on. For each line it reads, one line of JSON.

python -m tests.serve.running GCS_ADDRESS, in the environment of that server.
"""

from __future__ import annotations

import json
import sys

import ray
from ray import serve

STAGES = ("vad", "asr", "llm", "tts")
ANSWER_S = 10.0


def main() -> None:
    ray.init(address=sys.argv[1], namespace="serve", log_to_driver=False, logging_level="ERROR")
    handles = {stage: serve.get_deployment_handle(stage, "antiphon") for stage in STAGES}
    for _ in sys.stdin:
        asked = {stage: handle.running.remote() for stage, handle in handles.items()}
        running = {stage: answer.result(timeout_s=ANSWER_S) for stage, answer in asked.items()}
        sys.stdout.write(json.dumps(running) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
