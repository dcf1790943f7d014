"""The candidates of the contract suites. To put a model to the test, add its line to CANDIDATES."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import soxr

from conversation.audio import HEARING_HZ, Audio, from_pcm16, join, silence
from conversation.scripted import tone
from deployments import weights
from deployments.loading import load
from deployments.local_ray import LocalRay

APP = "contracts"
SCRIPTED = "conversation.scripted:Scripted"
SENTENCE = "one two three four five six"
ASR = {"script": [SENTENCE], "repeat": True}
LLM = {"script": [SENTENCE], "repeat": True}
TROUBLE = "tests.serve.models"


@dataclass(frozen=True)
class Candidate:
    """One implementation of a stage's contract.

    Attributes:
        name: what the test is called.
        model: its class.
        options: of its constructor.
        remote: hosted on Ray and called from afar.
        speech: it hears words only in real speech; else any loud sound is speech to it.
    """

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    remote: bool = False
    speech: bool = False


CANDIDATES: dict[str, list[Candidate]] = {
    "vad": [
        Candidate("scripted", f"{SCRIPTED}Vad"),
        Candidate("silero", "deployments.vad.silero:Silero", {"weights": "silero-vad"}),
        Candidate("remote", f"{SCRIPTED}Vad", remote=True),
        Candidate("remote-silero", "deployments.vad.silero:Silero", {"weights": "silero-vad"}, remote=True),
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


@pytest.fixture(scope="session")
def far_away(ray_server: LocalRay) -> str:
    """The application with every remote candidate."""
    from tests import remote

    hosts = {
        "vad": remote.Vad,
        "asr": remote.Asr,
        "segment_asr": remote.SegmentAsr,
        "llm": remote.Llm,
        "tts": remote.Tts,
    }
    deployments = {}
    for stage, candidates in CANDIDATES.items():
        for candidate in candidates:
            if candidate.remote:
                _fetch(candidate)
                name = f"{stage}-{candidate.name}"
                deployments[name] = remote.hosted(hosts[stage], name, candidate.model, candidate.options)
    remote.deploy(APP, **deployments)
    return APP


def _fetch(candidate: Candidate) -> None:
    if "weights" in candidate.options:
        weights.fetch(candidate.options["weights"])


def _made(stage: str, caller: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    candidate: Candidate = request.param
    if candidate.remote:
        from deployments import calls
        from tests import remote

        app = request.getfixturevalue("far_away")
        yield lambda: getattr(calls, caller)(remote.handle(app, f"{stage}-{candidate.name}"))
        return
    _fetch(candidate)
    model = load(candidate.model, candidate.options)
    yield model
    if hasattr(model, "close"):
        model.close()


def _named(candidate: Candidate) -> str:
    return candidate.name


@pytest.fixture(scope="session", params=CANDIDATES["vad"], ids=_named)
def vad_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("vad", "RemoteVad", request)


@pytest.fixture(scope="session", params=CANDIDATES["asr"], ids=_named)
def asr_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("asr", "RemoteAsr", request)


@pytest.fixture(scope="session", params=CANDIDATES["segment_asr"], ids=_named)
def segment_asr_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("segment_asr", "RemoteSegmentAsr", request)


@pytest.fixture(scope="session", params=CANDIDATES["llm"], ids=_named)
def llm_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("llm", "RemoteLlm", request)


@pytest.fixture(scope="session", params=CANDIDATES["tts"], ids=_named)
def tts_candidate(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from _made("tts", "RemoteTts", request)


def called(candidate: Any) -> Any:
    """The candidate itself; a remote one is made on the loop that calls it."""
    return candidate() if callable(candidate) else candidate


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
