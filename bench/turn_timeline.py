"""One turn, drawn: who spoke, what was computed when, and what was held until the turn was over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.html import caption
from bench.svg import Bar, timeline

BEFORE_MS = 600.0
"""How much is shown of what was before."""
MARKS = ("asked", "transcript", "llm_first", "clause", "tts_first", "released")
"""What of the server's account is drawn; see conversation/timing.py."""


def turn_timeline(name: str, server_ms: Mapping[str, Any], first_ms: float, wait_ms: float) -> str:
    """All on the client's clock, from the end of the speech as the recording is marked.

    The server counts from where its VAD heard the end: what lies between its first audio and the moment when
    that was here is the difference.
    """
    later_ms = first_ms - server_ms["first_audio_ms"]
    told_ms = {mark: server_ms.get(f"{mark}_ms") for mark in MARKS}
    at = {mark: ms + later_ms for mark, ms in told_ms.items() if ms is not None}

    def bar(begin: str, end: str, css: str, label: str) -> list[Bar]:
        if begin not in at or end not in at or at[end] < at[begin]:
            return []
        return [Bar(at[begin], at[end], css, f"{label} {at[end] - at[begin]:.0f}")]

    rows = {
        "user": [Bar(-BEFORE_MS, 0, "user", "speaks")],
        "recogniser": bar("asked", "transcript", "work", "final words"),
        "language model": [
            *bar("transcript", "llm_first", "work", ""),
            *bar("llm_first", "clause", "first", "first clause"),
        ],
        "voice": bar("clause", "tts_first", "work", "first sound"),
        "gate": bar("tts_first", "released", "held", "held"),
        "agent": [Bar(wait_ms, wait_ms + BEFORE_MS, "ours", f"heard after {wait_ms:.0f}")],
    }
    marks = {"asked": at["asked"]} if "asked" in at else {}
    marks |= {"turn over": at["released"]} if "released" in at else {}
    title = f"{name}, ms after the end of speech"
    return timeline(rows, marks, "ms", title) + caption(f"{title}. The turn with the median wait.")
