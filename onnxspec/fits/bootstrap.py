"""What the choice of xmin costs: interval and goodness of fit with xmin chosen again in every replica."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxspec._jit import jit
from onnxspec.fits.candidates import positive_ascending
from onnxspec.fits.condensed import condense, resampled_alphas
from onnxspec.fits.power_law import CONDENSED_ABOVE, KS_CODES
from onnxspec.fits.random_stream import stream_key, uniforms
from onnxspec.fits.xmin_scan import _distance, _logs, scan_xmin
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from onnxspec.results import PowerLawFit
    from onnxspec.settings import KSMode

__all__ = ["alpha_interval", "goodness_of_fit"]

_INTERVAL_STREAM = 1
_GOODNESS_STREAM = 2
_BATCH = 1_000_000
_SEED2018 = KS_CODES["seed2018"]


def alpha_interval(
    evals: ArrayLike,
    fit: PowerLawFit,
    *,
    seed: int,
    replicas: int = 200,
    level: float = 0.95,
    ks: KSMode = "grid",
    min_tail: int | None = None,
) -> tuple[float, float] | None:
    """Give a confidence interval of alpha that contains the error of the choice of xmin.

    Every replica draws all n eigenvalues again with replacement and fits them from
    the start. The interval is the hull of the percentile interval and the basic one
    (``2 alpha - percentiles``; Davison and Hinkley, Bootstrap Methods, section 5.2).
    Neither alone covers: xmin moves in both directions, and alpha with it. No law is
    assumed for the tail or for the body. docs/validation.md has the measured coverage.

    Parameters
    ----------
    evals : array_like, any shape
        The eigenvalues that were fitted; zero and negative ones are left out.
    fit : PowerLawFit
        What `fit_power_law` gave for them.
    seed : int
        Derived from the content of the weights, so that names change no digit.
    replicas : int
        Resamples, at least 40.
    level : float
        Nominal coverage, between 0 and 1.
    ks, min_tail
        As in the fit.

    Returns
    -------
    tuple of float, or None
        Lower and upper end, at least 1: a lower end of 1 says that nothing bounds
        alpha below. None where there is no fit, or where more than half of the
        replicas have none.

    Raises
    ------
    ValueError
        `replicas` or `level` is out of range.
    """
    if replicas < 40 or not 0.0 < level < 1.0:
        raise ValueError(f"replicas is {replicas} and level is {level}; they must be >= 40 and between 0 and 1.")
    if fit.alpha is None:
        return None
    x = positive_ascending(evals)
    floor = _floor(min_tail, x.size)
    key, code = stream_key(seed, _INTERVAL_STREAM), KS_CODES[ks]
    if x.size > CONDENSED_ABOVE and fit.n_tail is not None:
        sample = condense(x, [x.size - fit.n_tail])
        width = 2 * sample.counts.size
        parts = [resampled_alphas(sample, draws, floor, code) for draws in _batches(key, replicas, width)]
    else:
        parts = [_resampled_alphas(x, draws, floor, code) for draws in _batches(key, replicas, x.size)]
    drawn = np.concatenate(parts)
    alphas = np.sort(drawn[drawn > 0.0])
    if 2 * alphas.size < replicas:
        return None
    rank = max(1, math.floor(0.5 * (1.0 - level) * (alphas.size + 1)))
    low, high = float(alphas[rank - 1]), float(alphas[-rank])
    return max(1.0, min(low, 2.0 * fit.alpha - high)), max(high, 2.0 * fit.alpha - low)


def goodness_of_fit(
    evals: ArrayLike,
    fit: PowerLawFit,
    *,
    seed: int,
    replicas: int = 1000,
    ks: KSMode = "grid",
    min_tail: int | None = None,
) -> float | None:
    """Give the p-value of a power law above xmin.

    The share of replicas that fit as badly as the data or worse, ``D_b >= D``. A
    replica has n values: each is with probability ``n_tail / n`` a draw from the
    fitted law, else one of the eigenvalues below xmin; then xmin is chosen again
    (Clauset, Shalizi and Newman, SIAM Review 51, 661 (2009), section 4.1). With xmin
    kept fixed p would be far too large.

    Parameters
    ----------
    evals, fit, seed, ks, min_tail
        As in `alpha_interval`.
    replicas : int
        Number of replicas B; the standard error of p is ``sqrt(p (1 - p) / B)``.

    Returns
    -------
    float or None
        p; small values speak against a power law. Eigenvalues repel each other, so
        their D is smaller than that of independent draws and p is rather too large.
        None where there is no fit.

    Raises
    ------
    ValueError
        `replicas` is below 1.
    """
    if replicas < 1:
        raise ValueError(f"replicas is {replicas}; it must be at least 1.")
    if fit.alpha is None or fit.n_tail is None or fit.D is None:
        return None
    x = positive_ascending(evals)
    logs, _ = _logs(x)
    start, beta, floor = x.size - fit.n_tail, fit.alpha - 1.0, _floor(min_tail, x.size)
    worse = sum(
        _replicas_as_bad(logs, draws, start, beta, fit.D, floor, KS_CODES[ks])
        for draws in _batches(stream_key(seed, _GOODNESS_STREAM), replicas, 2 * x.size)
    )
    return worse / replicas


def _batches(key: int, replicas: int, width: int) -> Iterator[NDArray[np.float64]]:
    """Give the uniform numbers of all replicas, one row each, in pieces of at most 8 MB where rows allow."""
    rows = max(1, _BATCH // width)
    for first in range(0, replicas, rows):
        count = min(rows, replicas - first)
        yield uniforms(key, first * width, count * width).reshape(count, width)


@jit
def _resampled_alphas(
    x: NDArray[np.float64], draws: NDArray[np.float64], min_tail: int, ks: int
) -> NDArray[np.float64]:
    """Fit samples drawn with replacement, one for each row of `draws`; 0 where a sample has no fit."""
    n = x.size
    alphas = np.zeros(draws.shape[0])
    sample = np.empty(n)
    for replica in range(draws.shape[0]):
        _draw_body(x, n, draws[replica], sample)
        start, alpha, _ = scan_xmin(sample, min_tail, ks)
        if start >= 0:
            alphas[replica] = alpha
    return alphas


@jit
def _replicas_as_bad(
    logs: NDArray[np.float64],
    draws: NDArray[np.float64],
    start: int,
    beta: float,
    bar: float,
    min_tail: int,
    ks: int,
) -> int:
    """Count the replicas, one for each row of `draws`, none of whose candidates comes closer than `bar`."""
    sample = np.empty(logs.size)
    worse = 0
    for replica in range(draws.shape[0]):
        body = _draw_body(logs, start, draws[replica], sample)
        _draw_tail(logs[start], beta, draws[replica], body, sample)
        if not _beats(sample, min_tail, ks, body, bar):
            worse += 1
    return worse


@jit
def _draw_body(values: NDArray[np.float64], start: int, draws: NDArray[np.float64], sample: NDArray[np.float64]) -> int:
    """Draw n values with replacement and write those below index `start`, ascending; give their number."""
    n = values.size
    copies = np.zeros(start, np.int64)
    for i in range(n):
        chosen = int(draws[i] * n)
        if chosen < start:
            copies[chosen] += 1
    place = 0
    for i in range(start):
        for _ in range(copies[i]):
            sample[place] = values[i]
            place += 1
    return place


@jit
def _draw_tail(origin: float, beta: float, draws: NDArray[np.float64], body: int, sample: NDArray[np.float64]) -> None:
    """Write the replica's tail, ascending: logarithms of Pareto order statistics by their spacings."""
    n = sample.size
    value = origin
    for i in range(body, n):
        value -= math.log1p(-draws[n + i]) / ((n - i) * beta)
        sample[i] = value


