"""Maximum-likelihood fits of the families that compete with a power law above xmin.

All work on ``z = x / xmin``; a density of x is the density of z divided by xmin.
The truncated power law and the lognormal are exponential families of two
parameters, the second one (cut, curvature) not negative, and both are the power law
where it is 0: so their likelihoods are concave and never below the power law's.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnxspec._jit import jit
from onnxspec.fits.truncated import log_expint

__all__ = ["fit_lognormal", "fit_stretched", "fit_truncated", "log_gauss_tail"]

_TRUNCATED = 0
_LOGNORMAL = 1
_STEPS = 600


def fit_truncated(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Fit ``p(z) ~ z^-alpha e^(-cut z)``.

    Parameters
    ----------
    logs : ndarray of float64, shape (n,)
        ``log(x / xmin)``: not negative, not all 0.

    Returns
    -------
    alpha : float
        Exponent, in 0.5 to 15 (below 1 the cut alone makes the density integrable),
        or the power law's own.
    cut : float
        ``tpl_lambda xmin``; 0 is the power law.
    """
    mean_log = float(logs.mean())
    mean_ratio = float(np.exp(logs).mean())
    power = 1.0 + 1.0 / mean_log
    largest = float(logs.max())
    bounds = np.array([0.5, 15.0, math.log(1e-6) - largest, math.log(50.0)])
    alpha, cut, value = _maximum(_TRUNCATED, power - 0.3, -largest, bounds, mean_log, mean_ratio)
    if value > math.log(power - 1.0) - power * mean_log:
        return alpha, cut
    return power, 0.0


