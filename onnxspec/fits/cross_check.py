"""The same fit by the `powerlaw` package: an independent second opinion (Alstott et al., PLoS ONE 9, e85777 (2014))."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxspec.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from onnxspec.results import PowerLawFit

__all__ = ["CrossCheck", "cross_check"]

TOLERANCE = 1e-6
"""Largest difference of alpha, and relative difference of xmin, that counts as agreement."""

_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class CrossCheck:
    """What the `powerlaw` package finds on the same eigenvalues.

    Attributes
    ----------
    version : str or None
        Of the package.
    alpha, xmin, D : float or None
        As in `PowerLawFit`.
    n_tail : int or None
        Eigenvalues in the tail.
    agrees : bool or None
        alpha and xmin are those of the fit; ``None`` where one of the two has no fit.
    reason : str or None
        Why there is no second opinion: the fit's own reason, ``not_installed``,
        ``too_small`` (the package needs four distinct values) or ``no_fit``.
    """

    version: str | None
    alpha: float | None
    xmin: float | None
    D: float | None
    n_tail: int | None
    agrees: bool | None
    reason: str | None = None


def cross_check(evals: ArrayLike, fit: PowerLawFit, *, min_tail: int | None = None) -> CrossCheck:
    """Fit the eigenvalues again with the `powerlaw` package, version 1.5 or later.

    Its range for alpha is overridden (2.0 looks no further than 3), and its choice of
    xmin is kept to tails of `min_tail` eigenvalues. It knows the KS distance
    ``grid`` only, so a fit with another one need not agree.

    Parameters
    ----------
    evals : array_like, any shape
        The eigenvalues that were fitted.
    fit : PowerLawFit
        What `fit_power_law` gave for them.
    min_tail : int, optional
        As in the fit.

    Returns
    -------
    CrossCheck
        0.2 s at 512 eigenvalues, 3 s at 4,096.

    Notes
    -----
    What the package prints and warns of is swallowed; for that, standard output and
    the warning filters are replaced while it runs, by one thread at a time. Call it
    where no other thread prints.
    """
    if fit.alpha is None or fit.xmin is None:
        return CrossCheck(None, None, None, None, None, None, fit.reason)
    try:
        with _one_at_a_time, _silence():
            import powerlaw
    except ImportError:
        return CrossCheck(None, None, None, None, None, None, "not_installed")
    version = str(getattr(powerlaw, "__version__", "")) or None
    values = np.asarray(evals, dtype=np.float64).ravel()
    x: NDArray[np.float64] = np.sort(values[values > 0.0])
    floor = Settings().tail_floor(x.size) if min_tail is None else min_tail
    bounds = _xmin_range(x, floor)
    if bounds is None:
        return CrossCheck(version, None, None, None, None, None, "too_small")
    with _one_at_a_time, _silence():
        other = powerlaw.Fit(x, xmin=bounds, verbose=False, **_wide_alpha(powerlaw.Fit))
        alpha, xmin, distance = float(other.alpha), float(other.xmin), float(other.D)
    if not (math.isfinite(alpha) and math.isfinite(xmin) and math.isfinite(distance)):
        return CrossCheck(version, None, None, None, None, None, "no_fit")
    agrees = abs(alpha - fit.alpha) <= TOLERANCE and abs(xmin - fit.xmin) <= TOLERANCE * fit.xmin
    return CrossCheck(version, alpha, xmin, distance, int((x >= xmin).sum()), agrees)


def _wide_alpha(constructor: Any) -> dict[str, dict[str, tuple[float, None]]]:
    """Give the argument that widens the range of alpha, by the name that this version has for it."""
    if "parameter_ranges" in inspect.signature(constructor).parameters:
        return {"parameter_ranges": {"alpha": (1.0, None)}}
    return {}


def _xmin_range(x: NDArray[np.float64], floor: int) -> tuple[float, float] | None:
    """Give a range for xmin that leaves `floor` values in every tail.

    The package drops the largest distinct value inside the range, and version 2 wants
    its upper end above all candidates, so it ends between the next two.
    """
    distinct, first = np.unique(x, return_index=True)
    allowed = int(np.count_nonzero(x.size - first >= floor))
    if distinct.size < 4 or allowed < 2:
        return None
    last = min(allowed - 1, distinct.size - 2)
    above = distinct[last + 2] if last + 2 < distinct.size else 2.0 * distinct[-1]
    return float(distinct[0]), float(0.5 * (distinct[last + 1] + above))


@contextlib.contextmanager
def _silence() -> Any:
    """Swallow what is printed and warned of."""
    nowhere = io.StringIO()
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        yield
