"""For every scenario: no defect stays unseen, and the rules of the policy that it meets are noted."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import conversation.conversation
from conversation.policy import Action, Condition, Happening, decide
from conversation.reply import Reply

MET: set[tuple[Happening, Reply, Action]] = set()
"""What was decided so far, in all scenarios of this run."""

LAST = "test_every_rule_of_the_policy_was_met"
"""Runs when all others have."""


def _noted(event: Happening, reply: Reply, on: frozenset[Condition]) -> Action:
    action = decide(event, reply, on)
    MET.add((event, reply, action))
    return action


@pytest.fixture(autouse=True)
def _rules_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation.conversation, "decide", _noted)


@pytest.fixture
def rules_met() -> set[tuple[Happening, Reply, Action]]:
    return MET


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a part of the scenarios nobody can say which rules are met by none."""
    here = Path(__file__).parent
    whole = {file for file in here.glob("test_*.py")} <= {item.path for item in items}
    chosen = config.option.keyword or any("::" in argument for argument in config.args)
    last = [item for item in items if item.name == LAST]
    if chosen or not whole:
        for item in last:
            item.add_marker(pytest.mark.skip(reason="not all scenarios run"))
    items.sort(key=lambda item: item.name == LAST)


@pytest.fixture(autouse=True)
def _no_defect(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A conversation survives its own defects and logs them as errors; here they fail the test."""
    yield
    errors = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.ERROR and record.name.startswith("conversation")
    ]
    assert not errors
