"""The spiked model: noise plus a signal of low rank, ``W = sigma G + U diag(d) V^T``.

G is N x M with iid unit entries. The strength of a spike is
``theta = d / (sigma sqrt N)``, d a singular value of the signal; ``c = 1/Q``. Above
the threshold ``theta = c^(1/4)`` (Baik, Ben Arous, Peche, Ann. Probab. 33 (2005)
1643) it puts one eigenvalue of X beyond the bulk. Formulas: Benaych-Georges and
Nadakuditi, J. Multivariate Anal. 111 (2012) 120.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "bbp_threshold",
    "displaced_count",
    "haar",
    "outlier",
    "overlaps",
    "sample",
    "shrink",
    "strength",
    "sub_threshold_bound",
]

Array = NDArray[np.float64]


def _inverse(Q: float) -> float:
    """Give c = 1/Q, or refuse an aspect ratio below 1."""
    if not (Q >= 1.0 and math.isfinite(Q)):
        raise ValueError(f"Q is {Q}; it must be finite and at least 1.")
    return 1.0 / Q


def bbp_threshold(Q: float) -> float:
    """Give the strength theta above which a spike leaves the bulk, ``Q^(-1/4)``.

    Parameters
    ----------
    Q : float
        Aspect ratio ``N / M``, at least 1.

    Returns
    -------
    float
        As a singular value of the signal it is ``sigma (N M)^(1/4)``, see `sub_threshold_bound`.
    """
    return float(_inverse(Q) ** 0.25)


def sub_threshold_bound(N: int, M: int, sigma: float = 1.0) -> float:
    """Give the largest singular value d that a signal can have without an outlier, ``sigma (N M)^(1/4)``.

    Parameters
    ----------
    N, M : int
        Rows and columns of W.
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    float
        In units of the singular values of W.
    """
    return float(sigma * (N * M) ** 0.25)


def outlier(theta: ArrayLike, Q: float, sigma: float = 1.0) -> Array:
    """Give the eigenvalue of X that a spike leads to, ``sigma^2 (1 + theta^2)(c + theta^2) / theta^2``.

    Parameters
    ----------
    theta : array_like of float
        Strengths.
    Q, sigma : float
        Aspect ratio, and standard deviation of the noise.

    Returns
    -------
    ndarray of float64, shape of `theta`
        ``lambda_plus``, the edge of the bulk, at and below the threshold.
    """
    c = _inverse(Q)
    square = np.maximum(np.asarray(theta, dtype=np.float64) ** 2, math.sqrt(c))
    return sigma * sigma * (1.0 + square) * (c + square) / square


def strength(eigenvalue: float, Q: float, sigma: float = 1.0) -> float | None:
    """Give the strength theta of the spike behind an eigenvalue of X; the inverse of `outlier`.

    Parameters
    ----------
    eigenvalue : float
        Eigenvalue of X.
    Q, sigma : float
        Aspect ratio, and standard deviation of the noise.

    Returns
    -------
    float or None
        ``None`` where the eigenvalue lies inside the bulk: only the bound
        `sub_threshold_bound` is known then. ``d = theta sigma sqrt(N)``.
    """
    c = _inverse(Q)
    excess = eigenvalue / (sigma * sigma) - 1.0 - c
    width = 2.0 * math.sqrt(c)
    if excess <= width:
        return None
    return math.sqrt(0.5 * (excess + math.sqrt(excess - width) * math.sqrt(excess + width)))


def overlaps(theta: ArrayLike, Q: float) -> tuple[Array, Array]:
    """Give the squared overlaps of the singular vectors of W with those of the signal.

    Parameters
    ----------
    theta : array_like of float
        Strengths.
    Q : float
        Aspect ratio, at least 1.

    Returns
    -------
    right, left : ndarray of float64, shape of `theta`
        For the vectors with M and with N entries: ``(theta^4 - c) / (theta^4 + c theta^2)``
        and ``(theta^4 - c) / (theta^4 + theta^2)``; 0 at and below the threshold.
    """
    c = _inverse(Q)
    square = np.asarray(theta, dtype=np.float64) ** 2
    above = square * square > c
    safe = np.where(above, square, 1.0)
    gain = np.where(above, safe * safe - c, 0.0)
    return gain / (safe * safe + c * safe), gain / (safe * safe + safe)


def shrink(eigenvalues: ArrayLike, N: int, M: int, sigma: float = 1.0) -> Array:
    """Give the singular values that estimate the signal with least squared error.

    Gavish and Donoho, IEEE Trans. Inf. Theory 63 (2017) 2137 (Frobenius loss):
    ``sigma sqrt(N) sqrt((x - 1 - c)^2 - 4 c) / sqrt(x)``, ``x = eigenvalue / sigma^2``.

    Parameters
    ----------
    eigenvalues : array_like of float
        Eigenvalues of X.
    N, M : int
        Rows and columns of W, ``N >= M``.
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    ndarray of float64, shape of `eigenvalues`
        In units of the singular values of W; 0 inside the bulk.
    """
    c = _inverse(N / M)
    x = np.asarray(eigenvalues, dtype=np.float64) / (sigma * sigma)
    above = x > (1.0 + math.sqrt(c)) ** 2
    safe = np.where(above, x, 1.0)
    root = np.sqrt(np.maximum((safe - 1.0 - c) ** 2 - 4.0 * c, 0.0) / safe)
    return np.where(above, sigma * math.sqrt(N) * root, 0.0)


def displaced_count(angle: ArrayLike, theta: ArrayLike, Q: float) -> Array:
    """Give how many bulk eigenvalues more lie below a point because the spikes are not infinitely strong.

    A spike takes one eigenvalue out of the bulk and moves the others. Where it is
    infinitely strong, the rest is the spectrum of an (N-1) x (M-1) noise matrix. Else
    the count below the angle t changes by the phase of ``1 - theta^2 D(x)``, D the
    D-transform of the law: beyond the former by ``atan2(sin t', r - cos t') / pi``, with
    ``r = (theta / threshold)^2`` and ``t' = pi - t``, summed over the spikes.

    Parameters
    ----------
    angle : array_like of float
        Points of the bulk as angles of `marchenko_pastur.angle`.
    theta : array_like of float
        Strengths of the spikes, at or above the threshold.
    Q : float
        Aspect ratio of the remaining noise.

    Returns
    -------
    ndarray of float64, shape of `angle`
        0 at both edges.
    """
    flipped = math.pi - np.asarray(angle, dtype=np.float64)
    ratio = np.asarray(theta, dtype=np.float64).reshape(-1) ** 2 * math.sqrt(Q)
    phases = np.arctan2(np.sin(flipped)[..., None], ratio - np.cos(flipped)[..., None])
    return np.asarray(phases.sum(axis=-1) / math.pi)


def haar(rng: np.random.Generator, n: int, k: int) -> Array:
    """Draw k orthonormal vectors of length n, uniformly.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    n, k : int
        Length and number of the vectors, ``k <= n``.

    Returns
    -------
    ndarray of float64, shape (n, k)
    """
    q, r = np.linalg.qr(rng.standard_normal((n, k)))
    signed: Array = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
    return signed


def sample(rng: np.random.Generator, N: int, M: int, theta: ArrayLike, sigma: float = 1.0) -> Array:
    """Draw ``W = sigma (G + sqrt(N) U diag(theta) V^T)`` with Haar vectors U and V.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    N, M : int
        Rows and columns, ``N >= M``.
    theta : array_like of float, shape (k,)
        Strengths of the spikes.
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    ndarray of float64, shape (N, M)
    """
    theta = np.asarray(theta, dtype=np.float64).reshape(-1)
    noise = rng.standard_normal((N, M))
    left, right = haar(rng, N, theta.size), haar(rng, M, theta.size)
    return sigma * (noise + math.sqrt(N) * (left * theta) @ right.T)
