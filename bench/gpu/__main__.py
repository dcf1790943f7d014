"""Builds, measures, reports. See bench/gpu/__init__.py."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import bench.gpu
from bench.report import REPORTS, circumstances, write
from conversation.errors import ConfigError

STAGES = ("asr", "tts")
STREAMS = (1, 16, 32, 64, 96)
LISTENERS = (1, 2, 4, 8)

PACKAGES = ("torch", "funasr", "cosyvoice2-eu", "transformers", "kaldi-native-fbank", "torchaudio")


def main(arguments: Sequence[str] | None = None) -> int:
    wanted = parser().parse_args(arguments)
    logging.disable(logging.WARNING)  # both libraries tell at length what they load
    report: dict[str, Any] = {
        **circumstances(),
        "weights": "random, in the published architectures",
        "layers": "as published" if wanted.layers is None else f"at most {wanted.layers} in a stack",
        "device": device(wanted.device),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    _say(f"{report['device']['name']}; random weights, layers {report['layers']}")
    try:
        with tempfile.TemporaryDirectory(prefix="antiphon-gpu-", dir=wanted.scratch) as scratch:
            if "asr" in wanted.stages:
                report["asr"] = _asr(wanted, Path(scratch))
            if "tts" in wanted.stages:
                report["tts"] = _tts(wanted, Path(scratch))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(str(write(report_name(wanted), report, wanted.reports)))
    return 0


def report_name(wanted: argparse.Namespace) -> str:
    """Only a GPU and the full size make a measurement."""
    trial = wanted.device == "cpu" or wanted.layers is not None
    return wanted.name or ("gpu-trial" if trial else "gpu")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m bench.gpu",
        description=bench.gpu.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="default: both")
    made.add_argument("--device", choices=("cuda:0", "cpu"), default="cuda:0")
    made.add_argument("--layers", type=_positive, help="at most so many in each stack of a network")
    made.add_argument("--streams", type=_positive, nargs="+", default=list(STREAMS), help="levels, for asr")
    made.add_argument("--replicas", type=_positive, default=1, help="processes that share the GPU, for asr")
    made.add_argument("--seconds", type=float, default=20.0, help="of sound for each stream, for asr")
    made.add_argument("--listeners", type=_positive, nargs="+", default=list(LISTENERS), help="for tts")
    made.add_argument("--rounds", type=_positive, default=5, help="sentences of each listener, for tts")
    made.add_argument("--scratch", type=Path, help="where 6 GB of models may lie meanwhile")
    made.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    made.add_argument("--name", help="of the report; default: gpu, or gpu-trial where it is no measurement")
    return made


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than one")
    return number


def _asr(wanted: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    from bench.gpu import architectures, streams

    _say("\nStreaming Paraformer: building")
    architectures.paraformer_streaming(scratch / "paraformer", wanted.layers)
    part = streams.measure(
        scratch / "paraformer", wanted.device, sorted(set(wanted.streams)), wanted.replicas, wanted.seconds
    )
    _say(f"alone: {part['alone']['latency_ms']['p50']:.1f} ms a stride of {part['stride_ms']} ms")
    for level in part["levels"]:
        _say(streams.line(level))
    _say(f"under {part['aim_ms']:.0f} ms: {part['most_streams_under_the_aim']}")
    _say_profile("one stride", part["profile"])
    return part


def _tts(wanted: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    from bench.gpu import architectures, speech

    _say("\nCosyVoice 2: building")
    architectures.cosyvoice2(scratch / "cosyvoice2", wanted.layers)
    architectures.voices(scratch / "voices")
    entries = []
    for fp16 in (False, True) if wanted.device != "cpu" else (False,):  # half precision needs a GPU
        entry = speech.measure(
            scratch / "cosyvoice2",
            scratch / "voices",
            sorted(set(wanted.listeners)),
            wanted.rounds,
            fp16=fp16,
        )
        _say(entry["precision"])
        for level in entry["levels"]:
            _say(speech.line(level))
        for what, profile in entry["profile"].items():
            _say_profile(what, profile)
        entries.append(entry)
    return entries


def _say_profile(what: str, profile: Any) -> None:
    _say(f"{what}: {profile['took']:.1f} ms, {profile['launches']} launches")
    for part, ms in profile["parts"].items():
        _say(f"  {part:12} {ms['cpu']:8.1f} ms on the CPU, {ms['device']:8.1f} ms on the device")
    for kernel in profile["kernels"][:5]:
        _say(f"  {kernel['ms']:8.2f} ms {kernel['calls']:6} times  {kernel['name']}")


def device(name: str) -> dict[str, Any]:
    """Which one, and with what it is driven. Raises SystemExit when it or torch is not there."""
    try:
        import torch
    except ImportError as error:
        raise SystemExit(f"{error}: run this with the interpreter of these stages, docs/adr/0012") from error
    if name == "cpu":
        return {"name": "cpu: a trial, not a measurement", "torch_threads": torch.get_num_threads()}
    if not torch.cuda.is_available():
        raise SystemExit(f"torch {torch.__version__} sees no GPU; `--device cpu --layers 2` tries it without")
    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "compute_capability": f"{properties.major}.{properties.minor}",
        "driver": _driver(),
        "cuda": torch.version.cuda,
    }


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip().splitlines()[0]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
