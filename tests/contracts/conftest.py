"""The candidates of the contract suites. To put a model to the test, add its line to CANDIDATES."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import soxr

from conversation.audio import HEARING_HZ, Audio, from_pcm16, join, silence
from conversation.scripted import tone
from deployments import weights
from deployments.loading import load
from deployments.local_ray import LocalRay
from tests.contracts.candidate import Candidate

APP = "contracts"
SCRIPTED = "conversation.scripted:Scripted"
SENTENCE = "one two three four five six"
ASR = {"script": [SENTENCE], "repeat": True}
TURN = {"script": ["0.7"], "repeat": True}
LLM = {"script": [SENTENCE], "repeat": True}
TROUBLE = "tests.serve.models"
UP_WITHIN_S = 60.0


CANDIDATES: dict[str, list[Candidate]] = {
    "vad": [
        Candidate("scripted", f"{SCRIPTED}Vad"),
        Candidate("silero", "deployments.vad.silero:Silero", {"weights": "silero-vad"}),
        Candidate("remote", f"{SCRIPTED}Vad", remote=True),
        Candidate("remote-silero", "deployments.vad.silero:Silero", {"weights": "silero-vad"}, remote=True),
    ],
    "turn": [
        Candidate("scripted", f"{SCRIPTED}EndOfTurn", TURN),
        Candidate("smart-turn", "deployments.turn.smart_turn:SmartTurn", {"weights": "smart-turn-v3"}),
        Candidate("remote", f"{SCRIPTED}EndOfTurn", TURN, remote=True),
    ],
    "asr": [
        Candidate("scripted", f"{SCRIPTED}Asr", ASR),
        Candidate("long-memory", f"{TROUBLE}:LongMemoryAsr"),
        Candidate("remote", f"{SCRIPTED}Asr", ASR, remote=True),
        Candidate("remote-long-memory", f"{TROUBLE}:LongMemoryAsr", remote=True),
    ],
    "segment_asr": [
        Candidate("scripted", f"{SCRIPTED}SegmentAsr", ASR),
        Candidate(
            "moonshine",
            "deployments.asr.moonshine:Moonshine",
            {"weights": "moonshine-tiny-en"},
            speech=True,
        ),
        Candidate("remote", f"{SCRIPTED}SegmentAsr", ASR, remote=True),
    ],
    "llm": [
        Candidate("scripted", f"{SCRIPTED}Llm", LLM),
        Candidate(
            "llama-cpp",
            "deployments.llm.llama_cpp:LlamaCpp",
            {"weights": "smollm2-135m-instruct", "max_tokens": 16},
        ),
        Candidate("remote", f"{SCRIPTED}Llm", LLM, remote=True),
    ],
    "tts": [
        Candidate("scripted", f"{SCRIPTED}Tts"),
        Candidate("piper", "deployments.tts.piper:Piper", {"weights": "piper-joe"}),
        Candidate("remote", f"{SCRIPTED}Tts", remote=True),
    ],
}


MANDARIN: dict[str, list[Candidate]] = {
    "segment_asr": [
        Candidate("whisper", "deployments.asr.whisper:Whisper", {"weights": "whisper-base"}, speech=True)
    ],
    "tts": [Candidate("kokoro", "deployments.tts.kokoro:Kokoro", {"weights": "kokoro-82m"})],
}
"""Heavier ones, for `make test-mandarin`."""

TINY_MODELS = os.environ.get("ANTIPHON_TINY_MODELS")
"""Where the small random models of `make test-gpu-backends` lie."""

if TINY_MODELS:
    from tests.gpu_backends import candidates

    GPU_CANDIDATES = candidates.candidates(Path(TINY_MODELS))
else:
    GPU_CANDIDATES = {}


def _params(stage: str) -> list[Any]:
    """The candidates of one stage; those for GPUs and for Mandarin have the marks of their tests."""
    theirs = GPU_CANDIDATES.get(stage, [])
    return [
        *(pytest.param(candidate, id=candidate.name) for candidate in CANDIDATES[stage]),
        *(pytest.param(c, id=c.name, marks=pytest.mark.mandarin) for c in MANDARIN.get(stage, [])),
        *(pytest.param(c, id=c.name, marks=pytest.mark.gpu_backends) for c in theirs),
    ]


@pytest.fixture(scope="session")
def far_away(ray_server: LocalRay) -> str:
    """The application with every remote candidate."""
    from tests import remote

    hosts = {
        "vad": remote.Vad,
        "turn": remote.Turn,
        "asr": remote.Asr,
        "segment_asr": remote.SegmentAsr,
        "llm": remote.Llm,
        "tts": remote.Tts,
    }
    deployments = {}
    for stage, host in hosts.items():
        # Their own run has no use for the others.
        for candidate in GPU_CANDIDATES.get(stage, []) if TINY_MODELS else CANDIDATES[stage]:
            if candidate.remote:
                _fetch(candidate)
                name = f"{stage}-{candidate.name}"
                deployments[name] = remote.hosted(host, name, candidate.model, candidate.options)
    remote.deploy(APP, **deployments)
    return APP


def _fetch(candidate: Candidate) -> None:
    if candidate.options.get("weights") in weights.catalogue():
        weights.fetch(candidate.options["weights"])


def _made(stage: str, caller: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    candidate: Candidate = request.param
    if candidate.remote:
        yield partial(_connected, request.getfixturevalue("far_away"), f"{stage}-{candidate.name}", caller)
        return
    _fetch(candidate)
    model = load(candidate.model, candidate.options)
    yield model
    if hasattr(model, "close"):
        model.close()


async def _connected(app: str, name: str, caller: str) -> Any:
    """Asked once already. Where the news of its replicas comes between two tests, while this loop stands
    still, Serve brings it no more."""
    from deployments import calls
    from tests import remote

    handle = remote.handle(app, name)
    await asyncio.wait_for(handle.ready.remote(), UP_WITHIN_S)
    return getattr(calls, caller)(handle)


@pytest.fixture(scope="session", params=_params("vad"))
def vad_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("vad", "RemoteVad", request)


@pytest.fixture(scope="session", params=_params("turn"))
def turn_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("turn", "RemoteTurn", request)


@pytest.fixture(scope="session", params=_params("asr"))
def asr_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("asr", "RemoteAsr", request)


@pytest.fixture(scope="session", params=_params("segment_asr"))
def segment_asr_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("segment_asr", "RemoteSegmentAsr", request)


@pytest.fixture(scope="session", params=_params("llm"))
def llm_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("llm", "RemoteLlm", request)


@pytest.fixture(scope="session", params=_params("tts"))
def tts_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("tts", "RemoteTts", request)


async def called(candidate: Any) -> Any:
    """The candidate itself; a remote one is made on the loop that calls it."""
    return await candidate() if callable(candidate) else candidate


@pytest.fixture(scope="session")
def two_voices() -> tuple[Audio, Audio]:
    """Two stretches of human speech, 3 s each, from one reading: with different words."""
    path = weights.fetch("moonshine-speech") / "beckett.wav"
    with wave.open(str(path)) as recording:
        audio = from_pcm16(recording.readframes(recording.getnframes()), recording.getframerate())
    whole = Audio(soxr.resample(audio.samples, audio.rate_hz, HEARING_HZ), HEARING_HZ)
    return whole[: 3 * HEARING_HZ], whole[4 * HEARING_HZ : 7 * HEARING_HZ]


def two_hums() -> tuple[Audio, Audio]:
    """Two stretches of sound, one twice as long as the other."""
    return tone(0.6), join([tone(1.2), silence(0.2, HEARING_HZ)], HEARING_HZ)
