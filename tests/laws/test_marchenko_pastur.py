from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.laws import marchenko_pastur as mp
from tests.oracle.naive import mp_cdf_by_quadrature

MEDIANS = {1.0: 0.65278, 1.5: 0.77238, 2.0: 0.830466, 4.0: 0.916004, 10.0: 0.966565}
ASPECTS = (1.0, 1.0001, 1.01, 1.5, 2.0, 10.0, 100.0)


@pytest.mark.parametrize(("Q", "expected"), MEDIANS.items())
def test_medians_are_the_published_ones(Q: float, expected: float) -> None:
    assert mp.median(Q) == pytest.approx(expected, abs=1e-5)
    assert mp.median(Q, sigma=3.0) == pytest.approx(9.0 * expected, abs=1e-4)
    assert float(mp.quantile(0.5, Q)) == pytest.approx(mp.median(Q), rel=1e-12)


@pytest.mark.parametrize("Q", ASPECTS)
def test_cdf_is_the_integral_of_the_density(Q: float) -> None:
    low, high = mp.edges(Q)
    assert mp_cdf_by_quadrature(high, Q) == pytest.approx(1.0, abs=1e-6)
    for share in (0.003, 0.1, 0.35, 0.6, 0.9, 0.99):
        x = low + share * (high - low)
        assert float(mp.cdf(x, Q)) == pytest.approx(mp_cdf_by_quadrature(x, Q), abs=1e-6)


@pytest.mark.parametrize("Q", ASPECTS)
def test_density_is_the_slope_of_the_cdf(Q: float) -> None:
    low, high = mp.edges(Q, 0.7)
    x = low + np.array([0.1, 0.3, 0.5, 0.8, 0.95]) * (high - low)
    h = 1e-5 * (high - low)
    slope = (mp.cdf(x + h, Q, 0.7) - mp.cdf(x - h, Q, 0.7)) / (2 * h)
    np.testing.assert_allclose(mp.density(x, Q, 0.7), slope, rtol=1e-6)
    np.testing.assert_allclose(mp.sv_density(np.sqrt(x), Q, 0.7), 2 * np.sqrt(x) * slope, rtol=1e-6)


def test_square_matrices_have_the_quarter_circle() -> None:
    nu = np.array([0.0, 0.5, 1.0, 2.0, 2.9])
    np.testing.assert_allclose(mp.sv_density(nu, 1.0, 1.5), np.sqrt(9.0 - nu**2) / (np.pi * 2.25), rtol=1e-12)
    assert float(mp.cdf(1e-12, 1.0)) == pytest.approx(2e-6 / np.pi, rel=1e-9)
    assert np.isinf(mp.density(0.0, 1.0))


def test_near_square_loses_no_digits() -> None:
    p = np.linspace(0.001, 0.999, 200)
    np.testing.assert_allclose(mp.quantile(p, 1.0 + 1e-9), mp.quantile(p, 1.0), rtol=1e-3, atol=1e-8)
    for excess in (1e-12, 1e-9, 1e-6, 1e-3):
        np.testing.assert_allclose(mp.cdf(mp.quantile(p, 1.0 + excess), 1.0 + excess), p, atol=1e-12)


@settings(deadline=None)
@given(st.floats(1.0, 1e4), st.floats(0.0, 1.0), st.floats(1e-3, 1e3))
def test_quantile_inverts_the_cdf(Q: float, p: float, sigma: float) -> None:
    x = mp.quantile(p, Q, sigma)
    low, high = mp.edges(Q, sigma)
    assert low <= float(x) <= high
    assert float(mp.cdf(x, Q, sigma)) == pytest.approx(p, abs=1e-9)


def test_outside_the_support_nothing() -> None:
    np.testing.assert_array_equal(mp.density([-1.0, 0.0, 9.0], 2.0), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(mp.cdf([-1.0, 0.01, 9.0], 2.0), [0.0, 0.0, 1.0])


@pytest.mark.parametrize(("N", "M"), [(24, 24), (60, 20), (12, 1)])
def test_sample_has_the_moments_of_a_gaussian_matrix(N: int, M: int) -> None:
    rng = np.random.default_rng(1)
    draws = np.array([mp.sample(rng, N, M, sigma=2.0) for _ in range(400)])
    whole = np.array([np.linalg.svd(2.0 * rng.standard_normal((N, M)), compute_uv=False) ** 2 / N for _ in range(400)])
    assert draws.shape == (400, M)
    assert np.all(np.diff(draws, axis=1) <= 0.0)
    for column in (0, M // 2, M - 1):
        a, b = np.sqrt(draws[:, column]), np.sqrt(whole[:, column])
        assert abs(a.mean() - b.mean()) < 4.5 * np.hypot(a.std(), b.std()) / 20.0
        assert a.std() == pytest.approx(b.std(), rel=0.25)


def test_heavy_entries_stretch_the_spectrum_by_the_predicted_count() -> None:
    rng = np.random.default_rng(2)
    N, M, draws = 80, 40, 1200
    x = np.array([0.3, 0.8, 1.4, 2.2])
    W = rng.laplace(size=(draws, N, M)) / np.sqrt(2.0)
    evals = np.linalg.eigvalsh(np.swapaxes(W, 1, 2) @ W) / N
    gaussian = np.array([mp.sample(rng, N, M) for _ in range(draws)])
    measured = (evals[..., None] < x).sum(axis=1).mean(axis=0) - (gaussian[..., None] < x).sum(axis=1).mean(axis=0)
    np.testing.assert_allclose(measured, mp.kurtosis_count(mp.angle(x, 2.0), 3.0), atol=0.17)
    shift = evals[:, -1].mean() - gaussian[:, 0].mean()
    assert shift == pytest.approx(mp.kurtosis_edge(N, M, 3.0), rel=0.35)


@pytest.mark.parametrize("Q", [0.5, float("nan"), float("inf"), -1.0])
def test_impossible_aspect_ratios_are_refused(Q: float) -> None:
    with pytest.raises(ValueError, match="Q is"):
        mp.cdf(1.0, Q)


def test_impossible_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="Probabilities"):
        mp.quantile([0.5, 1.1], 2.0)
    with pytest.raises(ValueError, match="p is"):
        mp.angle_of_probability(1.0, 2.0)
