"""The frame of a report's page, the table of its targets, and the colours of its plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

JSON = dict[str, Any]

SYSTEMS = {"antiphon": "ours", "pipecat": "peer"}
"""The colour of each."""

COLOURS = ("ours", "peer", "user", "held", "work", "first", "good", "fair", "poor", "bad")
"""As page.css names them. With "-2" behind it, a colour's paler shade."""


def style() -> str:
    """The style sheet, with the classes that plots use."""
    classes = "".join(
        f".fill-{name}, .dot-{name} {{ fill: var(--{name}) }} .dot-{name} {{ opacity: .45 }}\n"
        f".fill-{name}-2, .dot-{name}-2 {{ fill: var(--{name}); opacity: .5 }}\n"
        f".dot-{name}-2 {{ opacity: .25 }}\n"
        f".line-{name}, .line-{name}-2 {{ stroke: var(--{name}) }}\n"
        f".line-{name}-2 {{ stroke-dasharray: 5 3 }}\n"
        for name in COLOURS
    )
    return Path(__file__).with_name("page.css").read_text() + classes


def page(title: str, report: JSON, sections: Iterable[tuple[str, str]]) -> str:
    machine = report["machine"]
    about = (
        f"{report['date'][:16].replace('T', ' ')} UTC, commit {report['commit']}, {machine['cores']} cores "
        f"of {machine['cpu']}, busy meanwhile {report['machine_busy']:.0%}, "
        f"load before {machine['load_before'][0]}."
    )
    body = "".join(f"<section><h2>{escape(name)}</h2>{content}</section>" for name, content in sections)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{style()}</style>'
        f"<h1>{escape(title)}</h1>"
        f'<p class="faint">{escape(about)} <code>{escape(report["command"])}</code></p>'
        f"{body}</html>\n"
    )


def targets(told: Sequence[JSON]) -> str:
    """A row each: met, or missed by how much, and where it went."""
    columns = ("target", "limit", "measured", "n", "verdict", "where it went")
    numbers = ("limit", "measured", "n")
    heading = "".join(f"<th{' class=n' * (name in numbers)}>{name}" for name in columns)
    return f"<table><tr>{heading}</tr>{''.join(map(_target, told))}</table>"


def _target(target: JSON) -> str:
    missed_by, unit = target["missed_by"], target["unit"]
    if missed_by is None:
        verdict = '<td class="faint">not measured'
    elif missed_by:
        verdict = f'<td class="missed">missed by {missed_by:g} {unit}'
    else:
        verdict = '<td class="met">met'
    measured = "–" if target["measured"] is None else f"{target['measured']:g}"
    bound = f"{'≥' if target['at_least'] else '≤'} {target['limit']:g} {unit}"
    return (
        f'<tr><td>{escape(target["target"])}<td class="n">{bound}<td class="n">{measured}'
        f'<td class="n">{target["n"]}{verdict}<td class="where">{escape(target.get("where", ""))}</tr>'
    )


def middle(items: Sequence[JSON], measure: Callable[[JSON], float]) -> JSON | None:
    """The one in the middle, by that measure."""
    ordered = sorted(items, key=measure)
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def caption(content: str) -> str:
    return f'<p class="faint">{escape(content)}</p>'


def nothing() -> str:
    return caption("There was none.")
