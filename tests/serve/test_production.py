"""The production files as they stand, and the one for GPUs as Serve runs it, with scripted stages."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from deployments.config import Config
from deployments.ingress.one_loop import ONE_LOOP
from deployments.local_ray import ROOT, free_ports, processes_of
from deployments.room import asked

UP_WITHIN_S = 120.0
"""Alone on two cores it takes half a minute."""
GONE_WITHIN_S = 30.0

Details = dict[str, Any]

CPU_FILE = "deploy/serve_config.cpu.yaml"
FILES = {name: yaml.safe_load((ROOT / name).read_text()) for name in ("serve_config.yaml", CPU_FILE)}
FILE = FILES["serve_config.yaml"]
[APPLICATION] = FILE["applications"]
DEPLOYMENTS: dict[str, Details] = {item["name"]: item for item in APPLICATION["deployments"]}

HEARD: Details = {"script": ["hello there"], "repeat": True}
GPUS = {
    name: share
    for name, deployment in DEPLOYMENTS.items()
    if (share := deployment["ray_actor_options"].get("num_gpus"))
} | {"llm": 1}
"""What the test asks for: the shares of the file, and a language model that has a device for itself."""


@pytest.mark.parametrize("name", FILES)
def test_serve_takes_the_file_and_the_builder_its_arguments(name: str) -> None:
    ServeDeploySchema.model_validate(FILES[name])
    config, deployments = parts(FILES[name])
    assert set(deployments) == {"ingress", *config.stages}


def test_english_takes_another_configuration_and_no_second_recogniser() -> None:
    config = Config.model_validate({**APPLICATION["args"], "config": "configs/gpu-en.yaml"})
    assert {"ingress", *config.stages} == set(DEPLOYMENTS) - {"asr_final"}
    for stage, section in config.stages.items():
        options = DEPLOYMENTS[stage]["ray_actor_options"]
        assert options.get("runtime_env", {}).get("py_executable") == section.python


@pytest.mark.parametrize("name", FILES)
def test_the_numbers_of_the_file_agree_with_each_other(name: str) -> None:
    config, deployments = parts(FILES[name])
    ingress, scaling = deployments["ingress"], deployments["ingress"]["autoscaling_config"]
    assert scaling["target_ongoing_requests"] < config.ingress.max_sessions
    assert ingress["max_ongoing_requests"] == 2 * config.ingress.max_sessions + 32
    assert ingress["ray_actor_options"]["runtime_env"]["env_vars"] == ONE_LOOP
    assert deployments["asr"]["num_replicas"] * 16 == config.ingress.max_sessions * scaling["max_replicas"]
    for deployment in deployments.values():
        target = deployment.get("autoscaling_config", {}).get("target_ongoing_requests", 0)
        assert target < deployment["max_ongoing_requests"]


@pytest.mark.parametrize("name", FILES)
def test_a_stage_runs_in_the_interpreter_of_its_configuration(name: str) -> None:
    config, deployments = parts(FILES[name])
    for stage, section in config.stages.items():
        environment = deployments[stage]["ray_actor_options"].get("runtime_env", {})
        assert environment.get("py_executable") == section.python, stage


@pytest.mark.parametrize("name", FILES)
def test_the_file_asks_for_as_much_as_it_says(name: str) -> None:
    config, deployments = parts(FILES[name])
    asks = asked(config, deployments.values())
    cpus, gpus = (
        sum(ask.replicas * ask.each.get(kind, 0) for ask in asks.values()) for kind in ("CPU", "GPU")
    )
    words = f"asks for {cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
    assert words in (ROOT / name).read_text()


def test_two_devices_hold_the_smallest_server_however_ray_places_it() -> None:
    """Ray places one replica after the other and moves none: in any order the last voice must find room."""
    config, deployments = parts(FILE)
    asks = asked(config, deployments.values()).items()
    voice = DEPLOYMENTS["tts"]["ray_actor_options"]["num_gpus"]
    others = sum(ask.replicas * ask.each.get("GPU", 0) for name, ask in asks if name != "tts")
    assert dict(asks)["tts"].replicas == 2
    assert others + voice <= 1 + 1e-6


def test_the_language_model_beside_it_is_one_comment_away() -> None:
    text = (ROOT / "serve_config.yaml").read_text()
    before, item, after = text.partition("  # - name: llm\n")
    file = yaml.safe_load(before + (item + after).replace("\n  # ", "\n  ").replace("  # - ", "  - ", 1))
    ServeDeploySchema.model_validate(file)
    [described] = yaml.safe_load((ROOT / "deploy/llm-application.yaml").read_text())
    assert file["applications"] == [APPLICATION, described]


def parts(file: Details) -> tuple[Config, dict[str, Details]]:
    [application] = file["applications"]
    deployments = {item["name"]: item for item in application["deployments"]}
    return Config.model_validate(application["args"]), deployments


class Cluster:
    """tests/serve/cluster.py, and where its server listens."""

    def __init__(self, place: Path) -> None:
        self.seen = place / "seen"
        self.seen.mkdir()
        self.port = free_ports(1)[0]
        self._file = place / "serve_config.yaml"
        self._errors = (place / "stderr.txt").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.serve.cluster"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._home = Path(self._answer())
        self._answer()  # its address: it is up

    def file(self, **args: Any) -> dict[str, Any]:
        """The production file for pretended nodes: scripted stages, one interpreter, one HAProxy."""
        file: dict[str, Any] = copy.deepcopy(FILE)
        file["proxy_location"] = "HeadOnly"
        file["http_options"]["port"] = self.port
        [application] = file["applications"]
        application["args"] = {
            **application["args"],
            "config": "configs/scripted.yaml",
            "asr_final": {"model": "conversation.scripted:ScriptedSegmentAsr", "options": HEARD},
            "llm": {"model": "tests.serve.models:WitnessLlm", "options": {"seen": str(self.seen)}},
            "tts": {"model": "tests.serve.models:WitnessTts", "options": {"seen": str(self.seen)}},
            **args,
        }
        for deployment in application["deployments"]:
            options = deployment["ray_actor_options"]
            options["num_gpus"] = GPUS.get(deployment["name"], 0)
            if "py_executable" in options.get("runtime_env", {}):
                options["runtime_env"]["py_executable"] = sys.executable
        return file

    def deploy(self, file: dict[str, Any]) -> None:
        self._file.write_text(yaml.safe_dump(file))
        status, words = self._ask(f"deploy {self._file}")
        assert status == 0, words

    def grow(self) -> list[str]:
        """The ids of the nodes that joined, which have the only GPUs."""
        nodes: list[str] = self._ask("grow")
        return nodes

    def look_until(self, satisfied: Callable[[Details], bool]) -> Details:
        """What Serve says of its applications, by name."""
        deadline_s = time.monotonic() + UP_WITHIN_S
        details: Details = self._ask("look")
        while not satisfied(details):
            assert time.monotonic() < deadline_s, details
            time.sleep(0.2)
            details = self._ask("look")
        return details

    def healthy(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as answer:
            return bool(json.load(answer)["ready"])

    def close(self) -> None:
        """What it started ends with it, see deployments/local_ray.py."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()
        deadline_s = time.monotonic() + GONE_WITHIN_S
        while left := processes_of(self._home):
            assert time.monotonic() < deadline_s, left
            time.sleep(0.1)

    def _ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
        raise AssertionError(f"the cluster ended; see {self._errors.name}")


