"""Plots as SVG text: distributions, strips of single values, times laid out as bars, shares. No library.

Pure. Colours are CSS classes that page.py defines, so that a plot looks well in the light and in the dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH = 860
"""Of a plot, in the units of its own view."""
LEFT, RIGHT = 266, 24
"""Room for the names of rows, and beside the last tick."""
ROW = 30
AXIS = 40
"""Height of the axis and its title."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places on the drawing."""

    low: float
    high: float
    left: float = LEFT
    right: float = WIDTH - RIGHT

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Round numbers, about eight."""
        raw = (self.high - self.low) / 8
        power = 10 ** np.floor(np.log10(raw))
        step = float(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw))
        first = np.ceil(self.low / step) * step
        return [float(tick) for tick in np.arange(first, self.high + step / 1000, step)]


def scale(values: Iterable[float], *, low: float | None = None) -> Scale:
    """That shows all of them. From 0, or from `low`."""
    high = max(values, default=1.0)
    return Scale(0.0 if low is None else low, high * 1.05 or 1.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Values that belong together, in the colour `css`."""

    name: str
    values: Sequence[float]
    css: str


@dataclass(frozen=True, slots=True)
class Bar:
    """From one time to another; `label` beside it."""

    begin: float
    end: float
    css: str
    label: str = ""


