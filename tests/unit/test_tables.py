"""The floor, the reply and the policy: every pair is either in the table or raises."""

from itertools import product

import pytest

from conversation.errors import ImpossibleMove
from conversation.floor import FLOOR, Floor, FloorEvent, next_floor
from conversation.policy import POLICY, Action, Happening, Machine, Request, Silence, Words, decide
from conversation.reply import REPLY, Reply, ReplyEvent, next_reply


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


HAPPENINGS = [*FloorEvent, *Words, *Silence, *Machine, *Request]


@pytest.mark.parametrize(("event", "reply"), list(product(HAPPENINGS, Reply)))
def test_every_action_of_the_policy_is_one_that_the_reply_can_take(event: Happening, reply: Reply) -> None:
    moves = {
        Action.PREPARE: [ReplyEvent.PREPARE],
        Action.WITHDRAW: [ReplyEvent.WITHDRAW],
        Action.RELEASE: [ReplyEvent.RELEASE],
        Action.BEGIN: [ReplyEvent.BEGIN],
        Action.REPLACE: [ReplyEvent.WITHDRAW, ReplyEvent.BEGIN],
        Action.INTERRUPT: [ReplyEvent.INTERRUPT],
    }
    rule = POLICY.get((event, reply))
    if rule is None:
        with pytest.raises(ImpossibleMove):
            decide(event, reply, frozenset())
        return
    for move in moves.get(rule.then, []):
        reply = next_reply(reply, move)


def test_only_what_cannot_meet_is_missing_from_the_policy() -> None:
    """A provisional reply exists only while the floor is paused; a silence lasts when nobody speaks; only what
    is prepared can give way; and a filler is heard."""
    missing = set(product(HAPPENINGS, Reply)) - set(POLICY)
    assert missing == {
        (FloorEvent.ONSET, Reply.PROVISIONAL),
        (FloorEvent.PAUSE, Reply.PROVISIONAL),
        (Silence.LASTS, Reply.PROVISIONAL),
        (Silence.LASTS, Reply.SPEAKING),
        (Silence.FOR_TOOLS, Reply.PROVISIONAL),
        (Silence.FOR_TOOLS, Reply.SPEAKING),
        (Request.FOLLOW, Reply.IDLE),
        (Request.FOLLOW, Reply.PROVISIONAL),
        (Machine.NEEDED, Reply.IDLE),
        (Machine.NEEDED, Reply.SPEAKING),
    }


def test_a_rule_whose_condition_is_off_does_nothing() -> None:
    assert decide(FloorEvent.ONSET, Reply.SPEAKING, frozenset()) is Action.NOTHING
    on = frozenset({"interrupt_response"})
    assert decide(FloorEvent.ONSET, Reply.SPEAKING, on) is Action.INTERRUPT  # type: ignore[arg-type]
