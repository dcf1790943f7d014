"""How far the agent's reply has got, as a table.

It stands beside the floor, not below it: a client may ask for a response while its user speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from conversation.errors import ImpossibleMove


class Reply(Enum):
    IDLE = "idle"
    PROVISIONAL = "provisional"
    """Computed while the user's turn may still go on; nothing of it is heard."""
    SPEAKING = "speaking"
    """On its way to the client, from the moment it may be heard; its first words may still be computed."""
    HELD = "held"
    """Paused in mid-speech: the user made a sound, and it is not known yet whether it means anything."""


class ReplyEvent(Enum):
    PREPARE = "prepare"
    """Begin, behind a closed gate."""
    RELEASE = "release"
    """Open the gate."""
    WITHDRAW = "withdraw"
    """Forget what was prepared: nobody ever learns of it."""
    BEGIN = "begin"
    """Begin with the gate open."""
    HOLD = "hold"
    """Pause, to go on from the same sample or not at all."""
    RESUME = "resume"
    """Go on."""
    INTERRUPT = "interrupt"
    """Fall silent at once."""
    FINISH = "finish"
    """It came to its end, good or bad."""


REPLY: Mapping[tuple[Reply, ReplyEvent], Reply] = {
    (Reply.IDLE, ReplyEvent.PREPARE): Reply.PROVISIONAL,
    (Reply.IDLE, ReplyEvent.BEGIN): Reply.SPEAKING,
    (Reply.PROVISIONAL, ReplyEvent.RELEASE): Reply.SPEAKING,
    (Reply.PROVISIONAL, ReplyEvent.WITHDRAW): Reply.IDLE,
    (Reply.SPEAKING, ReplyEvent.HOLD): Reply.HELD,
    (Reply.SPEAKING, ReplyEvent.INTERRUPT): Reply.IDLE,
    (Reply.SPEAKING, ReplyEvent.FINISH): Reply.IDLE,
    (Reply.HELD, ReplyEvent.RESUME): Reply.SPEAKING,
    (Reply.HELD, ReplyEvent.INTERRUPT): Reply.IDLE,
    (Reply.HELD, ReplyEvent.FINISH): Reply.IDLE,  # it failed: nothing else ends while it is held
}


def next_reply(reply: Reply, event: ReplyEvent) -> Reply:
    """Raises ImpossibleMove for an event that this reply can never meet."""
    try:
        return REPLY[reply, event]
    except KeyError:
        raise ImpossibleMove(f"the reply is {reply.value}: it can not {event.value}") from None
