"""Correlation traps: what of the largest eigenvalue survives a shuffle of all entries, and why.

A genuine signal of low rank does not survive it. What does is a mean that is not zero,
or single elements too large for the noise around them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.diagnosis.noise_parts import eigenvalues
from onnxspec.diagnosis.shuffling import shuffled
from onnxspec.laws import spiked, tracy_widom

__all__ = ["REPLICAS", "LargeElement", "Traps", "correlation_traps"]

Array = NDArray[np.float64]
Cause = Literal["mean", "elements", "tails"]

REPLICAS = 5
"""Shuffles: enough to tell a trap, which shows in each, from a chance of 1 % in one."""

MIN_M = 10
LISTED = 10
TAIL_KURTOSIS = 1.5
"""Excess kurtosis of the entries, the large elements left out, above which the tails themselves are named."""


@dataclass(frozen=True)
class LargeElement:
    """One element that makes an eigenvalue of its own.

    Attributes
    ----------
    row, col : int
        Its place in the matrix as given.
    value : float
        Its value.
    strength : float
        ``|value - mean|`` over the limit ``sigma (N M)^(1/4)``.
    """

    row: int
    col: int
    value: float
    strength: float


@dataclass(frozen=True)
class Traps:
    """Correlation traps of one matrix.

    Attributes
    ----------
    trapped : bool or None
        The median shuffle has an eigenvalue beyond the edge.
    causes : tuple of {"mean", "elements", "tails"}
        What survives the shuffle; named only where `trapped`.
    count : int or None
        Shuffles with an eigenvalue beyond the edge, of ``len(ratios)``.
    ratios : tuple of float
        Largest eigenvalue of each shuffle over lambda_plus.
    ratio_mean, ratio_sd : float or None
        Their mean and standard deviation.
    edge_ratio : float or None
        The edge, at the 1 % level, over lambda_plus.
    rand_spikes_mean : float or None
        Eigenvalues beyond the edge, mean over the shuffles.
    rand_ks : tuple of float
        KS distance between the eigenvalues of W and of each shuffle; about ``3.7/M`` for noise.
    rand_distance_ww : float or None
        WeightWatcher's distance, mean over the shuffles: Jensen-Shannon distance between
        the sorted eigenvalues taken as probabilities.
    ww_softrank : float or None
        Largest eigenvalue of a shuffle over that of W, mean over the shuffles.
    mean_strength : float or None
        Theta of the rank-one part of the mean, over the BBP threshold.
    elements : tuple of LargeElement
        The largest elements over the limit, 10 at most.
    num_elements : int or None
        All elements over the limit.
    excess_kurtosis : float or None
        Of the entries.
    reason : str or None
        ``too_small``, ``zero_matrix``, ``rank_one`` (all entries equal), ``non_finite``.
    """

    trapped: bool | None
    causes: tuple[Cause, ...] = ()
    count: int | None = None
    ratios: tuple[float, ...] = ()
    ratio_mean: float | None = None
    ratio_sd: float | None = None
    edge_ratio: float | None = None
    rand_spikes_mean: float | None = None
    rand_ks: tuple[float, ...] = ()
    rand_distance_ww: float | None = None
    ww_softrank: float | None = None
    mean_strength: float | None = None
    elements: tuple[LargeElement, ...] = ()
    num_elements: int | None = None
    excess_kurtosis: float | None = None
    reason: str | None = None


def correlation_traps(
    matrix: ArrayLike, evals: ArrayLike | None = None, *, seed: int = 0, replicas: int = REPLICAS
) -> Traps:
    """Shuffle all entries several times and look for eigenvalues beyond the edge.

    Each entry moves without replacement. The edge is ``sigma^2 (mu + t s)``: Ma's centring
    of the Tracy-Widom law at its 1 % quantile, sigma^2 the variance of the entries.

    Parameters
    ----------
    matrix : array_like of float64, shape (n, m)
        The weights.
    evals : array_like of float64, shape (min(n, m),), optional
        Eigenvalues of ``X = W^T W / N``, descending; computed where absent.
    seed : int
        Names the random stream.
    replicas : int
        Shuffles, at least 1.

    Returns
    -------
    Traps

    Raises
    ------
    ValueError
        `matrix` has other than two axes, or `replicas` is below 1.
    """
    W = np.ascontiguousarray(matrix, dtype=np.float64)
    if W.ndim != 2 or replicas < 1:
        raise ValueError(f"matrix has {W.ndim} axes, replicas is {replicas}; they must be 2, and at least 1.")
    if min(W.shape) < MIN_M:
        return Traps(None, reason="too_small")
    largest = max(float(W.max()), -float(W.min()))
    if not math.isfinite(largest):
        return Traps(None, reason="non_finite")
    if largest == 0.0:
        return Traps(None, reason="zero_matrix")
    W = W / largest
    if float(W.std()) <= 1e-12:
        return Traps(None, reason="rank_one")
    lam = eigenvalues(W) if evals is None else np.asarray(evals, dtype=np.float64) / largest / largest
    return _shuffle(W, lam, largest, seed, replicas)


def _shuffle(W: Array, lam: Array, unit: float, seed: int, replicas: int) -> Traps:
    """Compare the spectrum with that of each shuffle."""
    N, M = max(W.shape), min(W.shape)
    sigma = float(W.std())
    mu, s = tracy_widom.centring(N, M, sigma)
    edge = mu + tracy_widom.upper_quantile(0.01) * s
    plus = (sigma * (1.0 + math.sqrt(M / N))) ** 2
    random = [eigenvalues(shuffled(W, seed, i)) for i in range(replicas)]
    tops = np.array([values[0] for values in random])
    count = int(np.count_nonzero(tops > edge))
    trapped = float(np.median(tops)) > edge
    ratios = tops / plus
    mean_strength = abs(float(W.mean())) / sigma * float((N * M) ** 0.25)
    kurtosis = _kurtosis(W)
    elements, total, rest_kurtosis = _elements(W, sigma, unit, kurtosis)
    return Traps(
        trapped=trapped,
        causes=_causes(mean_strength, total, rest_kurtosis) if trapped else (),
        count=count,
        ratios=tuple(ratios.tolist()),
        ratio_mean=float(ratios.mean()),
        ratio_sd=float(ratios.std(ddof=1)) if replicas > 1 else None,
        edge_ratio=edge / plus,
        rand_spikes_mean=float(np.mean([np.count_nonzero(values > edge) for values in random])),
        rand_ks=tuple(_two_sample_ks(lam, values) for values in random),
        rand_distance_ww=float(np.mean([_jensen_shannon(lam, values) for values in random])),
        ww_softrank=float((tops / lam[0]).mean()),
        mean_strength=mean_strength,
        elements=elements,
        num_elements=total,
        excess_kurtosis=kurtosis,
    )


def _causes(mean_strength: float, elements: int, rest_kurtosis: float) -> tuple[Cause, ...]:
    """Name what survives a shuffle."""
    causes: list[Cause] = []
    if mean_strength > 1.0:
        causes.append("mean")
    if elements:
        causes.append("elements")
    if rest_kurtosis > TAIL_KURTOSIS or not causes:
        causes.append("tails")
    return tuple(causes)


def _elements(W: Array, sigma: float, unit: float, kurtosis: float) -> tuple[tuple[LargeElement, ...], int, float]:
    """List the elements over the BBP limit, count them, and give the kurtosis of the others."""
    mean = float(W.mean())
    limit = spiked.sub_threshold_bound(W.shape[0], W.shape[1], sigma)
    if max(float(W.max()) - mean, mean - float(W.min())) <= limit:
        return (), 0, kurtosis
    distance = np.abs(W - mean)
    places = np.argwhere(distance > limit)
    sizes = distance[places[:, 0], places[:, 1]]
    order = np.lexsort((places[:, 1], places[:, 0], -sizes))[:LISTED]
    listed = tuple(
        LargeElement(int(i), int(j), float(W[i, j]) * unit, float(distance[i, j]) / limit) for i, j in places[order]
    )
    return listed, len(places), _kurtosis(W[distance <= limit])


def _kurtosis(values: Array) -> float:
    """Give the excess kurtosis."""
    square = (values - values.mean()) ** 2
    variance = float(square.mean())
    return float((square * square).mean()) / (variance * variance) - 3.0 if variance > 0.0 else 0.0


def _two_sample_ks(a: Array, b: Array) -> float:
    """Give the KS distance between two descending samples."""
    both = np.concatenate([a, b])
    x, y = a[::-1], b[::-1]
    gap = np.searchsorted(x, both, side="right") / a.size - np.searchsorted(y, both, side="right") / b.size
    return float(np.abs(gap).max())


def _jensen_shannon(a: Array, b: Array) -> float:
    """Give the Jensen-Shannon distance between two sorted samples, each divided by its sum."""
    p, q = a / a.sum(), b / b.sum()
    m = 0.5 * (p + q)
    total = 0.0
    for x in (p, q):
        known = x > 0.0
        total += 0.5 * float((x[known] * np.log(x[known] / m[known])).sum())
    return math.sqrt(max(total, 0.0))
