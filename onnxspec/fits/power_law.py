"""Power law of an eigenvalue spectrum: maximum likelihood, and xmin by the KS distance.

The law is ``p(x) = (alpha - 1) / xmin * (x / xmin) ** -alpha`` for ``x >= xmin``
(Clauset, Shalizi & Newman, SIAM Review 51, 661 (2009), eqns 2.2 and 3.1).
The scan over xmin itself is in `onnxspec.fits.candidates`, its compiled twin in `onnxspec.fits.xmin_scan`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

import numpy as np

from onnxspec._distinct import distinct
from onnxspec.fits.candidates import best_candidate, candidates, distances, finite, positive_ascending, tail_logs
from onnxspec.results import PowerLawFit
from onnxspec.settings import KSMode, Settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CONDENSED_ABOVE", "KS_CODES", "curve", "fit_power_law", "profile"]

COMPILED_SCAN = 16384
"""Values above which the compiled scan is taken: there it saves more than the half second that numba takes to load.

Both give the same fit to rounding; which one it is depends on the number of values alone.
"""

CONDENSED_ABOVE = 20_000
"""Values above which interval and profile work on units of neighbours (`onnxspec.fits.condensed`).

Below, both look at every value, which costs less than half a second.
"""

KS_CODES: dict[str, int] = {name: code for code, name in enumerate(get_args(KSMode))}


def fit_power_law(
    evals: ArrayLike, *, ks: KSMode = "grid", min_tail: int | None = None, min_evals: int = 2
) -> PowerLawFit:
    """Fit a power law to the tail of a sample, choosing where the tail starts.

    Every distinct value but the largest is a candidate for xmin. For each, alpha is
    ``1 + n_tail / sum log(x / xmin)`` over the ``n_tail`` values ``x >= xmin``
    (Clauset et al. 2009, eqn 3.1), and the candidate with the smallest KS distance
    D wins, the smallest xmin among equals.

    Parameters
    ----------
    evals : array_like, any shape
        Eigenvalues in any order; zero and negative ones are left out.
    ks : {"grid", "two_sided", "seed2018"}
        Form of D, with ``F_i = 1 - (x_i / xmin) ** (1 - alpha)`` and i = 0 .. n - 1
        over the sorted tail. ``grid``: max ``|F_i - i/n|`` (Clauset's own code,
        powerlaw 1.5, WeightWatcher). ``two_sided``: max of ``(i+1)/n - F_i`` and
        ``F_i - i/n``. ``seed2018``: max ``|F_i / F_{n-1} - i/n|``
        (powerlaw 1.4 with xmax = max).
    min_tail : int, optional
        Fewest values in a tail, at least 2. Default ``max(10, 0.02 * values)``.
    min_evals : int
        Fewest positive values for a fit at all.

    Returns
    -------
    PowerLawFit
        Without a fit its numbers are ``None`` and `reason` is ``non_finite``,
        ``zero_matrix`` (nothing positive), ``too_small`` (fewer than `min_evals`),
        ``flat_spectrum`` (all equal) or ``no_tail`` (no candidate with `min_tail`
        values). `num_evals` counts the positive values.

    Raises
    ------
    ValueError
        `ks` is unknown, or `min_tail` is below 2.

    Notes
    -----
    Multiplying all values by a power of two changes xmin and xmax by it and nothing
    else, to the last bit.
    """
    code = _ks_code(ks)
    values = np.asarray(evals, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        return _no_fit("non_finite", values.size)
    x = positive_ascending(values)
    n = x.size
    floor = _tail_floor(min_tail, n)
    if n == 0:
        return _no_fit("zero_matrix", 0)
    if n < max(min_evals, 2):
        return _no_fit("too_small", n)
    if x[0] == x[-1]:
        return _no_fit("flat_spectrum", n)
    start, alpha, D = _scan(x, floor, code)
    if start < 0:
        return _no_fit("no_tail", n)
    n_tail = n - start
    return PowerLawFit(
        alpha=alpha,
        alpha_stderr=(alpha - 1.0) / math.sqrt(n_tail),
        xmin=float(x[start]),
        xmax=float(x[-1]),
        D=D,
        n_tail=n_tail,
        num_evals=n,
    )


def profile(
    evals: ArrayLike, *, ks: KSMode = "grid", min_tail: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Give alpha and D for every candidate for xmin.

    Parameters
    ----------
    evals : array_like, any shape
        As in `fit_power_law`; must be finite.
    ks : {"grid", "two_sided", "seed2018"}
        As in `fit_power_law`.
    min_tail : int
        Fewest values in a tail, at least 2.

    Returns
    -------
    xmin, alpha, D : ndarray of float64, shape (candidates,)
        Ascending in xmin. The first minimum of D is what `fit_power_law` chooses.
    n_tail : ndarray of int64, shape (candidates,)
        Values in each tail.

    Raises
    ------
    ValueError
        `ks` is unknown, `min_tail` is below 2, or a value is not finite.
    """
    from onnxspec.fits.xmin_scan import chosen_candidates

    code = _ks_code(ks)
    x = positive_ascending(finite(evals))
    starts = candidates(x, _tail_floor(min_tail, x.size))
    alpha, distances = chosen_candidates(x, starts, code)
    return x[starts], alpha, distances, x.size - starts


def curve(
    evals: ArrayLike, points: int, *, ks: KSMode = "grid", min_tail: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give alpha and D for some of the candidates for xmin, evenly spread in rank: what a plot shows.

    Parameters
    ----------
    evals, ks, min_tail
        As in `profile`.
    points : int
        Most candidates to give.

    Returns
    -------
    xmin, alpha, D : ndarray of float64, at most `points` values
        Ascending in xmin.

    Raises
    ------
    ValueError
        As in `profile`.
    """
    code = _ks_code(ks)
    x = positive_ascending(finite(evals))
    starts = candidates(x, _tail_floor(min_tail, x.size))
    if not starts.size:
        return x[starts], np.empty(0), np.empty(0)
    chosen = starts[distinct(np.linspace(0, starts.size - 1, points).round().astype(int))]
    if x.size > CONDENSED_ABOVE:
        from onnxspec.fits.xmin_scan import chosen_candidates

        return x[chosen], *chosen_candidates(x, chosen, code)
    logs, sums = tail_logs(x)
    alpha = 1.0 + (x.size - chosen) / sums[chosen]
    return x[chosen], alpha, distances(logs, sums, chosen, code)


def _scan(x: NDArray[np.float64], min_tail: int, code: int) -> tuple[int, float, float]:
    """Find the best candidate for xmin: its index, alpha and D."""
    if x.size <= COMPILED_SCAN:
        return best_candidate(x, min_tail, code)
    from onnxspec.fits.xmin_scan import scan_xmin

    return scan_xmin(x, min_tail, code)


def _ks_code(ks: str) -> int:
    """Give the kernels' number of a form of the KS distance."""
    if ks not in KS_CODES:
        raise ValueError(f"ks is {ks!r}; it must be one of {', '.join(KS_CODES)}")
    return KS_CODES[ks]


def _tail_floor(min_tail: int | None, n: int) -> int:
    """Give the fewest values that a tail may have among `n`."""
    if min_tail is None:
        return Settings().tail_floor(n)
    if min_tail < 2:
        raise ValueError(f"min_tail is {min_tail}; it must be at least 2")
    return min_tail


def _no_fit(reason: str, num_evals: int) -> PowerLawFit:
    """Give the result of a fit that does not exist."""
    return PowerLawFit(None, None, None, None, None, None, num_evals=num_evals, reason=reason)
