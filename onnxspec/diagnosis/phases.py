"""The phase of training of one layer: the 5+1 phases of HT-SR theory, by rules with margins.

Martin and Mahoney, arXiv 1810.01075, section 4. The order of the questions matters:
collapse first (a collapsed layer fits no law), then the Marchenko-Pastur bulk, then the
tail, because alpha alone cannot tell heavy tails from a bulk with spikes. The rules and
their score on matrices of known phase are in docs/validation.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.fits._bulk_null import P_FLOOR
from onnxspec.fits.bulk import BulkFit, fit_bulk
from onnxspec.fits.power_law import fit_power_law
from onnxspec.laws import marchenko_pastur, spiked
from onnxspec.results import PowerLawFit

__all__ = ["MIN_M", "Features", "Phase", "classify"]

Array = NDArray[np.float64]
Label = Literal[
    "random_like",
    "bleeding_out",
    "bulk_spikes",
    "bulk_decay",
    "heavy_tailed",
    "rank_collapse",
    "isometric",
    "undecided",
]

MIN_M = 50
"""Fewest eigenvalues for a phase: below, quantiles and tails say too little."""

COLLAPSED_SHARE = 0.05
"""Least share of the eigenvalues below the gap of a collapse: no random init of these shapes has any there."""

COLLAPSED_STRETCH = 1.5
"""Decades by which the lower half of the spectrum may be wider than the law's (Pareto spectra: below 1.0)."""

COLLAPSED_GAP = 1.5
"""Decades between two neighbouring eigenvalues above 5 % of them, next to nothing below (noise: below 0.2).

Zeros at the weights' precision do not count as such: under a huge largest eigenvalue
a whole spectrum can run below that precision, without a gap.
"""

ROUNDING = 1e-16
"""Eigenvalues below this, over the largest, are rounding errors, among which no gap is looked for."""

GOOD_P = 1e-3
"""The bulk follows the law where the chance of a larger KS distance is at least this."""

GOOD_D = 0.015
"""... or where the distance is smaller than this, however many eigenvalues betray it."""

PULLED_OUT = 1.30
"""lambda_max / lambda_plus from which spikes stand clear of the edge: a theta of 1.7 to 1.85 thresholds (Q 1 to 10)."""

FEW_SPIKES = 0.10
"""Share of the eigenvalues that can be spikes of a low-rank signal; more is a decay of the bulk's edge."""

LOST_D = 0.12
"""KS distance from which no bulk is left (spikes of up to half of all directions: below 0.10)."""

LOST_STRETCH = 0.30
"""Decades by which the spectrum's lower half may differ from the law's where a bulk is left."""

HEAVY_ALPHA = 5.0
"""Largest exponent of a heavy tail: beyond, the tail of random matrices has it too."""

HEAVY_SHARE = 0.12
"""Smallest share of the eigenvalues in a heavy tail."""

HEAVY_DECADES = 0.45
"""Fewest decades of a heavy tail above a bulk."""

STRENGTH_FACTOR, STRENGTH_POWER = 4.2, 0.235
"""Above a bulk at KS distance D, a heavy tail has a mean spike strength beyond ``4.2 D^0.235`` BBP thresholds.

Decaying strengths come with many weak spikes, which disturb the bulk more than the few
strong ones of a power law. The line separates 96 % of such spectra (logistic
regression, five-fold; D alone 75 %, strength alone 93 %, decades alone 93 %).
"""


LOG_D_ERROR = 0.13
"""Standard deviation of ln D of noise (tools/make_trained_null.py), the sampling error of D."""

LOG_P_ERROR = 2.5
"""By how much ln p moves when ln D does by its error, near p = 0.001."""

D_AT_GOOD_P = 6.0
"""M times the KS distance of noise at p = `GOOD_P`, roughly (4.5 at p = 0.01); only for the margin."""

DECADES_ERROR = 0.1
"""Sampling error of the decades of a tail: an e-folding of its largest value over alpha - 1, roughly."""


