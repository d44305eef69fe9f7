from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.diagnosis.health import METRIC_KINDS, erg_condition, health, rank_correlation
from onnxspec.laws import marchenko_pastur

P = (np.arange(300) + 0.5) / 300


def pareto(alpha: float) -> np.ndarray:
    return (1.0 - P) ** (-1.0 / (alpha - 1.0))


@pytest.mark.parametrize(
    ("spectrum", "k", "lambda_ecs"),
    [
        (marchenko_pastur.quantile(P, 2.0), 244, 0.3153),
        (marchenko_pastur.quantile(P, 1.0), 219, 0.1850),
        (pareto(2.0), 106, 0.3709),
        (pareto(4.0), 244, 0.7174),
        (np.ones(300), 300, 1.0),
    ],
)
def test_erg_of_quantile_spectra(spectrum: np.ndarray, k: int, lambda_ecs: float) -> None:
    result = erg_condition(spectrum)
    assert result.ecs_k is not None
    assert abs(result.ecs_k - k) <= 1
    assert result.lambda_ecs == pytest.approx(lambda_ecs, abs=5e-3)


def test_erg_by_definition() -> None:
    rng = np.random.default_rng(0)
    evals = rng.lognormal(size=40)
    rescaled = np.sort(evals / evals.mean())[::-1]
    products = [math.prod(rescaled[:k]) for k in range(1, 41)]
    expected = max(k for k, value in enumerate(products, 1) if value >= 1.0)
    result = erg_condition(evals * 1e200, xmin=float(np.median(evals)) * 1e200)
    assert result.ecs_k == expected
    assert result.ecs_fraction == expected / 40
    assert result.log_det_ecs == pytest.approx(math.log(products[expected - 1]), abs=1e-10)
    assert result.log_det == pytest.approx(math.log(products[-1]), abs=1e-10)
    assert result.delta_lambda_min == pytest.approx(float(np.median(evals) / evals.mean() - rescaled[expected - 1]))


def test_erg_with_zeros_and_without_anything() -> None:
    evals = np.r_[np.ones(10), np.zeros(90)]
    # rescaled to 10; all ten belong, the zeros only to the mean
    result = erg_condition(evals, zeros=90)
    assert result.ecs_k == 10
    assert result.lambda_ecs == pytest.approx(10.0)
    assert erg_condition(evals) == result
    assert erg_condition(np.zeros(5)).reason == "zero_matrix"
    assert erg_condition(np.array([1.0, np.nan])).reason == "non_finite"
    with pytest.raises(ValueError, match="zero"):
        erg_condition(np.ones(3), zeros=4)


def test_a_flag_needs_the_whole_interval() -> None:
    assert health(1.7, alpha_ci=(1.5, 1.9)).flags == ("over_trained",)
    assert health(1.7, alpha_ci=(1.5, 2.1)).flags == ()
    assert health(7.0, alpha_ci=(6.2, 8.0)).flags == ("under_trained",)
    assert health(7.0, alpha_ci=(5.8, 8.0)).flags == ()
    assert health(1.9, alpha_stderr=0.01).flags == ("over_trained",)
    assert health(1.9, alpha_stderr=0.2).flags == ()
    assert health(1.7).flags == ()


def test_classes_of_tails() -> None:
    sure = health(3.0, alpha_ci=(2.5, 3.5))
    assert (sure.tail, sure.tail_range, sure.decided) == ("heavy", ("heavy",), True)
    wide = health(3.0, alpha_ci=(1.9, 6.5))
    assert wide.tail_range == ("very_heavy", "heavy", "weak", "random_like")
    assert not wide.decided
    assert health(6.0, alpha_stderr=0.0).tail == "weak"
    assert health(None).tail is None


def test_other_verdicts_count() -> None:
    noise = health(1.5, alpha_ci=(1.4, 1.6), trained="noise")
    assert noise.flags == ("not_told_from_noise",)
    rejected = health(1.5, alpha_ci=(1.4, 1.6), gof_p=0.02)
    assert rejected.flags == ("no_power_law",)
    assert rejected.tail is None
    both = health(3.0, alpha_ci=(2.5, 3.5), gof_p=0.5, phase="rank_collapse", trapped=True)
    assert both.flags == ("rank_collapse", "trap")


def test_kinds_say_what_scaling_does() -> None:
    from onnxspec.spectra.eigen import spectrum
    from onnxspec.spectra.metrics import metrics

    W = np.random.default_rng(1).standard_normal((60, 40))
    one, _ = metrics(spectrum(W), alpha=3.0)
    scaled, _ = metrics(spectrum(W * 4.0), alpha=3.0)
    compared = 0
    for name, kind in METRIC_KINDS.items():
        if one.get(name) is not None and name in scaled:
            same = scaled[name] == pytest.approx(one[name], rel=1e-9)
            assert same == (kind == "shape"), name
            compared += 1
    assert compared >= 10


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=3, max_size=20), st.integers(0, 2**32 - 1))
def test_rank_correlation_against_scipy(x: list[int], seed: int) -> None:
    from scipy.stats import rankdata

    y = np.random.default_rng(seed).integers(0, 5, len(x))
    found = rank_correlation(x, y)
    a, b = rankdata(x), rankdata(y)
    if a.std() == 0.0 or b.std() == 0.0:
        assert found is None
    else:
        assert found == pytest.approx(float(np.corrcoef(a, b)[0, 1]), abs=1e-12)


def test_rank_correlation_needs_three_layers() -> None:
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert rank_correlation([1.0, 2.0, 3.0], [9.0, 4.0, 1.0]) == pytest.approx(-1.0)
    with pytest.raises(ValueError, match="compared"):
        rank_correlation([1.0], [1.0, 2.0])
