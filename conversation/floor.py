"""Who has the floor: whether the user speaks, pauses or is silent, as a table.

This module knows nothing of the agent's voice: see reply.py; and not how speech is told from silence: see
endpointing.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from conversation.errors import ImpossibleMove


class Floor(Enum):
    SILENT = "silent"
    SPEAKING = "speaking"
    PAUSED = "paused"
    """Silent for a moment; the turn may go on."""


class FloorEvent(Enum):
    ONSET = "onset"
    """Speech began."""
    PAUSE = "pause"
    """A first short silence."""
    RESUME = "resume"
    """Speech went on after a pause."""
    END = "end"
    """The turn is over: by silence, by a client that went mute, or because the client says so."""
    CLEAR = "clear"
    """What was said is to be forgotten."""


class Murmur(Enum):
    """On a silent floor: less than an onset, and no move."""

    BEGINS = "a voice may begin"
    """A frame of speech: it takes another to make an onset."""
    ENDS = "it was no voice"


FLOOR: Mapping[tuple[Floor, FloorEvent], Floor] = {
    (Floor.SILENT, FloorEvent.ONSET): Floor.SPEAKING,
    (Floor.SILENT, FloorEvent.END): Floor.SILENT,  # push-to-talk: nobody listened for an onset
    (Floor.SILENT, FloorEvent.CLEAR): Floor.SILENT,
    (Floor.SPEAKING, FloorEvent.PAUSE): Floor.PAUSED,
    (Floor.SPEAKING, FloorEvent.END): Floor.SILENT,
    (Floor.SPEAKING, FloorEvent.CLEAR): Floor.SILENT,
    (Floor.PAUSED, FloorEvent.RESUME): Floor.SPEAKING,
    (Floor.PAUSED, FloorEvent.END): Floor.SILENT,
    (Floor.PAUSED, FloorEvent.CLEAR): Floor.SILENT,
}


def next_floor(floor: Floor, event: FloorEvent) -> Floor:
    """Raises ImpossibleMove for an event that this floor can never meet."""
    try:
        return FLOOR[floor, event]
    except KeyError:
        raise ImpossibleMove(f"the floor is {floor.value}: there can be no {event.value}") from None
