"""The log-log ESD with the fitted tail, xmin, and the minima of D that compete with it."""

from __future__ import annotations

from onnxspec.report.svg.canvas import Scale, frame, polyline, steps, svg, vertical
from onnxspec.results import Layer
from onnxspec.results.drawable import Histogram, Tail, histogram_of, minima_of, tail_of

__all__ = ["esd"]

MOST_DECADES = 6.0


def esd(layer: Layer) -> str | None:
    """Draw the log-log ESD of one layer.

    Parameters
    ----------
    layer : Layer
        From any report; its ``plot`` is what is drawn.

    Returns
    -------
    str or None
        SVG, or ``None`` where there is no spectrum.
    """
    shape = histogram_of(layer)
    if shape is None:
        return None
    tail = tail_of(layer)
    density = shape.density()
    left = _left(shape, tail)
    first = next((k for k, edge in enumerate(shape.edges[1:]) if edge > left * (1.0 + 1e-9)), 0)
    if not any(density[first:]):
        first = 0
    seen = [value for value in density[first:] if value > 0.0]
    start = max(left, shape.edges[first]) if first else shape.edges[0]
    x = Scale.across(0.93 * start, 1.08 * shape.edges[-1], log=True)
    y = Scale.up(0.4 * min(seen), 2.5 * max(seen), log=True)
    body = [frame(x, y, "eigenvalue of X", "density"), steps(x, y, shape.edges[first:], density[first:])]
    about = f"{shape.total:.0f} positive eigenvalues."
    if tail is not None:
        body += [
            vertical(x, y, (minimum.xmin for minimum in minima_of(layer)), "o"),
            vertical(x, y, [tail.xmin], "x"),
            polyline(_law(shape, tail, x, y), "t"),
        ]
        about += f" Tail from xmin on: {tail.n_tail} of them, alpha {tail.alpha:.2f}."
    return svg("Log-log ESD", about, "".join(body))


def _left(shape: Histogram, tail: Tail | None) -> float:
    """Give the start of the axis: a few tiny eigenvalues would squeeze all others into a corner."""
    wanted: float = shape.edges[-1] / 10.0**MOST_DECADES
    start: float = min(wanted, 0.01 * tail.xmin) if tail is not None else wanted
    return max(shape.edges[0], start)


def _law(shape: Histogram, tail: Tail, x: Scale, y: Scale) -> list[tuple[int, int]]:
    """Give the ends of the power law, a straight line, cut at the lower edge of the chart."""
    level = tail.n_tail / shape.total * (tail.alpha - 1.0) / tail.xmin
    if not y.low < level < y.high * 1e3:
        return []
    reach = (level / y.low) ** (1.0 / tail.alpha)
    end = min(shape.edges[-1], tail.xmin * reach)
    start = max(tail.xmin, tail.xmin * max(level / y.high, 1.0) ** (1.0 / tail.alpha))
    if not start < end:
        return []
    return [(x(v), y(level * (v / tail.xmin) ** -tail.alpha)) for v in (start, end)]
