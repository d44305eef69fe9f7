"""Flags for layers that look over- or under-trained, and what each metric can say.

The flags follow WeightWatcher's informal thresholds (alpha below 2, above 6), but a layer
is flagged only where its whole interval is beyond the threshold. A low alpha does not
mean that a model generalises: networks trained on random labels have one too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "METRIC_KINDS",
    "Erg",
    "Health",
    "erg_condition",
    "health",
    "rank_correlation",
]

Array = NDArray[np.float64]
Tail = Literal["very_heavy", "heavy", "weak", "random_like"]
Flag = Literal["over_trained", "under_trained", "not_told_from_noise", "no_power_law", "rank_collapse", "trap"]
Kind = Literal["scale", "shape", "mixed"]

VERY_HEAVY = 2.0
HEAVY = 4.0
WEAK = 6.0
REJECTED = 0.1
"""Goodness-of-fit p-value below which a power law is rejected (Clauset et al. 2009, section 4.1)."""

NORMAL_95 = 1.959963984540054

METRIC_KINDS: dict[str, Kind] = {
    "norm": "scale",
    "log_norm": "scale",
    "spectral_norm": "scale",
    "log_spectral_norm": "scale",
    "lambda_max": "scale",
    "sv_max": "scale",
    "sigma_mp": "scale",
    "xmin": "scale",
    "xmax": "scale",
    "trace": "scale",
    "log_det": "scale",
    "alpha_weighted": "mixed",
    "alpha_hat": "mixed",
    "log_alpha_norm": "mixed",
    "log_stable_rank": "mixed",
    "alpha": "shape",
    "D": "shape",
    "n_tail": "shape",
    "entropy": "shape",
    "entropy_deficit": "shape",
    "stable_rank": "shape",
    "stable_rank_ratio": "shape",
    "mp_softrank": "shape",
    "rank_loss": "shape",
}
"""What each metric sees: ``scale`` (multiplying W changes it), ``shape`` (it does not), or both.

