"""The KS distances of the candidates for xmin, in NumPy: one fit, without the start-up cost of compiled code.

`onnxspec.fits.xmin_scan` is the compiled twin, which the bootstrap calls thousands of
times. Here the deviations at a few values of each tail bound its distance from below;
most candidates are out after 16 of them, and only those that might win are computed
over the whole tail. Every distance that is returned is the maximum over the whole tail.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.int64]

__all__ = ["best_candidate", "candidates", "distance", "distances", "finite", "positive_ascending", "tail_logs"]

_TWO_SIDED = 1  # order of settings.KSMode
_SEED2018 = 2
_SAMPLES = (16, 128, 1024)  # values of a tail that bound its distance, in one round after the other
_ELEMENTS = 2**18  # of one work array
_TOGETHER = 2**14  # values of several tails whose distances are computed at once
_SMALLEST = 2.0**-1000  # below, a quotient may lose digits or vanish
_LOG_1550 = 1550 * math.log(2.0)


def finite(evals: ArrayLike) -> Array:
    """Give values as a vector of float64.

    Raises
    ------
    ValueError
        A value is not finite.
    """
    values = np.asarray(evals, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError("evals must be finite")
    return values


def positive_ascending(evals: ArrayLike) -> Array:
    """Give the positive values, ascending, as all that looks at tails needs them."""
    values = np.asarray(evals, dtype=np.float64).ravel()
    x: Array = np.sort(values[values > 0.0])
    return x


def tail_logs(x: Array) -> tuple[Array, Array]:
    """Give log(x / max x), and for each start the sum of log(x / x[start]) over its tail.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Positive, finite, ascending. Not checked.

    Returns
    -------
    logs, sums : ndarray of float64, shape (n,)

    Notes
    -----
    Near the maximum log1p keeps the relative precision of nearly equal values, and the
    sums have no negative term, so a narrow spectrum loses no digits. All depends on the
    ratios of the values alone, so a power of two changes no bit.
    """
    n = x.size
    top = x[-1]
    with np.errstate(under="ignore"):
        ratio = x / top
    logs = np.empty(n)
    near, far = ratio > 0.5, ratio <= _SMALLEST
    middle = ~(near | far)
    logs[near] = np.log1p((x[near] - top) / top)
    logs[middle] = np.log(ratio[middle])
    if far.any():
        logs[far] = np.log(x[far] * 2.0**775 / (top * 2.0**-775)) - _LOG_1550
    logs[-1] = 0.0
    logs = np.minimum.accumulate(logs[::-1])[::-1].copy()
    sums = np.zeros(n)
    sums[:-1] = np.cumsum(np.arange(1, n) * np.diff(logs)[::-1])[::-1]
    return logs, sums


def candidates(x: Array, min_tail: int) -> Indices:
    """Give the starts that a tail may have: the first of equal values, not the maximum, `min_tail` values above.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Ascending.
    min_tail : int
        Fewest values in a tail, at least 2.

    Returns
    -------
    ndarray of int64, ascending
    """
    room = max(0, x.size - min_tail + 1)
    first = np.ones(room, dtype=bool)
    first[1:] = x[1:room] != x[: room - 1] if room else False
    found: Indices = np.flatnonzero(first & (x[:room] != x[-1:]))
    return found


def distance(logs: Array, sums: Array, start: int, ks: int) -> float:
    """Give the KS distance of one tail to its power law.

    Parameters
    ----------
    logs, sums : ndarray of float64, shape (n,)
        From `tail_logs`.
    start : int
        Where the tail starts.
    ks : int
        0 grid, 1 two_sided, 2 seed2018: `onnxspec.fits.power_law.KS_CODES`.

    Returns
    -------
    float
    """
    n = logs.size - start
    return float(_deviations(logs, np.arange(n), np.array([start]), -n / sums[start], n, ks).max())


def distances(logs: Array, sums: Array, starts: Indices, ks: int) -> Array:
    """Give the KS distances of several tails, many short ones at a time.

    Parameters
    ----------
    logs, sums, ks
        As in `distance`.
    starts : ndarray of int64, ascending
        Where the tails start.

    Returns
    -------
    ndarray of float64, shape (starts,)
    """
    found = np.empty(starts.size)
    first = 0
    while first < starts.size:
        longest = logs.size - int(starts[first])
        part = starts[first : first + max(1, _TOGETHER // longest), np.newaxis]
        n = logs.size - part
        places = np.minimum(np.arange(longest), n - 1)  # a shorter tail has its last value several times
        deviations = _deviations(logs, places, part, -n / sums[part], n, ks)
        found[first : first + len(part)] = deviations.max(axis=1)
        first += len(part)
    return found


def best_candidate(x: Array, min_tail: int, ks: int) -> tuple[int, float, float]:
    """Find the start of the tail with the smallest KS distance to its power law.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Positive, finite, ascending. Not checked.
    min_tail : int
        Fewest values in a tail, at least 2. Not checked.
    ks : int
        As in `distance`.

    Returns
    -------
    start : int
        ``x[start]`` is xmin, the first of equal values; -1 where no candidate exists.
    alpha : float
        Exponent, ``1 + n_tail / sum log(x / xmin)`` (Clauset et al. 2009, eqn 3.1).
    D : float
        KS distance. Both are 0 where no candidate exists.
    """
    starts = candidates(x, min_tail)
    if not starts.size:
        return -1, 0.0, 0.0
    logs, sums = tail_logs(x)
    best, chosen = math.inf, -1
    bounds = np.zeros(starts.size)
    for samples in _SAMPLES:
        if samples * 2 > x.size:
            break
        bounds = _bounds(logs, sums, starts, samples, ks)
        likely = int(starts[np.argmin(bounds)])
        found = distance(logs, sums, likely, ks)
        if found < best or (found == best and likely < chosen):
            best, chosen = found, likely
        kept = bounds <= best
        starts, bounds = starts[kept], bounds[kept]
    for i in np.argsort(bounds, kind="stable").tolist():
        if bounds[i] > best:
            break
        start = int(starts[i])
        found = distance(logs, sums, start, ks)
        if found < best or (found == best and start < chosen):
            best, chosen = found, start
    return chosen, float(1.0 + (x.size - chosen) / sums[chosen]), best


def _bounds(logs: Array, sums: Array, starts: Indices, samples: int, ks: int) -> Array:
    """Give for each tail the largest of the deviations at some of its values."""
    bounds = np.empty(starts.size)
    share = np.linspace(0.0, 1.0, samples)
    size = max(1, _ELEMENTS // samples)
    for first in range(0, starts.size, size):
        part = starts[first : first + size, np.newaxis]
        n = logs.size - part
        places = (share * (n - 1)).astype(np.int64)
        bounds[first : first + size] = _deviations(logs, places, part, -n / sums[part], n, ks).max(axis=1)
    return bounds


def _deviations(logs: Array, places: Indices, start: Indices, slope: Array | float, n: Indices | int, ks: int) -> Array:
    """Give the distance between the law's and the sample's distribution at some values of tails of n."""
    law = slope * (logs[start + places] - logs[start])
    np.exp(law, out=law)
    np.subtract(1.0, law, out=law)
    if ks == _SEED2018:
        law /= 1.0 - np.exp(slope * (logs[-1] - logs[start]))
    below: Array = law - places / n
    both: Array = np.maximum(below, (places + 1) / n - law) if ks == _TWO_SIDED else np.abs(below, out=below)
    return both
