"""Other laws for the tail, Vuong's tests against the power law, and the seeds' "Best Fit" column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxspec.fits.tail_families import fit_lognormal, fit_stretched, fit_truncated, log_gauss_tail
from onnxspec.fits.truncated import log_expint

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from onnxspec.results import PowerLawFit

__all__ = ["LABELS", "MIN_TAIL", "Alternatives", "Comparison", "TailFit", "compare_alternatives"]

Pointwise = NDArray[np.float64]

LABELS: Mapping[str, str] = {
    "power_law": "PL",
    "truncated_power_law": "TPL",
    "exponential": "EXP",
    "stretched_exponential": "S_EXP",
    "lognormal": "LOG_N",
}
"""Label of each law in the seeds' "Best Fit" column."""

MIN_TAIL = 10
"""Fewest values in a tail for a comparison; below, the reason is ``too_small``."""

_SIGNIFICANT = 0.05
_WIDEST = 600.0  # log of xmax / xmin; exp of it must not overflow


@dataclass(frozen=True)
class TailFit:
    """One law fitted to the tail by maximum likelihood.

    Attributes
    ----------
    law : str
        A key of `LABELS`.
    parameters : mapping of str to float
        ``alpha``; ``tpl_lambda`` (1 / eigenvalue); ``rate`` (1 / eigenvalue) of the
        exponential; ``beta`` and ``log_rate`` of ``e^-(rate x)^beta``; ``mu`` and
        ``sigma`` of log x. Empty where the best law of the family is its limit, the
        power law; a rate that no float can hold (subnormal eigenvalues) is left out.
    log_likelihood : float
        Natural logarithm, summed over the tail.
    """

    law: str
    parameters: Mapping[str, float]
    log_likelihood: float


@dataclass(frozen=True)
class Comparison:
    """Vuong's likelihood-ratio test of two laws on one tail.

    Attributes
    ----------
    reference, alternative : str
        Keys of `LABELS`.
    R : float
        Log-likelihood of the reference less that of the alternative: negative where
        the alternative fits better.
    R_normalized : float or None
        ``R / sqrt(n s^2)``, s^2 the variance of the pointwise ratios; ``None`` for
        nested laws and where the two laws are equal.
    p : float
        Two-sided: small where the sign of R can be trusted.
    nested : bool
        The reference is a special case of the alternative, and p is that of a
        chi-squared law with one degree of freedom.
    """

    reference: str
    alternative: str
    R: float
    R_normalized: float | None
    p: float
    nested: bool


