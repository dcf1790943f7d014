"""deploy/ against the schemas of what reads it, and against the rest of the repository."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import pytest
import yaml
from dockerfile_parse import DockerfileParser
from packaging.version import Version
from pydantic import BaseModel, ConfigDict
from ray.serve.schema import ServeDeploySchema

from deploy import rayservice
from deployments.config import Config
from deployments.local_ray import ROOT, serve_environment
from deployments.room import Ask, Resources, asked, missing

KUBERNETES = "1.32"
"""The oldest that is meant to take the manifests."""
LINTED_WITHIN_S = 60

Manifest = dict[str, Any]

KUBERAY = ROOT / "deploy/kuberay"
MANIFESTS: list[Manifest] = [
    manifest for file in sorted(KUBERAY.glob("*.yaml")) for manifest in yaml.safe_load_all(file.read_text())
]
[SERVICE] = [manifest for manifest in MANIFESTS if manifest["kind"] == "RayService"]
CLUSTER: dict[str, Any] = SERVICE["spec"]["rayClusterConfig"]
HEAD: dict[str, Any] = CLUSTER["headGroupSpec"]
GROUPS: dict[str, dict[str, Any]] = {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}
SERVED: dict[str, Any] = yaml.safe_load(SERVICE["spec"]["serveConfigV2"])
PORT: int = SERVED["http_options"]["port"]

LOCKS = ("", "-funasr", "-cosyvoice", "-vllm", "-gpu-tests")
DOCKERFILES = {name: ROOT / f"deploy/{name}.Dockerfile" for name in ("cpu", "gpu")}


# --- KubeRay


class _Known(BaseModel):
    """What we use of KubeRay's resources, and nothing else.

    Source: ray-operator/config/crd/bases/ray.io_rayservices.yaml of KubeRay 1.7.0, v1. Its pod templates and
    container parts are Kubernetes' own and are put to Kubernetes' schemas.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class _Upgrade(_Known):
    type: Literal["NewCluster", "NewClusterWithIncrementalUpgrade", "None"]


class _Autoscaler(_Known):
    version: Literal["v1", "v2"]
    idleTimeoutSeconds: int  # noqa: N815  # KubeRay's names
    upscalingMode: Literal["Default", "Aggressive", "Conservative"]  # noqa: N815
    resources: Manifest


class _Auth(_Known):
    mode: Literal["disabled", "token"]


class _Head(_Known):
    rayStartParams: dict[str, str]  # noqa: N815
    template: Manifest


class _Workers(_Head):
    groupName: str  # noqa: N815
    replicas: int
    minReplicas: int  # noqa: N815
    maxReplicas: int  # noqa: N815
    priority: int = 0
    labels: dict[str, str] = {}


class _Cluster(_Known):
    rayVersion: str  # noqa: N815
    enableInTreeAutoscaling: bool  # noqa: N815
    autoscalerOptions: _Autoscaler  # noqa: N815
    authOptions: _Auth  # noqa: N815
    headGroupSpec: _Head  # noqa: N815
    workerGroupSpecs: list[_Workers]  # noqa: N815


class _Spec(_Known):
    rayClusterDeletionDelaySeconds: int  # noqa: N815
    upgradeStrategy: _Upgrade  # noqa: N815
    excludeHeadPodFromServeSvc: bool  # noqa: N815
    serveConfigV2: str  # noqa: N815
    rayClusterConfig: _Cluster  # noqa: N815


class _RayService(_Known):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayService"]
    metadata: Manifest
    spec: _Spec


def templates() -> dict[str, Manifest]:
    """Every pod template of the RayService, by group."""
    return {"head": HEAD["template"]} | {name: group["template"] for name, group in GROUPS.items()}


def container(template: Manifest) -> Manifest:
    [only] = template["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def test_kuberay_knows_every_field() -> None:
    _RayService.model_validate(SERVICE)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["metadata"]["name"])
