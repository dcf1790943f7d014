"""What was written last for a segment that is still growing.

A segment comes again and again while somebody speaks, each time a little longer, and what was written for
it is most of what will be. Segments are told apart by the sound they begin with. Nothing is promised: a draft
may be missing, or be another segment's. This module knows no model.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from conversation.audio import HEARING_HZ, Samples

BEGINNING_S = 0.5
"""By which a segment is known again. A shorter one has no draft, and needs none."""
KEPT = 64
"""Drafts: one for each session that speaks at a time, and some to spare. A few hundred bytes each."""

Tokens = Sequence[int]


class Drafts:
    """The last one of each of the last KEPT segments."""

    def __init__(self) -> None:
        self._written: OrderedDict[int, tuple[int, Tokens]] = OrderedDict()
        """By the beginning: how many samples there were, and what was written for them."""

    def of(self, segment: Samples) -> Tokens:
        """What was written last for a shorter segment that began like this one, (n,) at 16 kHz; may be empty.

        Not for one as long: a segment that merely comes twice is to be written twice alike, and not by way
        of a draft the second time.
        """
        if (beginning := _beginning(segment)) is None:
            return ()
        samples, tokens = self._written.get(beginning, (0, ()))
        return tokens if samples < len(segment) else ()

    def keep(self, segment: Samples, tokens: Tokens) -> None:
        """This was written for the segment."""
        if (beginning := _beginning(segment)) is None:
            return
        self._written[beginning] = len(segment), tuple(tokens)
        self._written.move_to_end(beginning)
        if len(self._written) > KEPT:
            self._written.popitem(last=False)


def _beginning(segment: Samples) -> int | None:
    samples = round(BEGINNING_S * HEARING_HZ)
    return hash(segment[:samples].tobytes()) if len(segment) >= samples else None
