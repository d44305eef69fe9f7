"""The Tracy-Widom law (beta = 1): fluctuations of the largest eigenvalue of real noise.

``lambda_max ~ mu + s * TW`` with the centring and scale of `centring`. The law is
interpolated from a table that tools/make_tracy_widom_table.py computes.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.laws._root import increasing_root

__all__ = [
    "MEAN",
    "VARIANCE",
    "cdf",
    "centring",
    "density",
    "first_order_scale",
    "isf",
    "quantile",
    "sf",
    "upper_quantile",
]

Array = NDArray[np.float64]

MEAN = -1.2065335745820
VARIANCE = 1.607781034581
_JOINT = -1.3  # a grid point near the median: log F is interpolated below, log(1 - F) above
_LOWEST, _HIGHEST = -40.0, 120.0


@cache
def _table() -> Array:
    """Load the rows s, log F and its slope, log(1 - F) and its slope."""
    grid, log_cdf, log_sf, pdf = np.load(Path(__file__).with_name("tracy_widom.npy"), allow_pickle=False)
    values = np.vstack([grid, log_cdf, pdf * np.exp(-log_cdf), log_sf, -pdf * np.exp(-log_sf)])
    values.flags.writeable = False
    return values


def _hermite(s: Array, value: Array, slope: Array) -> Array:
    """Interpolate by cubics that take the given values and slopes at the grid points."""
    grid = _table()[0]
    step = grid[1] - grid[0]
    cell = np.clip(np.floor((s - grid[0]) / step).astype(np.intp), 0, grid.size - 2)
    u = (s - grid[cell]) / step
    left, right = value[cell], value[cell + 1]
    rise = right - left
    a = slope[cell] * step - rise
    b = rise - slope[cell + 1] * step
    mixed: Array = left + u * rise + u * (1.0 - u) * ((1.0 - u) * a + u * b)
    return mixed


def _left_shape(s: ArrayLike) -> Array:
    """Give log F up to a constant for s -> -infinity (Baik, Buckingham, DiFranco 2008)."""
    r = np.abs(s)
    return np.asarray(-(r**3) / 24.0 - r**1.5 / (3.0 * math.sqrt(2.0)) - np.log(r) / 16.0)


def _right_shape(s: ArrayLike) -> Array:
    """Give log(1 - F) up to a constant for s -> infinity: half the integral of Ai."""
    s = np.asarray(s, dtype=np.float64)
    zeta = s**1.5 / 1.5
    return np.asarray(-zeta - 0.75 * np.log(s) + np.log1p(-41.0 / (72.0 * zeta)))


def _log_cdf(s: Array) -> Array:
    """Give log F; meant for the left half."""
    grid, value, slope, _, _ = _table()
    start = grid[0]
    inner = _hermite(np.maximum(s, start), value, slope)
    if bool(np.all(s >= start)):
        return inner
    return inner + np.where(s < start, _left_shape(np.minimum(s, start)) - _left_shape(start), 0.0)


def _log_sf(s: Array) -> Array:
    """Give log(1 - F); meant for the right half."""
    grid, _, _, value, slope = _table()
    stop = grid[-1]
    inner = _hermite(np.minimum(s, stop), value, slope)
    if bool(np.all(s <= stop)):
        return inner
    return inner + np.where(s > stop, _right_shape(np.maximum(s, stop)) - _right_shape(stop), 0.0)


def _logs(s: ArrayLike) -> tuple[Array, Array]:
    """Give log F and log(1 - F), each from the smaller of the two."""
    points = np.clip(np.asarray(s, dtype=np.float64), _LOWEST, _HIGHEST)
    left = _log_cdf(np.minimum(points, _JOINT))
    right = _log_sf(np.maximum(points, _JOINT))
    is_left = points < _JOINT
    return np.where(is_left, left, np.log1p(-np.exp(right))), np.where(is_left, np.log1p(-np.exp(left)), right)


def cdf(s: ArrayLike) -> Array:
    """Give the distribution function.

    Tracy and Widom, Commun. Math. Phys. 177 (1996) 727. Absolute error below 1e-7.

    Parameters
    ----------
    s : array_like of float
        Points, in units of the edge's scale.

    Returns
    -------
    ndarray of float64, shape of `s`
    """
    return np.exp(_logs(s)[0])


def sf(s: ArrayLike) -> Array:
    """Give the survival function ``1 - cdf``, with relative precision far out in the right tail.

    Parameters
    ----------
    s : array_like of float
        Points, in units of the edge's scale.

    Returns
    -------
    ndarray of float64, shape of `s`
    """
    return np.exp(_logs(s)[1])


def density(s: ArrayLike) -> Array:
    """Give the density, interpolated on a log scale; absolute error below 1e-4.

    Parameters
    ----------
    s : array_like of float
        Points, in units of the edge's scale.

    Returns
    -------
    ndarray of float64, shape of `s`
    """
    h = 1e-4
    s = np.asarray(s, dtype=np.float64)
    return np.where(s < _JOINT, cdf(s + h) - cdf(s - h), sf(s - h) - sf(s + h)) / (2.0 * h)


def quantile(p: ArrayLike) -> Array:
    """Give the inverse of `cdf`.

    Parameters
    ----------
    p : array_like of float
        Probabilities strictly between 0 and 1.

    Returns
    -------
    ndarray of float64, shape of `p`

    Raises
    ------
    ValueError
        A probability is not strictly between 0 and 1.
    """
    p = np.asarray(p, dtype=np.float64)
    if not bool(np.all((p > 0.0) & (p < 1.0))):
        raise ValueError("Probabilities must lie strictly between 0 and 1.")
    return increasing_root(cdf, density, p, _LOWEST, _HIGHEST)


def isf(q: ArrayLike) -> Array:
    """Give the inverse of `sf`, precise for small `q`.

    Parameters
    ----------
    q : array_like of float
        Probabilities strictly between 0 and 1.

    Returns
    -------
    ndarray of float64, shape of `q`

    Raises
    ------
    ValueError
        A probability is not strictly between 0 and 1.
    """
    q = np.asarray(q, dtype=np.float64)
    if not bool(np.all((q > 0.0) & (q < 1.0))):
        raise ValueError("Probabilities must lie strictly between 0 and 1.")
    return increasing_root(
        lambda s: -_logs(s)[1], lambda s: density(s) / np.maximum(sf(s), 1e-300), -np.log(q), _LOWEST, _HIGHEST
    )


@lru_cache(maxsize=64)
def upper_quantile(level: float) -> float:
    """Give the point that the law exceeds with probability `level`; 2.0234 for 0.01.

    Parameters
    ----------
    level : float
        Probability strictly between 0 and 1.

    Returns
    -------
    float
    """
    return float(isf(level))


def centring(N: int, M: int, sigma: float = 1.0) -> tuple[float, float]:
    """Give centre and scale of lambda_max of X for N x M noise, to second order.

    Ma, Bernoulli 18 (2012) 322: N and M are lowered by one half each.

    Parameters
    ----------
    N, M : int
        Rows and columns of W.
    sigma : float
        Standard deviation of the entries of W.

    Returns
    -------
    mu, s : float
        ``lambda_max ~ mu + s * TW``, in units of the eigenvalues of ``X = W^T W / N``.
    """
    if min(N, M) < 1:
        raise ValueError(f"N is {N} and M is {M}; both must be at least 1.")
    n, m = math.sqrt(N - 0.5), math.sqrt(M - 0.5)
    variance = sigma * sigma
    return variance * (n + m) ** 2 / N, variance * (n + m) * (1.0 / n + 1.0 / m) ** (1.0 / 3.0) / N


def first_order_scale(N: int, M: int, sigma: float = 1.0) -> float:
    """Give the first-order scale of lambda_max, ``sigma^2 (1 + Q^-1/2)^(4/3) Q^-1/2 M^-2/3``.

    Johnstone, Ann. Statist. 29 (2001) 295.

    Parameters
    ----------
    N, M : int
        Rows and columns of W, ``N >= M``.
    sigma : float
        Standard deviation of the entries of W.

    Returns
    -------
    float
        Delta_TW, in units of the eigenvalues of X.
    """
    root = math.sqrt(M / N)
    return float(sigma * sigma * (1.0 + root) ** (4.0 / 3.0) * root * M ** (-2.0 / 3.0))
