"""Correlations, lines and permutations against scipy, closed forms and exact properties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from onnxspec.comparing.series.correlations import LARGEST, correlate, kendall_tau, tidy

RNG = np.random.default_rng(20260901)


def samples(n: int, *, ties: bool = False) -> tuple[list[float], list[float]]:
    x = RNG.normal(size=n)
    y = 0.5 * x + RNG.normal(size=n)
    return (np.round(x, 0).tolist(), np.round(y, 0).tolist()) if ties else (x.tolist(), y.tolist())


@pytest.mark.parametrize("n", [5, 8, 21, 40])
@pytest.mark.parametrize("ties", [False, True])
def test_values_are_scipys(n: int, ties: bool) -> None:
    x, y = samples(n, ties=ties)
    found = correlate(x, y).values
    assert found["kendall_tau"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert found["spearman"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found["pearson"] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-10)
    line = stats.linregress(x, y)
    assert found["slope"] == pytest.approx(line.slope, rel=1e-9)
    assert found["r2"] == pytest.approx(line.rvalue**2, abs=1e-10)


def test_the_line_is_that_of_the_normal_equations() -> None:
    x, y = samples(9)
    line = correlate(x, y).line
    assert line is not None
    known = stats.linregress(x, y)
    assert line.slope_stderr == pytest.approx(known.stderr, rel=1e-9)
    assert line.intercept == pytest.approx(known.intercept, rel=1e-9)
    residuals = np.array(y) - known.intercept - known.slope * np.array(x)
    assert line.rmse == pytest.approx(math.sqrt(np.mean(residuals**2)), rel=1e-9)
    errors = []
    for k in range(len(x)):
        rest = [i for i in range(len(x)) if i != k]
        other = stats.linregress([x[i] for i in rest], [y[i] for i in rest])
        errors.append(y[k] - other.intercept - other.slope * x[k])
    assert line.loo_rmse == pytest.approx(math.sqrt(np.mean(np.square(errors))), rel=1e-8)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
@pytest.mark.parametrize("ties", [False, True])
def test_p_values_up_to_eight_models_count_every_permutation(n: int, ties: bool) -> None:
    x, y = samples(n, ties=ties)
    if len(set(x)) == 1 or len(set(y)) == 1:
        x, y = [*range(n)], [0.0, 1.0, *[1.0] * (n - 2)]
    found = correlate(x, y)
    assert found.exact
    assert found.permutations == math.factorial(n)
    statistics = {
        "kendall_tau": lambda a, b: stats.kendalltau(a, b).statistic,
        "spearman": lambda a, b: stats.spearmanr(a, b).statistic,
        "pearson": lambda a, b: stats.pearsonr(a, b).statistic,
    }
    for name, statistic in statistics.items():
        seen = abs(statistic(x, y))
        sizes = [abs(statistic(x, list(order))) for order in itertools.permutations(y)]
        assert found.p_values[name] == np.mean(np.array(sizes) >= seen - 1e-9), name


def test_drawn_p_values_are_close_to_the_exact_ones() -> None:
    x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    y = [0.0, 3.0, 1.0, 2.0, 6.0, 4.0, 8.0, 5.0, 7.0]
    found = correlate(x, y)
    assert not found.exact
    assert found.permutations == 9999
    exact = stats.kendalltau(x, y, method="exact").pvalue
    assert found.p_values["kendall_tau"] == pytest.approx(exact, abs=4 * math.sqrt(exact / 9999))


def test_p_values_are_uniform_without_a_relation() -> None:
    rng = np.random.default_rng(5)
    p = np.array([correlate(rng.normal(size=6), rng.normal(size=6)).p_values["kendall_tau"] for _ in range(150)])
    for level in (0.05, 0.1, 0.3):
        assert np.mean(p <= level) <= level + 3.0 * math.sqrt(level * (1.0 - level) / p.size)


@pytest.mark.parametrize(("n", "least"), [(4, 2 / 24), (5, 2 / 120), (6, 2 / 720), (8, 2 / 40320)])
def test_the_smallest_p_value_of_a_short_series(n: int, least: float) -> None:
    found = correlate(list(range(n)), [float(v * v) for v in range(n)])
    assert found.min_p == found.p_values["kendall_tau"] == pytest.approx(least, rel=1e-12)
    assert correlate(*samples(n)).min_p == pytest.approx(least, rel=1e-12)


def test_ties_raise_the_smallest_p_value() -> None:
    assert correlate(range(12), [1.0, *[0.0] * 11]).min_p == pytest.approx(2 / 12)
    assert correlate(range(6), [1.0, *[0.0] * 5]).min_p == pytest.approx(2 / 6)
    assert correlate(range(12), range(12)).min_p == 1 / 10_000


def test_intervals_hold_the_value_and_are_null_where_they_would_mislead() -> None:
    x, y = samples(21)
    found = correlate(x, y)
    for name, (low, high) in found.intervals.items():
        assert low < high
        assert name == "rmse" or low <= found.values[name] <= high, name
    assert set(found.intervals) == set(found.values)
    assert correlate([1, 2, 3, 4], [1, 2, 4, 3]).interval_reason == "too_few_models"
    perfect = correlate([1, 2, 3, 4, 5], [1, 2, 3, 4, 6])
    assert "kendall_tau" not in perfect.intervals
    assert "slope" in perfect.intervals


def test_the_interval_of_the_slope_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(30):
        x = rng.normal(size=20)
        low, high = correlate(x, 2.0 * x + rng.normal(size=20)).intervals["slope"]
        hits += low <= 2.0 <= high
    assert hits >= 24


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], "too_few_models"),
        ([1, 2], [1, 2], "too_few_models"),
        ([1, 1, 1], [1, 2, 3], "constant_metric"),
        ([1, 1 + 1e-14, 1], [1, 2, 3], "constant_metric"),
        ([0, 1e-300, 0], [1, 2, 3], "constant_metric"),
        ([1, 2, 3], [5, 5, 5], "constant_accuracy"),
    ],
)
def test_what_has_no_correlation_says_why(x: list[float], y: list[float], reason: str) -> None:
    found = correlate(x, y)
    assert found.reason == reason
    assert not found.values
    assert found.line is None
    assert found.min_p is None


def test_one_model_that_fixes_the_line_has_no_error_of_its_own() -> None:
    line = correlate([0, 0, 0, 1], [1, 2, 3, 9]).line
    assert line is not None
    assert line.loo_rmse is None


@pytest.mark.parametrize("scale", [1e-90, 1e-12, 1.0, 1e90])
def test_scale_shift_order_and_names_change_nothing(scale: float) -> None:
    x, y = samples(10)
    first = correlate(x, y)
    turned = correlate([scale * v for v in reversed(x)], list(reversed(y)))
    assert turned.values["kendall_tau"] == first.values["kendall_tau"]
    assert turned.values["pearson"] == pytest.approx(first.values["pearson"], rel=1e-9)
    assert turned.values["slope"] * scale == pytest.approx(first.values["slope"], rel=1e-9)
    assert all(math.isfinite(v) for v in turned.values.values())
    again = correlate(list(reversed(x)), list(reversed(y)))
    assert again == first


def test_a_rising_function_of_the_metric_keeps_the_ranks() -> None:
    x, y = samples(12)
    first, second = correlate(x, y), correlate(np.exp(x), y)
    for name in ("kendall_tau", "spearman"):
        assert second.values[name] == pytest.approx(first.values[name], abs=1e-12)


def test_numbers_that_are_none_are_refused() -> None:
    for bad in (math.nan, math.inf, 2 * LARGEST):
        with pytest.raises(ValueError, match="finite"):
            correlate([1, 2, bad], [1, 2, 3])


def test_tau_alone() -> None:
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1.0
    assert kendall_tau([1, 1], [1, 2]) is None
    assert tidy(0.1 + 0.2) == 0.3


def test_long_series_are_bounded() -> None:
    x, y = samples(300)
    found = correlate(x, y)
    assert 199 <= found.permutations < 9999
    assert found.values["kendall_tau"] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