def replicas(application: Details, deployment: str) -> list[Details]:
    found: list[Details] = application["deployments"][deployment]["replicas"]
    return [replica for replica in found if replica["state"] == "RUNNING"]


def is_up(details: Details) -> bool:
    return all(application["status"] == "RUNNING" for application in details.values())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("production"))
    try:
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def before(cluster: Cluster) -> Details:
    """Without a GPU: one application that waits for nodes, and one that does not."""
    file = cluster.file(cluster={"grows": True})
    [impatient] = cluster.file()["applications"]
    file["applications"].append({**impatient, "name": "impatient", "route_prefix": "/impatient"})
    cluster.deploy(file)
    return cluster.look_until(
        lambda details: (
            details["impatient"]["status"] == "DEPLOY_FAILED" and bool(details["antiphon"]["deployments"])
        )
    )


@pytest.fixture(scope="module")
def gpu_nodes(cluster: Cluster, before: Details) -> list[str]:
    return cluster.grow()


@pytest.fixture(scope="module")
def running(cluster: Cluster, gpu_nodes: list[str]) -> Details:
    """The application, once nodes with GPUs have joined."""
    cluster.deploy(cluster.file(cluster={"grows": True}))
    application: Details = cluster.look_until(
        lambda details: list(details) == ["antiphon"] and is_up(details)
    )["antiphon"]
    return application


