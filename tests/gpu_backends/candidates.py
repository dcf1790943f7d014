"""The models for GPUs, put to the contracts with small random weights in the real formats."""

from __future__ import annotations

from pathlib import Path

from tests.contracts.candidate import Candidate


def candidates(tiny: Path) -> dict[str, list[Candidate]]:
    """By stage. `tiny` holds what `python -m tests.gpu_backends.tiny` has written."""
    return {
        "vad": vad(tiny),
        "asr": asr(tiny),
        "segment_asr": segment_asr(tiny),
        "tts": tts(tiny),
    }


def vad(tiny: Path) -> list[Candidate]:
    return []


def asr(tiny: Path) -> list[Candidate]:
    streaming = "deployments.asr.paraformer_streaming:ParaformerStreaming"
    options = {"weights": str(tiny.resolve() / "paraformer-streaming"), "device": "cpu"}
    return [
        Candidate("paraformer-streaming", streaming, options),
        Candidate("remote-paraformer-streaming", streaming, options, remote=True),
    ]


def segment_asr(tiny: Path) -> list[Candidate]:
    models = tiny.resolve()
    paraformer = "deployments.asr.paraformer:Paraformer"
    seaco = {"weights": str(models / "seaco"), "punctuation": str(models / "ct-punc"), "device": "cpu"}
    plain = {"weights": str(models / "paraformer"), "device": "cpu"}
    sensevoice = {"weights": str(models / "sensevoice"), "device": "cpu"}
    return [
        Candidate("paraformer", paraformer, plain),
        Candidate("seaco-paraformer", paraformer, seaco),
        Candidate("sensevoice", "deployments.asr.sensevoice:SenseVoice", sensevoice),
        Candidate("remote-seaco-paraformer", paraformer, seaco, remote=True),
    ]


def tts(tiny: Path) -> list[Candidate]:
    return []
