"""What can be drawn of one layer, read with care: a saved report comes from anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.results.drawable import LOG_LIMIT, histogram_of, merged, minima_of, number, on_axis, ranked, tail_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results import Layer

    Array = NDArray[np.float64]

__all__ = ["Shape", "curve_of", "shape_of"]

LINEAR_BINS, LOG_BINS = 80, 80


@dataclass(frozen=True, eq=False)
class Shape:
    """The positive eigenvalues: all of them, or their histogram and the largest."""

    edges: Array  # of the histogram, ascending
    counts: Array
    top: Array  # descending
    evals: Array | None  # all, descending

    @property
    def total(self) -> float:
        """Positive eigenvalues in all."""
        return float(self.counts.sum())

    def density(self) -> Array:
        """Give the density of each bin."""
        values: Array = self.counts / (self.total * np.diff(self.edges))
        return values

    def linear(self, highest: float) -> tuple[Array, Array]:
        """Give edges and density of a histogram from 0 to `highest`, in equal bins where all eigenvalues are known."""
        if self.evals is None:
            joined, density = merged(self.edges.tolist(), self.counts.tolist(), highest)
            return np.array(joined), np.array(density)
        edges = np.linspace(0.0, highest, int(np.clip(4.0 * math.sqrt(self.total), 12, LINEAR_BINS)) + 1)
        counts, _ = np.histogram(self.evals, bins=edges)
        return edges, counts / (self.total * np.diff(edges))

    def ranked(self) -> tuple[Array, Array]:
        """Give ranks and eigenvalues, the largest first; below the largest known ones, ranks at the bins' edges."""
        if self.evals is not None:
            return np.arange(1.0, self.evals.size + 1.0), self.evals
        ranks, values = ranked(self.edges.tolist(), self.counts.tolist(), self.top.tolist())
        return np.array(ranks), np.array(values)


def shape_of(layer: Layer) -> Shape | None:
    """Give the spectrum of a layer, or ``None`` where nothing usable is known of it."""
    if layer.evals:
        return _from_evals(layer)
    known = histogram_of(layer)
    return Shape(np.array(known.edges), np.array(known.counts), np.array(known.top), None) if known else None


def _from_evals(layer: Layer) -> Shape | None:
    """Give the spectrum of a layer whose eigenvalues are all kept; those beyond the rank count as 0."""
    values = np.sort(np.array([x for v in layer.evals or () if (x := number(v)) is not None]))[::-1]
    rank = layer.rank if layer.rank is not None else values.size
    values = values[: max(rank, 0)]
    values = values[(values > 10.0**-LOG_LIMIT) & (values < 10.0**LOG_LIMIT)]
    if not values.size:
        return None
    low, high = math.log10(float(values[-1])), math.log10(float(values[0]))
    bins = min(LOG_BINS, max(10, round(2.0 * math.sqrt(values.size))))
    edges = 10.0 ** np.linspace(low, high if high > low + 1e-9 else low + 1.0, bins + 1)
    edges[0], edges[-1] = min(edges[0], values[-1]), max(edges[-1], values[0])
    counts, _ = np.histogram(values, bins=edges)
    return Shape(edges, counts.astype(np.float64), values[:32], values)


def curve_of(layer: Layer) -> tuple[Array, Array, Array] | None:
    """Give xmin, D and alpha of the thinned curve, with the fit's own choice and its competitors put in."""
    plot = layer.plot
    if plot is None:
        return None
    points = [
        (x, d, a)
        for triple in zip(plot.ks_xmin, plot.ks_D, plot.ks_alpha)
        for x, d, a in [[number(v) for v in triple]]
        if x is not None and d is not None and a is not None and on_axis(x)
    ]
    if not points:
        return None
    tail = tail_of(layer)
    if tail is not None and tail.D is not None:
        points.append((tail.xmin, tail.D, tail.alpha))
    points += [(m.xmin, m.D, m.alpha) for m in minima_of(layer)]
    xmin, distance, alpha = np.array(sorted(set(points))).T
    return xmin, distance, alpha
