"""Competing minima, the exact interval and the unbiased exponent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from onnxspec.fits.power_law import fit_power_law
from onnxspec.fits.stability import MOST_MINIMA, alpha_profile, exact_interval, unbiased_alpha
from onnxspec.results import PowerLawFit
from tests.oracle import naive


def fixed(x: np.ndarray, xmin: float) -> PowerLawFit:
    alpha = 1.0 + x.size / np.log(x / xmin).sum()
    return PowerLawFit(float(alpha), 0.1, xmin, float(x.max()), 0.1, x.size, x.size)


def pareto(rng: np.random.Generator, n: int, alpha: float = 2.5) -> np.ndarray:
    return (1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0))


def test_trained_layer_shows_both_minima(shared: Path) -> None:
    """MiniLM's layer 4 value matrix: 2.43 with a tail of 87, and 8.44 with one of 9."""
    x = np.load(shared / "reference" / "power_law" / "esd_minilm_L4_attention_self_value_weight.npy")
    profile = alpha_profile(x, fit_power_law(x))
    found = {minimum.n_tail: minimum for minimum in profile.minima}
    assert found[87].alpha == pytest.approx(2.43, abs=0.005)
    assert not found[87].below_min_tail
    assert found[9].alpha == pytest.approx(8.44, abs=0.005)
    assert found[9].below_min_tail
    assert profile.alpha_max < 8.0  # tails that may not be chosen do not count


@given(st.integers(0, 10_000), st.integers(40, 90), st.floats(0.0, 0.05))
def test_profile_against_the_plain_scan(seed: int, n: int, window: float) -> None:
    x = pareto(np.random.default_rng(seed), n)
    fit = fit_power_law(x)
    profile = alpha_profile(x, fit, window=window)
    rows = naive.power_law_candidates(x.tolist(), min_tail=5)
    near = [row for row in rows if fit.D + window - row[2] >= -1e-12]
    allowed = [row[1] for row in near if row[3] >= 10]
    assert profile.alpha_min == pytest.approx(min(allowed), rel=1e-9)
    assert profile.alpha_max == pytest.approx(max(allowed), rel=1e-9)
    assert any(minimum.n_tail == fit.n_tail for minimum in profile.minima)
    assert len(profile.minima) <= MOST_MINIMA
    tails = {row[3]: row for row in near}
    for minimum in profile.minima:
        assert pytest.approx(tails[minimum.n_tail][2], rel=1e-9, abs=1e-12) == minimum.D
        assert minimum.below_min_tail == (minimum.n_tail < 10)
        for neighbour in (minimum.n_tail - 1, minimum.n_tail + 1):
            if neighbour in tails and (neighbour < 10) == minimum.below_min_tail:
                assert tails[neighbour][2] >= minimum.D - 1e-12
    assert list(profile.minima) == sorted(profile.minima, key=lambda minimum: minimum.xmin)


def test_no_fit_no_profile() -> None:
    fit = fit_power_law(np.ones(60))
    assert alpha_profile(np.ones(60), fit).reason == "flat_spectrum"
    assert exact_interval(fit) is None
    assert unbiased_alpha(fit) is None


@pytest.mark.parametrize("outer", [False, True])
def test_exact_interval_covers(outer: bool) -> None:
    rng = np.random.default_rng(6)
    for n in (20, 100):
        covered = 0
        for _ in range(1500):
            x = pareto(rng, n)
            low, high = exact_interval(fixed(x, 1.0 if outer else float(x.min())), outer_xmin=outer)
            covered += low <= 2.5 <= high
        assert covered / 1500 == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n", [2, 3, 10, 87, 1000])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_exact_interval_by_chi_squared(n: int, level: float) -> None:
    fit = PowerLawFit(2.5, 0.1, 1.0, 9.0, 0.1, n, n)
    ends = np.array([0.5 - level / 2, 0.5 + level / 2])
    assert exact_interval(fit, level=level, outer_xmin=True) == pytest.approx(1 + 1.5 * chi2.ppf(ends, 2 * n) / (2 * n))
    inner = 1 + 1.5 * chi2.ppf(ends, 2 * (n - 1)) / (2 * n)
    assert exact_interval(fit, level=level) == pytest.approx(inner)


def test_bias() -> None:
    rng = np.random.default_rng(7)
    for n in (10, 20, 50):
        fits = [fixed(x, float(x.min())) for x in (pareto(rng, n) for _ in range(4000))]
        unbiased = np.array([unbiased_alpha(fit) for fit in fits])
        error = unbiased.std() / np.sqrt(unbiased.size)
        assert abs(unbiased.mean() - 2.5) < 3.5 * error
        assert np.mean([fit.alpha for fit in fits]) - 2.5 > 10 * error