@dataclass(frozen=True)
class Features:
    """The numbers that the phase rests on.

    Attributes
    ----------
    zero_share : float
        Eigenvalues that are zero at the weights' precision, over M.
    stretch : float or None
        ``log10(q50/q05)`` of the eigenvalues less that of the law.
    gap : float
        Largest step, in decades, between neighbouring eigenvalues, with at least 5 % of
        them and at most 0.1 % of their sum below it.
    bulk_D, bulk_p : float or None
        KS distance of the bulk, and chance that noise has a larger one.
    edge_ratio : float or None
        ``lambda_max / lambda_plus``.
    spikes, spike_share : int, float or None
        Eigenvalues beyond the edge, and over M.
    spike_strength : float or None
        Mean of ``theta / threshold`` of the spikes (`laws.spiked.bbp_threshold`).
    alpha, tail_share, tail_decades : float or None
        Of the power-law fit; only where it was needed.
    """

    zero_share: float
    stretch: float | None = None
    gap: float = 0.0
    bulk_D: float | None = None
    bulk_p: float | None = None
    edge_ratio: float | None = None
    spikes: int | None = None
    spike_share: float | None = None
    spike_strength: float | None = None
    alpha: float | None = None
    tail_share: float | None = None
    tail_decades: float | None = None


@dataclass(frozen=True)
class Phase:
    """Phase of one layer, with what led to it.

    Attributes
    ----------
    label : str
        ``random_like``, ``bleeding_out``, ``bulk_spikes``, ``bulk_decay``,
        ``heavy_tailed``, ``rank_collapse``, ``isometric`` or ``undecided``.
    confidence : float or None
        Chance, 0.5 to 1, that the closest threshold on the way would be passed on the
        same side again, from the sampling errors of the features; not more than that.
    margins : dict of str to float
        Distance to each threshold on the way, in units of the feature's sampling error.
    features : Features or None
        The numbers.
    labels : tuple of str
        ``tikhonov_like``: the signal is what exceeds the edge; ``no_bulk``: lambda_plus
        and mp_softrank mean little; ``rest_<label>``: phase of the part that has not
        collapsed.
    reason : str or None
        Why a layer is undecided: ``too_small``, ``zero_matrix``, ``rank_one``, ``non_finite``.
    """

    label: Label
    confidence: float | None = None
    margins: dict[str, float] = field(default_factory=dict)
    features: Features | None = None
    labels: tuple[str, ...] = ()
    reason: str | None = None


def classify(
    evals: ArrayLike, N: int, M: int, *, bulk: BulkFit | None = None, fit: PowerLawFit | None = None, zeros: int = 0
) -> Phase:
    """Say in which phase of training one matrix is.

    Parameters
    ----------
    evals : array_like of float, shape (M,)
        Eigenvalues of ``X = W^T W / N``, descending.
    N, M : int
        Rows and columns of W, ``N >= M``.
    bulk : BulkFit, optional
        Fit of the bulk of these eigenvalues; made here where absent.
    fit : PowerLawFit, optional
        Power-law fit of these eigenvalues; made here where absent and needed.
    zeros : int
        How many of the eigenvalues (the last ones) count as 0.

    Returns
    -------
    Phase

    Raises
    ------
    ValueError
        The number of eigenvalues is not M, or `zeros` exceeds it.
    """
    lam = np.asarray(evals, dtype=np.float64)
    if bulk is None:
        bulk = fit_bulk(lam, N, M, zeros=zeros)
    elif lam.shape != (M,) or not 0 <= zeros <= M:
        raise ValueError(f"{lam.shape} eigenvalues with {zeros} zeros do not belong to a matrix of {N} x {M}.")
    if not bool(np.all(np.isfinite(lam))):
        return Phase("undecided", reason="non_finite")
    positive = lam[: M - zeros]
    if positive.size == 0 or positive[0] <= 0.0:
        return Phase("undecided", reason="zero_matrix")
    if bulk.reason == "flat_spectrum":
        return Phase("isometric", features=Features(zero_share=zeros / M))
    if M < MIN_M:
        return Phase("undecided", reason="too_small")
    if positive.size == 1:
        return Phase("undecided", reason="rank_one")
    return _by_rules(lam, positive, N, bulk, fit)


class _Path:
    """Collects the margins of the questions that were asked."""

    def __init__(self) -> None:
        self.margins: dict[str, float] = {}

    def ask(self, name: str, distance: float, error: float) -> bool:
        """Say whether a feature exceeds its threshold, and keep by how many errors."""
        margin = distance / error
        self.margins[name] = round(max(min(margin, 99.0), -99.0), 4)
        return margin >= 0.0

    def confidence(self) -> float:
        """Give the chance that the closest question is answered in the same way again."""
        closest = min((abs(margin) for margin in self.margins.values()), default=0.0)
        return 1.0 - 0.5 * math.erfc(closest / math.sqrt(2.0))


