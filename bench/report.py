"""What every report says besides its numbers: which machine, which versions, when; and percentiles."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
REPORTS = Path(__file__).parent / "reports"

PACKAGES = ("ray", "onnxruntime", "xllamacpp", "streaming-vits", "numpy", "websockets", "jiwer")
"""Whose versions a number may depend on."""


Percentiles = dict[str, float]
"""n, p50, p90, min, max."""


def circumstances() -> dict[str, Any]:
    """Taken before anything is measured, so that `load` is other people's."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "-m", _module(), *sys.argv[1:]]),
        "commit": _commit(),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.platform(),
            "load_before": [round(load, 2) for load in os.getloadavg()],
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def percentiles(values: Iterable[float | None]) -> Percentiles | None:
    """p50, p90, min, max and how many; of those that are there. None when there are none."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    p50, p90 = np.percentile(present, [50, 90])
    numbers = {"p50": p50, "p90": p90, "min": min(present), "max": max(present)}
    return {"n": len(present), **{name: round(float(number), 1) for name, number in numbers.items()}}


def table(rows: Mapping[str, Percentiles | None]) -> str:
    """Percentiles, a line each."""
    width = max(map(len, rows), default=0)
    columns = ("p50", "p90", "min", "max", "n")
    lines = [" " * width + "".join(f"{column:>9}" for column in columns)]
    for name, numbers in rows.items():
        cells = (f"{numbers[column]:9.0f}" if numbers else f"{'-':>9}" for column in columns)
        lines.append(f"{name:{width}}" + "".join(cells))
    return "\n".join(lines)


def write(name: str, report: Mapping[str, Any], directory: Path = REPORTS) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return path


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).stem


def _commit() -> str:
    """With a plus when tracked files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