@dataclass(frozen=True)
class Alternatives:
    """Every law on the tail of one power-law fit.

    Attributes
    ----------
    best_fit : str or None
        ``PL``, ``TPL``, ``EXP``, ``S_EXP`` or ``LOG_N``; ``None`` without a fit.
    n_tail : int
        Values in the tail.
    fits : tuple of TailFit
        One for each law.
    comparisons : tuple of Comparison
        The power law against each other law, and where the truncated power law is
        significantly better, that against the other three.
    reason : str or None
        Why there is none: the fit's own reason, ``too_small``, or ``range_too_wide``
        (260 decades, more than numbers can hold).
    """

    best_fit: str | None
    n_tail: int
    fits: tuple[TailFit, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    reason: str | None = None

    def against(self, alternative: str, reference: str = "power_law") -> Comparison | None:
        """Give the test of two laws, or None."""
        for comparison in self.comparisons:
            if (comparison.reference, comparison.alternative) == (reference, alternative):
                return comparison
        return None


def compare_alternatives(evals: ArrayLike, fit: PowerLawFit) -> Alternatives:
    """Fit four other laws to the tail and test them against the power law.

    The label follows seed 001's table: the truncated power law where it beats the
    power law with p <= 0.05, then whichever of exponential, stretched exponential
    and lognormal beats that with p <= 0.05 (the likeliest, if several do).

    Parameters
    ----------
    evals : array_like, any shape
        The eigenvalues that were fitted.
    fit : PowerLawFit
        What `fit_power_law` gave for them; only its xmin is used.

    Returns
    -------
    Alternatives
        Laws, tests (Vuong, Econometrica 57, 307 (1989); Clauset et al. 2009, section
        5.3 and appendix C) and label.
    """
    if fit.xmin is None or fit.n_tail is None:
        return Alternatives(None, 0, reason=fit.reason)
    if fit.n_tail < MIN_TAIL:
        return Alternatives(None, fit.n_tail, reason="too_small")
    values = np.asarray(evals, dtype=np.float64).ravel()
    tail = np.sort(values[values >= fit.xmin])
    logs: Pointwise = np.log(tail) - math.log(fit.xmin)
    if logs[-1] > _WIDEST:
        return Alternatives(None, fit.n_tail, reason="range_too_wide")
    logs = np.log(tail / fit.xmin)
    fitted = _fit_all(logs, math.log(fit.xmin))
    points = {law: pointwise for law, (_, pointwise) in fitted.items()}
    total = {law: float(pointwise.sum()) for law, pointwise in points.items()}

    others = ("exponential", "stretched_exponential", "lognormal")
    base = "power_law"
    tests = [_nested(total, "power_law", "truncated_power_law")]
    tests += [_vuong(points, "power_law", other) for other in others]
    if tests[0].p <= _SIGNIFICANT:
        base = "truncated_power_law"
        tests += [_vuong(points, base, other) for other in others]
    rivals = [test for test in tests if test.reference == base and not test.nested]
    better = [test.alternative for test in rivals if test.R < 0.0 and test.p <= _SIGNIFICANT]
    best = max(better, key=lambda law: total[law], default=base)
    shift = logs.size * math.log(fit.xmin)
    return Alternatives(
        best_fit=LABELS[best],
        n_tail=logs.size,
        fits=tuple(TailFit(law, _finite(parameters), total[law] - shift) for law, (parameters, _) in fitted.items()),
        comparisons=tuple(tests),
    )


def _fit_all(logs: Pointwise, log_xmin: float) -> dict[str, tuple[dict[str, float], Pointwise]]:
    """Fit each law to ``log(x / xmin)``: its parameters and the logarithm of its density at each point."""
    xmin = math.exp(log_xmin)
    slope = 1.0 / float(logs.mean())
    power = math.log(slope) - (1.0 + slope) * logs
    fitted: dict[str, tuple[dict[str, float], Pointwise]] = {"power_law": ({"alpha": 1.0 + slope}, power)}

    alpha, cut = fit_truncated(logs)
    truncated = -alpha * logs - cut * np.exp(logs) - log_expint(alpha, cut) if cut > 0.0 else power
    fitted["truncated_power_law"] = ({"alpha": alpha, "tpl_lambda": cut / xmin}, truncated)

    excess = np.expm1(logs)
    rate = 1.0 / float(excess.mean())
    fitted["exponential"] = ({"rate": rate / xmin}, math.log(rate) - rate * excess)

    beta, c = fit_stretched(logs)
    if beta > 0.0:
        stretched = math.log(beta * c) + (beta - 1.0) * logs - c * np.expm1(beta * logs)
        fitted["stretched_exponential"] = ({"beta": beta, "log_rate": math.log(c) / beta - log_xmin}, stretched)
    else:
        fitted["stretched_exponential"] = ({}, power)

    gauss_slope, curvature = fit_lognormal(logs)
    if curvature > 0.0:
        lognormal = -logs - gauss_slope * logs - curvature * logs**2 - log_gauss_tail(gauss_slope, curvature)
        mu = log_xmin - 0.5 * gauss_slope / curvature
        fitted["lognormal"] = ({"mu": mu, "sigma": math.sqrt(0.5 / curvature)}, lognormal)
    else:
        fitted["lognormal"] = ({}, power)
    return fitted


def _finite(parameters: dict[str, float]) -> dict[str, float]:
    """Leave out what has overflowed."""
    return {name: value for name, value in parameters.items() if math.isfinite(value)}


def _nested(total: Mapping[str, float], reference: str, alternative: str) -> Comparison:
    """Test a law against a family that contains it: 2 |R| is chi-squared with one degree of freedom."""
    R = min(0.0, total[reference] - total[alternative])
    return Comparison(reference, alternative, R, None, math.erfc(math.sqrt(-R)), nested=True)


def _vuong(points: Mapping[str, Pointwise], reference: str, alternative: str) -> Comparison:
    """Test two laws of which neither contains the other."""
    ratios = points[reference] - points[alternative]
    R = float(ratios.sum())
    spread = math.sqrt(float(ratios.var()) * ratios.size)
    if spread <= 1e-9 * ratios.size or abs(R) <= 1e-9 * ratios.size:
        return Comparison(reference, alternative, R, None, 1.0, nested=False)
    normalized = R / spread
    return Comparison(reference, alternative, R, normalized, math.erfc(abs(normalized) / math.sqrt(2.0)), nested=False)
