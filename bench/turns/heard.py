"""What comes out of a loudspeaker, by how obedient the client is.

Pure: of when sound came and what the server said about it. One session is enough to know it for all kinds of
clients, since a server sends the same to each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bench.headset import HZ, Played

Order = Literal["hold", "resume", "drop"]

Obedience = Literal["holds", "flushes", "keeps"]
"""Of a client: falls silent when told to hold, and throws away what it has when the server says so; only the
latter, as most do; or plays whatever it was sent."""

OBEYED: dict[Obedience, frozenset[Order]] = {
    "holds": frozenset(("hold", "resume", "drop")),
    "flushes": frozenset(("drop",)),
    "keeps": frozenset(),
}

SEAM_S = 0.001
"""A shorter silence between two chunks is none."""


@dataclass(frozen=True, slots=True)
class Span:
    begin_s: float
    end_s: float


def heard(chunks: Iterable[Played], orders: Iterable[tuple[float, Order]], client: Obedience) -> list[Span]:
    """When one answer sounds at such a client: the stretches without a break."""
    speaker = _Speaker()
    sounds = [(chunk.came_s, len(chunk.samples) / HZ, None) for chunk in chunks]
    obeyed = [(at_s, 0.0, order) for at_s, order in orders if order in OBEYED[client]]
    for at_s, sound_s, order in sorted([*sounds, *obeyed], key=lambda event: event[0]):
        speaker.play_until(at_s)
        speaker.left_s += sound_s
        if order == "drop":
            speaker.left_s = 0.0
        if order is not None:
            speaker.held = order == "hold"
    speaker.play_until(float("inf"))
    return speaker.spans


class _Speaker:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.held = False
        self.left_s = 0.0
        self._now_s = 0.0

    def play_until(self, at_s: float) -> None:
        played_s = 0.0 if self.held else min(self.left_s, at_s - self._now_s)
        if played_s > 0:
            self.left_s -= played_s
            self._sounded(Span(self._now_s, self._now_s + played_s))
        self._now_s = at_s

    def _sounded(self, span: Span) -> None:
        if self.spans and span.begin_s - self.spans[-1].end_s < SEAM_S:
            span = Span(self.spans.pop().begin_s, span.end_s)
        self.spans.append(span)


def longest_gap_s(spans: list[Span], after_s: float, until_s: float) -> float:
    """The longest silence between two stretches that begins in that time; 0.0 where there is none."""
    gaps = (
        later.begin_s - earlier.end_s
        for earlier, later in pairwise(spans)
        if after_s <= earlier.end_s <= until_s
    )
    return max(gaps, default=0.0)
