"""What a conversation does when something happens: one table over what happens and the reply.

The conversation looks an event up and carries out the action; no other place decides. An event is a move on
the floor or what may become one, more words of a user who still speaks, a verdict on a sound over the agent's
voice, a long silence, or a client's request. While such a sound is weighed, its own moves on the floor are no
events here: they may be nobody's turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from conversation.barge_in import Verdict
from conversation.errors import ImpossibleMove
from conversation.floor import FloorEvent, Murmur
from conversation.reply import Reply


class Words(Enum):
    GROW = "words grow"
    """More of what the user says is understood, and more is to come; first, nothing yet, at the onset."""


class Silence(Enum):
    LASTS = "silence lasts"
    """Nobody has said anything for long since the last answer was heard."""
    FOR_TOOLS = "tools are late"
    """The last answer called functions, and nothing has come of that for long."""


class Machine(Enum):
    NEEDED = "machine needed"
    """For an answer that somebody waits for, and there is no room beside what is prepared here."""


class Request(Enum):
    EDIT = "edit"
    """What is answered changes: the history, or the session's settings."""
    COMMIT = "commit"
    """The user's turn ends here; whether to answer is said apart."""
    RESPOND = "respond"
    FOLLOW = "respond after a filler"
    """The same while a filler is said that stands for no answer."""
    CANCEL = "cancel"


class Action(Enum):
    NOTHING = "nothing"
    PREPARE = "prepare"
    """If it can be afforded: see speculation.py."""
    WITHDRAW = "withdraw"
    RELEASE = "release"
    BEGIN = "begin"
    FILL = "fill"
    """Say a filler, as a response of its own."""
    REPLACE = "replace"
    """Withdraw what was prepared and begin what was asked for."""
    HOLD = "hold"
    """Pause in mid-speech until it is known whether somebody speaks."""
    WEIGH = "weigh"
    """Stay paused, or pause now, until the sound over it has been weighed."""
    RESUME = "resume"
    INTERRUPT = "interrupt"
    FADE = "fade"
    """Of an answer that was sent whole, count as unheard what the client has not played."""
    READ_AHEAD = "read ahead"
    """Let the language model read what is known of the prompt."""
    OWE = "owe"
    """Answer as soon as the reply under way has ended."""
    REFUSE = "refuse"
    """Tell the client that it cannot be done now."""


Condition = Literal["hold", "interrupt_response", "create_response", "speculate", "read_ahead"]
Happening = FloorEvent | Murmur | Verdict | Words | Silence | Machine | Request


@dataclass(frozen=True, slots=True)
class Rule:
    """`then`, where the session has `when` switched on (or none is named); else `otherwise`, or nothing."""

    then: Action
    when: Condition | None = None
    otherwise: Rule | None = None


_NOTHING = Rule(Action.NOTHING)

POLICY: Mapping[tuple[Happening, Reply], Rule] = {
    (FloorEvent.ONSET, Reply.IDLE): Rule(Action.FADE, when="interrupt_response"),
    (FloorEvent.ONSET, Reply.SPEAKING): Rule(
        Action.WEIGH, when="hold", otherwise=Rule(Action.INTERRUPT, when="interrupt_response")
    ),
    (FloorEvent.ONSET, Reply.HELD): Rule(Action.WEIGH),
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
    (FloorEvent.CLEAR, Reply.HELD): Rule(Action.RESUME),
    (Murmur.BEGINS, Reply.IDLE): _NOTHING,
    (Murmur.BEGINS, Reply.SPEAKING): Rule(Action.HOLD, when="hold"),
    (Murmur.ENDS, Reply.IDLE): _NOTHING,
    (Murmur.ENDS, Reply.SPEAKING): _NOTHING,
    (Murmur.ENDS, Reply.HELD): Rule(Action.RESUME),
    (Verdict.STOPS, Reply.IDLE): _NOTHING,  # the answer ended meanwhile
    (Verdict.STOPS, Reply.SPEAKING): Rule(Action.INTERRUPT),  # the sound had seemed to be nothing
    (Verdict.STOPS, Reply.HELD): Rule(Action.INTERRUPT),
    (Verdict.PASSES, Reply.IDLE): _NOTHING,
    (Verdict.PASSES, Reply.SPEAKING): _NOTHING,
    (Verdict.PASSES, Reply.HELD): Rule(Action.RESUME),
    (Words.GROW, Reply.IDLE): Rule(Action.READ_AHEAD, when="read_ahead"),
    (Words.GROW, Reply.SPEAKING): _NOTHING,
    (Silence.LASTS, Reply.IDLE): Rule(Action.BEGIN, when="create_response"),
    (Silence.FOR_TOOLS, Reply.IDLE): Rule(Action.FILL),
    (Machine.NEEDED, Reply.PROVISIONAL): Rule(Action.WITHDRAW),
    (Request.EDIT, Reply.IDLE): _NOTHING,
    (Request.EDIT, Reply.PROVISIONAL): Rule(Action.WITHDRAW),
    (Request.EDIT, Reply.SPEAKING): _NOTHING,
    (Request.EDIT, Reply.HELD): _NOTHING,
    (Request.COMMIT, Reply.IDLE): _NOTHING,
    (Request.COMMIT, Reply.PROVISIONAL): Rule(Action.WITHDRAW),
    (Request.COMMIT, Reply.SPEAKING): _NOTHING,
    (Request.COMMIT, Reply.HELD): _NOTHING,  # by a murmur: a sound that is weighed has its verdict by then
    (Request.RESPOND, Reply.IDLE): Rule(Action.BEGIN),
    (Request.RESPOND, Reply.PROVISIONAL): Rule(Action.REPLACE),
    (Request.RESPOND, Reply.SPEAKING): Rule(Action.REFUSE),
    (Request.RESPOND, Reply.HELD): Rule(Action.REFUSE),
    (Request.FOLLOW, Reply.SPEAKING): Rule(Action.OWE),
    (Request.FOLLOW, Reply.HELD): Rule(Action.OWE),
    (Request.CANCEL, Reply.IDLE): Rule(Action.REFUSE),
    (Request.CANCEL, Reply.PROVISIONAL): Rule(Action.REFUSE),  # the client does not know of it
    (Request.CANCEL, Reply.SPEAKING): Rule(Action.INTERRUPT),
    (Request.CANCEL, Reply.HELD): Rule(Action.INTERRUPT),
}


def decide(event: Happening, reply: Reply, on: frozenset[Condition]) -> Action:
    """The action for `event`, given which conditions the session has switched `on`.

    Raises ImpossibleMove for an event that this reply can never meet.
    """
    try:
        rule = POLICY[event, reply]
    except KeyError:
        raise ImpossibleMove(f"the reply is {reply.value}: there can be no {event.value}") from None
    return _then(rule, on)


def _then(rule: Rule | None, on: frozenset[Condition]) -> Action:
    if rule is None:
        return Action.NOTHING
    return rule.then if rule.when is None or rule.when in on else _then(rule.otherwise, on)
