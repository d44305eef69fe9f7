"""Kernels of the power-law fit: the KS distance of every candidate for xmin.

A plain scan costs one exponential for each pair of candidate and value. Here a
candidate is left as soon as one deviation exceeds the best distance so far, the
place where the last candidate failed is tried first, and a stretch of the sorted
sample is skipped when its two ends show that it cannot hold the maximum (F is
monotone). None of this changes the result: every distance that is returned is the
maximum over the whole tail.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxspec._jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["chosen_candidates", "scan_xmin"]

_TWO_SIDED = 1  # order of settings.KSMode
_SEED2018 = 2
_COARSE = 16  # candidates of the warm start, and stretches of one tail
_DEPTH = 64  # halvings of one stretch: enough for any index
_SMALLEST = 2.0**-1000  # below, a quotient may lose digits or vanish
_LOG_1550 = 1550 * math.log(2.0)
_SLACK = 4e-15  # exp is monotone only to a rounding error


@jit
def _logs(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give log(x / max x), and for each start the sum of log(x / x[start]) over its tail.

    Near the maximum log1p keeps the relative precision of nearly equal values, and the
    sum has no negative term, so a narrow spectrum loses no digits. All depends on the
    ratios of the values alone, so a power of two changes no bit.
    """
    n = x.size
    logs = np.empty(n)
    sums = np.empty(n)
    top = x[n - 1]
    logs[n - 1] = 0.0
    sums[n - 1] = 0.0
    for i in range(n - 2, -1, -1):
        value = x[i]
        ratio = value / top
        if ratio > 0.5:
            log = math.log1p((value - top) / top)
        elif ratio > _SMALLEST:
            log = math.log(ratio)
        else:
            log = math.log(value * 2.0**775 / (top * 2.0**-775)) - _LOG_1550
        log = min(log, logs[i + 1])
        sums[i] = sums[i + 1] + (n - 1 - i) * (logs[i + 1] - log)
        logs[i] = log
    return logs, sums


@jit
def _deviation(law: float, i: int, n: int, ks: int) -> float:
    """Give the distance between the law's and the sample's distribution at value i of n."""
    below = law - i / n
    above = (i + 1) / n - law if ks == _TWO_SIDED else -below
    return max(below, above)


@jit
def _law_scale(tail: NDArray[np.float64], slope: float, ks: int) -> float:
    """Give what the law's distribution is divided by: its value at the maximum for seed2018."""
    if ks == _SEED2018:
        return 1.0 - math.exp(slope * (tail[tail.size - 1] - tail[0]))
    return 1.0


