"""What one layer's numbers are worth: error bars, random-matrix fit, trained verdict and phase, by effort.

``fast`` has none of it, ``standard`` what costs little beside the eigenvalues,
``full`` the rest (docs/decisions/004). A number that the effort leaves out is null
with the reason ``effort``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from onnxspec.diagnosis.health import erg_condition, health
from onnxspec.diagnosis.phases import classify
from onnxspec.diagnosis.trained import trained_verdict
from onnxspec.diagnosis.traps import correlation_traps
from onnxspec.fits.alternatives import compare_alternatives
from onnxspec.fits.bootstrap import alpha_interval, goodness_of_fit
from onnxspec.fits.bulk import fit_bulk
from onnxspec.fits.cross_check import cross_check
from onnxspec.fits.hill import hill_at_median
from onnxspec.fits.power_law import fit_power_law
from onnxspec.fits.stability import alpha_profile, exact_interval, unbiased_alpha
from onnxspec.fits.verdict import judge_power_law
from onnxspec.layers.verdict_fields import MATRIX_FULL, TAIL, TAIL_FULL, Verdicts, nothing
from onnxspec.spectra.eigen import spectrum
from onnxspec.spectra.slabs import Slabs
from onnxspec.spectra.vectors import localisation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from onnxspec.fits.bulk import BulkFit
    from onnxspec.results import PowerLawFit, Spectrum
    from onnxspec.settings import Settings

    Array = NDArray[np.float64]

__all__ = ["of_health", "of_matrix", "of_tail"]

LOCALISED_SIDE = 4096
"""Largest M whose singular vectors are computed: they cost several times the eigenvalues."""

REPLICAS = {"standard": 200, "full": 1000}


def of_tail(evals: Array, fit: PowerLawFit, Q: float, settings: Settings, seed: int) -> Verdicts:
    """Say how far the power law of a layer is to be believed.

    Parameters
    ----------
    evals : ndarray, shape (n,)
        The eigenvalues that were fitted.
    fit : PowerLawFit
        Their fit.
    Q : float
        Aspect ratio of one matrix.
    settings : Settings
        Effort, KS mode and tail floor.
    seed : int
        From the content of the weights.
    """
    out = Verdicts()
    if settings.cross_check:
        out.put("cross_check", cross_check(evals, fit, min_tail=settings.min_tail))
    else:
        out.put("cross_check", None, "not_asked")
    if settings.effort == "fast" or fit.alpha is None:
        return out.merge(nothing(TAIL, fit.reason or "effort"))
    options = {"ks": settings.ks, "min_tail": settings.min_tail}
    interval = alpha_interval(evals, fit, seed=seed, replicas=REPLICAS[settings.effort], **options)  # type: ignore[arg-type]
    out.put("alpha_ci", interval, "bootstrap_failed")
    out.put("alpha_unbiased", unbiased_alpha(fit), "too_small")
    out.put("alpha_exact_ci", exact_interval(fit), "too_small")
    out.put("alpha_profile", alpha_profile(evals, fit, **options), "too_small")  # type: ignore[arg-type]
    hill = hill_at_median(evals, Q)
    out.put("alpha_hill", hill.alpha_hill, hill.reason)
    out.put("alpha_hill_excess", hill.alpha_hill_excess, hill.reason)
    if settings.effort != "full":
        return out.merge(nothing(TAIL_FULL, "effort"))
    gof_p = goodness_of_fit(evals, fit, seed=seed, replicas=REPLICAS["full"], **options)  # type: ignore[arg-type]
    alternatives = compare_alternatives(evals, fit)
    out.put("gof_p", gof_p, "bootstrap_failed")
    out.put("alternatives", alternatives, alternatives.reason)
    out.put("best_fit", alternatives.best_fit, alternatives.reason)
    out.put("power_law", judge_power_law(fit, gof_p, alternatives))
    return out


def of_matrix(
    matrix: Array | Slabs,
    known: Spectrum | None,
    settings: Settings,
    seed: int,
    *,
    dtype: str,
    noise_floor: float | None = None,
) -> Verdicts:
    """Compare one matrix with what random matrices do: bulk, spikes, trained, phase.

    Parameters
    ----------
    matrix : ndarray, shape (n, m), or Slabs
        The layer as one matrix: a convolution unfolded.
    known : Spectrum or None
        Its spectrum, where it is computed already.
    settings : Settings
        Effort and thresholds.
    seed : int
        From the content of the weights.
    dtype : str
        Type in which the weights are stored.
    noise_floor : float, optional
        Standard deviation of the quantisation error.
    """
    out = Verdicts()
    own = known or spectrum(matrix, dtype=dtype, noise_floor=noise_floor, exact=settings.exact)
    out.own = own
    zeros = own.M - own.rank
    effort: Literal["standard", "full"] = "full" if settings.effort == "full" else "standard"
    trained = trained_verdict(matrix, own.evals, effort=effort, seed=seed)
    kurtosis = excess_kurtosis(matrix) if trained.excess_kurtosis is None else trained.excess_kurtosis
    bulk = fit_bulk(own.evals, own.N, own.M, zeros=zeros, kurtosis=kurtosis)
    out.put("mp", bulk)
    out.put("spikes", bulk.spikes, bulk.reason)
    out.put("trained", trained)
    if settings.effort == "full":
        out.merge(_of_vectors(matrix.whole() if isinstance(matrix, Slabs) else matrix, own, bulk, seed))
    else:
        out.merge(nothing(MATRIX_FULL, "effort"))
    if settings.min_evals > own.M:
        return out.merge(nothing(("phase", "phase_evidence", "erg"), "too_small"))
    fit = fit_power_law(own.positive_evals, ks=settings.ks, min_tail=settings.min_tail, min_evals=settings.min_evals)
    phase = classify(own.evals, own.N, own.M, bulk=bulk, fit=fit, zeros=zeros)
    out.put("phase", phase.label)
    out.put("phase_evidence", phase)
    out.put("erg", erg_condition(own.evals, zeros=zeros, xmin=fit.xmin))
    return out


def _of_vectors(matrix: Array, own: Spectrum, bulk: BulkFit, seed: int) -> Verdicts:
    """Look at what costs further eigenvalue problems: shuffles of the entries, and singular vectors."""
    out = Verdicts()
    out.put("traps", correlation_traps(matrix, own.evals, seed=seed))
    if bulk.spikes is None:
        out.put("localisation", None, bulk.reason)
    elif own.M > LOCALISED_SIDE:
        out.put("localisation", None, "over_limit")
    else:
        out.put("localisation", localisation(matrix, bulk.spikes))
    return out


def of_health(values: Mapping[str, Any], fit: PowerLawFit) -> Verdicts:
    """Flag over- and under-training where the error bars support it."""
    trained, traps = values.get("trained"), values.get("traps")
    interval = values.get("alpha_ci")
    out = Verdicts()
    out.put(
        "health",
        health(
            fit.alpha,
            alpha_ci=tuple(interval) if interval else None,
            alpha_stderr=fit.alpha_stderr,
            gof_p=values.get("gof_p"),
            trained=trained["verdict"] if trained else None,
            phase=values.get("phase"),
            trapped=traps["trapped"] if traps else None,
        ),
    )
    return out


def excess_kurtosis(matrix: Array | Slabs) -> float:
    """Give the excess kurtosis of the entries; 0 where they are all equal."""
    parts: Iterable[Array] = matrix if isinstance(matrix, Slabs) else (matrix,)
    mean = float(matrix.mean())
    largest: float = max(float(np.abs(part - mean).max()) for part in parts)
    if largest == 0.0:
        return 0.0
    second = fourth = 0.0
    for part in parts:
        squares = ((part - mean) / largest) ** 2
        second += float(squares.sum())
        fourth += float((squares * squares).sum())
    size = matrix.shape[0] * matrix.shape[1]
    variance = second / size
    return float(fourth / size / (variance * variance) - 3.0)
