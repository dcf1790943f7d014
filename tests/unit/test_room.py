"""A cluster that can never hold a server is told apart from one that can, or will."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.config import Config, StageConfig, load_config
from deployments.interpreters import NoInterpreter
from deployments.local_ray import ROOT
from deployments.room import Ask, NoRoom, asked, missing, require_environment, require_interpreters

HEAD = {"CPU": 4.0, "node:__internal_head__": 1.0}
GPU_NODE = {"CPU": 8.0, "GPU": 2.0, "accelerator_type:A10G": 1.0}


def scripted(**sections: Any) -> Config:
    return load_config(ROOT / "configs" / "scripted.yaml").model_copy(update=sections)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (
            Ask(1, {"CPU": 1, "GPU": 4}),
            [
                "- llm: each replica asks for 1 CPU, 4 GPU on one node, and no node has that",
                "- 4 GPU together (llm 1 x 4), and the cluster has 2",
            ],
        ),
        (
            Ask(1, {"CPU": 10}),
            ["- llm: each replica asks for 10 CPU on one node, and no node has that"],
        ),
        (Ask(5, {"CPU": 0.1, "GPU": 0.5}), ["- 2.5 GPU together (llm 5 x 0.5), and the cluster has 2"]),
        (Ask(1, {"CPU": 1, "tpu": 1}), None),
    ],
    ids=["too-large-for-any-node", "too-large-for-one-node", "too-many", "a-resource-nobody-has"],
)
def test_what_can_never_fit_is_named(ask: Ask, words: list[str] | None) -> None:
    told = list(missing({"llm": ask}, [HEAD, GPU_NODE]))
    assert told == words if words else "1 tpu" in told[0]


def test_a_replica_needs_all_it_asks_for_on_one_node() -> None:
    nodes = [{"CPU": 8.0}, {"CPU": 1.0, "GPU": 1.0}]
    assert list(missing({"asr": Ask(1, {"CPU": 2, "GPU": 1})}, nodes))
    assert not list(missing({"asr": Ask(1, {"CPU": 1, "GPU": 1})}, nodes))


def test_shares_that_fill_a_cluster_to_the_brim_fit() -> None:
    assert not list(missing({"vad": Ask(10, {"CPU": 0.1})}, [{"CPU": 1.0}]))


def test_a_file_that_says_nothing_leaves_what_the_configuration_asks_for() -> None:
    config = scripted()
    assert asked(config, [{"name": "vad", "max_ongoing_requests": 3}]) == asked(config)
    assert asked(config)["vad"] == Ask(1, {"CPU": 0.1, "GPU": 0})


@pytest.mark.parametrize(
    ("override", "replicas"),
    [
        ({"num_replicas": 3}, 3),
        ({"num_replicas": "auto"}, 1),
        ({"autoscaling_config": {"min_replicas": 2, "max_replicas": 8}}, 2),
        ({"autoscaling_config": {"min_replicas": 2, "initial_replicas": 4, "max_replicas": 8}}, 4),
        ({"autoscaling_config": {"max_replicas": 8}}, 1),
        ({"autoscaling_config": {"min_replicas": 0, "max_replicas": 8}}, 0),
        ({"num_replicas": "auto", "autoscaling_config": {"min_replicas": 2, "max_replicas": 8}}, 2),
    ],
    ids=lambda value: None if isinstance(value, int) else "-".join(map(str, value)),
)
def test_autoscaling_starts_with_its_fewest(override: dict[str, Any], replicas: int) -> None:
    assert asked(scripted(), [{"name": "llm", **override}])["llm"].replicas == replicas


def test_actor_options_replace_the_configurations_shares_as_a_whole() -> None:
    options = {"num_gpus": 0.5, "accelerator_type": "A10G", "resources": {"nvme": 1}, "memory": 1e9}
    ask = asked(scripted(), [{"name": "tts", "ray_actor_options": options}])["tts"]
    assert ask.each == {"CPU": 1, "GPU": 0.5, "memory": 1e9, "nvme": 1, "accelerator_type:A10G": 0.001}
    assert not list(missing({"tts": ask}, [{**GPU_NODE, "nvme": 1.0, "memory": 2e9}]))
    assert list(missing({"tts": ask}, [{**HEAD, "GPU": 2.0, "nvme": 1.0, "memory": 2e9}]))


def test_actor_options_that_lost_a_stages_interpreter_are_refused() -> None:
    tts = StageConfig(model="conversation.scripted:ScriptedTts", python="/opt/cosyvoice/bin/python")
    config = scripted(tts=tts)
    assert asked(config)["tts"].python == "/opt/cosyvoice/bin/python"
    asks = asked(config, [{"name": "tts", "ray_actor_options": {"num_gpus": 0.5}}])
    with pytest.raises(
        NoInterpreter, match=r"add `runtime_env: \{py_executable: /opt/cosyvoice/bin/python\}`"
    ):
        require_interpreters(config, asks)


def test_a_ray_that_was_started_without_serve_env_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    require_environment()  # the tests have it
    monkeypatch.delenv("RAY_SERVE_ENABLE_HA_PROXY")
    with pytest.raises(NoRoom, match=r"without RAY_SERVE_ENABLE_HA_PROXY=1; .*\. deployments/serve\.env"):
        require_environment()