def test_kubernetes_takes_the_manifest(manifest: Manifest) -> None:
    if manifest["kind"] != "RayService":
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("group", ["head", *GROUPS])
def test_kubernetes_takes_the_pods(group: str) -> None:
    template = templates()[group]
    whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": group}, "template": template}
    kubernetes_validate.validate(whole, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    template = {"spec": {"containers": [{"name": "ray-worker", "imagee": "antiphon"}]}}
    whole = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
    with pytest.raises(kubernetes_validate.ValidationError, match="imagee"):
        kubernetes_validate.validate(whole, KUBERNETES, strict=True)


def test_the_ray_service_has_what_serve_config_and_serve_env_have() -> None:
    text = rayservice.FILE.read_text()
    assert rayservice.written(text) == text, "run python -m deploy.rayservice"
    ServeDeploySchema.model_validate(SERVED)


def test_a_change_of_serve_config_reaches_the_ray_service() -> None:
    text = rayservice.FILE.read_text()
    assert rayservice.written(text.replace("max_sessions: 16", "max_sessions: 17")) == text
    assert rayservice.written(text.replace("RAY_worker_niceness: '0'", "RAY_worker_niceness: '1'")) == text


def test_pods_have_the_environment_of_serve_env_but_a_token_of_their_own() -> None:
    [config_map] = [manifest for manifest in MANIFESTS if manifest["kind"] == "ConfigMap"]
    assert config_map["data"] == {
        name: value for name, value in serve_environment().items() if name != "RAY_AUTH_MODE"
    }
    assert CLUSTER["authOptions"]["mode"] == "token"
    for template in templates().values():
        assert {"configMapRef": {"name": config_map["metadata"]["name"]}} in container(template)["envFrom"]


@pytest.mark.parametrize("group", ["head", *GROUPS])
def test_pods_run_as_nobody_in_particular(group: str) -> None:
    template = templates()[group]
    assert template["spec"]["securityContext"]["runAsNonRoot"]
    assert container(template)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_every_volume_is_there_and_every_claim_is_made() -> None:
    claims = {
        manifest["metadata"]["name"] for manifest in MANIFESTS if manifest["kind"] == "PersistentVolumeClaim"
    }
    [job] = [manifest["spec"]["template"] for manifest in MANIFESTS if manifest["kind"] == "Job"]
    for template in [*templates().values(), job]:
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        assert {mount["name"] for mount in container(template)["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName") in {*claims, None}


# --- the network


def test_only_the_gateway_and_the_operator_reach_the_pods_and_only_their_ports() -> None:
    [policy] = [
        manifest["spec"]
        for manifest in MANIFESTS
        if manifest["kind"] == "NetworkPolicy" and manifest["metadata"]["name"] == "antiphon"
    ]
    ours = policy["podSelector"]["matchLabels"]
    assert all(ours.items() <= template["metadata"]["labels"].items() for template in templates().values())
    each_other, gateway, operator = policy["ingress"]
    assert each_other == {"from": [{"podSelector": {"matchLabels": ours}}]}
    assert [port["port"] for port in gateway["ports"]] == [PORT]
    assert {port["port"] for port in operator["ports"]} == {port("dashboard"), PORT}
    assert all(rule["from"][0]["podSelector"]["matchLabels"] for rule in policy["ingress"])


def test_every_file_means_the_same_port() -> None:
    assert port("serve") == PORT
    production = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert production["http_options"]["port"] == PORT
    for file in DOCKERFILES.values():
        said = instructions(file)
        assert said["EXPOSE"] == [str(PORT)]
        assert f"http://127.0.0.1:{PORT}/healthz" in said["HEALTHCHECK"][0]


def port(name: str) -> int:
    [number] = {
        port["containerPort"]
        for template in templates().values()
        for port in container(template)["ports"]
        if port["name"] == name
    }
    assert isinstance(number, int)
    return number


# --- room


def test_the_pods_that_are_always_there_hold_the_smallest_server() -> None:
    assert list(missing(asks("min_replicas"), nodes("minReplicas"))) == []


def test_the_pods_that_may_come_hold_the_largest_server() -> None:
    assert list(missing(asks("max_replicas"), nodes("maxReplicas"))) == []


def test_gpus_are_asked_for_as_they_are_limited() -> None:
    for name, group in GROUPS.items():
        resources = container(group["template"])["resources"]
        gpus = {resources[kind].get("nvidia.com/gpu") for kind in ("requests", "limits")}
        assert gpus == ({"1"} if name.startswith("gpu") else {None})


def asks(end: str) -> dict[str, Ask]:
    """What the deployments ask for, at one end of their autoscaling."""
    [application] = SERVED["applications"]
    deployments = [
        {**item, "num_replicas": item["autoscaling_config"][end], "autoscaling_config": None}
        if "autoscaling_config" in item
        else item
        for item in application["deployments"]
    ]
    return asked(Config.model_validate(application["args"]), deployments)


def nodes(end: str) -> list[Resources]:
    """What KubeRay tells Ray of each pod, at one end of the groups' sizes."""
    found: list[Resources] = []
    for group in GROUPS.values():
        requests = container(group["template"])["resources"]["requests"]
        node = {"CPU": float(requests["cpu"]), "GPU": float(requests.get("nvidia.com/gpu", 0))}
        found += [node] * group[end]
    return found


# --- images


def instructions(file: Path) -> dict[str, list[str]]:
    """Of the last stage."""
    found: dict[str, list[str]] = {}
    for step in DockerfileParser(str(file)).structure:
        if step["instruction"] == "FROM":
            found.clear()
        found.setdefault(step["instruction"], []).append(step["value"])
    return found


def copied(file: Path) -> Iterator[str]:
    """What the image takes out of the repository."""
    for step in DockerfileParser(str(file)).structure:
        if step["instruction"] == "COPY" and not step["value"].startswith("--from"):
            yield from step["value"].split()[:-1]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().lower().replace("_", "-").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_linter_has_nothing_to_say(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        [hadolint, "--no-color", DOCKERFILES[name]],
        capture_output=True,
        text=True,
        timeout=LINTED_WITHIN_S,
        check=False,
    )
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_everything_that_is_copied_is_there_and_reaches_the_builder(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    for source in copied(DOCKERFILES[name]):
        assert (ROOT / source).exists(), source
        top = source.partition("/")[0]
        assert any(fnmatch.fnmatch(top, pattern) for pattern in let_in), source


def test_the_images_have_everything_that_a_server_imports() -> None:
    for file in DOCKERFILES.values():
        assert {"conversation", "deployments", "realtime", "web", "configs", "graph.py"} <= {*copied(file)}


def test_both_images_have_one_python_and_one_ray_and_so_does_the_cluster() -> None:
    bases = {base for file in DOCKERFILES.values() for base in DockerfileParser(str(file)).parent_images}
    assert len(bases) == 1
    [base] = bases
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    rays = {pins(f"requirements{of}.txt")["ray"] for of in LOCKS}
    assert rays == {CLUSTER["rayVersion"]}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_starts_a_server_as_an_ordinary_user(name: str) -> None:
    said = instructions(DOCKERFILES[name])
    assert said["USER"] == ["1000"]
    assert said["CMD"] == ['["deploy/start.sh"]']
    assert (ROOT / "deploy/start.sh").stat().st_mode & 0o111
    config = re.search(r"CONFIG=(\S+)", " ".join(said["ENV"]))
    assert config is not None
    assert (ROOT / config[1]).exists()


def test_environments_of_their_own_are_where_the_configurations_look_for_them() -> None:
    text = DOCKERFILES["gpu"].read_text()
    for name in ("gpu-zh", "gpu-en"):
        python = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())["tts"]["python"]
        assert f"python -m venv {Path(python).parents[1]}" in text
    [model] = yaml.safe_load((ROOT / "deploy/llm-application.yaml").read_text())
    assert f"python -m venv {Path(model['runtime_env']['py_executable']).parents[1]}" in text


# --- locks


def test_the_commit_of_cosyvoice_is_the_one_whose_requirements_are_locked() -> None:
    commit = re.search(r"ARG COSYVOICE_COMMIT=(\w{40})\n", DOCKERFILES["gpu"].read_text())
    assert commit is not None
    assert commit[1] in (ROOT / "deploy/cosyvoice.in").read_text()


def test_the_locks_have_what_they_were_made_of() -> None:
    server = pins("requirements.txt")
    assert server.items() <= pins("requirements-funasr.txt").items()
    assert server.items() <= pins("requirements-gpu-tests.txt").items()
    cosyvoice = pins("requirements-cosyvoice.txt")
    for name, version in pins("deploy/cosyvoice.in").items():
        assert Version(cosyvoice[name.partition("[")[0]]) == Version(version), name
