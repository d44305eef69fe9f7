"""Accuracy against one metric of a series of models, with the lines through its groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from onnxspec.palette import PHASES, Sign
from onnxspec.report._plain import word
from onnxspec.report.svg.canvas import Scale, frame, svg
from onnxspec.report.svg.signs import SHAPES

__all__ = ["SIGNS", "Line", "Point", "group_styles", "group_symbols", "scatter"]

_ORDER = (
    "bulk_spikes",
    "heavy_tailed",
    "bulk_decay",
    "rank_collapse",
    "isometric",
    "random_like",
    "bleeding_out",
    "undecided",
)
SIGNS = tuple(PHASES[name] for name in _ORDER)
"""Signs of the groups: those of the phases, the most unlike first; more groups begin again."""
PAD = 0.06
MAX_NAME, MAX_ABOUT = 48, 200


class Point(NamedTuple):
    """One model."""

    x: float
    y: float
    label: str
    group: int


class Line(NamedTuple):
    """A regression line between two values of the metric; of a group, or of all models."""

    slope: float
    intercept: float
    start: float
    end: float
    group: int | None


def scatter(points: Sequence[Point], lines: Sequence[Line], name: str, about: str) -> str | None:
    """Draw accuracy against a metric.

    Parameters
    ----------
    points : sequence of Point
        The models that have both numbers.
    lines : sequence of Line
        Within groups solid in the group's colour, over all models dashed.
    name : str
        Of the metric; it may be anything.
    about : str
        What the chart shows, for those who do not see it.

    Returns
    -------
    str or None
        SVG, or ``None`` without points.
    """
    if not points:
        return None
    x = Scale.across(*_ends([point.x for point in points]))
    y = Scale.up(*_ends([point.y for point in points]))
    body = [frame(x, y, word(name, MAX_NAME), "accuracy")]
    body += [_line(x, y, line) for line in lines]
    body += [_point(x, y, point) for point in points]
    return svg(f"Accuracy against {word(name, MAX_NAME)}", word(about, MAX_ABOUT), "".join(body))


def group_symbols(groups: int) -> str:
    """Define the signs of the groups, in an element that is not shown."""
    paths = "".join(f'<path id="s-g{k}" class="s-g{k}" d="{SHAPES[sign.marker]}"/>' for k, sign in _signs(groups))
    return f'<svg class="defs" aria-hidden="true" width="0" height="0"><defs>{paths}</defs></svg>'


def group_styles(groups: int) -> str:
    """Give the rules that colour the signs, for a light and a dark ground."""
    light = "".join(f".s-g{k}{{--c:{sign.light}}}" for k, sign in _signs(groups))
    dark = "".join(f".s-g{k}{{--c:{sign.dark}}}" for k, sign in _signs(groups))
    return f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _signs(groups: int) -> Iterable[tuple[int, Sign]]:
    return enumerate(SIGNS[: max(groups, 1)])


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Give the ends of an axis, a little beyond the values."""
    low, high = min(values), max(values)
    pad = PAD * (high - low) or 0.05 * max(abs(low), 1.0)
    return low - pad, high + pad


def _point(x: Scale, y: Scale, point: Point) -> str:
    label = f"{word(point.label, MAX_NAME)}: {point.x:.4g}, accuracy {point.y:g}"
    sign = f"g{point.group % len(SIGNS)}"
    return f'<use href="#s-{sign}" x="{x(point.x)}" y="{y(point.y)}"><title>{escape(label, quote=False)}</title></use>'


def _line(x: Scale, y: Scale, line: Line) -> str:
    """Draw a line where it lies inside the frame."""
    start, end = line.start, line.end
    if line.slope != 0.0:
        crossings = sorted((edge - line.intercept) / line.slope for edge in (y.low, y.high))
        start, end = max(start, crossings[0]), min(end, crossings[1])
    if start >= end:
        return ""
    ends = [f"{x(at)} {y(line.intercept + line.slope * at)}" for at in (start, end)]
    kind = "x" if line.group is None else f"s-g{line.group % len(SIGNS)}"
    return f'<path class="{kind}" d="M{ends[0]}L{ends[1]}"/>'
