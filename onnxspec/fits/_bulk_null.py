"""Finite-size null of the bulk fit: bias and error of sigma^2, and the law of the KS distance.

Read from the table that tools/make_bulk_null.py simulates (Gaussian matrices).
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["P_FLOOR", "distance_p", "variance_null"]

Array = NDArray[np.float64]

P_FLOOR = 1e-4
"""Smallest p-value that `distance_p` gives."""


@cache
def _table() -> tuple[Array, Array, Array, Array]:
    """Load log M, 1/sqrt(Q), the upper-tail levels and the values, shape (M, Q, 2 + levels)."""
    with np.load(Path(__file__).with_name("bulk_null.npz"), allow_pickle=False) as data:
        return data["log_M"], data["root"], data["levels"], data["values"]


def _cell(grid: Array, x: float, *, extrapolate: bool) -> tuple[int, float]:
    """Give the cell of an ascending grid and the position in it."""
    i = min(max(int(np.searchsorted(grid, x)) - 1, 0), grid.size - 2)
    u = float((x - grid[i]) / (grid[i + 1] - grid[i]))
    return i, max(u, 0.0) if extrapolate else min(max(u, 0.0), 1.0)


def _row(M: int, Q: float) -> Array:
    """Interpolate all tabulated values, linearly in log M (beyond the last too) and 1/sqrt(Q)."""
    log_m, root, _, values = _table()
    i, u = _cell(log_m, math.log(M), extrapolate=True)
    j, v = _cell(root, 1.0 / math.sqrt(Q), extrapolate=False)
    low = (1.0 - v) * values[i, j] + v * values[i, j + 1]
    high = (1.0 - v) * values[i + 1, j] + v * values[i + 1, j + 1]
    mixed: Array = (1.0 - u) * low + u * high
    return mixed


def variance_null(M: int, Q: float) -> tuple[float, float]:
    """Give mean and standard deviation of sigma^2 estimated by the median, at sigma = 1.

    Parameters
    ----------
    M : int
        Eigenvalues of the noise, at least 10.
    Q : float
        Aspect ratio.

    Returns
    -------
    mean, stderr : float
    """
    row = _row(M, Q)
    return 1.0 + float(row[0]) / M, math.sqrt(float(row[1])) / (M * math.sqrt(Q))


def distance_p(distance: float, M: int, Q: float) -> float:
    """Give the probability that noise has a larger KS distance from its fitted law.

    Eigenvalues are rigid: the distance falls as log M / M, far below that of
    independent values, so Kolmogorov's table would have no power here.

    Parameters
    ----------
    distance : float
        KS distance of the bulk.
    M : int
        Eigenvalues of the bulk, at least 10.
    Q : float
        Aspect ratio of the bulk.

    Returns
    -------
    float
        Between `P_FLOOR` and 1. Below the last tabulated level log p is continued
        as a straight line, which overstates p.
    """
    levels = _table()[2]
    quantiles = _row(M, Q)[2:]
    scaled = distance * M
    logs = np.log(levels)
    if scaled >= quantiles[-1]:
        far = int(np.searchsorted(-levels, -0.05))
        slope = (logs[-1] - logs[far]) / (quantiles[-1] - quantiles[far])
        return max(P_FLOOR, math.exp(float(logs[-1] + slope * (scaled - quantiles[-1]))))
    if scaled <= quantiles[0]:
        return 1.0 if scaled <= 0.5 else float(np.interp(scaled, [0.5, quantiles[0]], [1.0, levels[0]]))
    return math.exp(float(np.interp(scaled, quantiles, logs)))