@jit
def _distance(
    tail: NDArray[np.float64],
    ranks: NDArray[np.int64],
    n: int,
    slope: float,
    ks: int,
    best: float,
    work: NDArray[np.float64],
) -> tuple[float, int]:
    """Give the KS distance of one tail and the index where it was found.

    The search ends at the first deviation above `best`, which is then what it gives.
    `tail` holds the logarithms at which the law is compared with the sample, `ranks` how
    many of the sample's `n` values come before each (counted from that of the first),
    `slope` is ``1 - alpha``, and `work` is a workspace (3, _DEPTH): the law at the ends of
    the stretches, and a stack of indices and laws.
    """
    last = tail.size - 1
    origin = tail[0]
    before = ranks[0]
    scale = _law_scale(tail, slope, ks)
    step = max(1, (last + _COARSE - 1) // _COARSE)
    largest = _deviation(0.0, 0, n, ks)
    place = 0
    if largest > best:
        return largest, place
    # the end of each stretch first: a large deviation lets most stretches be skipped
    stretches = 0
    i = 0
    while i < last:
        i = min(i + step, last)
        law = (1.0 - math.exp(slope * (tail[i] - origin))) / scale
        work[0, stretches] = law
        stretches += 1
        found = _deviation(law, ranks[i] - before, n, ks)
        if found > largest:
            largest = found
            place = i
            if largest > best:
                return largest, place

    reach = 1 if ks == _TWO_SIDED else 0
    left = 0
    left_law = 0.0
    for k in range(stretches):
        # halve until no part can hold more; the stack holds right ends, the nearest on top
        work[1, 0] = min(left + step, last)
        work[2, 0] = work[0, k]
        depth = 0
        while depth >= 0:
            right = int(work[1, depth])
            right_law = work[2, depth]
            if right - left < 2 or (
                max(
                    right_law - (ranks[left + 1] - before) / n,
                    (ranks[right - 1] - before + reach) / n - left_law,
                )
                + _SLACK
                <= largest
            ):
                left = right
                left_law = right_law
                depth -= 1
                continue
            middle = (left + right) // 2
            law = (1.0 - math.exp(slope * (tail[middle] - origin))) / scale
            found = _deviation(law, ranks[middle] - before, n, ks)
            if found > largest:
                largest = found
                place = middle
                if largest > best:
                    return largest, place
            depth += 1
            work[1, depth] = middle
            work[2, depth] = law
    return largest, place


@jit
def scan_xmin(x: NDArray[np.float64], min_tail: int, ks: int) -> tuple[int, float, float]:
    """Find the start of the tail with the smallest KS distance to its power law.

    Parameters
    ----------
    x : ndarray of float64, shape (n,), C-contiguous
        Positive, finite, ascending. Not checked.
    min_tail : int
        Fewest values in a tail, at least 2. Not checked.
    ks : int
        0 grid, 1 two_sided, 2 seed2018: `onnxspec.fits.power_law.KS_CODES`.

    Returns
    -------
    start : int
        ``x[start]`` is xmin, the first of equal values; -1 where no candidate exists.
    alpha : float
        Exponent, ``1 + n_tail / sum log(x / xmin)`` (Clauset et al. 2009, eqn 3.1).
    D : float
        KS distance. Both are 0 where no candidate exists.

    Notes
    -----
    Compiled, free of the GIL, callable from other kernels (a bootstrap). Needs a
    workspace of three arrays of n elements and one of 192, which it allocates.
    """
    n = x.size
    if n < 2 or n < min_tail:
        return -1, 0.0, 0.0
    logs, sums = _logs(x)
    work = np.empty((3, _DEPTH))
    ranks = np.arange(n)
    candidates = n - min_tail + 1
    best = np.inf
    best_start = -1
    hint = 0
    for stride in (max(1, candidates // _COARSE), 1):
        for start in range(0, candidates, stride):
            if x[start] == x[n - 1]:
                break
            if start > 0 and x[start] == x[start - 1]:
                continue
            slope = -(n - start) / sums[start]
            tail = logs[start:]
            if hint > start:
                law = (1.0 - math.exp(slope * (logs[hint] - logs[start]))) / _law_scale(tail, slope, ks)
                if _deviation(law, hint - start, n - start, ks) > best:
                    continue
            found, place = _distance(tail, ranks[start:], n - start, slope, ks, best, work)
            hint = start + place
            if found < best or (found == best and start < best_start):
                best = found
                best_start = start
    if best_start < 0:
        return -1, 0.0, 0.0
    return best_start, 1.0 + (n - best_start) / sums[best_start], best


@jit
def chosen_candidates(
    x: NDArray[np.float64], starts: NDArray[np.int64], ks: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give alpha and KS distance of some candidates.

    Parameters
    ----------
    x, ks
        As in `scan_xmin`.
    starts : ndarray of int64, shape (candidates,)
        Where their tails start, from `onnxspec.fits.candidates.candidates`.

    Returns
    -------
    alpha, D : ndarray of float64, shape (candidates,)
        Exponent and KS distance of each.
    """
    n = x.size
    alphas = np.empty(starts.size)
    distances = np.empty(starts.size)
    if starts.size > 0:
        logs, sums = _logs(x)
        work = np.empty((3, _DEPTH))
        ranks = np.arange(n)
        for i in range(starts.size):
            start = starts[i]
            slope = -(n - start) / sums[start]
            alphas[i] = 1.0 - slope
            distances[i] = _distance(logs[start:], ranks[start:], n - start, slope, ks, np.inf, work)[0]
    return alphas, distances
