"""Root of an increasing function, for the quantiles of the laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["increasing_root"]

Array = NDArray[np.float64]


def increasing_root(
    function: Callable[[Array], Array], slope: Callable[[Array], Array], target: Array, low: float, high: float
) -> Array:
    """Solve ``function(t) = target`` on ``[low, high]`` by Newton steps inside a shrinking bracket.

    Parameters
    ----------
    function, slope : callable
        Elementwise, non-decreasing function and its derivative.
    target : ndarray of float64
        Values to reach; those outside the function's range give the nearer end.
    low, high : float
        Ends of the bracket.

    Returns
    -------
    ndarray of float64, shape of `target`
    """
    lower = np.full(target.shape, low)
    upper = np.full(target.shape, high)
    point: Array = 0.5 * (lower + upper)
    for _ in range(100):
        excess = function(point) - target
        lower = np.where(excess <= 0.0, point, lower)
        upper = np.where(excess >= 0.0, point, upper)
        gradient = slope(point)
        usable = gradient > 0.0
        newton = point - excess / np.where(usable, gradient, 1.0)
        inside = usable & (newton >= lower) & (newton <= upper)
        moved = np.where(inside, newton, 0.5 * (lower + upper))
        # Newton's error is squared by each step, so the point reached is exact to the last digits.
        done = np.abs(moved - point) <= 1e-10 * np.abs(moved)
        point = moved
        if bool(np.all(done)):
            break
    return point