def test_a_cluster_without_gpus_says_what_is_missing_and_how_to_run_on_a_laptop(before: Details) -> None:
    message = before["impatient"]["message"]
    assert "llm: each replica asks for 0.25 CPU, 1 GPU on one node, and no node has that" in message
    assert "3.5 GPU together (asr 4 x 0.1, asr_final 2 x 0.05, llm 2 x 1, tts 2 x 0.5)" in message
    assert "`make run`" in message
    assert "Traceback" not in message


def test_a_cluster_that_grows_is_waited_for(before: Details) -> None:
    assert before["antiphon"]["status"] == "DEPLOYING"


def test_the_stages_run_as_often_as_the_file_says(running: Details) -> None:
    for name, deployment in DEPLOYMENTS.items():
        scaling = deployment.get("autoscaling_config")
        expected = scaling["min_replicas"] if scaling else deployment["num_replicas"]
        assert len(replicas(running, name)) == expected, name


def test_serve_has_every_number_of_the_file(running: Details) -> None:
    for name, deployment in DEPLOYMENTS.items():
        served = running["deployments"][name]["deployment_config"]
        for key, value in deployment.items():
            if key == "autoscaling_config":
                assert {**served[key], **value} == served[key], name
            elif key not in ("name", "num_replicas", "ray_actor_options"):
                assert served[key] == value, f"{name}.{key}"


def test_a_share_of_a_gpu_lands_where_gpus_are(running: Details, gpu_nodes: list[str]) -> None:
    for name, share in GPUS.items():
        served = running["deployments"][name]["deployment_config"]["ray_actor_options"]
        assert served["num_gpus"] == share
        assert {replica["node_id"] for replica in replicas(running, name)} <= set(gpu_nodes)


def test_a_whole_gpu_is_shared_with_nobody(running: Details, cluster: Cluster) -> None:
    devices: dict[str, list[tuple[str, str]]] = {
        name: [
            (replica["node_id"], (cluster.seen / str(replica["pid"])).read_text())
            for replica in replicas(running, name)
        ]
        for name in ("llm", "tts")
    }
    assert all(device in "012" for name in devices for _, device in devices[name])
    assert len(set(devices["llm"])) == 2
    assert not set(devices["llm"]) & set(devices["tts"])


def test_haproxy_answers_for_all_of_it(running: Details, cluster: Cluster) -> None:
    assert cluster.healthy()


def test_another_number_of_replicas_leaves_everybody_else_running(running: Details, cluster: Cluster) -> None:
    file = cluster.file(cluster={"grows": True})
    [vad] = [item for item in file["applications"][0]["deployments"] if item["name"] == "vad"]
    vad["num_replicas"] += 1
    cluster.deploy(file)
    after = cluster.look_until(
        lambda details: (
            is_up(details)
            and len(replicas(details["antiphon"], "vad")) == DEPLOYMENTS["vad"]["num_replicas"] + 1
        )
    )["antiphon"]
    for name in DEPLOYMENTS:
        pids = {replica["pid"] for replica in replicas(after, name)}
        assert {replica["pid"] for replica in replicas(running, name)} <= pids, name


def test_an_ingress_that_lost_its_one_loop_says_so_and_the_old_ones_serve_on(
    running: Details, cluster: Cluster
) -> None:
    file = cluster.file(cluster={"grows": True})
    [ingress] = [item for item in file["applications"][0]["deployments"] if item["name"] == "ingress"]
    del ingress["ray_actor_options"]["runtime_env"]
    cluster.deploy(file)
    told = cluster.look_until(
        lambda details: (
            "the ingress must run on one event loop"
            in details["antiphon"]["deployments"]["ingress"]["message"]
        )
    )["antiphon"]
    assert {replica["pid"] for replica in replicas(running, "ingress")} == {
        replica["pid"] for replica in replicas(told, "ingress")
    }
    assert cluster.healthy()