@jit
def _beats(logs: NDArray[np.float64], min_tail: int, ks: int, hint: int, bar: float) -> bool:
    """Say whether some candidate's KS distance is below `bar`; `hint` is asked first."""
    n = logs.size
    last = n - min_tail
    sums = np.empty(n)
    sums[n - 1] = 0.0
    for i in range(n - 2, -1, -1):
        sums[i] = sums[i + 1] + (n - 1 - i) * (logs[i + 1] - logs[i])
    work = np.empty((3, 64))
    ranks = np.arange(n)
    hot = 0
    for turn in range(-1, last + 1):
        start = min(hint, last) if turn < 0 else turn
        if start < 0 or sums[start] <= 0.0 or (start > 0 and logs[start] == logs[start - 1]):
            continue
        slope = -(n - start) / sums[start]
        if hot > start and ks != _SEED2018:
            # what refuted the last candidate refutes most others; grid's deviation is the smaller one
            law = -math.expm1(slope * (logs[hot] - logs[start]))
            if abs(law - (hot - start) / (n - start)) >= bar:
                continue
        distance, place = _distance(logs[start:], ranks[start:], n - start, slope, ks, bar, work)
        if distance < bar:
            return True
        hot = start + place
    return False


def _floor(min_tail: int | None, n: int) -> int:
    """Give the fewest values that a tail may have among `n`."""
    return Settings().tail_floor(n) if min_tail is None else min_tail
