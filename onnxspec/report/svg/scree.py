"""The scree plot: eigenvalues by rank, both logarithmic, with the law of the tail."""

from __future__ import annotations

from onnxspec.report.svg.canvas import Scale, frame, polyline, svg
from onnxspec.results import Layer
from onnxspec.results.drawable import bulk_of, histogram_of, ranked, tail_of

__all__ = ["scree"]

APART = 12  # points nearer than this, in both directions, are drawn as one


def scree(layer: Layer) -> str | None:
    """Draw the scree plot of one layer: the 32 largest eigenvalues, below them the edges of the bins.

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
    ranks, values = ranked(shape.edges, shape.counts, shape.top)
    tail, bulk = tail_of(layer), bulk_of(layer)
    lowest = max(values[-1], values[0] * 1e-9)
    x = Scale.across(0.9, max(1.15 * ranks[-1], 2.0), log=True)
    y = Scale.up(0.8 * lowest, 1.5 * values[0], log=True)
    points = [(x(rank), y(value)) for rank, value in zip(ranks, values)]
    exact = _thinned(points[: len(shape.top)])
    dots = "".join(f"m{px - qx} {py - qy}h0" for (px, py), (qx, qy) in zip(exact, [(0, 0), *exact]))
    body = [frame(x, y, "rank", "eigenvalue of X"), f'<path class="d" d="{dots}"/>']
    body.append(polyline(_thinned(points[len(shape.top) - 1 :]), "l"))
    if bulk is not None and y.low < bulk.edge < y.high:
        body.append(f'<path class="x" d="M{x.start} {y(bulk.edge)}H{x.end}"/>')
    if tail is not None:
        slope = -1.0 / (tail.alpha - 1.0)
        # the rank at which the law leaves the chart
        first = max(1.0, tail.n_tail * (y.high / tail.xmin) ** (1.0 / slope)) if tail.xmin < y.high else 1.0
        if first < tail.n_tail:
            ends = ((rank, tail.xmin * (rank / tail.n_tail) ** slope) for rank in (first, float(tail.n_tail)))
            body.append(polyline([(x(rank), y(value)) for rank, value in ends], "t"))
    return svg("Scree plot", f"{shape.total:.0f} eigenvalues by rank.", "".join(body))


def _thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out points that would cover the one before them."""
    kept = points[:1]
    for point in points[1:]:
        if abs(point[0] - kept[-1][0]) >= APART or abs(point[1] - kept[-1][1]) >= APART:
            kept.append(point)
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]
