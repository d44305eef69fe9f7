"""The seven parts of the trained verdict, each with its own p-value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onnxspec.diagnosis import exchangeability as ex
from onnxspec.diagnosis._trained_null import null_row
from onnxspec.spectra.lapack import symmetric_eigenvalues
from onnxspec.spectra.slabs import Slabs, gram

__all__ = ["HEAVY_KURTOSIS", "STRONG_MEAN", "Part", "eigenvalues", "least_p", "spectral_parts", "sum_parts"]

Array = NDArray[np.float64]

HEAVY_KURTOSIS = 1.3
"""Largest excess kurtosis that the null table covers: it knows uniform (-1.2) to logistic entries (1.2)."""

STRONG_MEAN = 0.3
"""Share of the BBP threshold above which the mean of the entries is taken out before the spectrum is looked at."""


@dataclass(frozen=True)
class Part:
    """One statistic of the trained verdict.

    Attributes
    ----------
    name : str
        ``row_means``, ``col_means``, ``row_norms``, ``col_norms`` (rows are axis 0),
        ``correlation``, ``edge``, ``bulk``.
    score : float or None
        Normal score, positive for more structure than noise has; of ``edge`` the largest
        eigenvalue on the Tracy-Widom scale, of ``bulk`` M times the KS distance from the
        Marchenko-Pastur law.
    p_value : float or None
        Two-sided, but for ``edge`` and ``bulk``.
    reason : str or None
        Why there is none: ``flat_entries`` (all of one size), ``heavy_tails``,
        ``decided`` (the other parts are beyond doubt already).
    """

    name: str
    score: float | None
    p_value: float | None
    reason: str | None = None


def sum_parts(entries: ex.Entries) -> tuple[Part, ...]:
    """Give the four parts that need no eigenvalue.

    Parameters
    ----------
    entries : Entries
        Of the matrix.

    Returns
    -------
    tuple of Part
    """
    return tuple(
        Part(name, None, None, "flat_entries") if score is None else Part(name, score, ex.two_sided_p(score))
        for name, score in ex.dispersion_scores(entries).items()
    )


def spectral_parts(W: ex.Matrix, entries: ex.Entries, evals: Array | None) -> tuple[Part, ...]:
    """Give the three parts that need eigenvalues.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m), or Slabs
        The matrix.
    entries : Entries
        Its sums.
    evals : ndarray of float64, shape (min(n, m),), or None
        Eigenvalues of X, descending; computed where absent, or where the mean is too strong.

    Returns
    -------
    tuple of Part
    """
    N, M = max(W.shape), min(W.shape)
    if evals is None:
        evals = eigenvalues(W)
    correlation = ex.correlation_score(entries, W, float(evals @ evals) * N * N)
    first = Part("correlation", correlation, ex.two_sided_p(correlation))
    kurtosis = entries.excess_kurtosis
    if kurtosis > HEAVY_KURTOSIS:
        return (first, Part("edge", None, None, "heavy_tails"), Part("bulk", None, None, "heavy_tails"))
    if entries.mean_strength > STRONG_MEAN:
        evals = eigenvalues(replace(W, shift=entries.mean) if isinstance(W, Slabs) else W - entries.mean)
    edge, distance = ex.edge_and_distance(evals, entries.scale, N)
    null = null_row(N, M)
    return (
        first,
        Part("edge", edge, float(ex.edge_p(edge, kurtosis, null))),
        Part("bulk", distance, float(ex.distance_p(distance, kurtosis, null))),
    )


def eigenvalues(W: ex.Matrix) -> Array:
    """Give the eigenvalues of ``X = W^T W / N``, descending.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m), or Slabs
        In any orientation.

    Returns
    -------
    ndarray of float64, shape (min(n, m),)
    """
    if isinstance(W, Slabs):
        product = gram(W, 0)
    else:
        tall = W if W.shape[0] >= W.shape[1] else W.T
        product = tall.T @ tall
    values: Array = np.maximum(symmetric_eigenvalues(product)[::-1], 0.0) / max(W.shape)
    return values


def least_p(parts: Iterable[Part]) -> float:
    """Give the smallest p-value of several parts, at least 1e-300; 1 where none has one.

    Parameters
    ----------
    parts : iterable of Part
        The parts.

    Returns
    -------
    float
    """
    known = [part.p_value for part in parts if part.p_value is not None and not math.isnan(part.p_value)]
    return max(min(known, default=1.0), 1e-300)
