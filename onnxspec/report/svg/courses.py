"""Numbers of layers over the checkpoints of a training, and their phases as strips of signs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from onnxspec.report._plain import word
from onnxspec.report.numbers import short
from onnxspec.report.svg.canvas import EM, Scale, frame, straightened, svg, text
from onnxspec.report.svg.scatter import SIGNS
from onnxspec.report.svg.signs import use

__all__ = ["Line", "courses", "phase_strips"]

PAD = 0.06
MOST_MARKS = 24  # beyond that a line carries a sign at every so many checkpoints
MAX_NAME = 48
ROW, LEFT, STEP_WIDE, STEP_NARROW = 26, 150, 30, 8


class Line(NamedTuple):
    """One layer over the checkpoints, with the number of its sign; ``None`` where it has no number."""

    label: str
    values: Sequence[float | None]
    sign: int


def courses(lines: Sequence[Line], labels: Sequence[str], name: str) -> str | None:
    """Draw one metric over the checkpoints, a line a layer, broken where a number is missing.

    Parameters
    ----------
    lines : sequence of Line
        Values in the order of the checkpoints.
    labels : sequence of str
        Of the checkpoints; they may be anything.
    name : str
        Of the metric.

    Returns
    -------
    str or None
        SVG, or ``None`` where no layer has a number.
    """
    values = [v for line in lines for v in line.values if v is not None and math.isfinite(v)]
    if not values:
        return None
    low, high = min(values), max(values)
    pad = PAD * (high - low) or 0.05 * max(abs(low), 1.0)
    if not math.isfinite(high - low + 2.0 * pad):
        return None
    x = Scale.across(-0.5, len(labels) - 0.5)
    y = Scale.up(low - pad, high + pad)
    body = [frame(x, y, "checkpoint", name, columns=0), _under(x, y.start, labels, EM)]
    body += [_line(x, y, line) for line in lines]
    first, last = [next((v for v in order if v is not None), None) for order in _ends(lines[0].values)]
    about = f"{len(lines)} layers over {len(labels)} checkpoints, from {short(low, 3)} to {short(high, 3)}."
    if len(lines) == 1:
        about = f"{len(labels)} checkpoints, from {short(first, 3)} to {short(last, 3)}."
    return svg(f"{name} over the checkpoints", about, "".join(body))


def phase_strips(rows: Sequence[tuple[str, Sequence[str | None]]], labels: Sequence[str]) -> str | None:
    """Draw a strip of signs for each layer: its phase in each checkpoint.

    Parameters
    ----------
    rows : sequence of (str, sequence of str or None)
        Name of the layer, and its phases; nothing is drawn where a layer has none.
    labels : sequence of str
        Of the checkpoints.

    Returns
    -------
    str or None
        SVG, or ``None`` where no layer has a phase.
    """
    known = [(name, phases) for name, phases in rows if any(phases)]
    if not known:
        return None
    step = max(STEP_NARROW, min(STEP_WIDE, 1000 // max(len(labels), 1)))
    width, height = LEFT + step * len(labels) + 12, ROW * len(known) + 40
    x = Scale(-0.5, len(labels) - 0.5, LEFT, LEFT + step * len(labels))
    body = []
    for row, (name, phases) in enumerate(known):
        at = ROW * row + 16
        body.append(f'<path class="g" d="M{LEFT} {at}H{x.end}"/>')
        body.append(text(LEFT - 10, at + 4, word(name, 20), "r"))
        # one sign where a phase begins and at every so many checkpoints, so that a sign has its place
        every = max(1, math.ceil(18 / step))
        last, shown = None, -every
        for place, phase in enumerate(phases):
            if phase is not None and (phase != last or place - shown >= every):
                body.append(use(phase, x(place), at, f"{word(name, MAX_NAME)}, {word(labels[place])}: {word(phase)}"))
                shown = place
            last = phase
    body.append(_under(x, height - 28, labels, 13))
    return svg("Phase of each layer", f"{len(known)} layers.", "".join(body), width=width, height=height, kind="flow")


def _ends(values: Sequence[float | None]) -> tuple[Sequence[float | None], Sequence[float | None]]:
    return values, values[::-1]


def _under(x: Scale, at: int, labels: Sequence[str], em: int) -> str:
    """Name the first and the last checkpoint below the axis, in letters of the size `em`."""
    room = max(4, int((x.end - x.start) / (1.5 * em)))
    names = [text(x.start, at + 26, word(labels[0], room), "s")]
    if len(labels) > 1:
        names.append(f'<g class="e">{text(x.end, at + 26, word(labels[-1], room))}</g>')
    return "".join(names)


def _line(x: Scale, y: Scale, line: Line) -> str:
    """Draw a line with its signs; a number that stands alone has a sign and no line."""
    sign = f"g{line.sign % len(SIGNS)}"
    runs: list[list[tuple[int, int]]] = [[]]
    for place, value in enumerate(line.values):
        if value is None or not math.isfinite(value):
            runs.append([])
        else:
            runs[-1].append((x(place), y(value)))
    path = "".join(_run(run) for run in runs if len(run) > 1)
    every = max(1, math.ceil(len(line.values) / MOST_MARKS))
    points = [point for run in runs for point in run]
    kept = points[::every] if len(points) > 1 else points
    kept = list(dict.fromkeys([*kept, *points[-1:]]))
    marks = "".join(f'<use href="#s-{sign}" x="{at}" y="{level}"/>' for at, level in kept)
    return (f'<path class="s-{sign}" d="{path}"/>' if path else "") + marks


def _run(points: list[tuple[int, int]]) -> str:
    drawn = straightened(points)
    return f"M{drawn[0][0]} {drawn[0][1]}L" + " ".join(f"{a} {b}" for a, b in drawn[1:])
