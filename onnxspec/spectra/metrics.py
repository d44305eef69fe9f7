"""Norms, ranks and entropy of one spectrum.

With the singular values ``sv`` of all pooled matrices (``K = num_matrices * M`` of them),
``lambda = sv^2 / N``, and R of them above the rank tolerance:

==================  ==========================================================================
sv_max, sv_min      largest and smallest singular value
lambda_max          ``sv_max^2 / N``
norm                ``sum sv^2``, the squared Frobenius norm
spectral_norm       ``sv_max^2``, the squared spectral norm
log_norm            ``log10 sum sv^2`` (arXiv 1901.08278; Martin, Peng & Mahoney,
                    Nature Communications 12, 4122 (2021))
log_spectral_norm   ``log10 sv_max^2`` (same)
log_alpha_norm      ``log10 sum (sv^2)^alpha`` (same)
alpha_weighted      ``alpha log10 sv_max^2`` (same)
alpha_hat           ``alpha log10 lambda_max`` (seed 002, eqn 3)
stable_rank         ``sum sv^2 / sv_max^2``
stable_rank_ratio   stable_rank over its value for iid entries,
                    ``num_matrices M / (1 + Q^-1/2)^2`` (Marchenko-Pastur edge)
log_stable_rank     ``log10 sum sv^2 / log10 lambda_max`` (seed 002, eqn 6)
entropy             ``-(1 / ln R) sum p ln p`` over the R largest, ``p = lambda / sum lambda``
                    (seed 001, Matrix Entropy); 0 for R = 1
entropy_deficit     ``(1 - entropy) 2 Q ln K``; 1 for iid entries (mean of
                    ``lambda ln lambda`` under Marchenko-Pastur is ``1 / (2 Q)``)
trace               ``sum lambda``
log_det             ``sum ln lambda`` over the R largest (natural logarithm)
rank, rank_loss     R and ``K - R``
==================  ==========================================================================

A stack of matrices is thus treated as one spectrum of K eigenvalues.

Reasons for a null: ``zero_matrix``; ``no_fit`` (no alpha); ``near_singular``
(``|log10 lambda_max| < 0.05`` in log_stable_rank); ``below_tolerance`` (R = 0);
``too_small`` (K = 1); ``overflow`` and ``underflow`` (outside float64).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results import Spectrum

__all__ = ["METRICS", "metrics", "norm_metrics"]

Value = float | int | None

_POWERS = ("lambda_max", "norm", "spectral_norm", "trace")
_RATIOS = (
    *("log_norm", "log_spectral_norm", "log_alpha_norm", "alpha_weighted", "alpha_hat", "stable_rank"),
    *("stable_rank_ratio", "log_stable_rank", "entropy", "entropy_deficit", "log_det"),
)
_NORMS = ("log_norm", "log_spectral_norm", "stable_rank", "stable_rank_ratio", "log_stable_rank")
METRICS = ("sv_max", "sv_min", "rank", "rank_loss", *_POWERS, *_RATIOS)
"""Every name that `metrics` gives."""

_SINGULAR = 0.05  # eqn 6 divides by log10 lambda_max


class _Collector:
    """Values, and a reason for each null."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.reasons: dict[str, str] = {}

    def null(self, reason: str, *names: str) -> None:
        """Record numbers that do not exist."""
        for name in names:
            self.values[name] = None
            self.reasons[name] = reason

    def put(self, name: str, value: float) -> None:
        """Record a number that exists."""
        self.values[name] = value

    def put_power(self, name: str, value: float) -> None:
        """Record a positive number that float64 may be unable to hold."""
        if math.isinf(value):
            self.null("overflow", name)
        elif value == 0.0:
            self.null("underflow", name)
        else:
            self.values[name] = value


def metrics(spectrum: Spectrum, *, alpha: float | None = None) -> tuple[dict[str, Value], dict[str, str]]:
    """Compute the norms, ranks and entropies of a spectrum.

    Parameters
    ----------
    spectrum : Spectrum
        Of one matrix or of a pooled stack.
    alpha : float, optional
        Power-law exponent of the layer, for log_alpha_norm, alpha_weighted and
        alpha_hat.

    Returns
    -------
    values : dict
        By the names of `Layer`; formulas and sources in the module's docstring.
        ``None`` where a number does not exist.
    reasons : dict
        A reason code for every ``None``.
    """
    out = _Collector()
    K = spectrum.singular_values.size
    sv_max = float(spectrum.singular_values[0])
    out.put("sv_max", sv_max)
    out.put("sv_min", float(spectrum.singular_values[-1]))
    out.values["rank"] = spectrum.rank
    out.values["rank_loss"] = K - spectrum.rank
    if sv_max == 0.0:
        for name in _POWERS:
            out.put(name, 0.0)
        out.null("zero_matrix", *_RATIOS)
        return out.values, out.reasons
    if math.isinf(sv_max):
        out.null("overflow", "sv_max", *_POWERS, *_RATIOS)
        if math.isinf(float(spectrum.singular_values[-1])):
            out.null("overflow", "sv_min")
        return out.values, out.reasons
    with np.errstate(under="ignore"):
        squares = (spectrum.singular_values / sv_max) ** 2
    _norms(out, float(np.sum(squares)), sv_max, spectrum.N, spectrum.num_matrices * spectrum.M, spectrum.Q)
    _entropy(out, spectrum, squares, K)
    _alpha_metrics(out, spectrum, squares, sv_max, alpha)
    return out.values, out.reasons


