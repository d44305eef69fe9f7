"""Normaliser of the truncated power law ``x^-alpha e^(-tpl_lambda x)`` above xmin.

It is ``xmin^(1 - alpha) E_alpha(tpl_lambda xmin)`` with the generalised exponential
integral ``E_s(z) = int_1^inf e^(-z t) t^-s dt``, which is evaluated here for every
real s: SciPy has it for whole numbers only.
"""

from __future__ import annotations

import math

import numpy as np

from onnxspec._jit import jit

__all__ = ["log_expint"]

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
