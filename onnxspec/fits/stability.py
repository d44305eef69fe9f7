"""How far alpha depends on the choice of xmin, and what is exact where xmin is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxspec.fits.candidates import candidates
from onnxspec.fits.condensed import grid_starts
from onnxspec.fits.power_law import CONDENSED_ABOVE, KS_CODES, profile
from onnxspec.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from onnxspec.results import PowerLawFit
    from onnxspec.settings import KSMode

__all__ = ["AlphaProfile", "Minimum", "alpha_profile", "exact_interval", "unbiased_alpha"]

SMALLEST_TAIL = 5
"""Tails of fewer values are not looked at: four points lie close to any law."""

MOST_MINIMA = 8
"""Minima listed at most, those with the smallest D."""


ALL_TERMS = 20_000
"""Terms of a gamma law up to which all are added."""


@dataclass(frozen=True)
class Minimum:
    """One choice of xmin that fits about as well as the best.

    Attributes
    ----------
    alpha, xmin, D : float
        As in `PowerLawFit`.
    n_tail : int
        Eigenvalues in the tail.
    below_min_tail : bool
        The tail is too short for the fit to choose it.
    """

    alpha: float
    xmin: float
    D: float
    n_tail: int
    below_min_tail: bool


@dataclass(frozen=True)
class AlphaProfile:
    """The competing minima of the KS distance over xmin.

    Attributes
    ----------
    minima : tuple of Minimum
        One for each stretch of neighbouring candidates with D at most `window` above
        the fit's, ascending in xmin; the fit's own choice is one of them.
    alpha_min, alpha_max : float or None
        Range of alpha over those candidates whose tail is long enough.
    window : float
        How far above the best D a candidate may lie.
    reason : str or None
        Why there is no profile: the fit's own reason.
    """

    minima: tuple[Minimum, ...]
    alpha_min: float | None
    alpha_max: float | None
    window: float
    reason: str | None = None


def alpha_profile(
    evals: ArrayLike,
    fit: PowerLawFit,
    *,
    ks: KSMode = "grid",
    min_tail: int | None = None,
    window: float = 0.01,
) -> AlphaProfile:
    """Find every choice of xmin that competes with the fit's.

    Parameters
    ----------
    evals : array_like, any shape
        The eigenvalues that were fitted.
    fit : PowerLawFit
        What `fit_power_law` gave for them.
    ks, min_tail
        As in the fit.
    window : float
        Largest excess of D over the fit's D, not negative.

    Returns
    -------
    AlphaProfile
        Minima with fewer than `min_tail` eigenvalues are listed and marked; tails of
        fewer than five are not looked at. Above `CONDENSED_ABOVE` eigenvalues the candidates
        are those of `grid_starts`, whose tails differ by a thousandth, and all that lie
        between the neighbours of a minimum among them.
    """
    if fit.D is None:
        return AlphaProfile((), None, None, window, fit.reason)
    floor = Settings().tail_floor(fit.num_evals) if min_tail is None else min_tail
    shortest = min(SMALLEST_TAIL, floor)
    if fit.num_evals > CONDENSED_ABOVE:
        xmin, alpha, distance, n_tail = _some_candidates(evals, fit, ks, floor, shortest, window)
    else:
        xmin, alpha, distance, n_tail = profile(evals, ks=ks, min_tail=shortest)
    allowed = n_tail >= floor
    near = (distance <= fit.D + window) | (n_tail == fit.n_tail)
    minima = [
        Minimum(float(alpha[i]), float(xmin[i]), float(distance[i]), int(n_tail[i]), not bool(allowed[i]))
        for first, last in _stretches(near, allowed)
        for i in [first + int(np.argmin(distance[first:last]))]
    ]
    kept = sorted(sorted(minima, key=lambda m: (m.below_min_tail, m.D))[:MOST_MINIMA], key=lambda m: m.xmin)
    within = alpha[near & allowed]
    return AlphaProfile(tuple(kept), float(within.min()), float(within.max()), window)


def _some_candidates(
    evals: ArrayLike, fit: PowerLawFit, ks: KSMode, floor: int, shortest: int, window: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Give xmin, alpha, D and n_tail of the candidates of a large sample's grid, and of all near its minima."""
    from onnxspec.fits.xmin_scan import chosen_candidates

    values = np.asarray(evals, dtype=np.float64).ravel()
    x: NDArray[np.float64] = np.sort(values[values > 0.0])
    every = candidates(x, shortest)
    grid = grid_starts(x, [x.size - (fit.n_tail or 0), x.size - floor])
    grid = grid[np.isin(grid, every, assume_unique=True)]
    alpha, distance = chosen_candidates(x, grid, KS_CODES[ks])
    near = distance <= (fit.D or 0.0) + window
    lowest = [first + int(np.argmin(distance[first:last])) for first, last in _stretches(near, x.size - grid >= floor)]
    lowest = sorted(lowest, key=lambda i: float(distance[i]))[:MOST_MINIMA]
    cells = [every[(every > grid[max(i - 1, 0)]) & (every < grid[min(i + 1, grid.size - 1)])] for i in lowest]
    more = np.setdiff1d(np.concatenate([*cells, grid[:0]]), grid)
    found = chosen_candidates(x, more, KS_CODES[ks])
    starts = np.concatenate([grid, more])
    order = np.argsort(starts)
    starts = starts[order]
    return (
        x[starts],
        np.concatenate([alpha, found[0]])[order],
        np.concatenate([distance, found[1]])[order],
        x.size - starts,
    )


