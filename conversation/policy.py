"""What a conversation does when something happens: one table over the floor's events and the reply.

The conversation looks an event up and carries out the action; no other place decides. Events that are not
the floor's are the client's requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from conversation.errors import ImpossibleMove
from conversation.floor import FloorEvent
from conversation.reply import Reply


class Request(Enum):
    COMMIT = "commit"
    """The user's turn ends here; whether to answer is said apart."""
    RESPOND = "respond"
    CANCEL = "cancel"


class Action(Enum):
    NOTHING = "nothing"
    PREPARE = "prepare"
    WITHDRAW = "withdraw"
    RELEASE = "release"
    BEGIN = "begin"
    REPLACE = "replace"
    """Withdraw what was prepared and begin what was asked for."""
    INTERRUPT = "interrupt"
    OWE = "owe"
    """Answer as soon as the reply under way has ended."""
    REFUSE = "refuse"
    """Tell the client that it cannot be done now."""


Condition = Literal["interrupt_response", "create_response", "speculate"]


@dataclass(frozen=True, slots=True)
class Rule:
    """`then`, where the session has `when` switched on (or none is named); else nothing."""

    then: Action
    when: Condition | None = None


_NOTHING = Rule(Action.NOTHING)

POLICY: Mapping[tuple[FloorEvent | Request, Reply], Rule] = {
    (FloorEvent.ONSET, Reply.IDLE): _NOTHING,
    (FloorEvent.ONSET, Reply.SPEAKING): Rule(Action.INTERRUPT, when="interrupt_response"),
    (FloorEvent.PAUSE, Reply.IDLE): Rule(Action.PREPARE, when="speculate"),
    (FloorEvent.PAUSE, Reply.SPEAKING): _NOTHING,
    (FloorEvent.RESUME, Reply.IDLE): _NOTHING,
    (FloorEvent.RESUME, Reply.PROVISIONAL): Rule(Action.WITHDRAW),
    (FloorEvent.RESUME, Reply.SPEAKING): _NOTHING,
    (FloorEvent.END, Reply.IDLE): Rule(Action.BEGIN, when="create_response"),
    (FloorEvent.END, Reply.PROVISIONAL): Rule(Action.RELEASE),
    (FloorEvent.END, Reply.SPEAKING): Rule(Action.OWE, when="create_response"),
    (FloorEvent.CLEAR, Reply.IDLE): _NOTHING,
    (FloorEvent.CLEAR, Reply.PROVISIONAL): Rule(Action.WITHDRAW),
    (FloorEvent.CLEAR, Reply.SPEAKING): _NOTHING,
    (Request.COMMIT, Reply.IDLE): _NOTHING,
    (Request.COMMIT, Reply.PROVISIONAL): Rule(Action.WITHDRAW),
    (Request.COMMIT, Reply.SPEAKING): _NOTHING,
    (Request.RESPOND, Reply.IDLE): Rule(Action.BEGIN),
    (Request.RESPOND, Reply.PROVISIONAL): Rule(Action.REPLACE),
    (Request.RESPOND, Reply.SPEAKING): Rule(Action.REFUSE),
    (Request.CANCEL, Reply.IDLE): Rule(Action.REFUSE),
    (Request.CANCEL, Reply.PROVISIONAL): Rule(Action.REFUSE),  # the client does not know of it
    (Request.CANCEL, Reply.SPEAKING): Rule(Action.INTERRUPT),
}


def decide(event: FloorEvent | Request, reply: Reply, on: frozenset[Condition]) -> Action:
    """The action for `event`, given which conditions the session has switched `on`.

    Raises ImpossibleMove for an event that this reply can never meet.
    """
    try:
        rule = POLICY[event, reply]
    except KeyError:
        raise ImpossibleMove(f"the reply is {reply.value}: there can be no {event.value}") from None
    return rule.then if rule.when is None or rule.when in on else Action.NOTHING
