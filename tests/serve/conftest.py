"""Stages that misbehave, deployed once for all tests of this folder."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from deployments.local_ray import LocalRay

APP = "trouble"
MODELS = "tests.serve.models"
SCRIPTED = "conversation.scripted:Scripted"
HEARS = {"script": ["wun too free fore"], "repeat": True}
WRITES = {"script": ["One, two, three, four."], "repeat": True}


@pytest.fixture(scope="session")
def died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models leave word that they have died already."""
    return tmp_path_factory.mktemp("died")


@pytest.fixture(scope="session")
def trouble(ray_server: LocalRay, died: Path) -> str:
    """The name of the application; its deployments are named for what their models do."""
    from tests import remote

    remote.deploy(
        APP,
        hanging=remote.hosted(remote.Vad, "hanging-vad", f"{MODELS}:HangingVad"),
        mortal=remote.hosted(
            remote.Vad, "mortal-vad", f"{MODELS}:MortalVad", {"died": str(died / "vad")}, replicas=2
        ),
        forgetful=remote.hosted(remote.Asr, "long-memory-asr", f"{MODELS}:LongMemoryAsr", replicas=2),
        endless=remote.hosted(remote.Llm, "endless-llm", f"{MODELS}:EndlessLlm", replicas=2),
        dying=remote.hosted(remote.SegmentAsr, "dying-asr", f"{MODELS}:DyingSegmentAsr"),
        streaming=remote.hosted(remote.Asr, "streaming-asr", f"{SCRIPTED}Asr", HEARS),
        written=remote.hosted(remote.SegmentAsr, "written-asr", f"{SCRIPTED}SegmentAsr", WRITES),
        tireless=remote.hosted(remote.Tts, "tireless-tts", f"{MODELS}:TirelessTts"),
    )
    return APP


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one than the server's, with the same libraries. Its interpreter is bin/python."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=60)
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (libraries / "same.pth").write_text(sysconfig.get_path("purelib"))
    return home
