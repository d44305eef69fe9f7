"""The Wigner semicircle law: eigenvalues of ``(G + G^T) / sqrt(2 n)`` for an n x n noise matrix G.

With ``x = -2 sigma cos t``, t in [0, pi], the distribution function is ``(2 t - sin 2t) / (2 pi)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.laws._root import increasing_root

__all__ = ["cdf", "density", "quantile", "sample"]

Array = NDArray[np.float64]


def _check(sigma: float) -> None:
    """Refuse a scale that the law does not have."""
    if not (sigma > 0.0 and math.isfinite(sigma)):
        raise ValueError(f"sigma is {sigma}; it must be finite and positive.")


def density(x: ArrayLike, sigma: float = 1.0) -> Array:
    """Give the density ``sqrt(4 sigma^2 - x^2) / (2 pi sigma^2)`` on ``[-2 sigma, 2 sigma]``.

    Wigner, Ann. Math. 67 (1958) 325.

    Parameters
    ----------
    x : array_like of float
        Eigenvalues.
    sigma : float
        Standard deviation of the law.

    Returns
    -------
    ndarray of float64, shape of `x`
        0 outside the support.
    """
    _check(sigma)
    x = np.asarray(x, dtype=np.float64)
    return np.asarray(np.sqrt(np.maximum(4.0 * sigma * sigma - x * x, 0.0)) / (2.0 * math.pi * sigma * sigma))


def cdf(x: ArrayLike, sigma: float = 1.0) -> Array:
    """Give the distribution function.

    Parameters
    ----------
    x : array_like of float
        Eigenvalues.
    sigma : float
        Standard deviation of the law.

    Returns
    -------
    ndarray of float64, shape of `x`
    """
    _check(sigma)
    t = np.arccos(np.clip(-np.asarray(x, dtype=np.float64) / (2.0 * sigma), -1.0, 1.0))
    return np.clip((t - 0.5 * np.sin(2.0 * t)) / math.pi, 0.0, 1.0)


def quantile(p: ArrayLike, sigma: float = 1.0) -> Array:
    """Give the inverse of `cdf`.

    Parameters
    ----------
    p : array_like of float
        Probabilities in [0, 1].
    sigma : float
        Standard deviation of the law.

    Returns
    -------
    ndarray of float64, shape of `p`

    Raises
    ------
    ValueError
        A probability lies outside [0, 1].
    """
    _check(sigma)
    p = np.asarray(p, dtype=np.float64)
    if not bool(np.all((p >= 0.0) & (p <= 1.0))):
        raise ValueError("Probabilities must lie in [0, 1].")
    t = increasing_root(
        lambda u: (u - 0.5 * np.sin(2.0 * u)) / math.pi, lambda u: 2.0 * np.sin(u) ** 2 / math.pi, p, 0.0, math.pi
    )
    return -2.0 * sigma * np.cos(np.where(p == 0.0, 0.0, np.where(p == 1.0, math.pi, t)))


def sample(rng: np.random.Generator, n: int, sigma: float = 1.0) -> Array:
    """Draw the eigenvalues of one symmetric Gaussian matrix (GOE).

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    n : int
        Rows of the matrix.
    sigma : float
        Standard deviation of its elements off the diagonal, times sqrt(n).

    Returns
    -------
    ndarray of float64, shape (n,)
        Descending.
    """
    _check(sigma)
    noise = rng.standard_normal((n, n))
    evals = np.linalg.eigvalsh((noise + noise.T) * (sigma / math.sqrt(2.0 * n)))
    return np.asarray(evals[::-1], dtype=np.float64)
