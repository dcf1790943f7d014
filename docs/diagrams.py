"""Draws the diagrams and tables of the documentation from the code.

`python -m docs.diagrams` rewrites the blocks between their markers; `--check` only says which are outdated.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ray.serve import Application

from conversation.floor import FLOOR, Floor
from conversation.policy import POLICY, Rule
from conversation.reply import REPLY, Reply
from deployments.config import load_config
from docs import protocol_tables
from graph import build
from tests.clients import table as clients_under_test

ROOT = Path(__file__).parents[1]


def floor() -> str:
    moves = ((f.value, t.value, e.value) for (f, e), t in FLOOR.items())
    return _states(Floor.SILENT.value, moves)


def reply() -> str:
    moves = ((f.value, t.value, e.value) for (f, e), t in REPLY.items())
    return _states(Reply.IDLE.value, moves)


def policy() -> str:
    """One row an event, one column a state of the reply."""
    events = list(dict.fromkeys(event for event, _ in POLICY))
    lines = [
        "| | " + " | ".join(state.value for state in Reply) + " |",
        "|---" * (1 + len(Reply)) + "|",
    ]
    for event in events:
        cells = [_cell(POLICY.get((event, state))) for state in Reply]
        lines.append(f"| {event.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def graph() -> str:
    """The star: what the ingress is bound to in the laptop's configuration, and what it asks of each."""
    ingress = build(load_config(ROOT / "configs/laptop.yaml"))._bound_deployment
    lines = [
        "```mermaid",
        "flowchart LR",
        f'  client(["any Realtime client"]) <-->|WebSocket| {ingress.name}',
    ]
    for name, stage in ingress.init_kwargs.items():
        if isinstance(stage, Application):
            hosted = stage._bound_deployment.func_or_class
            [method] = set(_methods(hosted)) - {"ready", "running"}
            arrow = "-. stream .->" if inspect.isasyncgenfunction(getattr(hosted, method)) else "-->"
            lines.append(f'  {ingress.name} {arrow} {name}["{name}.{method}"]')
    return "\n".join([*lines, "```"])


def _methods(hosted: type) -> list[str]:
    return [name for name, value in vars(hosted).items() if inspect.isroutine(value) and name[0] != "_"]


_PROTOCOL = "docs/protocol.md"

BLOCKS: dict[str, tuple[str, Callable[[], str]]] = {
    "floor": ("docs/conversation.md", floor),
    "reply": ("docs/conversation.md", reply),
    "policy": ("docs/conversation.md", policy),
    "graph": ("README.md", graph),
    "client-events": (_PROTOCOL, protocol_tables.client_events),
    "items": (_PROTOCOL, protocol_tables.items),
    "server-events": (_PROTOCOL, protocol_tables.server_events),
    "session": (_PROTOCOL, protocol_tables.session),
    "response": (_PROTOCOL, protocol_tables.response),
    "refused": (_PROTOCOL, protocol_tables.refused),
    "errors": (_PROTOCOL, protocol_tables.errors),
    "clients": (_PROTOCOL, clients_under_test.markdown),
}


def outdated() -> list[str]:
    """The blocks whose text is not what the code says."""
    return [name for name, (path, _) in BLOCKS.items() if _drawn(name) != (ROOT / path).read_text()]


def _drawn(name: str) -> str:
    """The whole text of the file that holds the block, with the block as it should be."""
    path, draw = BLOCKS[name]
    text = (ROOT / path).read_text()
    start, end = f"<!-- {name}: drawn by docs/diagrams.py -->", f"<!-- end of {name} -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{path} has no block between '{start}' and '{end}'")
    return pattern.sub(lambda _: f"{start}\n\n{draw()}\n\n{end}", text)


def _states(first: str, moves: Iterable[tuple[str, str, str]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"  [*] --> {first}"]
    lines += [f"  {source} --> {target}: {event}" for source, target, event in moves]
    return "\n".join([*lines, "```"])


def _cell(rule: Rule | None) -> str:
    if rule is None:
        return "*cannot be*"
    if rule.then.value == "nothing":
        return ""
    then = rule.then.value + (f" (if `{rule.when}`)" if rule.when else "")
    return then + (f", else {_cell(rule.otherwise)}" if rule.otherwise else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when a block is outdated")
    if parser.parse_args().check:
        if names := outdated():
            sys.exit(f"outdated: {', '.join(names)}; run python -m docs.diagrams")
        return
    for name, (path, _) in BLOCKS.items():
        (ROOT / path).write_text(_drawn(name))


if __name__ == "__main__":
    main()