Martin and Mahoney, arXiv 2106.00734: between models of one family scale metrics follow
the size of the data, shape metrics the fine-tuning; a mixture of both can show Simpson's paradox.
"""


@dataclass(frozen=True)
class Health:
    """How a layer's tail reads, and flags that its error bars support.

    Attributes
    ----------
    tail : {"very_heavy", "heavy", "weak", "random_like"} or None
        alpha below 2, 2 to 4, 4 to 6, above 6; ``None`` without a power law.
    tail_range : tuple of str
        The same for every alpha of the interval, lightest name last.
    flags : tuple of str
        ``over_trained``: the whole interval lies below 2. ``under_trained``: it lies above
        6. ``not_told_from_noise``, ``no_power_law`` (rejected), ``rank_collapse``, ``trap``.
    decided : bool
        The interval lies within one class of tails.
    interval : tuple of float, or None
        The interval that was used: alpha_ci, or alpha -+ 1.96 standard errors.
    """

    tail: Tail | None
    tail_range: tuple[Tail, ...]
    flags: tuple[Flag, ...]
    decided: bool
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Erg:
    """The log-determinant condition of SETOL (arXiv 2507.17912), on eigenvalues rescaled to mean 1.

    Attributes
    ----------
    ecs_k : int or None
        Size of the effective correlation space: the largest k whose k largest rescaled
        eigenvalues have a product of at least 1.
    ecs_fraction : float or None
        Over M.
    lambda_ecs : float or None
        The smallest rescaled eigenvalue among them.
    log_det_ecs : float or None
        Natural logarithm of their product; 0 to within its last factor.
    log_det : float or None
        Of all that are not zero.
    delta_lambda_min : float or None
        Rescaled xmin of the power law less `lambda_ecs`; 0 for SETOL's ideal layer.
        It scatters widely for random power-law samples: report it, do not gate on it.
    reason : str or None
        ``zero_matrix``, ``non_finite``.
    """

    ecs_k: int | None
    ecs_fraction: float | None = None
    lambda_ecs: float | None = None
    log_det_ecs: float | None = None
    log_det: float | None = None
    delta_lambda_min: float | None = None
    reason: str | None = None


def health(
    alpha: float | None,
    *,
    alpha_ci: tuple[float, float] | None = None,
    alpha_stderr: float | None = None,
    gof_p: float | None = None,
    trained: str | None = None,
    phase: str | None = None,
    trapped: bool | None = None,
) -> Health:
    """Flag a layer where its error bars support it.

    Parameters
    ----------
    alpha : float or None
        Power-law exponent.
    alpha_ci : tuple of float, optional
        Its 95 % interval, xmin chosen again in every replica.
    alpha_stderr : float, optional
        Its standard error at a fixed xmin, used where there is no interval.
    gof_p : float, optional
        Goodness-of-fit p-value; below 0.1 the power law is rejected.
    trained : str, optional
        Verdict of `trained_verdict`.
    phase : str, optional
        Label of `classify`.
    trapped : bool, optional
        `Traps.trapped`.

    Returns
    -------
    Health
    """
    flags: list[Flag] = []
    interval = _interval(alpha, alpha_ci, alpha_stderr)
    rejected = gof_p is not None and gof_p < REJECTED
    noise = trained == "noise"
    if noise:
        flags.append("not_told_from_noise")
    if interval is not None and not rejected:
        # the tail of noise is no power law: its exponent says nothing of over-training
        if interval[1] < VERY_HEAVY and not noise:
            flags.append("over_trained")
        if interval[0] > WEAK:
            flags.append("under_trained")
    if rejected:
        flags.append("no_power_law")
    if phase == "rank_collapse":
        flags.append("rank_collapse")
    if trapped:
        flags.append("trap")
    if alpha is None or interval is None or rejected:
        return Health(None if alpha is None or rejected else _tail(alpha), (), tuple(flags), False, interval)
    names: tuple[Tail, ...] = ("very_heavy", "heavy", "weak", "random_like")
    spanned = names[names.index(_tail(interval[0])) : names.index(_tail(interval[1])) + 1]
    return Health(_tail(alpha), spanned, tuple(flags), len(spanned) == 1, interval)


def _interval(alpha: float | None, ci: tuple[float, float] | None, stderr: float | None) -> tuple[float, float] | None:
    """Choose the interval of alpha."""
    if alpha is None:
        return None
    if ci is not None:
        return (min(ci), max(ci))
    return None if stderr is None else (alpha - NORMAL_95 * stderr, alpha + NORMAL_95 * stderr)


def _tail(alpha: float) -> Tail:
    """Name the class of a tail."""
    if alpha < VERY_HEAVY:
        return "very_heavy"
    if alpha < HEAVY:
        return "heavy"
    return "weak" if alpha <= WEAK else "random_like"


def erg_condition(evals: ArrayLike, *, zeros: int = 0, xmin: float | None = None) -> Erg:
    """Find the eigenvalues whose product is 1 when all are rescaled to mean 1.

    Parameters
    ----------
    evals : array_like of float, shape (M,)
        Eigenvalues, in any unit and order.
    zeros : int
        How many of the smallest count as 0: they belong to the mean, not to the product.
    xmin : float, optional
        Start of the power-law tail, in the unit of `evals`.

    Returns
    -------
    Erg
        From cumulative sums of logarithms, so that no product overflows.

    Raises
    ------
    ValueError
        There are fewer eigenvalues than `zeros`.
    """
    lam = np.sort(np.asarray(evals, dtype=np.float64).ravel())[::-1]
    M = lam.size
    if not 0 <= zeros <= M:
        raise ValueError(f"{zeros} of {M} eigenvalues cannot be zero.")
    if not bool(np.all(np.isfinite(lam))):
        return Erg(None, reason="non_finite")
    if M == 0 or lam[0] <= 0.0:
        return Erg(None, reason="zero_matrix")
    unit = float(lam[0]) * float((lam / lam[0]).mean())
    rescaled = lam[: M - zeros] / unit
    rescaled = rescaled[rescaled > 0.0]
    if rescaled.size == 0:
        return Erg(None, reason="zero_matrix")
    logs = np.cumsum(np.log(rescaled))
    # equal eigenvalues sum to 0 only up to the rounding of their logarithms
    tolerance = 4.0 * np.finfo(np.float64).eps * np.arange(1, rescaled.size + 1)
    k = int(np.flatnonzero(logs >= -tolerance)[-1]) + 1
    smallest = float(rescaled[k - 1])
    return Erg(
        ecs_k=k,
        ecs_fraction=k / M,
        lambda_ecs=smallest,
        log_det_ecs=float(logs[k - 1]),
        log_det=float(logs[-1]),
        delta_lambda_min=None if xmin is None else xmin / unit - smallest,
    )


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float | None:
    """Give Spearman's rank correlation, of a scale and a shape metric over the layers of a model.

    Parameters
    ----------
    x, y : array_like of float, shape (layers,)
        Finite; equal values share their mean rank.

    Returns
    -------
    float or None
        ``None`` for fewer than three layers, or where one metric is constant.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    a, b = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if a.size != b.size:
        raise ValueError(f"{a.size} values cannot be compared with {b.size}.")
    if a.size < 3:
        return None
    ra, rb = _ranks(a), _ranks(b)
    product = math.sqrt(float(ra @ ra) * float(rb @ rb))
    return float(ra @ rb) / product if product > 0.0 else None


def _ranks(values: Array) -> Array:
    """Give centred ranks, the mean rank to equal values."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - 0.5 * (counts - 1))[inverse]
    centred: Array = ranks - ranks.mean()
    return centred
