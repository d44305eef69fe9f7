"""The verdict on a power law: each condition by itself, and known samples."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from onnxspec.fits.alternatives import Alternatives, Comparison, compare_alternatives
from onnxspec.fits.bootstrap import goodness_of_fit
from onnxspec.fits.power_law import fit_power_law
from onnxspec.fits.verdict import PowerLawVerdict, judge_power_law
from onnxspec.results import PowerLawFit


def judge(
    *, p: float | None = 0.5, n_tail: int = 80, xmax: float = 10.0, R: float = 5.0, exponential_p: float = 0.01
) -> PowerLawVerdict:
    fit = PowerLawFit(2.5, 0.1, 1.0, xmax, 0.05, n_tail, 200)
    test = Comparison("power_law", "exponential", R, R, exponential_p, nested=False)
    return judge_power_law(fit, p, Alternatives("PL", n_tail, (), (test,)))


def test_supported() -> None:
    verdict = judge()
    assert verdict.verdict == "supported"
    assert verdict.decades == pytest.approx(1.0)
    assert (verdict.gof_p, verdict.n_tail, verdict.exponential_R, verdict.exponential_p) == (0.5, 80, 5.0, 0.01)


@pytest.mark.parametrize(
    ("change", "verdict", "unmet"),
    [
        ({"p": 0.1}, "rejected", ("gof_p",)),
        ({"p": 0.101}, "supported", ()),
        ({"n_tail": 49}, "weak", ("n_tail",)),
        ({"n_tail": 50}, "supported", ()),
        ({"xmax": 10**0.69}, "weak", ("decades",)),
        ({"R": -1.0}, "weak", ("exponential",)),
        ({"R": -1.0, "exponential_p": 0.06}, "supported", ()),
        ({"p": 0.0, "n_tail": 20}, "rejected", ("gof_p", "n_tail")),
    ],
)
def test_conditions(change: dict[str, float], verdict: str, unmet: tuple[str, ...]) -> None:
    found = judge(**change)
    assert (found.verdict, found.unmet) == (verdict, unmet)
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_without_numbers_no_verdict() -> None:
    assert judge(p=None).reason == "not_computed"
    assert judge(p=None).verdict is None
    x = np.random.default_rng(0).pareto(2.0, 100)
    fit = fit_power_law(x, min_tail=2)
    short = dataclasses.replace(fit, n_tail=5)
    assert judge_power_law(short, 0.5, compare_alternatives(x, short)).reason == "too_small"
    flat = fit_power_law(np.ones(60))
    assert judge_power_law(flat, None, compare_alternatives(np.ones(60), flat)).reason == "flat_spectrum"


def test_heavy_and_spiked_spectra_differ() -> None:
    rng = np.random.default_rng(3)
    heavy = (1.0 - rng.random(400)) ** (-1.0 / 1.3)
    W = rng.standard_normal((600, 300))
    W += (
        np.sqrt(600)
        * np.linalg.qr(rng.standard_normal((600, 8)))[0]
        @ np.diag(rng.uniform(1.5, 3.5, 8))
        @ (np.linalg.qr(rng.standard_normal((300, 8)))[0].T)
    )
    spiked = np.linalg.eigvalsh(W.T @ W / 600)
    verdicts = []
    for x in (heavy, spiked):
        fit = fit_power_law(x)
        p = goodness_of_fit(x, fit, seed=1, replicas=200)
        verdicts.append(judge_power_law(fit, p, compare_alternatives(x, fit)).verdict)
    assert verdicts == ["supported", "rejected"]
