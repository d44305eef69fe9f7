"""The spectra of one layer in two models, laid over each other, and alpha of many layers before and after."""

from __future__ import annotations

from collections.abc import Sequence

from onnxspec.report._plain import word
from onnxspec.report.numbers import interval, short
from onnxspec.report.svg.canvas import Scale, frame, outline, steps, svg, text, vertical
from onnxspec.report.svg.signs import use
from onnxspec.results import Layer
from onnxspec.results.comparison import Measure
from onnxspec.results.drawable import histogram_of, tail_of

__all__ = ["alpha_before_after", "overlay"]

MOST_DECADES = 6.0
MOST_POINTS = 120
MAX_NAME = 48
TOP, LOWEST = 12.0, 1.0
NARROW, WIDE, HEIGHT = 520, 1180, 300


def overlay(before: Layer, after: Layer) -> str | None:
    """Draw the log-log ESD of a layer as an area, and what became of it as a line.

    Parameters
    ----------
    before, after : Layer
        From any two reports; their ``plot`` is what is drawn.

    Returns
    -------
    str or None
        SVG, or ``None`` where one of the two has no spectrum.
    """
    shapes = [histogram_of(before), histogram_of(after)]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < 2:
        return None
    right = max(shape.edges[-1] for shape in known)
    left = max(min(shape.edges[0] for shape in known), right / 10.0**MOST_DECADES)
    parts = []
    for shape in known:
        density = shape.density()
        first = next((k for k, edge in enumerate(shape.edges[1:]) if edge > left * (1.0 + 1e-9)), 0)
        parts.append((shape.edges[first:], density[first:]))
    seen = [value for _, density in parts for value in density if value > 0.0]
    if not seen:
        return None
    x = Scale.across(0.93 * left, 1.08 * right, log=True)
    y = Scale.up(0.4 * min(seen), 2.5 * max(seen), log=True)
    body = [frame(x, y, "eigenvalue of X", "density"), steps(x, y, *parts[0]), outline(x, y, *parts[1], "t")]
    told = []
    for layer, kind, name in ((before, "o", "a"), (after, "x", "b")):
        tail = tail_of(layer)
        if tail is not None:
            body.append(vertical(x, y, [tail.xmin], kind))
            told.append(f"{name}: alpha {tail.alpha:.2f} from {short(tail.xmin, 3)} on")
    about = f"Area: a, {known[0].total:.0f} eigenvalues. Line: b, {known[1].total:.0f}. {'; '.join(told)}"
    return svg("Log-log ESD of a and b", about.strip(), "".join(body))


def alpha_before_after(rows: Sequence[tuple[int, str, Measure]]) -> str | None:
    """Draw alpha of layers in a, hollow, and in b, full, with their standard errors.

    Parameters
    ----------
    rows : sequence of (int, str, Measure)
        Number of the pair, name of the layer, and its alpha; pairs without both are left out.

    Returns
    -------
    str or None
        SVG, or ``None`` where no pair has both.
    """
    known = [(at, name, m.a, m.b, m) for at, name, m in rows if m.a is not None and m.b is not None]
    known = [row for row in known if min(row[2], row[3]) > LOWEST][:MOST_POINTS]
    if not known:
        return None
    top = min(TOP, 1.08 * max(4.0, *(max(a, b) for _, _, a, b, _ in known)))
    width = max(NARROW, min(WIDE, 80 + 26 * len(known)), 60 + 9 * len(known))
    x = Scale(0.4, len(known) + 0.6, 36, width - 10)
    y = Scale(LOWEST, top, HEIGHT - 44, 34)
    body = [frame(x, y, "pairs of layers that changed, in graph order", "alpha", em=13, rows=6, columns=0)]
    for place, (number, name, a, b, m) in enumerate(known, 1):
        at = x(place)
        ends = []
        for value, error, kind, side in ((a, m.stderr_a, "h", -3), (b, m.stderr_b, "", 3)):
            if error is not None:
                low, high = max(value - error, LOWEST), min(value + error, top)
                body.append(f'<path class="i" d="M{at + side} {y(low)}V{y(high)}"/>' if low < high else "")
            label = f"{number} {word(name, MAX_NAME)}: alpha {value:.2f} in {'b' if side > 0 else 'a'}"
            ends.append(use(None, at + side, y(min(value, top)), label, kind))
        body += ends
        body.append(text(at, y.start + 16, str(number)) if len(known) <= MOST_POINTS // 3 else "")
    span = interval((min(m.delta or 0.0 for *_, m in known), max(m.delta or 0.0 for *_, m in known)))
    return svg(
        "Alpha before and after",
        f"{len(known)} pairs; alpha moved by {span}.",
        "".join(body),
        width=width,
        height=HEIGHT,
        kind="flow",
    )
