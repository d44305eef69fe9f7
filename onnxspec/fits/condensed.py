"""A large sample in few units, and its bootstrap: what a replica costs no longer grows with the sample.

The largest values stand alone; below them neighbours are put together in units whose
share of the tail that starts there is one in `RESOLUTION`. A replica draws how often each
unit occurs (the Poisson bootstrap: Hanley and MacGibbon, Computer Methods and Programs in
Biomedicine 83 (2006) 57), and looks at the ends of the units alone. What is lost is the
variance within a unit and the KS distance between its two ends, which is at most
``1 / RESOLUTION`` and a third of a per cent of the distance's own scatter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxspec._distinct import distinct
from onnxspec._jit import jit
from onnxspec.fits.xmin_scan import _deviation, _distance, _law_scale, _logs

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RESOLUTION", "Condensed", "condense", "grid_starts", "resampled_alphas"]

RESOLUTION = 1024
"""Values that stand alone, and one over the share of a unit in the tail that starts with it."""

_COUNTED = 64  # values of a unit up to which the Poisson law is inverted exactly


@dataclass(frozen=True)
class Condensed:
    """Units of an ascending sample of positive values.

    Attributes
    ----------
    low, high, mean : ndarray of float64, shape (units,)
        Smallest, largest and mean ``log(x / max x)`` of each, ascending.
    counts : ndarray of int64, shape (units,)
        Values in each.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    counts: NDArray[np.int64]


def grid_starts(x: NDArray[np.float64], also: Iterable[int] = ()) -> NDArray[np.int64]:
    """Give where the units of a sample start.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Ascending.
    also : iterable of int
        Further places where a unit is to start.

    Returns
    -------
    ndarray of int64
        Ascending, from 0; equal values are never parted.
    """
    n = x.size
    steps = max(0, math.ceil(math.log(max(n / RESOLUTION, 1.0)) / math.log1p(1.0 / RESOLUTION)))
    sizes = np.concatenate([np.arange(1, min(n, RESOLUTION) + 1), np.geomspace(min(n, RESOLUTION), n, steps + 1)])
    starts = np.concatenate([n - sizes.round().astype(np.int64), np.fromiter(also, np.int64), [0]])
    found: NDArray[np.int64] = distinct(np.sort(np.searchsorted(x, x[np.clip(starts, 0, n - 1)], side="left")))
    return found


def condense(x: NDArray[np.float64], also: Iterable[int] = ()) -> Condensed:
    """Put a sample's values together in units.

    Parameters
    ----------
    x : ndarray of float64, shape (n,), C-contiguous
        Positive, finite, ascending.
    also : iterable of int
        Places where a unit is to start: the xmin that was chosen.

    Returns
    -------
    Condensed
    """
    logs, _ = _logs(x)
    starts = grid_starts(x, also)
    counts = np.diff(starts, append=x.size)
    low, high = logs[starts], logs[starts + counts - 1]
    mean = np.clip(np.add.reduceat(logs, starts) / counts, low, high)
    return Condensed(low, high, mean, counts)


def resampled_alphas(sample: Condensed, draws: NDArray[np.float64], min_tail: int, ks: int) -> NDArray[np.float64]:
    """Fit replicas of a sample, choosing xmin among the units again.

    Parameters
    ----------
    sample : Condensed
        The sample.
    draws : ndarray of float64, shape (replicas, 2 units)
        Uniform numbers in ``[0, 1)``.
    min_tail : int
        Fewest values in a tail, at least 2.
    ks : int
        As in `onnxspec.fits.xmin_scan.scan_xmin`.

    Returns
    -------
    ndarray of float64, shape (replicas,)
        Alpha; 0 where a replica has no fit.
    """
    return _resampled(sample.low, sample.high, sample.mean, sample.counts, draws, min_tail, ks)


@jit
def _resampled(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    mean: NDArray[np.float64],
    counts: NDArray[np.int64],
    draws: NDArray[np.float64],
    min_tail: int,
    ks: int,
) -> NDArray[np.float64]:
    """Draw each replica's units and fit it."""
    units = low.size
    alphas = np.zeros(draws.shape[0])
    ends = np.empty(2 * units)
    ranks = np.empty(2 * units, np.int64)
    sums = np.empty(units)
    drawn = np.empty(units, np.int64)
    work = np.empty((3, 64))
    for replica in range(draws.shape[0]):
        total = 0
        kept = 0
        for unit in range(units):
            count = _poisson(counts[unit], draws[replica, 2 * unit], draws[replica, 2 * unit + 1])
            if count > 0:
                ends[2 * kept] = low[unit]
                ends[2 * kept + 1] = high[unit]
                ranks[2 * kept] = total
                ranks[2 * kept + 1] = total + count - 1
                sums[kept] = count * (mean[unit] - low[unit])
                drawn[kept] = count
                total += count
                kept += 1
        # for each start the sum of log(x / x[start]) over its tail: no term is negative
        for unit in range(kept - 2, -1, -1):
            above = total - ranks[2 * unit + 2]
            sums[unit] += sums[unit + 1] + above * (ends[2 * unit + 2] - ends[2 * unit])
        alphas[replica] = _best_alpha(ends[: 2 * kept], ranks[: 2 * kept], sums[:kept], total, min_tail, ks, work)
    return alphas


@jit
def _best_alpha(
    ends: NDArray[np.float64],
    ranks: NDArray[np.int64],
    sums: NDArray[np.float64],
    total: int,
    min_tail: int,
    ks: int,
    work: NDArray[np.float64],
) -> float:
    """Give alpha of the unit whose tail has the smallest KS distance, the lowest among equals; 0 without one."""
    best = np.inf
    chosen = -1
    hint = 0
    for stride in (max(1, sums.size // 16), 1):
        for unit in range(0, sums.size, stride):
            n = total - ranks[2 * unit]
            if n < min_tail or n < 2 or sums[unit] <= 0.0:
                break
            slope = -n / sums[unit]
            tail = ends[2 * unit :]
            if hint > 2 * unit:
                # what refuted the last candidate refutes most others
                law = (1.0 - math.exp(slope * (ends[hint] - tail[0]))) / _law_scale(tail, slope, ks)
                if _deviation(law, ranks[hint] - ranks[2 * unit], n, ks) > best:
                    continue
            found, place = _distance(tail, ranks[2 * unit :], n, slope, ks, best, work)
            hint = 2 * unit + place
            if found < best or (found == best and unit < chosen):
                best = found
                chosen = unit
    if chosen < 0:
        return 0.0
    alpha: float = 1.0 + (total - ranks[2 * chosen]) / sums[chosen]
    return alpha


@jit
def _poisson(mean: int, first: float, second: float) -> int:
    """Draw from the Poisson law: by inversion, or from its expansion about the normal law where the mean is large."""
    if mean > _COUNTED:
        z = math.sqrt(-2.0 * math.log1p(-first)) * math.cos(2.0 * math.pi * second)
        return max(0, math.floor(mean + math.sqrt(mean) * z + (z * z - 1.0) / 6.0 + 0.5))
    term = math.exp(-float(mean))
    below = term
    count = 0
    while first > below and term > 0.0:
        count += 1
        term *= mean / count
        below += term
    return count
