"""What can be drawn of one layer, read with care: a saved report comes from anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import Any

from onnxspec.results.layer import Layer, Plot

__all__ = [
    "Bulk",
    "Histogram",
    "Linear",
    "Minimum",
    "Tail",
    "bulk_of",
    "histogram_of",
    "law_of",
    "linear_of",
    "merged",
    "minima_of",
    "number",
    "on_axis",
    "ranked",
    "tail_of",
]

LOG_LIMIT = 150.0  # log axes and their ticks overflow near 300
LARGEST_ALPHA, LARGEST_COUNT = 1e6, 1e15
LINEAR_BINS = 80


@dataclass(frozen=True)
class Histogram:
    """The positive eigenvalues of a layer, as its plot summary keeps them.

    Attributes
    ----------
    edges : tuple of float
        Ends of the bins, ascending, equal on a logarithmic axis.
    counts : tuple of float
        Eigenvalues in each bin.
    top : tuple of float
        The largest eigenvalues, descending.
    """

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    top: tuple[float, ...]

    @cached_property
    def total(self) -> float:
        """Positive eigenvalues in all."""
        return sum(self.counts)

    def density(self) -> list[float]:
        """Give the density of each bin."""
        return _density(self.edges, self.counts, self.total)


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


def histogram_of(layer: Layer) -> Histogram | None:
    """Give the histogram of a layer's plot summary, or ``None`` where nothing usable is known of it."""
    return _histogram(layer.plot) if layer.plot is not None else None


@lru_cache(maxsize=8)
def _histogram(plot: Plot) -> Histogram | None:
    """Read a plot summary; several charts of one layer ask for it one after another."""
    low, high = number(plot.esd_min), number(plot.esd_max)
    if low is None or high is None or not -LOG_LIMIT < low <= high < LOG_LIMIT:
        return None
    counts = tuple(number(count) or 0.0 for count in plot.esd_counts)
    top = sorted((x for v in plot.top_evals if (x := number(v)) is not None and on_axis(x)), reverse=True)
    if not top or not counts or min(counts) < 0.0 or not 0.0 < sum(counts) < LARGEST_COUNT:
        return None
    width = ((high if high > low else low + 1.0) - low) / len(counts)
    edges = tuple(10.0 ** (low + k * width) for k in range(len(counts) + 1))
    if any(later <= earlier for earlier, later in pairwise(edges)):
        return None
    return Histogram(edges, counts, tuple(top))


def merged(edges: Sequence[float], counts: Sequence[float], highest: float) -> tuple[list[float], list[float]]:
    """Join the bins near 0, which are too narrow for a linear axis from 0 to `highest`; give edges and density."""
    kept = [0]
    for k, edge in enumerate(edges):
        if edge - edges[kept[-1]] >= highest / LINEAR_BINS:
            kept.append(k)
        if edge > highest:
            break
    if len(kept) < 2:
        kept = [0, len(edges) - 1]
    below = [0.0, *accumulate(counts)]
    joined = [edges[k] for k in kept]
    inside = [below[k] - below[j] for j, k in pairwise(kept)]
    return joined, _density(joined, inside, below[-1])


def ranked(edges: Sequence[float], counts: Sequence[float], top: Sequence[float]) -> tuple[list[float], list[float]]:
    """Give ranks and eigenvalues, the largest first; below the largest known ones, ranks at the bins' edges."""
    ranks, values = [float(k + 1) for k in range(len(top))], list(top)
    for above, lower in zip(accumulate(reversed(counts)), reversed(edges[:-1])):
        if above > len(top) and lower < top[-1]:
            ranks.append(above)
            values.append(lower)
    return ranks, values


def _density(edges: Sequence[float], counts: Sequence[float], total: float) -> list[float]:
    return [count / (total * (high - low)) for count, low, high in zip(counts, edges, edges[1:])]


def tail_of(layer: Layer) -> Tail | None:
    """Give the power law of a layer, or ``None`` without one."""
    alpha, xmin, count = number(layer.alpha), number(layer.xmin), number(layer.n_tail)
    if alpha is None or xmin is None or count is None:
        return None
    if not (1.0 < alpha < LARGEST_ALPHA and on_axis(xmin) and 1.0 <= count < LARGEST_COUNT):
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
        if alpha is None or xmin is None or distance is None or not on_axis(xmin) or xmin == layer.xmin:
            continue
        found.append(Minimum(alpha, xmin, distance, bool(entry.get("below_min_tail"))))
    return found


@dataclass(frozen=True)
class Linear:
    """The eigenvalues of the matrix of the bulk fit on a linear axis from 0.

    Attributes
    ----------
    end : float
        Of the axis.
    counts : tuple of float
        Eigenvalues in its equal bins.
    total : float
        Positive eigenvalues in all, with those beyond the axis.
    top : tuple of float
        The largest ones that are known, descending.
    """

    end: float
    counts: tuple[float, ...]
    total: float
    top: tuple[float, ...]

    @property
    def edges(self) -> list[float]:
        """Ends of the bins."""
        return [self.end * k / len(self.counts) for k in range(len(self.counts) + 1)]

    def density(self) -> list[float]:
        """Give the density of each bin."""
        return _density(self.edges, self.counts, self.total)


def linear_of(layer: Layer) -> Linear | None:
    """Give the linear histogram of the matrix of the bulk fit, where the report has both."""
    plot, mp = layer.plot, layer.mp
    if plot is None or mp is None or law_of(layer) is None:
        return None
    end, M, zeros = number(plot.linear_max), number(mp.get("M")), number(mp.get("zeros"))
    counts = tuple(number(count) or 0.0 for count in plot.linear_counts)
    top = sorted((x for v in plot.bulk_top or plot.top_evals if (x := number(v)) is not None), reverse=True)
    if end is None or M is None or zeros is None or not on_axis(end) or not counts or not top or min(counts) < 0.0:
        return None
    return Linear(end, counts, M - zeros, tuple(top)) if 0.0 < sum(counts) <= M - zeros < LARGEST_COUNT else None


def bulk_of(layer: Layer) -> Bulk | None:
    """Give the bulk of a layer where its matrix is the one whose eigenvalues are drawn.

    The bulk fit of a convolution is that of the unfolded matrix; the eigenvalues of its
    kernel positions, pooled, follow no single law.
    """
    mp = layer.mp
    if not isinstance(mp, Mapping) or layer.num_matrices != 1 or (mp.get("N"), mp.get("M")) != (layer.N, layer.M):
        return None
    return law_of(layer)


def law_of(layer: Layer) -> Bulk | None:
    """Give the bulk of the matrix that the bulk fit is about."""
    mp = layer.mp
    if not isinstance(mp, Mapping):
        return None
    names = ("N", "M", "sigma_mp", "spike_edge", "spikes", "zeros")
    N, M, sigma, edge, spikes, zeros = (number(mp.get(name)) for name in names)
    if N is None or M is None or sigma is None or edge is None or spikes is None or zeros is None:
        return None
    n, m, positive = N - spikes, M - zeros - spikes, M - zeros
    if not (spikes >= 0.0 and 1.0 <= m <= n and sigma > 0.0 and on_axis(sigma * sigma) and on_axis(edge)):
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


def on_axis(x: float) -> bool:
    """Say whether a value can stand on a logarithmic axis."""
    return math.log10(x) < LOG_LIMIT if x >= 1.0 else x > 0.0 and math.log10(x) > -LOG_LIMIT
