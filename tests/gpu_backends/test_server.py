"""configs/gpu-zh.yaml as `make run` starts it: random weights, on the CPU, the language model scripted.

Every stage runs in an interpreter that the configuration names.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
import yaml

from bench.speech.sound import at_rate, read_wav
from conversation.audio import silence, to_pcm16
from deployments.local_ray import ROOT, free_ports
from tests.gpu_backends import real_fsmn
from tests.serve.server import Server, launched

pytestmark = pytest.mark.gpu_backends

ANSWER = "我很好，谢谢你。你今天过得怎么样？"
SPEECH = ROOT / "bench" / "speech" / "human" / "cards-001.wav"
"""Any speech will do: the recognisers' weights are random."""
WIRE_HZ = 24_000
ANSWERED_WITHIN_S = 120.0


def small(tiny: Path) -> dict[str, Any]:
    """The configuration, with its models' weights exchanged and no GPU asked for."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "gpu-zh.yaml").read_text())
    config["vad"] = {"model": "deployments.vad.fsmn:Fsmn", "options": {"weights": str(real_fsmn.directory())}}
    config["asr"]["options"] = {"weights": str(tiny / "paraformer-streaming"), "device": "cpu"}
    config["asr_final"]["options"] = {
        "weights": str(tiny / "seaco"),
        "punctuation": str(tiny / "ct-punc"),
        "device": "cpu",
    }
    config["llm"] = {
        "model": "conversation.scripted:ScriptedLlm",
        "options": {"script": [ANSWER], "repeat": True},
    }
    config["tts"]["options"] = {
        "weights": str(tiny / "cosyvoice2"),
        "voices": str(tiny / "cosyvoice2" / "voices"),
    }
    for stage in ("vad", "asr", "asr_final", "llm", "tts"):
        config[stage] |= {"gpus": 0, "cpus": 0.2, "python": sys.executable}
    config["session"]["transcribe"] = True
    config["conversation"]["deadlines"] = {"asr_s": 30.0, "tts_first_s": 60.0, "tts_next_s": 60.0}
    return config


@pytest.fixture(scope="module")
def server(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("server")
    path = place / "gpu-zh-tiny.yaml"
    path.write_text(yaml.safe_dump(small(tiny_models), allow_unicode=True))
    server = launched(path, free_ports(1)[0], place / "output.txt")
    try:
        server.up()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


class Client:
    """Somebody who speaks at a socket."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self.events: list[dict[str, Any]] = []

    async def speak(self) -> None:
        """A sentence and a second of silence, as fast as the socket takes them."""
        sound = at_rate(read_wav(SPEECH), WIRE_HZ)
        for pcm in (to_pcm16(sound), to_pcm16(silence(1.0, WIRE_HZ))):
            audio = base64.b64encode(pcm).decode()
            await self._socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            while len(self.of(kind)) < count:
                self.events.append(json.loads(await self._socket.recv()))
        return self.of(kind)[count - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


async def test_who_speaks_is_understood_and_answered_by_the_real_libraries(server: Server) -> None:
    async with websockets.connect(server.url, max_size=None) as socket:
        client = Client(socket)
        await client.speak()
        done = await client.until("response.done")
        heard = await client.until("conversation.item.input_audio_transcription.completed")

    assert done["response"]["status"] == "completed", done["response"]["status_details"]
    assert any("一" <= character <= "鿿" for character in heard["transcript"])
    assert "".join(e["delta"] for e in client.of("response.output_audio_transcript.delta")) == ANSWER
    pcm = b"".join(base64.b64decode(e["delta"]) for e in client.of("response.output_audio.delta"))
    assert len(pcm) / 2 / WIRE_HZ > 1.0


async def test_who_speaks_over_it_silences_it(server: Server) -> None:
    async with websockets.connect(server.url, max_size=None) as socket:
        client = Client(socket)
        await client.speak()
        await client.until("response.output_audio.delta")
        await client.speak()
        first = await client.until("response.done")
        second = await client.until("response.done", 2)

    assert first["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert second["response"]["status"] == "completed"
