"""configs/laptop-zh.yaml as `make run` starts it: a question goes in as sound, an answer comes out as sound.

The language model is a scripted endpoint, and the question synthetic, in another voice than the agent's: no
Mandarin speech of people comes with any package. examples/talk.py asks, as a user would.
"""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.speech.sound import read_wav, write_wav
from deployments import weights
from deployments.asr.whisper import Whisper
from deployments.local_ray import ROOT, free_ports
from deployments.tts.kokoro import Kokoro
from deployments.tts.kokoro_graphs import RATE_HZ
from examples.talk import talk
from tests.mandarin import as_a_session_hears_it, character_errors, heard, syllable_errors
from tests.serve.chat_endpoint import ChatEndpoint, chat_endpoint
from tests.serve.server import Server, launched
from tests.speech import said, sound

pytestmark = pytest.mark.mandarin

CONFIG = ROOT / "configs" / "laptop-zh.yaml"
QUESTION = "请问今天的天气怎么样？"
ANSWER = "今天天气很好，适合出去走走。"
ANSWERED_WITHIN_S = 120.0
"""Alone on two cores it takes 8 s, half of them the question's own."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpoint]:
    with chat_endpoint(ANSWER) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights.fetch("kokoro-82m")
    kokoro = Kokoro()

    parts = asyncio.run(said(kokoro, QUESTION, "zm_yunxi"))
    path = tmp_path_factory.mktemp("question") / "question.wav"
    write_wav(path, as_a_session_hears_it(sound(parts, RATE_HZ)))
    kokoro.close()
    return path


@pytest.fixture(scope="module")
def server(endpoint: ChatEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for name in weights.names_in(CONFIG):
        weights.fetch(name)
    environment = {"LLM_BASE_URL": endpoint.url, "LLM_MODEL": "scripted", "LLM_API_KEY": ""}
    output = tmp_path_factory.mktemp("laptop-zh") / "output.txt"
    server = launched(CONFIG, free_ports(1)[0], output, environment=environment)
    try:
        server.up()
        yield server
    finally:
        os.kill(server.process.pid, signal.SIGTERM)
        server.process.wait(60)


async def test_a_question_goes_in_as_sound_and_an_answer_comes_out_as_sound(
    server: Server,
    endpoint: ChatEndpoint,
    question: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = tmp_path / "answer.wav"
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        await talk(f"ws://127.0.0.1:{server.port}/v1/realtime", str(question), str(answer))
    told = capsys.readouterr().out
    [understood] = [
        line.removeprefix("you:").strip() for line in told.splitlines() if line.startswith("you:")
    ]
    assert character_errors([QUESTION], [understood]) < 0.2, told
    assert f"agent: {ANSWER}" in told

    prompt = endpoint.asked[-1]["messages"]
    assert "普通话" in prompt[0]["content"]
    assert prompt[-1] == {"role": "user", "content": understood}

    spoken = await heard(Whisper(), read_wav(answer))
    assert syllable_errors([ANSWER], [spoken]) < 0.2, spoken
    with wave.open(str(answer)) as file:
        assert 1.5 < file.getnframes() / file.getframerate() < 8
