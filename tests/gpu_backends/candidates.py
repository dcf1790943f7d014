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
    return []


def segment_asr(tiny: Path) -> list[Candidate]:
    return []


def tts(tiny: Path) -> list[Candidate]:
    return []
