"""Truncated power law ``x^-alpha e^(-tpl_lambda x)`` above xmin.

Its normaliser is ``xmin^(1 - alpha) E_alpha(tpl_lambda xmin)`` with the generalised
exponential integral ``E_s(z) = int_1^inf e^(-z t) t^-s dt``, which is evaluated here
for every real s, also where SciPy has no function for it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from onnxspec._jit import jit

__all__ = ["fit_truncated", "log_expint"]

_TINY = 1e-300
_EPS = 1e-17
# zeta(k) / k for k = 2..9: lgamma(1 + e) / e = -euler_gamma + sum (-1)^k zeta(k) / k e^(k - 1)
_LGAMMA = np.array(
    [
        0.8224670334241132,
        0.40068563438653143,
        0.27058080842778454,
        0.20738555102867398,
        0.16955717699740818,
        0.14404989676884612,
        0.12550966952474304,
        0.11133426586956469,
    ]
)
_EULER_GAMMA = 0.5772156649015329
_ALPHA_MIN, _ALPHA_MAX = 0.5, 15.0


@jit
def log_expint(s: float, z: float) -> float:
    """Give the logarithm of the generalised exponential integral.

    Parameters
    ----------
    s : float
        Order, any finite real number.
    z : float
        Positive argument.

    Returns
    -------
    float
        ``log(int_1^inf e^(-z t) t^-s dt)``, to a relative error of E_s of 1e-12 for
        s in -5..20 and z in 1e-12..1e4.

    Notes
    -----
    z >= 1: continued fraction (DLMF 8.19.17 contracted) by Lentz's method. Else the
    power series (DLMF 8.19.10) at an order in [0, 1.5), with the pole at order 1
    taken out by expm1, and the recurrence (DLMF 8.19.12), upward or downward, which
    damps errors in this region.
    """
    if z >= 1.0:
        return _log_fraction(s, z)
    if s >= 0.5:
        steps = math.floor(s - 0.5)
        value = _series(s - steps, z)
        order = s - steps
        decay = math.exp(-z)
        for _ in range(steps):
            value = (decay - z * value) / order
            order += 1.0
        return math.log(value)
    steps = math.ceil(-s) if s < 0.0 else 0
    order = s + steps
    value = _series(order, z)
    decay = math.exp(-z)
    for _ in range(steps):
        order -= 1.0
        value = (decay - order * value) / z
    return math.log(value)


@jit
def _log_fraction(s: float, z: float) -> float:
    """Give log E_s(z) for z >= 1 by its continued fraction."""
    b = z + s
    c = 1.0 / _TINY
    d = 1.0 / (b if b != 0.0 else _TINY)
    h = d
    for k in range(1, 2000):
        a = -k * (s - 1.0 + k)
        b += 2.0
        d = a * d + b
        c = b + a / c
        d = 1.0 / (d if d != 0.0 else _TINY)
        if c == 0.0:
            c = _TINY
        factor = c * d
        h *= factor
        if abs(factor - 1.0) < 1e-16:
            break
    return math.log(h) - z


@jit
def _series(s: float, z: float) -> float:
    """Give E_s(z) for s in [0, 1.5) and z < 1 by its power series."""
    e = 1.0 - s
    if abs(e) < 1e-2:
        slope = -_EULER_GAMMA
        power = 1.0
        for k in range(_LGAMMA.size):
            power *= e if k == 0 else -e
            slope += _LGAMMA[k] * power
    else:
        slope = math.lgamma(1.0 + e) / e
    exponent = slope - math.log(z)
    value = exponent if e == 0.0 else math.expm1(e * exponent) / e
    term = 1.0
    for k in range(1, 100):
        term *= -z / k
        value -= term / (e + k)
        if abs(term) < _EPS:
            break
    return value


@jit
def mean_log_likelihood(alpha: float, cut: float, mean_log: float, mean_ratio: float) -> float:
    """Give the log-likelihood per value of ``z = x / xmin``; `cut` is ``tpl_lambda xmin``, not negative."""
    if cut <= 0.0:
        return math.log(alpha - 1.0) - alpha * mean_log if alpha > 1.0 else -np.inf
    return -alpha * mean_log - cut * mean_ratio - log_expint(alpha, cut)


@jit
def fit_truncated(ratios: NDArray[np.float64]) -> tuple[float, float, float]:
    """Fit a truncated power law by maximum likelihood.

    Parameters
    ----------
    ratios : ndarray of float64, shape (n,)
        The tail divided by xmin: all at least 1, not all equal.

    Returns
    -------
    alpha : float
        Exponent, in 0.5 to 15 (below 1 the cut alone makes the density integrable).
    cut : float
        ``tpl_lambda xmin``, at least 0; 0 is the power law.
    log_likelihood : float
        Sum of the logarithms of the density of the ratios, at least the power law's.

    Notes
    -----
    The family is exponential in (alpha, cut), so the likelihood is concave and a
    simplex search (Nelder and Mead 1965) over (alpha, log cut) finds its maximum.
    """
    n = ratios.size
    mean_log = 0.0
    mean_ratio = 0.0
    largest = 0.0
    for ratio in ratios:
        mean_log += math.log(ratio) / n
        mean_ratio += ratio / n
        largest = max(largest, ratio)
    power_alpha = 1.0 + 1.0 / mean_log
    best = mean_log_likelihood(power_alpha, 0.0, mean_log, mean_ratio)
    alpha, log_cut, value = _simplex(
        min(max(power_alpha - 0.3, _ALPHA_MIN), _ALPHA_MAX),
        -math.log(largest),
        math.log(1e-6 / largest),
        math.log(50.0),
        mean_log,
        mean_ratio,
    )
    if value > best:
        return alpha, math.exp(log_cut), n * value
    return power_alpha, 0.0, n * best


@jit
def _simplex(
    alpha: float, log_cut: float, lowest: float, highest: float, mean_log: float, mean_ratio: float
) -> tuple[float, float, float]:
    """Maximise the likelihood inside the bounds, from a start and a second simplex around its end."""
    points = np.empty((3, 2))
    values = np.empty(3)
    trial = np.empty(2)
    for size in (0.5, 0.05):
        for i in range(3):
            points[i, 0] = alpha + (size if i == 1 else 0.0)
            points[i, 1] = log_cut + (size if i == 2 else 0.0)
            values[i] = _bounded(points[i], lowest, highest, mean_log, mean_ratio)
        for _ in range(400):
            _order(points, values)
            if values[0] - values[2] < 1e-14 * (1.0 + abs(values[0])):
                break
            _nelder_mead_step(points, values, trial, lowest, highest, mean_log, mean_ratio)
        _order(points, values)
        alpha = points[0, 0]
        log_cut = points[0, 1]
    return alpha, log_cut, values[0]


@jit
def _bounded(
    point: NDArray[np.float64], lowest: float, highest: float, mean_log: float, mean_ratio: float
) -> float:
    """Give the likelihood of one point, with minus infinity out of bounds."""
    if not (_ALPHA_MIN <= point[0] <= _ALPHA_MAX and lowest <= point[1] <= highest):
        return -np.inf
    return mean_log_likelihood(point[0], math.exp(point[1]), mean_log, mean_ratio)


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
def _nelder_mead_step(
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    trial: NDArray[np.float64],
    lowest: float,
    highest: float,
    mean_log: float,
    mean_ratio: float,
) -> None:
    """Replace the worst of three sorted points, or shrink towards the best."""
    centre_alpha = 0.5 * (points[0, 0] + points[1, 0])
    centre_cut = 0.5 * (points[0, 1] + points[1, 1])
    best_factor = 0.0
    best_value = values[2]
    reflected = -np.inf
    for factor in (-1.0, -2.0, -0.5, 0.5):
        if factor == -2.0 and not reflected > values[0]:
            continue
        if abs(factor) == 0.5 and reflected > values[1]:
            continue
        trial[0] = centre_alpha + factor * (points[2, 0] - centre_alpha)
        trial[1] = centre_cut + factor * (points[2, 1] - centre_cut)
        value = _bounded(trial, lowest, highest, mean_log, mean_ratio)
        if factor == -1.0:
            reflected = value
        if value > best_value:
            best_value = value
            best_factor = factor
    if best_factor != 0.0:
        points[2, 0] = centre_alpha + best_factor * (points[2, 0] - centre_alpha)
        points[2, 1] = centre_cut + best_factor * (points[2, 1] - centre_cut)
        values[2] = best_value
        return
    for i in range(1, 3):
        for axis in range(2):
            points[i, axis] = 0.5 * (points[0, axis] + points[i, axis])
        values[i] = _bounded(points[i], lowest, highest, mean_log, mean_ratio)