def _by_rules(lam: Array, positive: Array, N: int, bulk: BulkFit, fit: PowerLawFit | None) -> Phase:
    """Ask the questions in their order."""
    path = _Path()
    M = lam.size
    features = _features(lam, positive, N, bulk)
    if _collapsed(path, features, M):
        kept = _above_gap(lam)
        rest = classify(lam[:kept], N, kept) if MIN_M <= kept < M else None
        labels = ("no_bulk",) if rest is None or rest.label == "undecided" else ("no_bulk", f"rest_{rest.label}")
        return _phase("rank_collapse", path, features, labels)
    known = _known(bulk)
    if known is not None and _good(path, known, M):
        return _mp_phase(path, features, known, M)
    if fit is None:
        fit = fit_power_law(positive)
    tail = _tail(fit)
    if tail is None:
        return _phase("bulk_decay", path, features)
    features = replace(features, alpha=tail.alpha, tail_share=tail.share, tail_decades=tail.decades)
    if _heavy(path, tail, known, features.stretch):
        return _phase("heavy_tailed", path, features, ("no_bulk",))
    return _phase("bulk_decay", path, features)


def _phase(label: Label, path: _Path, features: Features, labels: tuple[str, ...] = ()) -> Phase:
    """Put the result together."""
    return Phase(label, path.confidence(), path.margins, features, labels)


def _collapsed(path: _Path, features: Features, M: int) -> bool:
    """Ask whether a part of the spectrum has fallen to zero."""
    stretch_error = 2.0 / math.sqrt(M)
    answers = [
        features.stretch is not None and path.ask("stretch", features.stretch - COLLAPSED_STRETCH, stretch_error),
        path.ask("gap", features.gap - COLLAPSED_GAP, 0.1),
    ]
    if any(answers):  # the questions that were answered with no do not matter then
        path.margins = {name: margin for name, margin in path.margins.items() if margin >= 0.0}
    return any(answers)


@dataclass(frozen=True)
class _Bulk:
    """Numbers of a bulk that was fitted."""

    D: float
    p: float
    lambda_max: float
    lambda_plus: float
    edge: float
    edge_error: float
    spikes: int
    share: float
    strength: float | None


@dataclass(frozen=True)
class _Tail:
    """Numbers of a power law that was fitted."""

    alpha: float
    alpha_error: float
    share: float
    share_error: float
    decades: float


def _known(bulk: BulkFit) -> _Bulk | None:
    """Give the numbers of a bulk, if it was fitted."""
    if bulk.D_bulk is None or bulk.D_bulk_p is None or bulk.spikes is None or bulk.mp_softrank is None:
        return None
    if bulk.lambda_plus is None or bulk.spike_edge is None or bulk.delta_tw is None:
        return None
    return _Bulk(
        D=bulk.D_bulk,
        p=bulk.D_bulk_p,
        lambda_max=bulk.lambda_plus / bulk.mp_softrank,
        lambda_plus=bulk.lambda_plus,
        edge=bulk.spike_edge,
        edge_error=1.27 * bulk.delta_tw,  # standard deviation of the Tracy-Widom law
        spikes=bulk.spikes,
        share=bulk.spikes / bulk.M,
        strength=_strength(bulk),
    )


def _strength(bulk: BulkFit) -> float | None:
    """Give the mean strength of the spikes in BBP thresholds."""
    thetas = [theta for theta in bulk.spike_thetas if theta is not None]
    return math.fsum(thetas) / len(thetas) / spiked.bbp_threshold(bulk.N / (bulk.M - bulk.zeros)) if thetas else None


def _tail(fit: PowerLawFit) -> _Tail | None:
    """Give the numbers of a power law, if it was fitted."""
    if fit.alpha is None or fit.alpha_stderr is None or fit.n_tail is None or fit.xmin is None or fit.xmax is None:
        return None
    share = fit.n_tail / fit.num_evals
    return _Tail(fit.alpha, fit.alpha_stderr, share, math.sqrt(share / fit.num_evals), math.log10(fit.xmax / fit.xmin))


