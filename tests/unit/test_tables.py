"""The floor, the reply and the policy: every pair is either in the table or raises."""

from itertools import product

import pytest

from conversation.barge_in import Verdict
from conversation.errors import ImpossibleMove
from conversation.floor import FLOOR, Floor, FloorEvent, Murmur, next_floor
from conversation.policy import POLICY, Action, Happening, Machine, Request, Silence, Words, decide
from conversation.reply import REPLY, Reply, ReplyEvent, next_reply

EVENTS: list[Happening] = [*FloorEvent, *Murmur, *Verdict, *Words, *Silence, *Machine, *Request]


@pytest.mark.parametrize(("floor", "event"), list(product(Floor, FloorEvent)))
def test_the_floor_follows_its_table_and_nothing_else(floor: Floor, event: FloorEvent) -> None:
    if (floor, event) in FLOOR:
        assert next_floor(floor, event) is FLOOR[floor, event]
    else:
        with pytest.raises(ImpossibleMove, match=floor.value):
            next_floor(floor, event)


@pytest.mark.parametrize(("reply", "event"), list(product(Reply, ReplyEvent)))
def test_the_reply_follows_its_table_and_nothing_else(reply: Reply, event: ReplyEvent) -> None:
    if (reply, event) in REPLY:
        assert next_reply(reply, event) is REPLY[reply, event]
    else:
        with pytest.raises(ImpossibleMove, match=reply.value):
            next_reply(reply, event)


@pytest.mark.parametrize(("event", "reply"), list(product(EVENTS, Reply)))
def test_every_action_of_the_policy_is_one_that_the_reply_can_take(event: Happening, reply: Reply) -> None:
    moves = {
        Action.PREPARE: [ReplyEvent.PREPARE],
        Action.WITHDRAW: [ReplyEvent.WITHDRAW],
        Action.RELEASE: [ReplyEvent.RELEASE],
        Action.BEGIN: [ReplyEvent.BEGIN],
        Action.REPLACE: [ReplyEvent.WITHDRAW, ReplyEvent.BEGIN],
        Action.HOLD: [ReplyEvent.HOLD],
        Action.WEIGH: [ReplyEvent.HOLD] if reply is not Reply.HELD else [],
        Action.RESUME: [ReplyEvent.RESUME],
        Action.INTERRUPT: [ReplyEvent.INTERRUPT],
    }
    rule = POLICY.get((event, reply))
    if rule is None:
        with pytest.raises(ImpossibleMove):
            decide(event, reply, frozenset())
        return
    while rule is not None:
        state = reply
        for move in moves.get(rule.then, []):
            state = next_reply(state, move)
        rule = rule.otherwise


def test_only_what_cannot_meet_is_missing_from_the_policy() -> None:
    """A provisional reply exists only while the floor is paused, and no words grow; a silence lasts when
    nobody speaks; only what is prepared gives way; a filler is heard. A held one exists from a murmur on and
    while a sound is weighed: then neither the floor nor words decide, and nothing murmurs."""
    missing = set(product(EVENTS, Reply)) - set(POLICY)
    assert missing == {
        (FloorEvent.ONSET, Reply.PROVISIONAL),
        (FloorEvent.PAUSE, Reply.PROVISIONAL),
        (Words.GROW, Reply.PROVISIONAL),
        (Silence.LASTS, Reply.PROVISIONAL),
        (Silence.LASTS, Reply.SPEAKING),
        (Verdict.STOPS, Reply.PROVISIONAL),
        (Verdict.PASSES, Reply.PROVISIONAL),
        (Murmur.BEGINS, Reply.PROVISIONAL),
        (Murmur.ENDS, Reply.PROVISIONAL),
        (Murmur.BEGINS, Reply.HELD),
        *product([FloorEvent.PAUSE, FloorEvent.RESUME, FloorEvent.END, *Words, *Silence], [Reply.HELD]),
        (Silence.FOR_TOOLS, Reply.PROVISIONAL),
        (Silence.FOR_TOOLS, Reply.SPEAKING),
        (Request.FOLLOW, Reply.IDLE),
        (Request.FOLLOW, Reply.PROVISIONAL),
        (Machine.NEEDED, Reply.IDLE),
        (Machine.NEEDED, Reply.SPEAKING),
        (Machine.NEEDED, Reply.HELD),
    }


def test_a_rule_whose_condition_is_off_does_nothing() -> None:
    assert decide(FloorEvent.ONSET, Reply.SPEAKING, frozenset()) is Action.NOTHING
    assert decide(FloorEvent.ONSET, Reply.SPEAKING, frozenset({"interrupt_response"})) is Action.INTERRUPT
    assert decide(FloorEvent.ONSET, Reply.SPEAKING, frozenset({"interrupt_response", "hold"})) is Action.WEIGH
