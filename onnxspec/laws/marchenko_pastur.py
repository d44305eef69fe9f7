"""The Marchenko-Pastur law: eigenvalues of ``X = W^T W / N`` for noise W of shape N x M.

With ``b = 1/Q``, ``beta = sqrt(b)`` and the angle t in [0, pi] defined by
``x = sigma^2 (1 + b - 2 beta cos t)``, the distribution function is ::

    F = t / pi + [beta sin t - (1 - b) atan2(beta sin t, 1 - beta cos t)] / (pi b)

It is the integral of ``(2 / pi) sin^2 t / (1 + b - 2 beta cos t)``, holds for
Q = 1 as it stands and loses no digits near it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.laws._root import increasing_root

__all__ = [
    "angle",
    "angle_of_probability",
    "cdf",
    "density",
    "edges",
    "kurtosis_count",
    "kurtosis_edge",
    "median",
    "probability_of_angle",
    "quantile",
    "sample",
    "sv_density",
    "unit_median",
]

Array = NDArray[np.float64]


def _inverse(Q: float, sigma: float = 1.0) -> float:
    """Give 1/Q, or refuse parameters that the law does not have."""
    if not (Q >= 1.0 and math.isfinite(Q)):
        raise ValueError(f"Q is {Q}; it must be finite and at least 1.")
    if not (sigma > 0.0 and math.isfinite(sigma)):
        raise ValueError(f"sigma is {sigma}; it must be finite and positive.")
    return 1.0 / Q


def _probability(t: Array, b: float) -> Array:
    """Give the distribution function at angles; ``1 - beta cos t`` is formed without cancellation."""
    beta = math.sqrt(b)
    half = np.sin(0.5 * t)
    sine = beta * np.sin(t)
    phase = np.arctan2(sine, (1.0 - b) / (1.0 + beta) + 2.0 * beta * half * half)
    values: Array = t * (1.0 / math.pi) + (sine - (1.0 - b) * phase) * (1.0 / (math.pi * b))
    return values


def _slope(t: Array, b: float) -> Array:
    """Give the derivative of `_probability` by the angle."""
    beta = math.sqrt(b)
    sine, half = np.sin(t), np.sin(0.5 * t)
    # (1 - beta)^2 + 4 beta sin^2(t/2) = x / sigma^2; it is 0 at t = 0 for Q = 1, where the slope is 2 / pi.
    position = ((1.0 - b) / (1.0 + beta)) ** 2 + 4.0 * beta * half * half
    slope: Array = 2.0 / math.pi * sine * sine / (position + 1e-300)
    return slope


def edges(Q: float, sigma: float = 1.0) -> tuple[float, float]:
    """Give both ends of the support, ``sigma^2 (1 -+ 1/sqrt Q)^2``.

    Parameters
    ----------
    Q : float
        Aspect ratio ``N / M``, at least 1.
    sigma : float
        Standard deviation of the entries of W.

    Returns
    -------
    lambda_minus, lambda_plus : float
    """
    b = _inverse(Q, sigma)
    beta = math.sqrt(b)
    return (sigma * (1.0 - b) / (1.0 + beta)) ** 2, (sigma * (1.0 + beta)) ** 2


def density(x: ArrayLike, Q: float, sigma: float = 1.0) -> Array:
    """Give the density ``Q sqrt((lambda_plus - x)(x - lambda_minus)) / (2 pi sigma^2 x)``.

    Marchenko and Pastur, Math. USSR-Sb. 1 (1967) 457. For Q = 1 it diverges as
    ``1/(pi sigma sqrt x)`` towards 0 and is infinite at 0: use `sv_density` there.

    Parameters
    ----------
    x : array_like of float
        Eigenvalues of X.
    Q, sigma : float
        As in `edges`.

    Returns
    -------
    ndarray of float64, shape of `x`
        0 outside the support.
    """
    low, high = edges(Q, sigma)
    x = np.asarray(x, dtype=np.float64)
    inside = (x >= low) & (x <= high) & (x > 0.0)
    safe = np.where(inside, x, 1.0)
    root = np.sqrt(np.maximum(high - safe, 0.0)) * np.sqrt(np.maximum(safe - low, 0.0))
    values = np.where(inside, Q / (2.0 * math.pi * sigma * sigma) * root / safe, 0.0)
    return np.where((x == 0.0) & (low == 0.0), np.inf, values)


def sv_density(nu: ArrayLike, Q: float, sigma: float = 1.0) -> Array:
    """Give the density of ``nu = sqrt(x)``, the singular values of ``W / sqrt(N)``.

    It is bounded for every Q; for Q = 1 it is the quarter circle
    ``sqrt(4 sigma^2 - nu^2) / (pi sigma^2)``.

    Parameters
    ----------
    nu : array_like of float
        Singular values of W divided by sqrt(N).
    Q, sigma : float
        As in `edges`.

    Returns
    -------
    ndarray of float64, shape of `nu`
    """
    low, high = edges(Q, sigma)
    nu = np.asarray(nu, dtype=np.float64)
    square = nu * nu
    inside = (nu >= 0.0) & (square >= low) & (square <= high)
    upper = np.sqrt(np.maximum(high - square, 0.0))
    # sqrt(x - low) / nu is 1 throughout for Q = 1, at 0 too.
    safe = np.where(nu > 0.0, nu, 1.0)
    lower = np.sqrt(np.maximum(square - low, 0.0)) / safe if low > 0.0 else np.ones_like(nu)
    return np.where(inside, Q / (math.pi * sigma * sigma) * upper * lower, 0.0)


def angle(x: ArrayLike, Q: float, sigma: float = 1.0) -> Array:
    """Give the angle t in [0, pi] with ``x = sigma^2 (1 + b - 2 sqrt(b) cos t)``, ``b = 1/Q``.

    Parameters
    ----------
    x : array_like of float
        Eigenvalues of X; values outside the support give 0 or pi.
    Q, sigma : float
        As in `edges`.

    Returns
    -------
    ndarray of float64, shape of `x`
    """
    low, high = edges(Q, sigma)
    x = np.asarray(x, dtype=np.float64)
    return 2.0 * np.arctan2(np.sqrt(np.maximum(x - low, 0.0)), np.sqrt(np.maximum(high - x, 0.0)))


def cdf(x: ArrayLike, Q: float, sigma: float = 1.0) -> Array:
    """Give the distribution function in closed form (see the module's docstring).

    Parameters
    ----------
    x : array_like of float
        Eigenvalues of X.
    Q, sigma : float
        As in `edges`.

    Returns
    -------
    ndarray of float64, shape of `x`
        0 below the support, 1 above it.
    """
    return probability_of_angle(angle(x, Q, sigma), Q)


def quantile(p: ArrayLike, Q: float, sigma: float = 1.0) -> Array:
    """Give the inverse of `cdf`.

    Parameters
    ----------
    p : array_like of float
        Probabilities in [0, 1].
    Q, sigma : float
        As in `edges`.

    Returns
    -------
    ndarray of float64, shape of `p`

    Raises
    ------
    ValueError
        A probability lies outside [0, 1].
    """
    b = _inverse(Q, sigma)
    p = np.asarray(p, dtype=np.float64)
    if not bool(np.all((p >= 0.0) & (p <= 1.0))):
        raise ValueError("Probabilities must lie in [0, 1].")
    low, high = edges(Q, sigma)
    t = increasing_root(lambda u: _probability(u, b), lambda u: _slope(u, b), p, 0.0, math.pi)
    half = np.sin(0.5 * t)
    values = low + 4.0 * sigma * sigma * math.sqrt(b) * half * half
    return np.clip(np.where(p == 0.0, low, np.where(p == 1.0, high, values)), low, high)


def angle_of_probability(p: float, Q: float) -> float:
    """Give the angle at which the distribution function is `p`; the fast scalar form of `quantile`.

    Parameters
    ----------
    p : float
        Probability, strictly between 0 and 1.
    Q : float
        Aspect ratio, at least 1.

    Returns
    -------
    float
        Angle in (0, pi); the quantile is ``sigma^2 (1 + b - 2 sqrt(b) cos t)``.
    """
    b = _inverse(Q)
    if not 0.0 < p < 1.0:
        raise ValueError(f"p is {p}; it must lie strictly between 0 and 1.")
    beta = math.sqrt(b)
    gap = (1.0 - b) / (1.0 + beta)
    low, high = 0.0, math.pi
    t = math.pi * p - 0.74 * beta * math.sin(math.pi * p)  # within 0.02 of the median's angle
    for _ in range(100):
        half = math.sin(0.5 * t)
        rise = 2.0 * beta * half * half
        sine = math.sin(t)
        excess = t / math.pi - p + (beta * sine - (1.0 - b) * math.atan2(beta * sine, gap + rise)) / (math.pi * b)
        if excess > 0.0:
            high = t
        else:
            low = t
        slope = 2.0 / math.pi * sine * sine / (gap * gap + 2.0 * rise)
        moved = t - excess / slope if slope > 0.0 else -1.0
        if not low <= moved <= high:
            moved = 0.5 * (low + high)
        # Newton's error is squared by each step, so the point reached is exact to the last digits.
        if abs(moved - t) <= 1e-8 * t:
            return moved
        t = moved
    return t


def probability_of_angle(t: ArrayLike, Q: float) -> Array:
    """Give the distribution function at angles of `angle`.

    Parameters
    ----------
    t : array_like of float
        Angles in [0, pi].
    Q : float
        Aspect ratio, at least 1.

    Returns
    -------
    ndarray of float64, shape of `t`
    """
    values = _probability(np.asarray(t, dtype=np.float64), _inverse(Q))
    return np.asarray(np.minimum(np.maximum(values, 0.0), 1.0))


def unit_median(Q: float) -> float:
    """Give the median of the law at sigma = 1.

    Parameters
    ----------
    Q : float
        Aspect ratio, at least 1.

    Returns
    -------
    float
    """
    b = _inverse(Q)
    return 1.0 + b - 2.0 * math.sqrt(b) * math.cos(angle_of_probability(0.5, Q))


def median(Q: float, sigma: float = 1.0) -> float:
    """Give the median of the law.

    Parameters
    ----------
    Q, sigma : float
        As in `edges`.

    Returns
    -------
    float
        0.65278 for Q = 1, 0.830466 for Q = 2 (at sigma = 1).
    """
    _inverse(Q, sigma)
    return sigma * sigma * unit_median(Q)


def kurtosis_count(t: ArrayLike, kurtosis: float) -> Array:
    """Give how many eigenvalues more lie below a point because the entries are not Gaussian.

    The term of order 1/M of the mean spectrum (Pan and Zhou, Ann. Appl. Probab. 18
    (2008) 1232), integrated: ``kurtosis sin(2 t) / (2 pi)``, the same for every Q. The
    trace does not change: the spectrum is stretched towards both ends.

    Parameters
    ----------
    t : array_like of float
        Angles of `angle`.
    kurtosis : float
        Excess kurtosis of the entries of W: 0 for Gaussian, 3 for Laplace, -1.2 for uniform ones.

    Returns
    -------
    ndarray of float64, shape of `t`
    """
    return np.asarray(kurtosis / (2.0 * math.pi) * np.sin(2.0 * np.asarray(t, dtype=np.float64)))


def kurtosis_edge(N: int, M: int, kurtosis: float) -> float:
    """Give the shift of the upper edge at sigma = 1 that belongs to `kurtosis_count`.

    Near the edge the count changes as it would if the edge moved by
    ``kurtosis (1 + 1/sqrt Q)^2 / (M sqrt Q)``: it falls as 1/M, the fluctuations of
    the largest eigenvalue as M^(-2/3), so it matters for all but huge matrices.

    Parameters
    ----------
    N, M : int
        Rows and columns of W.
    kurtosis : float
        Excess kurtosis of the entries of W.

    Returns
    -------
    float
        In units of the eigenvalues of X.
    """
    root = math.sqrt(M / N)
    return kurtosis * root * (1.0 + root) ** 2 / M


def sample(rng: np.random.Generator, N: int, M: int, sigma: float = 1.0) -> Array:
    """Draw the eigenvalues of X for one N x M Gaussian matrix.

    The matrix is never formed: a bidiagonal one with chi-distributed entries has
    the same singular values (Dumitriu and Edelman, J. Math. Phys. 43 (2002) 5830).

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    N, M : int
        Rows and columns, ``N >= M >= 1``.
    sigma : float
        Standard deviation of the entries.

    Returns
    -------
    ndarray of float64, shape (M,)
        Descending.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    if not 1 <= M <= N:
        raise ValueError(f"N is {N} and M is {M}; they must satisfy N >= M >= 1.")
    _inverse(N / M, sigma)
    diagonal = np.sqrt(rng.chisquare(N - np.arange(M)))
    below = np.sqrt(rng.chisquare(M - np.arange(1, M))) if M > 1 else np.zeros(0)
    main = diagonal * diagonal
    main[1:] += below * below
    evals = eigvalsh_tridiagonal(main, diagonal[:-1] * below, lapack_driver="sterf")
    return np.asarray(np.maximum(evals[::-1], 0.0) * (sigma * sigma / N))
