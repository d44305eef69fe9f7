"""What all charts share: scales with their ticks, the frame, text, and the outermost element."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

from onnxspec.report.numbers import short

__all__ = [
    "HEIGHT",
    "WIDTH",
    "Scale",
    "axis_names",
    "frame",
    "outline",
    "polyline",
    "steps",
    "straightened",
    "svg",
    "text",
    "vertical",
]

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 84, 12, 38, 68
EM = 21
SHARED = {("eigenvalue of X", "density"): "ad", ("rank", "eigenvalue of X"): "ar"}
"""Names of axes that stand in a page once for all charts."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """From a number to a coordinate.

    Attributes
    ----------
    low, high : float
        Ends of the axis.
    start, end : int
        Their coordinates.
    log : bool
        Whether the axis is logarithmic; its ends are positive then.
    """

    low: float
    high: float
    start: int
    end: int
    log: bool = False

    @classmethod
    def across(cls, low: float, high: float, *, log: bool = False) -> Scale:
        """Give the horizontal scale of a chart."""
        return cls(low, high, LEFT, WIDTH - RIGHT, log)

    @classmethod
    def up(cls, low: float, high: float, *, log: bool = False) -> Scale:
        """Give the vertical scale of a chart."""
        return cls(low, high, HEIGHT - BOTTOM, TOP, log)

    def __call__(self, value: float) -> int:
        """Give the coordinate of a value; what lies beyond the axis stands at its end."""
        if self.log:
            share = math.log(value / self.low) / self._length if value > self.low else 0.0
        else:
            share = (value - self.low) / self._length
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start))

    @cached_property
    def _length(self) -> float:
        return math.log(self.high / self.low) if self.log else self.high - self.low

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Give at most `most` round values with their labels."""
        return _log_ticks(self.low, self.high, most) if self.log else _linear_ticks(self.low, self.high, most)


def _linear_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Give multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1.0, 2.0, 5.0, 10.0) if unit * factor >= raw * (1.0 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    values = [step * k for k in range(first, first + most + 2) if step * k <= high + 1e-9 * step]
    largest = max((abs(value) for value in values), default=1.0)
    if step >= 1e-3 and largest < 1e5:
        digits = max(0, -math.floor(math.log10(step)))
        return [(value, f"{value:.{digits}f}".replace("-", "−")) for value in values]
    return [(value, _scientific(value)) for value in values]


def _scientific(value: float) -> str:
    """Give a number in at most three digits, without the zeros that say nothing."""
    if value == 0.0:
        return "0"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}".replace("-", "−")


def _log_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Give powers of ten where there are enough of them, else 1, 2 and 5 times those."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        step = max(1, math.ceil((last - first + 1) / most))
        return [(10.0**k, f"10{str(k).translate(SUPERSCRIPTS)}") for k in range(first, last + 1, step)]
    for factors in ((1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)):
        values = [f * 10.0**k for k in range(first - 1, last + 1) for f in factors]
        values = [value for value in values if low <= value <= high]
        if len(values) > 2:
            break
    values = values if len(values) > 1 else [low, high]
    thinned = values[:: max(1, math.ceil(len(values) / most))]
    labels = [_plain(value) for value in thinned]
    if len(set(labels)) < len(labels):  # an axis so short that two digits do not tell its ends apart
        labels = [_scientific(value) for value in thinned]
    return list(zip(thinned, labels))


def _plain(value: float) -> str:
    """Give a number in two digits."""
    if 1e-3 <= value < 1e5:
        return f"{float(f'{value:.2g}'):g}"
    return _scientific(float(f"{value:.2g}"))


