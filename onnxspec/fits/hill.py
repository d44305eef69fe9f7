"""Hill's estimator of alpha: over every number of largest eigenvalues, and over the upper half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxspec.fits.candidates import finite, positive_ascending, tail_logs
from onnxspec.laws.heavy_tailed import hill_median

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["HillMedian", "hill_at_median", "hill_curve"]


@dataclass(frozen=True)
class HillMedian:
    """Hill's alpha with xmin at the median.

    Attributes
    ----------
    alpha_hill : float or None
        Exponent of the upper half of the eigenvalues.
    alpha_hill_random : float or None
        What a random matrix of the same Q has; ``None`` where Q is unknown.
    alpha_hill_excess : float or None
        Their difference; negative is heavier-tailed than random. Only this may be
        compared between layers of different Q.
    n_tail : int
        Eigenvalues from the median upward.
    reason : str or None
        ``too_small``, ``flat_spectrum`` or ``non_finite`` where there is no value.
    """

    alpha_hill: float | None
    alpha_hill_random: float | None
    alpha_hill_excess: float | None
    n_tail: int
    reason: str | None = None


def hill_curve(evals: ArrayLike, *, points: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give Hill's alpha over the k largest eigenvalues, for a Hill plot.

    Parameters
    ----------
    evals : array_like, any shape
        Eigenvalues in any order; zero and negative ones are left out. Must be finite.
    points : int, optional
        Keep at most so many values of k, evenly spaced in log k. Default all.

    Returns
    -------
    k : ndarray of int64, shape (points,)
        Ascending, from 1 to n - 1; values of k whose tail is flat are left out.
    alpha : ndarray of float64, shape (points,)
        ``1 + k / sum_{i <= k} log(x_(i) / x_(k+1))``, x descending (Hill, Annals of
        Statistics 3, 1163 (1975)).

    Raises
    ------
    ValueError
        A value is not finite.
    """
    x = positive_ascending(finite(evals))
    if x.size < 2:
        return np.empty(0, np.int64), np.empty(0)
    k = np.arange(1, x.size)
    spread = tail_logs(x)[1][-2::-1]  # over the 2, 3, ... largest
    kept = spread > 0.0
    k, alpha = k[kept], 1.0 + k[kept] / spread[kept]
    if points is not None and k.size > points:
        chosen = np.unique(np.geomspace(1, k.size, points).round().astype(np.int64)) - 1
        k, alpha = k[chosen], alpha[chosen]
    return k, alpha


def hill_at_median(evals: ArrayLike, Q: float | None = None) -> HillMedian:
    """Give Hill's alpha over the upper half of the eigenvalues, and its excess over a random matrix's.

    As TempBalance, FARMS and AlphaPruning define it: of n ascending eigenvalues, xmin
    is number ``n // 2`` (from 0), and the n_tail values from there count, xmin too.

    Parameters
    ----------
    evals : array_like, any shape
        Eigenvalues; zero and negative ones are left out.
    Q : float, optional
        Aspect ratio of the matrix, at least 1.

    Returns
    -------
    HillMedian
        Without a value where fewer than four eigenvalues are positive
        (``too_small``) or the upper half is flat (``flat_spectrum``).
    """
    random = None if Q is None else hill_median(Q)
    if not np.isfinite(np.asarray(evals, dtype=np.float64)).all():
        return HillMedian(None, random, None, 0, "non_finite")
    x = positive_ascending(evals)
    n_tail = x.size - x.size // 2
    if x.size < 4:
        return HillMedian(None, random, None, n_tail, "too_small")
    spread = float(tail_logs(x)[1][-n_tail])
    if spread <= 0.0:
        return HillMedian(None, random, None, n_tail, "flat_spectrum")
    alpha = 1.0 + n_tail / spread
    return HillMedian(alpha, random, None if random is None else alpha - random, n_tail)