def _good(path: _Path, bulk: _Bulk, M: int) -> bool:
    """Ask whether the bulk follows the law."""
    if bulk.D <= GOOD_D and bulk.p < GOOD_P:
        return path.ask("bulk_D", math.log(GOOD_D / bulk.D), LOG_D_ERROR)
    good = path.ask("bulk_p", math.log(bulk.p / GOOD_P), LOG_P_ERROR)
    if bulk.p <= P_FLOOR:  # how far beyond, only the distance itself says
        path.ask("bulk_p", min(math.log(D_AT_GOOD_P / (M * bulk.D)), -LOG_D_ERROR), LOG_D_ERROR)
    return good


def _mp_phase(path: _Path, features: Features, bulk: _Bulk, M: int) -> Phase:
    """Tell apart the phases with a good bulk."""
    path.ask("spike_edge", bulk.lambda_max - bulk.edge, bulk.edge_error)
    if bulk.spikes == 0:
        return _phase("random_like", path, features)
    if path.ask("spike_share", bulk.share - FEW_SPIKES, math.sqrt(bulk.spikes) / (2.0 * M)):
        return _phase("bulk_decay", path, features)
    ratio = bulk.lambda_max / bulk.lambda_plus
    if path.ask("edge_ratio", ratio - PULLED_OUT, bulk.edge_error / bulk.lambda_plus):
        return _phase("bulk_spikes", path, features, ("tikhonov_like",))
    return _phase("bleeding_out", path, features, ("tikhonov_like",))


def _heavy(path: _Path, tail: _Tail, bulk: _Bulk | None, stretch: float | None) -> bool:
    """Ask whether a power law describes the tail better than a bulk with many spikes."""
    lost = bulk is None or bulk.D > LOST_D or abs(stretch or 0.0) > LOST_STRETCH
    if bulk is not None and not lost:
        path.ask("bulk_lost", math.log(bulk.D / LOST_D), LOG_D_ERROR)
    if not path.ask("alpha", HEAVY_ALPHA - tail.alpha, tail.alpha_error):
        return False
    if not path.ask("tail_share", tail.share - HEAVY_SHARE, tail.share_error):
        return False
    if bulk is None or lost:
        return True
    expected = STRENGTH_FACTOR * bulk.D**STRENGTH_POWER
    return (
        bulk.strength is not None
        and path.ask("tail_decades", tail.decades - HEAVY_DECADES, DECADES_ERROR)
        and path.ask("spike_strength", math.log(bulk.strength / expected), 0.5 / math.sqrt(bulk.spikes))
    )


def _features(lam: Array, positive: Array, N: int, bulk: BulkFit) -> Features:
    """Compute everything but the tail."""
    M = lam.size
    Q = N / positive.size
    low, middle = np.quantile(positive, [0.05, 0.5]).tolist()
    stretch = None if low <= 0.0 else math.log10(middle / low) - math.log10(_law(0.5, Q) / _law(0.05, Q))
    return Features(
        zero_share=1.0 - positive.size / M,
        stretch=stretch,
        gap=_largest_gap(lam)[0],
        bulk_D=bulk.D_bulk,
        bulk_p=bulk.D_bulk_p,
        edge_ratio=None if bulk.mp_softrank is None else 1.0 / bulk.mp_softrank,
        spikes=bulk.spikes,
        spike_share=bulk.spike_fraction,
        spike_strength=_strength(bulk),
    )


def _law(p: float, Q: float) -> float:
    """Give a quantile of the Marchenko-Pastur law at sigma = 1."""
    t = marchenko_pastur.angle_of_probability(p, Q)
    return 1.0 + 1.0 / Q - 2.0 * math.cos(t) / math.sqrt(Q)


def _largest_gap(lam: Array) -> tuple[float, int]:
    """Give the largest step with enough eigenvalues and little of their sum below it, and what lies above."""
    M = lam.size
    steps = -np.diff(np.log10(np.maximum(lam, float(lam[0]) * ROUNDING)))
    below = np.cumsum(lam[::-1])[::-1][1:] / float(lam.sum())
    usable = (np.arange(1, M) <= (1.0 - COLLAPSED_SHARE) * M) & (below <= 1e-3)
    if not bool(usable.any()):
        return 0.0, M
    at = int(np.argmax(np.where(usable, steps, -1.0)))
    return float(steps[at]), at + 1


def _above_gap(lam: Array) -> int:
    """Count the eigenvalues above a collapse."""
    gap, above = _largest_gap(lam)
    return above if gap > COLLAPSED_GAP else lam.size
