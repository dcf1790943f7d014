"""How far ahead of playback speech is sent: little, so that a hold is heard; more while this machine is late.

Pure: whoever sends says how late it was. This module knows neither clock nor client.
"""

from __future__ import annotations

PIECE_S = 0.04
"""Audio is sent in pieces of this length: an interruption can lose no more than one, and an event a piece
costs little. 20 to 40 ms is what telephony sends."""

AT_ONCE_S = 30.0
"""The lead where nothing is paced: what waits for a client that does not read has a bound."""

_SHARE = 3
"""Our own lateness may eat a third of what a client has to play; the rest is the network's."""

_NARROWS = 0.005
"""Of what it is wider than it need be, with each piece: half of it in 5.5 s of speech. A machine that was
late once is busy, and will be late again within seconds."""


class Lead:
    """The lead of one client.

    Args:
        least_s: while nothing is late.
        most_s: however late it is.
    """

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, most_s
        self.now_s = least_s

    def sent(self, late_s: float) -> None:
        """A piece went out so much later than it was due."""
        needed_s = min(max(self._least_s, PIECE_S + _SHARE * late_s), self._most_s)
        narrowed_s = self.now_s - _NARROWS * (self.now_s - self._least_s)
        self.now_s = max(needed_s, narrowed_s)


def at_once() -> Lead:
    """For audio that is sent as it is made."""
    return Lead(AT_ONCE_S, AT_ONCE_S)