def drawing(height: float, parts: Iterable[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def text(x: float, y: float, content: str, css: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def rect(x: float, y: float, width: float, height: float, css: str, hint: str = "") -> str:
    told = f"<title>{escape(hint)}</title>" if hint else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" rx="2" '
        f'class="{css}">{told}</rect>'
    )


def axis(along: Scale, y: float, unit: str, top: float) -> list[str]:
    """Below a plot whose rows begin at `top`."""
    parts = [line(along.left, y, along.right, y, "axis")]
    for tick in along.ticks():
        x = along.at(tick)
        parts += [line(x, top, x, y, "grid"), text(x, y + 16, f"{tick:g}", "small", "middle")]
    return [*parts, text(along.right, y + 32, unit, "small", "end")]


def legend(series: Sequence[Series], y: float) -> list[str]:
    parts, x = [], 8.0
    for one in series:
        name = f"{one.name} ({len(one.values)})" if one.values else one.name
        parts += [rect(x, y - 9, 12, 10, f"fill-{one.css}"), text(x + 17, y, name, "small")]
        x += 34 + 6.2 * len(name)
    return parts


def distributions(series: Sequence[Series], unit: str, title: str) -> str:
    """How many of a hundred are no more than so much: a staircase for each."""
    shown = [one for one in series if one.values]
    along = scale(np.concatenate([one.values for one in shown]) if shown else [])
    top, bottom = 34.0, 254.0
    parts = axis(along, bottom, unit, top)
    for share in (0, 0.5, 0.9, 1):
        y = bottom - share * (bottom - top)
        parts += [
            line(along.left, y, along.right, y, "grid"),
            text(along.left - 8, y + 4, f"{share:.0%}", "small", "end"),
        ]
    for one in shown:
        parts.append(_staircase(one, along, top, bottom))
    return drawing(bottom + AXIS, [*parts, *legend(shown, 16)], title)


def _staircase(one: Series, along: Scale, top: float, bottom: float) -> str:
    values = sorted(one.values)
    points = [(along.at(values[0]), bottom)]
    for number, value in enumerate(values, 1):
        y = bottom - number / len(values) * (bottom - top)
        points += [(along.at(value), points[-1][1]), (along.at(value), y)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" class="stairs line-{one.css}"/>'


def strips(rows: Mapping[str, Sequence[Series]], unit: str, title: str, limits: Mapping[str, float]) -> str:
    """Each value a dot, with a tick at their median; one line of dots a series, and the row's limit."""
    shown = {name: [one for one in series if one.values] for name, series in rows.items()}
    shown = {name: series for name, series in shown.items() if series}
    along = scale([value for series in shown.values() for one in series for value in one.values])
    top = y = 30.0
    parts: list[str] = []
    for name, series in shown.items():
        height = 15.0 * len(series)
        parts.append(text(LEFT - 12, y + height / 2 + 4, name, "", "end"))
        if name in limits and limits[name] <= along.high:
            x = along.at(limits[name])
            parts.append(line(x, y - 3, x, y + height + 1, "limit"))
        for place, one in enumerate(series):
            middle = y + 15 * place + 7
            parts += [_dot(along.at(value), middle, one.css, f"{value:.0f} {unit}") for value in one.values]
            median = along.at(float(np.median(one.values)))
            parts.append(line(median, middle - 7, median, middle + 7, f"median line-{one.css}"))
        y += height + 9
    named = {one.name: one for series in shown.values() for one in series}
    return drawing(
        y + AXIS, [*axis(along, y, unit, top - 6), *parts, *legend(list(named.values()), 16)], title
    )


def _dot(x: float, y: float, css: str, hint: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" class="dot-{css}"><title>{hint}</title></circle>'


def timeline(rows: Mapping[str, Sequence[Bar]], marks: Mapping[str, float], unit: str, title: str) -> str:
    """What went on when: a row for each who did something, and upright lines at single moments."""
    bars = [bar for row in rows.values() for bar in row]
    low = min(bar.begin for bar in bars)
    along = scale([*(bar.end for bar in bars), *marks.values()], low=low)
    top = 36.0
    bottom = top + ROW * len(rows)
    parts = axis(along, bottom, unit, top)
    for number, (name, row) in enumerate(rows.items()):
        y = top + ROW * number
        parts.append(text(LEFT - 12, y + ROW / 2 + 4, name, "", "end"))
        for bar in row:
            begin, end = along.at(bar.begin), along.at(bar.end)
            hint = f"{bar.begin:.0f} to {bar.end:.0f} {unit}"
            parts.append(rect(begin, y + 5, end - begin, ROW - 10, f"fill-{bar.css}", hint))
            if bar.label:
                parts.append(_beside(bar, begin, end, y + ROW / 2 + 4, along.right))
    for number, (name, at) in enumerate(marks.items()):
        x = along.at(at)
        parts += [
            line(x, top - 4, x, bottom, "mark"),
            text(x + 3, top - 8 - 12 * (number % 2), f"{name} {at:.0f}", "small"),
        ]
    return drawing(bottom + AXIS, parts, title)


def _beside(bar: Bar, begin: float, end: float, y: float, right: float) -> str:
    """The label, inside where it fits, else where there is room."""
    wide = 6.6 * len(bar.label)
    if end - begin > wide + 8:
        return text(begin + 5, y, bar.label, "small inside")
    if end + 5 + wide <= right:
        return text(end + 5, y, bar.label, "small")
    return text(begin - 5, y, bar.label, "small", "end")


def shares(rows: Mapping[str, Mapping[str, int]], css: Mapping[str, str], title: str) -> str:
    """What became of the items of each row, as parts of one bar."""
    along = Scale(0.0, 100.0)
    top = 30.0
    parts = legend([Series(name, [], colour) for name, colour in css.items()], 16)
    for number, (name, counts) in enumerate(rows.items()):
        y, done, total = top + ROW * number, 0, sum(counts.values())
        parts.append(text(LEFT - 12, y + ROW / 2 + 4, f"{name} ({total})", "", "end"))
        for outcome in css:
            count = counts.get(outcome, 0)
            if not count:
                continue
            begin, end = (along.at(100 * part / total) for part in (done, done + count))
            parts += [
                rect(begin, y + 4, end - begin - 1, ROW - 8, f"fill-{css[outcome]}", f"{outcome}: {count}"),
                text((begin + end) / 2, y + ROW / 2 + 4, str(count), "small inside", "middle"),
            ]
            done += count
    return drawing(top + ROW * len(rows) + 8, parts, title)
