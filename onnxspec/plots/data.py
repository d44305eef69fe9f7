"""What can be drawn of one layer, read with care: a saved report comes from anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results import Layer

    Array = NDArray[np.float64]

__all__ = ["Bulk", "Minimum", "Shape", "Tail", "bulk_of", "curve_of", "minima_of", "number", "shape_of", "tail_of"]

LOG_LIMIT = 150.0  # matplotlib's ticks overflow near 300
LARGEST_ALPHA, LARGEST_COUNT = 1e6, 1e15
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
            return self._merged(highest)
        edges = np.linspace(0.0, highest, int(np.clip(4.0 * math.sqrt(self.total), 12, LINEAR_BINS)) + 1)
        counts, _ = np.histogram(self.evals, bins=edges)
        return edges, counts / (self.total * np.diff(edges))

    def _merged(self, highest: float) -> tuple[Array, Array]:
        """Join the bins near 0, which are too narrow for a linear axis."""
        kept = [0]
        for k, edge in enumerate(self.edges.tolist()):
            if edge - float(self.edges[kept[-1]]) >= highest / LINEAR_BINS:
                kept.append(k)
            if edge > highest:
                break
        if len(kept) < 2:
            kept = [0, self.edges.size - 1]
        edges = self.edges[kept]
        below = np.concatenate([[0.0], np.cumsum(self.counts)])[kept]
        return edges, np.diff(below) / (self.total * np.diff(edges))

    def ranked(self) -> tuple[Array, Array]:
        """Give ranks and eigenvalues, the largest first; below the largest known ones, ranks at the bins' edges."""
        if self.evals is not None:
            return np.arange(1.0, self.evals.size + 1.0), self.evals
        above = np.cumsum(self.counts[::-1])
        lower = self.edges[-2::-1]
        rest = (above > self.top.size) & (lower < self.top[-1])
        ranks = np.concatenate([np.arange(1.0, self.top.size + 1.0), above[rest]])
        return ranks, np.concatenate([self.top, lower[rest]])


@dataclass(frozen=True)
class Tail:
    """The fitted power law."""

    alpha: float
    xmin: float
    n_tail: int
    D: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Minimum:
    """One choice of xmin that competes with the fit's."""

    alpha: float
    xmin: float
    D: float
    below_min_tail: bool


@dataclass(frozen=True)
class Bulk:
    """The Marchenko-Pastur law of the noise, where it belongs to the eigenvalues that are drawn."""

    Q: float
    sigma: float
    share: float
    edge: float
    spikes: int


def shape_of(layer: Layer) -> Shape | None:
    """Give the spectrum of a layer, or ``None`` where nothing usable is known of it."""
    if layer.evals:
        return _from_evals(layer)
    plot = layer.plot
    low, high = (number(plot.esd_min), number(plot.esd_max)) if plot is not None else (None, None)
    if plot is None or low is None or high is None or not -LOG_LIMIT < low <= high < LOG_LIMIT:
        return None
    counts = np.array([number(c) or 0.0 for c in plot.esd_counts])
    top = np.array([x for v in plot.top_evals if (x := number(v)) is not None and _on_axis(x)])
    if not counts.size or bool((counts < 0.0).any()) or counts.sum() <= 0.0 or not top.size:
        return None
    edges = 10.0 ** np.linspace(low, high if high > low else low + 1.0, counts.size + 1)
    return Shape(edges, counts, np.sort(top)[::-1], None) if bool((np.diff(edges) > 0.0).all()) else None


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


def tail_of(layer: Layer) -> Tail | None:
    """Give the power law of a layer, or ``None`` without one."""
    alpha, xmin, count = number(layer.alpha), number(layer.xmin), number(layer.n_tail)
    if alpha is None or xmin is None or count is None:
        return None
    if not (1.0 < alpha < LARGEST_ALPHA and _on_axis(xmin) and 1.0 <= count < LARGEST_COUNT):
        return None
    ends = [number(v) for v in layer.alpha_ci or ()]
    interval = (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None
    return Tail(alpha, xmin, int(count), number(layer.D), interval)


def minima_of(layer: Layer) -> list[Minimum]:
    """Give the choices of xmin that compete with the fit's, which is not among them."""
    found = []
    listed = layer.alpha_profile.get("minima") if isinstance(layer.alpha_profile, Mapping) else None
    for entry in listed if isinstance(listed, (list, tuple)) else ():
        if not isinstance(entry, Mapping):
            continue
        alpha, xmin, distance = (number(entry.get(name)) for name in ("alpha", "xmin", "D"))
        if alpha is None or xmin is None or distance is None or not _on_axis(xmin) or xmin == layer.xmin:
            continue
        found.append(Minimum(alpha, xmin, distance, bool(entry.get("below_min_tail"))))
    return found


def curve_of(layer: Layer) -> tuple[Array, Array, Array] | None:
    """Give xmin, D and alpha of the thinned curve, with the fit's own choice and its competitors put in."""
    plot = layer.plot
    if plot is None:
        return None
    points = [
        (x, d, a)
        for triple in zip(plot.ks_xmin, plot.ks_D, plot.ks_alpha)
        for x, d, a in [[number(v) for v in triple]]
        if x is not None and d is not None and a is not None and _on_axis(x)
    ]
    if not points:
        return None
    tail = tail_of(layer)
    if tail is not None and tail.D is not None:
        points.append((tail.xmin, tail.D, tail.alpha))
    points += [(m.xmin, m.D, m.alpha) for m in minima_of(layer)]
    xmin, distance, alpha = np.array(sorted(set(points))).T
    return xmin, distance, alpha


def bulk_of(layer: Layer) -> Bulk | None:
    """Give the bulk of a layer where its matrix is the one whose eigenvalues are drawn.

    The bulk fit of a convolution is that of the unfolded matrix; the eigenvalues of its
    kernel positions, pooled, follow no single law.
    """
    mp = layer.mp
    if not isinstance(mp, Mapping) or layer.num_matrices != 1 or (mp.get("N"), mp.get("M")) != (layer.N, layer.M):
        return None
    names = ("N", "M", "sigma_mp", "spike_edge", "spikes", "zeros")
    N, M, sigma, edge, spikes, zeros = (number(mp.get(name)) for name in names)
    if N is None or M is None or sigma is None or edge is None or spikes is None or zeros is None:
        return None
    n, m, positive = N - spikes, M - zeros - spikes, M - zeros
    if not (spikes >= 0.0 and 1.0 <= m <= n and sigma > 0.0 and edge > 0.0):
        return None
    return Bulk(n / m, sigma * math.sqrt(n / N), m / positive, edge, int(spikes))


def number(value: Any) -> float | None:
    """Give a finite number as float, anything else as ``None``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _on_axis(x: float) -> bool:
    """Say whether a value can stand on a logarithmic axis."""
    return math.log10(x) < LOG_LIMIT if x >= 1.0 else x > 0.0 and math.log10(x) > -LOG_LIMIT
