"""Hill's estimator by its definition, on known tails and against random matrices."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onnxspec.fits.hill import hill_at_median, hill_curve


def log_of_ratio(upper: float, lower: float) -> float:
    """Take the logarithm of an exact ratio."""
    return math.log1p(float(Fraction(upper) / Fraction(lower) - 1))


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=30))
@example([1e6, 1e6 * (1.0 - 2.0**-53)])
def test_curve_by_its_definition(values: list[float]) -> None:
    x = sorted(values, reverse=True)
    k, alpha = hill_curve(values)
    for n, found in zip(k.tolist(), alpha.tolist(), strict=True):
        total = math.fsum(log_of_ratio(v, x[n]) for v in x[:n])
        assert found - 1.0 == pytest.approx(n / total, rel=1e-9)
    assert set(range(1, len(x))) - set(k.tolist()) == {n for n in range(1, len(x)) if x[0] == x[n]}


def test_nearly_equal_values_are_told_apart() -> None:
    found = hill_at_median(1.0 + np.arange(8) * 2.0**-50)
    spread = math.fsum(log_of_ratio(1.0 + i * 2.0**-50, 1.0 + 4 * 2.0**-50) for i in range(4, 8))
    assert found.alpha_hill == pytest.approx(1.0 + 4 / spread, rel=1e-12)


@pytest.mark.parametrize("power", [-900, -3, 200])
def test_a_power_of_two_changes_no_bit(power: int) -> None:
    x = np.random.default_rng(4).pareto(1.5, 500)
    scaled = np.ldexp(x, power)
    np.testing.assert_array_equal(hill_curve(scaled)[1], hill_curve(x)[1])
    assert hill_at_median(scaled) == hill_at_median(x)


def test_ratios_beyond_float64() -> None:
    k, alpha = hill_curve([1e300, 1e-300])
    assert k.tolist() == [1]
    assert alpha[0] == pytest.approx(1.0 + 1.0 / (600 * math.log(10.0)), rel=1e-12)


def test_thinned_curve_is_part_of_the_whole() -> None:
    x = np.random.default_rng(1).pareto(1.5, 2000) + 1.0
    whole = dict(zip(*(a.tolist() for a in hill_curve(x)), strict=True))
    k, alpha = hill_curve(x, points=40)
    assert k.size <= 40
    assert (k[0], k[-1]) == (1, 1999)
    assert [whole[i] for i in k.tolist()] == alpha.tolist()


def test_flat_in_k_on_a_power_law() -> None:
    x = (1.0 - np.random.default_rng(2).random(5000)) ** (-1.0 / 1.5)
    k, alpha = hill_curve(x)
    sure = k >= 500
    assert np.abs(alpha[sure] - 2.5).max() < 4 * 1.5 / math.sqrt(500)


def test_median_by_its_definition() -> None:
    for n in (7, 8):
        x = np.random.default_rng(n).random(n)
        tail = np.sort(x)[n // 2 :]
        found = hill_at_median(x)
        assert found.n_tail == tail.size
        assert found.alpha_hill == pytest.approx(1.0 + tail.size / np.log(tail / tail[0]).sum())
        assert found.alpha_hill_excess is None


@pytest.mark.parametrize("Q", [1, 2, 3])
def test_random_matrices_have_no_excess(Q: int) -> None:
    rng = np.random.default_rng(Q)
    excess = []
    for _ in range(5):
        W = rng.standard_normal((Q * 160, 160))
        found = hill_at_median(np.linalg.eigvalsh(W.T @ W), float(Q))
        excess.append(found.alpha_hill_excess)
    assert abs(np.mean(excess)) < 0.06
    heavy = rng.standard_t(2.0, (Q * 160, 160))
    assert hill_at_median(np.linalg.eigvalsh(heavy.T @ heavy), float(Q)).alpha_hill_excess < -0.1


def test_degenerate() -> None:
    assert hill_at_median([1.0, 2.0, 3.0]).reason == "too_small"
    assert hill_at_median(np.ones(9)).reason == "flat_spectrum"
    assert hill_at_median([1.0, math.nan, 2.0, 3.0, 4.0]).reason == "non_finite"
    assert hill_curve([1.0])[0].size == 0
    assert hill_curve(np.ones(5))[0].size == 0
    with pytest.raises(ValueError):
        hill_curve([1.0, math.inf])