def text(x: int, y: int, words: str, kind: str = "") -> str:
    """Give one text; `words` may be anything."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{style}>{escape(words, quote=False)}</text>'


def frame(x: Scale, y: Scale, x_name: str, y_name: str, *, rows: int = 4, columns: int = 5, em: int = EM) -> str:
    """Draw the grid, the labels of the ticks, and the names of the axes, for letters of the size `em`."""
    levels = [(y(value), label) for value, label in y.ticks(rows)]
    grid = "".join(f"M{x.start} {level}H{x.end}" for level, _ in levels)
    down = "".join(text(x.start - 8, level + em // 3, label) for level, label in levels)
    ticks = x.ticks(columns) if columns else []
    under = "".join(text(x(value), y.start + round(1.25 * em), label) for value, label in ticks)
    shared = SHARED.get((x_name, y_name))
    names = f'<use href="#{shared}"/>' if shared and em == EM else _names(x, y, x_name, y_name, em)
    return f'<path class="g" d="{grid}M{x.start} {y.start}H{x.end}"/><g class="e">{down}</g>{under}{names}'


def axis_names() -> str:
    """Define the names of the axes that many charts of a page share."""
    x, y = Scale.across(0.0, 1.0), Scale.up(0.0, 1.0)
    return "".join(f'<g id="{key}">{_names(x, y, *names, EM)}</g>' for names, key in SHARED.items())


def _names(x: Scale, y: Scale, x_name: str, y_name: str, em: int) -> str:
    under = text((x.start + x.end) // 2, y.start + round(2.8 * em), x_name)
    return under + text(0, y.end - round(0.8 * em), y_name, "s")


def outline(x: Scale, y: Scale, edges: Sequence[float], heights: Sequence[float], kind: str) -> str:
    """Draw the upper edge of a histogram as a line."""
    at, level = x(edges[0]), y.start
    path = [f"M{at} {level}"]
    for edge, height in zip(edges[1:], heights):
        top, right = y(height) if height > 0.0 else y.start, x(edge)
        path.append((f"v{top - level}" if top != level else "") + (f"h{right - at}" if right > at else ""))
        level, at = top, max(at, right)
    return f'<path class="{kind}" d="{"".join(path)}V{y.start}"/>'


def steps(x: Scale, y: Scale, edges: Sequence[float], heights: Sequence[float]) -> str:
    """Draw a filled histogram; a height at or below the axis' start is no bar."""
    at = x(edges[0])
    path = [f"M{at} {y.start}"]
    level, start = y.start, at
    for edge, height in zip(edges[1:], heights):
        top = y(height) if height > 0.0 else y.start
        right = x(edge)
        if top != level and right > at:
            path.append((f"h{at - start}" if at > start else "") + f"v{top - level}")
            level, start = top, at
        at = max(at, right)
    path.append(f"h{at - start}")
    return f'<path class="b" d="{"".join(path)}V{y.start}z"/>'


def polyline(points: Iterable[tuple[int, int]], kind: str) -> str:
    """Draw a line through points."""
    path: list[str] = []
    last = (0, 0)
    for point in straightened(list(points)):
        if not path:
            path.append(f"M{point[0]} {point[1]}l")
        elif point != last:
            path.append(f"{point[0] - last[0]} {point[1] - last[1]} ".replace(" -", "-"))
        last = point
    return f'<path class="{kind}" d="{"".join(path).strip()}"/>' if len(path) > 1 else ""


def straightened(points: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out points that lie within one unit of the straight line through their neighbours (Douglas and Peucker)."""
    if len(points) < 3:
        return list(points)
    (x, y), (right, top) = points[0], points[-1]
    dx, dy = right - x, top - y
    length = math.hypot(dx, dy)
    off = [abs(dx * (b - y) - dy * (a - x)) / length if length else math.hypot(a - x, b - y) for a, b in points]
    far = max(range(len(points)), key=off.__getitem__)
    if off[far] <= 1.0:
        return [points[0], points[-1]]
    return straightened(points[: far + 1])[:-1] + straightened(points[far:])


def vertical(x: Scale, y: Scale, values: Iterable[float], kind: str) -> str:
    """Draw vertical lines over the whole height, where they lie on the axis."""
    path = "".join(f"M{x(value)} {y.start}V{y.end}" for value in values if x.low <= value <= x.high)
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def svg(title: str, about: str, body: str, *, width: int = WIDTH, height: int = HEIGHT, kind: str = "c") -> str:
    """Give the whole chart, with its name and what it shows for those who do not see it.

    A chart of the kind ``c`` fills its place in the page, any other has a size of its own.
    """
    size = f' width="{width}" height="{height}"' if kind != "c" else ""
    described = f"<desc>{escape(about, quote=False)}</desc>" if about else ""
    return (
        f'<svg class="{kind}" role="img" viewBox="0 0 {width} {height}"{size}>'
        f"<title>{escape(title, quote=False)}</title>{described}{body}</svg>"
    )


def value(number: float) -> str:
    """Give a number of a caption."""
    return short(number, 3)
