"""Reports as pages to look at: bench/reports/NAME.html, each a single file with its plots inside.

python -m bench.page                    draws those of all reports that are there
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench.html import JSON
from bench.latency_page import latency_page
from bench.report import REPORTS
from bench.turns.page import turns_page

PAGES: dict[str, Callable[[JSON], str]] = {"latency": latency_page, "turns": turns_page}
"""By the name of the report."""


def main() -> None:
    for name in PAGES:
        if (REPORTS / f"{name}.json").exists():
            print(draw(name))


def draw(name: str, *, of: str | None = None, directory: Path = REPORTS) -> Path:
    """Makes the page of a report that was written under that name; `of` says which kind it is."""
    report = json.loads((directory / f"{name}.json").read_text())
    path = directory / f"{name}.html"
    path.write_text(PAGES[of or name](report))
    return path


if __name__ == "__main__":
    main()
