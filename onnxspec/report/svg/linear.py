"""The ESD on linear axes with the Marchenko-Pastur density of the bulk, and the spikes beyond its edge."""

from __future__ import annotations

import math

from onnxspec.report.numbers import short
from onnxspec.report.svg.canvas import Scale, frame, polyline, steps, svg, vertical
from onnxspec.results import Layer
from onnxspec.results.drawable import Bulk, Histogram, bulk_of, histogram_of, law_of, linear_of, merged

__all__ = ["beyond", "esd_linear", "known_spikes", "marchenko_pastur"]

FAR = 4.0  # the axis reaches this many times beyond the bulk's edge
POINTS = 24
SPIKE, APART = 16, 8


def esd_linear(layer: Layer) -> str | None:
    """Draw the linear ESD of one layer with its bulk; that of a convolution is of the kernel unfolded into one matrix.

    Parameters
    ----------
    layer : Layer
        As in `esd`.

    Returns
    -------
    str or None
        SVG, or ``None`` where there is no spectrum.
    """
    shape = histogram_of(layer)
    if shape is None:
        return None
    linear = linear_of(layer)
    if linear is not None:
        bulk, highest, top = law_of(layer), linear.end, linear.top
        edges, density = linear.edges, linear.density()
    else:
        bulk, top = bulk_of(layer), shape.top
        highest = _highest(shape, bulk)
        edges, density = merged(shape.edges, shape.counts, highest)
    clear = [d for edge, d in zip(edges[1:], density) if edge > 0.03 * highest] or density
    x = Scale.across(0.0, highest)
    law = [] if bulk is None else _law(bulk)
    tops = [max(clear), *(d for v, d in law if v > 0.03 * highest)]
    y = Scale.up(0.0, 1.15 * max(tops) or 1.0)
    body = [frame(x, y, "eigenvalue of X", "density"), steps(x, y, edges, density)]
    about = f"Eigenvalues up to {short(top[0], 3)}."
    if bulk is not None:
        body += [polyline(((x(v), y(d)) for v, d in law if v <= highest), "t"), vertical(x, y, [bulk.edge], "x")]
        body.append(_spikes(x, y, [value for value in top[: bulk.spikes] if value <= highest]))
        about += f" Bulk up to {short(bulk.edge, 3)}; spikes beyond it: {bulk.spikes}."
    return svg("Linear ESD", about, "".join(body))


def known_spikes(layer: Layer) -> int:
    """Count the largest eigenvalues that a report keeps, of which spikes are marked."""
    linear = linear_of(layer)
    return len(linear.top) if linear is not None else len(layer.plot.top_evals) if layer.plot is not None else 0


def beyond(layer: Layer) -> int:
    """Count the known eigenvalues that lie beyond the axis of `esd_linear`."""
    linear, shape = linear_of(layer), histogram_of(layer)
    if linear is not None:
        return round(linear.total - sum(linear.counts))
    if shape is None:
        return 0
    highest = _highest(shape, bulk_of(layer))
    return sum(value > highest for value in shape.top)


def marchenko_pastur(x: float, Q: float, sigma: float) -> float:
    """Give the Marchenko-Pastur density of ``W^T W / N`` for ``Q >= 1``.

    Parameters
    ----------
    x : float
        Eigenvalue.
    Q : float
        Aspect ratio N / M.
    sigma : float
        Standard deviation of the entries.

    Returns
    -------
    float
        ``Q sqrt((b - x)(x - a)) / (2 pi sigma^2 x)`` between the edges
        ``sigma^2 (1 -+ 1/sqrt(Q))^2``, else 0.

    Notes
    -----
    Reports are drawn without NumPy; a test holds this line to `onnxspec.laws.marchenko_pastur`.
    Source: arXiv 1810.01075, eqn 8.
    """
    low, high = (sigma * (1.0 - Q**-0.5)) ** 2, (sigma * (1.0 + Q**-0.5)) ** 2
    if not low < x < high or x <= 0.0:
        return 0.0
    return Q * math.sqrt((high - x) * (x - low)) / (2.0 * math.pi * sigma**2 * x)


def _law(bulk: Bulk) -> list[tuple[float, float]]:
    """Give points of the law, dense near its edges, where it is steep."""
    low, high = ((bulk.sigma * (1.0 + sign * bulk.Q**-0.5)) ** 2 for sign in (-1.0, 1.0))
    angles = (math.pi * k / POINTS for k in range(POINTS + 1))
    values = [low + (high - low) * math.sin(0.5 * angle) ** 2 for angle in angles]
    return [(value, bulk.share * marchenko_pastur(value, bulk.Q, bulk.sigma)) for value in values]


def _highest(shape: Histogram, bulk: Bulk | None) -> float:
    """Give the end of the axis: the bulk and what stands near it, or nearly all eigenvalues."""
    if bulk is not None:
        return min(1.05 * shape.top[0], FAR * bulk.edge)
    below = 0.0
    for edge, count in zip(shape.edges[1:], shape.counts):
        below += count
        if below >= 0.97 * shape.total:
            return min(1.6 * edge, 1.05 * shape.edges[-1])
    return 1.05 * shape.edges[-1]


def _spikes(x: Scale, y: Scale, values: list[float]) -> str:
    """Mark spikes by short strokes that stand on the axis; those that would touch are drawn as one."""
    path, last = "", 0
    for at in map(x, values):
        if not path:
            path = f"M{at} {y.start}v-{SPIKE}"
        elif abs(at - last) >= APART:
            path += f"m{at - last} {SPIKE}v-{SPIKE}"
        else:
            continue
        last = at
    return f'<path class="s" d="{path}"/>' if path else ""
