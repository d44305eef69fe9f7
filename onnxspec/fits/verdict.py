"""Whether the spectrum supports a power law at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxspec.fits.alternatives import Alternatives
    from onnxspec.results import PowerLawFit

__all__ = ["PowerLawVerdict", "judge_power_law"]

REJECTED_P = 0.1
"""Goodness-of-fit p at or below which a power law is rejected (Clauset et al. 2009, section 4.1)."""

MIN_TAIL = 50
"""Eigenvalues that a supported tail has at least."""

MIN_DECADES = 0.7
"""Decades that a supported tail spans at least: Gaussian edges and decaying bulks span less."""

EXPONENTIAL_P = 0.05
"""Vuong p at or below which a better exponential counts."""


@dataclass(frozen=True)
class PowerLawVerdict:
    """Verdict on one power law, with the numbers that led to it.

    Attributes
    ----------
    verdict : str or None
        ``supported``: not rejected, and all other conditions hold. ``weak``: not
        rejected, but `unmet` names a condition that does not hold. ``rejected``:
        the goodness-of-fit p is at most 0.1. ``None``: `reason` says why.
    gof_p : float or None
        Goodness-of-fit p-value.
    n_tail : int or None
        Eigenvalues in the tail.
    decades : float or None
        ``log10(xmax / xmin)``.
    exponential_R, exponential_p : float or None
        Vuong's test of the power law against the exponential; R < 0 favours the latter.
    unmet : tuple of str
        Conditions that do not hold: ``gof_p``, ``n_tail``, ``decades``, ``exponential``.
    reason : str or None
        The fit's reason, ``not_computed`` (no p-value was asked for) or ``too_small``.
    """

    verdict: str | None
    gof_p: float | None
    n_tail: int | None
    decades: float | None
    exponential_R: float | None
    exponential_p: float | None
    unmet: tuple[str, ...] = ()
    reason: str | None = None


def judge_power_law(fit: PowerLawFit, gof_p: float | None, alternatives: Alternatives) -> PowerLawVerdict:
    """Judge a power law by its p-value, the length of its tail, and the exponential.

    Parameters
    ----------
    fit : PowerLawFit
        The fit.
    gof_p : float or None
        From `onnxspec.fits.bootstrap.goodness_of_fit`.
    alternatives : Alternatives
        From `onnxspec.fits.alternatives.compare_alternatives`.

    Returns
    -------
    PowerLawVerdict
        Without a p-value, or with a tail too short for the comparison, there is none.
    """
    if fit.xmin is None or fit.xmax is None or fit.n_tail is None:
        return PowerLawVerdict(None, None, None, None, None, None, reason=fit.reason)
    decades = math.log10(fit.xmax) - math.log10(fit.xmin)
    test = alternatives.against("exponential")
    if gof_p is None or test is None:
        reason = "not_computed" if gof_p is None else alternatives.reason
        return PowerLawVerdict(None, gof_p, fit.n_tail, decades, None, None, reason=reason)
    conditions = {
        "gof_p": gof_p > REJECTED_P,
        "n_tail": fit.n_tail >= MIN_TAIL,
        "decades": decades >= MIN_DECADES,
        "exponential": not (test.R < 0.0 and test.p <= EXPONENTIAL_P),
    }
    unmet = tuple(name for name, holds in conditions.items() if not holds)
    verdict = "rejected" if "gof_p" in unmet else "weak" if unmet else "supported"
    return PowerLawVerdict(verdict, gof_p, fit.n_tail, decades, test.R, test.p, unmet)
