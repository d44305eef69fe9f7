"""Heavy-tailed random matrices: ``P(|W_ij| > x) ~ x^-mu`` and the tail of their spectrum, density ``~ x^-alpha``."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxspec.laws import marchenko_pastur

__all__ = [
    "Universality",
    "alpha_from_mu",
    "alpha_from_mu_published",
    "class_of_alpha",
    "class_of_mu",
    "hill_median",
    "lambda_max_exponent",
    "lambda_max_scale",
    "mu_from_alpha",
    "sample_lomax",
    "sample_student_t",
    "sample_symmetric_pareto",
]

Array = NDArray[np.float64]
Universality = Literal["very_heavy", "moderately_heavy", "borderline", "weakly_heavy"]


def _check(mu: float) -> None:
    """Refuse a tail exponent that no law has."""
    if not (mu > 0.0 and math.isfinite(mu)):
        raise ValueError(f"mu is {mu}; it must be finite and positive.")


def sample_symmetric_pareto(rng: np.random.Generator, mu: float, size: int | tuple[int, ...]) -> Array:
    """Draw entries with random sign and ``P(|w| > x) = x^-mu`` for ``x >= 1``.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    mu : float
        Tail exponent, positive.
    size : int or tuple of int
        Shape of the result.

    Returns
    -------
    ndarray of float64
    """
    _check(mu)
    magnitude = (1.0 - rng.random(size)) ** (-1.0 / mu)
    signed: Array = np.where(rng.random(size) < 0.5, -magnitude, magnitude)
    return signed


def sample_lomax(rng: np.random.Generator, mu: float, size: int | tuple[int, ...]) -> Array:
    """Draw one-sided entries with ``P(w > x) = (1 + x)^-mu``, as in the published figures.

    Their mean ``1 / (mu - 1)`` is not 0, so a matrix of them has one outlier beyond
    its heavy tail, which bounds the alpha fitted to it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    mu : float
        Tail exponent, positive.
    size : int or tuple of int
        Shape of the result.

    Returns
    -------
    ndarray of float64
    """
    _check(mu)
    return np.asarray(rng.pareto(mu, size))


def sample_student_t(rng: np.random.Generator, mu: float, size: int | tuple[int, ...]) -> Array:
    """Draw entries of Student's t law with `mu` degrees of freedom, which are its tail exponent.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the randomness.
    mu : float
        Tail exponent, positive.
    size : int or tuple of int
        Shape of the result.

    Returns
    -------
    ndarray of float64
    """
    _check(mu)
    return np.asarray(rng.standard_t(mu, size))


def class_of_mu(mu: float) -> Universality:
    """Give the universality class of entries with tail exponent `mu`.

    Martin and Mahoney, JMLR 22 (2021) 1, table 3.

    Parameters
    ----------
    mu : float
        Tail exponent, positive.

    Returns
    -------
    {"very_heavy", "moderately_heavy", "weakly_heavy"}
        ``mu < 2``, ``2 <= mu < 4``, ``mu >= 4``.
    """
    _check(mu)
    if mu < 2.0:
        return "very_heavy"
    return "moderately_heavy" if mu < 4.0 else "weakly_heavy"


def class_of_alpha(alpha: float) -> Universality:
    """Give the universality class that a fitted alpha speaks for, where the power law was not rejected.

    Parameters
    ----------
    alpha : float
        Exponent of the spectrum's tail, above 1.

    Returns
    -------
    {"very_heavy", "moderately_heavy", "borderline", "weakly_heavy"}
        alpha below 2, below 4, up to 6, above 6. Between 4 and 6 finite matrices
        of both outer classes are found.
    """
    _check(alpha - 1.0)
    if alpha < 2.0:
        return "very_heavy"
    if alpha < 4.0:
        return "moderately_heavy"
    return "borderline" if alpha <= 6.0 else "weakly_heavy"


def alpha_from_mu(mu: float) -> float | None:
    """Give the exponent of the spectrum's tail for large matrices, ``1 + mu / 2``.

    Parameters
    ----------
    mu : float
        Tail exponent of the entries, positive.

    Returns
    -------
    float or None
        ``None`` for ``mu >= 4``: the spectrum's bulk has an edge then. Finite matrices
        come close to the value for ``mu < 2`` alone.
    """
    _check(mu)
    return 1.0 + 0.5 * mu if mu < 4.0 else None


def alpha_from_mu_published(mu: float) -> float:
    """Give the alpha of the published straight-line fits to one-sided (Lomax) entries at M = 1000, Q = 2.

    Parameters
    ----------
    mu : float
        Tail exponent of the entries, 0.5 to 3.5 where the lines were fitted.

    Returns
    -------
    float
        ``0.649 mu + 0.862`` below ``mu = 2``, ``1.21 mu - 0.0253`` from there on.
    """
    _check(mu)
    return 0.649 * mu + 0.862 if mu < 2.0 else 1.21 * mu - 0.0253


def mu_from_alpha(alpha: float) -> float:
    """Give the tail exponent of entries that would lead to a fitted `alpha`, by class.

    Parameters
    ----------
    alpha : float
        Exponent of the spectrum's tail, above 1.

    Returns
    -------
    float
        ``2 (alpha - 1)`` below 2, ``2`` from 2 to 3, ``alpha - 1`` above 3 (the
        published map; above 2 it is a convention for finite matrices).
    """
    _check(alpha - 1.0)
    if alpha < 2.0:
        return 2.0 * (alpha - 1.0)
    return 2.0 if alpha <= 3.0 else alpha - 1.0


def lambda_max_exponent(mu: float) -> float | None:
    """Give the power of N with which lambda_max of X grows at fixed Q, ``4 / mu - 1``.

    Auffinger, Ben Arous, Peche, Ann. Inst. H. Poincare 45 (2009) 589.

    Parameters
    ----------
    mu : float
        Tail exponent of the entries, positive.

    Returns
    -------
    float or None
        ``None`` for ``mu >= 4``, where lambda_max stays at the edge of the bulk.
    """
    _check(mu)
    return 4.0 / mu - 1.0 if mu < 4.0 else None


def lambda_max_scale(N: int, M: int, mu: float) -> float | None:
    """Give the scale of the Frechet law of lambda_max, ``(N M)^(2 / mu) / N``.

    Parameters
    ----------
    N, M : int
        Rows and columns of W, whose entries satisfy ``P(|w| > x) ~ x^-mu``.
    mu : float
        Tail exponent of the entries.

    Returns
    -------
    float or None
        ``P(lambda_max <= scale y) -> exp(-y^(-mu / 2))``; ``None`` for ``mu >= 4``.
    """
    _check(mu)
    return (N * M) ** (2.0 / mu) / N if mu < 4.0 else None


@lru_cache(maxsize=256)
def hill_median(Q: float) -> float:
    """Give the limit of Hill's alpha over the upper half of a random matrix's spectrum.

    ``1 + 1 / (E[ln x | x > median] - ln median)`` under the Marchenko-Pastur law.
    A Hill value means something only as a difference from it, since it depends on Q.

    Parameters
    ----------
    Q : float
        Aspect ratio ``N / M``, at least 1.

    Returns
    -------
    float
        2.122 for Q = 1, 2.706 for Q = 2.
    """
    middle = marchenko_pastur.angle_of_probability(0.5, Q)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    half = 0.5 * (math.pi - middle)
    t = middle + half * (nodes + 1.0)
    b = 1.0 / Q
    x = 1.0 + b - 2.0 * math.sqrt(b) * np.cos(t)
    mass = 2.0 / math.pi * np.sin(t) ** 2 / x * weights * half
    log_ratio = float(np.sum(mass * np.log(x / marchenko_pastur.median(Q)))) / 0.5
    return 1.0 + 1.0 / log_ratio