def _stretches(near: NDArray[np.bool_], allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Give first and last + 1 of each run of near candidates, split where the tails become too short."""
    label = np.where(near, 1 + allowed.astype(np.int8), 0)
    edges = np.flatnonzero(np.diff(label)) + 1
    bounds = [0, *edges.tolist(), label.size]
    return [(first, last) for first, last in pairwise(bounds) if last > first and label[first]]


def unbiased_alpha(fit: PowerLawFit) -> float | None:
    """Give the unbiased exponent ``1 + (n_tail - 2) / sum log(x / xmin)``, for an xmin that is a data point.

    Parameters
    ----------
    fit : PowerLawFit
        A fit; xmin is taken as given.

    Returns
    -------
    float or None
        None without a fit or with fewer than three values in the tail.
    """
    if fit.alpha is None or fit.n_tail is None or fit.n_tail < 3:
        return None
    return 1.0 + (fit.alpha - 1.0) * (fit.n_tail - 2) / fit.n_tail


def exact_interval(fit: PowerLawFit, *, level: float = 0.95, outer_xmin: bool = False) -> tuple[float, float] | None:
    """Give the exact interval of alpha for a given xmin, without the error of its choice.

    ``2 (alpha - 1) sum log(x / xmin)`` is chi-squared, with 2 n degrees of freedom
    where xmin comes from outside, and 2 (n - 1) where it is the smallest of the n
    values (Muniruzzaman 1957; Clauset et al. 2009, appendix B).

    Parameters
    ----------
    fit : PowerLawFit
        A fit.
    level : float
        Coverage, between 0 and 1.
    outer_xmin : bool
        xmin is no data point.

    Returns
    -------
    tuple of float, or None
        None without a fit or with fewer than two values in the tail.
    """
    if fit.alpha is None or fit.n_tail is None or fit.n_tail < 2:
        return None
    shape = fit.n_tail if outer_xmin else fit.n_tail - 1
    scale = (fit.alpha - 1.0) / fit.n_tail
    tail = 0.5 * (1.0 - level)
    return 1.0 + scale * _gamma_quantile(tail, shape), 1.0 + scale * _gamma_quantile(1.0 - tail, shape)


def _gamma_quantile(p: float, shape: int) -> float:
    """Give the quantile of the gamma law of a whole-number shape, half of chi-squared's of twice the freedom.

    Newton's method from Wilson and Hilferty's approximation.
    """
    z = NormalDist().inv_cdf(p)
    root = 1.0 / (9.0 * shape)
    x = shape * max(1.0 - root + z * math.sqrt(root), 0.01) ** 3
    # terms that far below the largest are nothing
    first = 0 if shape <= ALL_TERMS else shape - 50 * math.isqrt(shape)
    k = np.arange(first, shape)
    log_factorials = math.lgamma(first + 1) + np.concatenate(([0.0], np.cumsum(np.log(np.arange(first + 1, shape)))))
    for _ in range(50):
        terms = np.exp(k * math.log(x) - x - log_factorials)
        density = float(terms[-1])
        if density == 0.0:
            break
        step = (1.0 - float(terms.sum()) - p) / density
        x = max(x - step, 0.5 * x)
        if abs(step) <= 1e-13 * x:
            break
    return x