def fit_lognormal(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Fit ``p(z) ~ z^-1 e^(-slope y - curvature y^2)`` with ``y = log z``, a lognormal cut at xmin.

    Parameters
    ----------
    logs : ndarray of float64, shape (n,)
        ``log(x / xmin)``: not negative, not all 0.

    Returns
    -------
    slope, curvature : float
        The lognormal has ``sigma^2 = 1 / (2 curvature)`` and
        ``mu = log xmin - slope / (2 curvature)``; curvature 0 is the power law with
        ``alpha = 1 + slope``.
    """
    scale = float(logs.mean())
    mean_square = float(np.square(logs / scale).mean())
    bounds = np.array([-1e5, 3.0, math.log(1e-9), math.log(1e6)])
    slope, curvature, value = _maximum(_LOGNORMAL, 0.5, math.log(0.1), bounds, 1.0, mean_square)
    if value > -1.0:
        return slope / scale, curvature / scale**2
    return 1.0 / scale, 0.0


@jit
def fit_stretched(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Fit ``p(z) = beta c z^(beta - 1) e^(-c (z^beta - 1))``, a stretched exponential cut at xmin.

    Parameters
    ----------
    logs : ndarray of float64, shape (n,)
        ``log(x / xmin)``: not negative, not all 0.

    Returns
    -------
    beta, c : float
        ``c = (rate xmin)^beta``, by ``1 / mean(z^beta - 1)`` at every beta; beta 0,
        with c then the exponent less 1, is the power law, its limit.
    """
    mean_log = logs.sum() / logs.size
    highest = math.log(min(50.0, 600.0 / logs.max()))
    lowest = math.log(1e-4 / (1.0 + mean_log))
    grid = 48
    best = -math.log(mean_log) - mean_log - 1.0
    place = -1
    for i in range(grid + 1):
        value = _stretched_likelihood(logs, mean_log, math.exp(lowest + (highest - lowest) * i / grid))
        if value > best:
            best = value
            place = i
    if place < 0:
        return 0.0, 1.0 / mean_log
    step = (highest - lowest) / grid
    left = lowest + step * max(place - 1, 0)
    right = lowest + step * min(place + 1, grid)
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    for _ in range(60):
        low = right - golden * (right - left)
        high = left + golden * (right - left)
        if _stretched_likelihood(logs, mean_log, math.exp(low)) < _stretched_likelihood(logs, mean_log, math.exp(high)):
            left = low
        else:
            right = high
    beta = math.exp(0.5 * (left + right))
    return beta, _stretched_rate(logs, beta)


@jit
def _stretched_rate(logs: NDArray[np.float64], beta: float) -> float:
    """Give the best c at one beta."""
    total = 0.0
    for log in logs:
        total += math.expm1(beta * log)
    return logs.size / total


@jit
def _stretched_likelihood(logs: NDArray[np.float64], mean_log: float, beta: float) -> float:
    """Give the log-likelihood per value at the best c."""
    return math.log(beta) + math.log(_stretched_rate(logs, beta)) + (beta - 1.0) * mean_log - 1.0


@jit
def log_gauss_tail(slope: float, curvature: float) -> float:
    """Give ``log int_0^inf e^(-slope y - curvature y^2) dy`` for a positive curvature."""
    t = 0.5 * slope / math.sqrt(curvature)
    if t < 20.0:
        return 0.5 * math.log(0.25 * math.pi / curvature) + t * t + math.log(math.erfc(t))
    # erfc's asymptotic series (DLMF 7.12.1), since erfc itself underflows
    term = 1.0
    total = 1.0
    for k in range(1, 8):
        term *= -(2.0 * k - 1.0) / (2.0 * t * t)
        total += term
    return math.log(total / slope)


@jit
def _value(kind: int, first: float, log_second: float, bounds: NDArray[np.float64], s1: float, s2: float) -> float:
    """Give the log-likelihood per value, minus infinity out of bounds; s1 and s2 are the sufficient means."""
    if not (bounds[0] <= first <= bounds[1] and bounds[2] <= log_second <= bounds[3]):
        return -np.inf
    second = math.exp(log_second)
    normaliser = log_expint(first, second) if kind == _TRUNCATED else log_gauss_tail(first, second)
    return -first * s1 - second * s2 - normaliser


@jit
def _maximum(
    kind: int, first: float, log_second: float, bounds: NDArray[np.float64], s1: float, s2: float
) -> tuple[float, float, float]:
    """Maximise over (first, log second) by Nelder and Mead's simplex, with one restart."""
    first = min(max(first, bounds[0]), bounds[1] - 0.5)
    points = np.empty((3, 2))
    values = np.empty(3)
    for size in (0.5, 0.05):
        for i in range(3):
            points[i, 0] = first + (size if i == 1 else 0.0)
            points[i, 1] = log_second + (size if i == 2 else 0.0)
            values[i] = _value(kind, points[i, 0], points[i, 1], bounds, s1, s2)
        for _ in range(_STEPS):
            _order(points, values)
            if values[0] - values[2] < 1e-14 * (1.0 + abs(values[0])):
                break
            _step(kind, points, values, bounds, s1, s2)
        _order(points, values)
        first = points[0, 0]
        log_second = points[0, 1]
    return first, math.exp(log_second), values[0]


@jit
def _order(points: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Sort three points by value, the best first."""
    for i in range(1, 3):
        for j in range(i, 0, -1):
            if values[j] > values[j - 1]:
                values[j], values[j - 1] = values[j - 1], values[j]
                for axis in range(2):
                    points[j, axis], points[j - 1, axis] = points[j - 1, axis], points[j, axis]


@jit
def _step(
    kind: int,
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    bounds: NDArray[np.float64],
    s1: float,
    s2: float,
) -> None:
    """Replace the worst of three sorted points by a better one on its line, or shrink towards the best."""
    first = 0.5 * (points[0, 0] + points[1, 0])
    second = 0.5 * (points[0, 1] + points[1, 1])
    first_away = points[2, 0] - first
    second_away = points[2, 1] - second
    reflected = _value(kind, first - first_away, second - second_away, bounds, s1, s2)
    factor = -1.0
    value = reflected
    if reflected > values[0]:
        further = _value(kind, first - 2.0 * first_away, second - 2.0 * second_away, bounds, s1, s2)
        if further > reflected:
            factor = -2.0
            value = further
    elif reflected <= values[1]:
        factor = -0.5 if reflected > values[2] else 0.5
        value = _value(kind, first + factor * first_away, second + factor * second_away, bounds, s1, s2)
    if value > values[2]:
        points[2, 0] = first + factor * first_away
        points[2, 1] = second + factor * second_away
        values[2] = value
        return
    for i in range(1, 3):
        for axis in range(2):
            points[i, axis] = 0.5 * (points[0, axis] + points[i, axis])
        values[i] = _value(kind, points[i, 0], points[i, 1], bounds, s1, s2)