def norm_metrics(sv_max: float, stable_rank: float, N: int, M: int) -> tuple[dict[str, Value], dict[str, str]]:
    """Compute what follows from the largest singular value and the stable rank of one matrix.

    Parameters
    ----------
    sv_max : float
        Largest singular value, above 0.
    stable_rank : float
        ``sum sv^2 / sv_max^2``.
    N, M : int
        Rows and columns, ``N >= M``.

    Returns
    -------
    values, reasons : dict
        As `metrics`, without the names that need other singular values.
    """
    out = _Collector()
    if math.isinf(sv_max):
        out.null("overflow", "sv_max", *_POWERS, *_NORMS)
    else:
        out.put("sv_max", sv_max)
        _norms(out, stable_rank, sv_max, N, M, N / M)
    return out.values, out.reasons


def _norms(out: _Collector, total: float, sv_max: float, N: int, K: int, Q: float) -> None:
    """Record norms, stable ranks and trace; `total` is the stable rank, K the number of eigenvalues."""
    fraction, exponent = math.frexp(sv_max)
    log_spectral = 2.0 * math.log10(sv_max)
    log_norm = log_spectral + math.log10(total)
    log_lambda = log_spectral - math.log10(N)
    out.put_power("lambda_max", _ldexp(fraction * fraction / N, 2 * exponent))
    out.put_power("spectral_norm", _ldexp(fraction * fraction, 2 * exponent))
    out.put_power("norm", _ldexp(total * fraction * fraction, 2 * exponent))
    out.put_power("trace", _ldexp(total * fraction * fraction / N, 2 * exponent))
    out.put("log_norm", log_norm)
    out.put("log_spectral_norm", log_spectral)
    out.put("stable_rank", total)
    null_rank = K / (1.0 + 1.0 / math.sqrt(Q)) ** 2
    out.put("stable_rank_ratio", total / null_rank)
    if abs(log_lambda) < _SINGULAR:
        out.null("near_singular", "log_stable_rank")
    else:
        out.put("log_stable_rank", log_norm / log_lambda)


def _entropy(out: _Collector, spectrum: Spectrum, squares: NDArray[np.float64], K: int) -> None:
    """Record what is defined over the eigenvalues above the rank tolerance."""
    R = spectrum.rank
    if R == 0:
        out.null("below_tolerance", "entropy", "entropy_deficit", "log_det")
        return
    kept = squares[:R]
    kept = kept[kept > 0.0]
    share = kept / np.sum(kept)
    entropy = 0.0 if R == 1 else float(-np.sum(share * np.log(share))) / math.log(R)
    entropy = min(max(entropy, 0.0), 1.0)
    out.put("entropy", entropy)
    sv = spectrum.singular_values[:R]
    out.put("log_det", float(np.sum(2.0 * np.log(sv)) - R * math.log(spectrum.N)))
    if K == 1:
        out.null("too_small", "entropy_deficit")
    else:
        out.put("entropy_deficit", (1.0 - entropy) * 2.0 * spectrum.Q * math.log(K))


def _alpha_metrics(
    out: _Collector, spectrum: Spectrum, squares: NDArray[np.float64], sv_max: float, alpha: float | None
) -> None:
    """Record what needs the power-law exponent."""
    if alpha is None:
        out.null("no_fit", "log_alpha_norm", "alpha_weighted", "alpha_hat")
        return
    log_spectral = 2.0 * math.log10(sv_max)
    with np.errstate(under="ignore"):
        tail = float(np.sum(squares**alpha))
    out.put("log_alpha_norm", alpha * log_spectral + math.log10(tail))
    out.put("alpha_weighted", alpha * log_spectral)
    out.put("alpha_hat", alpha * (log_spectral - math.log10(spectrum.N)))


def _ldexp(fraction: float, exponent: int) -> float:
    """Give ``fraction * 2 ** exponent``, infinite where float64 ends."""
    try:
        return math.ldexp(fraction, exponent)
    except OverflowError:
        return math.inf
