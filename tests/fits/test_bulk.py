from __future__ import annotations

import json
import math
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.fits._bulk_null import distance_p, variance_null
from onnxspec.fits.bulk import GOE_SPACING_RATIO, BulkFit, fit_bulk, gavish_donoho_factor
from onnxspec.laws import marchenko_pastur, spiked, tracy_widom
from tests.oracle.naive import iterated_median


def evals_of(W: np.ndarray) -> np.ndarray:
    return np.linalg.svd(W, compute_uv=False) ** 2 / W.shape[0]


def planted(rng: np.random.Generator, N: int, M: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    theta = np.sort(spiked.bbp_threshold(N / M) * rng.uniform(1.5, 4.5, k))[::-1]
    W = spiked.sample(rng, N, M, theta)
    return np.linalg.eigvalsh(W.T @ W)[::-1] / N, theta


@pytest.mark.parametrize(("Q", "expected"), [(1, 2.858), (2, 2.17119), (4, 1.83687), (10, 1.60877)])
def test_gavish_donoho_factor(Q: float, expected: float) -> None:
    assert gavish_donoho_factor(Q) == pytest.approx(expected, abs=1e-4 if Q > 1 else 5e-4)


# THEORY.md 2.3: standard errors of sigma^2 and quantiles of D at Q = 1, 2, 10
ERRORS = {32: (0.096, 0.053, 0.022), 64: (0.048, 0.030, 0.012), 128: (0.027, 0.015, 0.006)}
MEDIAN_D = {32: 0.0615, 64: 0.0355, 128: 0.020, 256: 0.011, 512: 0.0062}
D_95 = {32: 0.086, 64: 0.049, 128: 0.0275, 256: 0.015, 512: 0.0083}


@pytest.mark.parametrize("M", ERRORS)
def test_null_errors_agree_with_the_coarser_published_ones(M: int) -> None:
    for Q, expected in zip((1.0, 2.0, 10.0), ERRORS[M], strict=True):
        assert variance_null(M, Q)[1] == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("M", MEDIAN_D)
def test_null_of_the_distance_agrees_with_the_published_one(M: int) -> None:
    assert distance_p(MEDIAN_D[M], M, 1.5) == pytest.approx(0.5, abs=0.12)
    assert distance_p(D_95[M], M, 1.5) == pytest.approx(0.05, abs=0.045)


def test_p_of_the_distance_falls_and_stays_between_floor_and_one() -> None:
    D = np.linspace(0.0, 0.5, 400)
    for M, Q in ((10, 1.0), (100, 3.3), (3000, 50.0), (700, 1e4)):
        p = np.array([distance_p(float(d), M, Q) for d in D])
        assert np.all(np.diff(p) <= 0.0)
        assert p[0] == 1.0
        assert p[-1] == 1e-4


def test_exact_quantiles_give_sigma_one_and_no_spike() -> None:
    for N, M in ((400, 200), (300, 300), (2000, 200)):
        Q = N / M
        evals = marchenko_pastur.quantile((np.arange(M)[::-1] + 0.5) / M, Q)
        fit = fit_bulk(evals, N, M)
        assert fit.sigma_mp is not None
        assert fit.sigma_mp**2 == pytest.approx(1.0, abs=3e-3)
        assert (fit.spikes, fit.spikes_95, fit.reason) == (0, 0, None)
        assert fit.D_bulk == pytest.approx(0.5 / M, abs=1.0 / M)
        assert fit.D_bulk_p is not None
        assert fit.D_bulk_p > 0.9
        assert fit.Q_eff == pytest.approx(Q, rel=0.02)


@pytest.mark.parametrize(("N", "M", "draws"), [(64, 64, 300), (256, 128, 150), (1000, 100, 150)])
def test_noise_has_no_spikes_and_uniform_p_values(N: int, M: int, draws: int) -> None:
    rng = np.random.default_rng(N)
    fits = [fit_bulk(marchenko_pastur.sample(rng, N, M, sigma=0.02), N, M) for _ in range(draws)]
    assert np.mean([bool(f.spikes) for f in fits]) <= 0.03
    assert np.mean([bool(f.spikes_95) for f in fits]) == pytest.approx(0.05, abs=0.05)
    for name in ("D_bulk_p", "tracy_widom_p"):
        p = np.array([getattr(f, name) for f in fits])
        assert np.mean(p < 0.5) == pytest.approx(0.5, abs=0.13), name
        assert np.mean(p < 0.1) == pytest.approx(0.1, abs=0.08), name
    sigma = np.array([f.sigma_mp for f in fits])
    stderr = np.mean([f.sigma_mp_stderr for f in fits])
    assert sigma.mean() == pytest.approx(0.02, rel=0.005)
    assert sigma.std() == pytest.approx(stderr, rel=0.2)


def excess_kurtosis(W: np.ndarray) -> float:
    return float(np.mean(W**4) / np.mean(W**2) ** 2 - 3.0)


@pytest.mark.parametrize(("N", "M"), [(64, 64), (128, 64)])
@pytest.mark.parametrize("name", ["laplace", "uniform"])
def test_entries_of_other_laws_are_noise_once_their_kurtosis_is_known(name: str, N: int, M: int) -> None:
    rng = np.random.default_rng(9)
    W = rng.laplace(size=(250, N, M)) if name == "laplace" else rng.uniform(-1, 1, size=(250, N, M))
    evals = np.linalg.eigvalsh(np.swapaxes(W, 1, 2) @ W)[:, ::-1].clip(0.0) / N
    fits = [fit_bulk(e, N, M, kurtosis=excess_kurtosis(w)) for e, w in zip(evals, W, strict=True)]
    assert np.mean([bool(f.spikes) for f in fits]) <= 0.03
    assert np.mean([f.tracy_widom_p < 0.5 for f in fits if f.tracy_widom_p is not None]) == pytest.approx(0.5, abs=0.12)
    assert np.mean([f.D_bulk_p < 0.5 for f in fits if f.D_bulk_p is not None]) == pytest.approx(0.5, abs=0.12)
    if name == "laplace" and N == M:
        assert np.mean([bool(fit_bulk(e, N, M).spikes) for e in evals]) > 0.05


@pytest.mark.parametrize(("N", "M", "k"), [(600, 300, 5), (450, 300, 30), (300, 300, 30), (600, 300, 100)])
def test_planted_spikes_are_counted_and_measured(N: int, M: int, k: int) -> None:
    rng = np.random.default_rng(k + N)
    counts, variances = [], []
    for _ in range(2):
        evals, theta = planted(rng, N, M, k)
        fit = fit_bulk(evals, N, M)
        assert fit.spikes is not None
        assert fit.sigma_mp is not None
        counts.append(fit.spikes)
        variances.append(fit.sigma_mp**2)
        if fit.spikes == k:
            assert np.mean(np.array(fit.spike_thetas) / theta) == pytest.approx(1.0, abs=0.03)
        d = np.array(fit.spike_strengths) / (fit.sigma_mp * math.sqrt(N))
        np.testing.assert_allclose(d, fit.spike_thetas, rtol=1e-12)
        assert fit.mass_above_edge == pytest.approx(evals[: fit.spikes].sum() / evals.sum())
        assert fit.D_bulk_p is not None
        assert fit.D_bulk_p > 0.001
    assert all(abs(count - k) <= max(1.0, 0.02 * k) for count in counts)
    assert np.mean(variances) == pytest.approx(1.0, abs=0.02)


def test_correction_for_finite_strengths_removes_the_bias_of_the_plain_recipe() -> None:
    rng = np.random.default_rng(12)
    plain, corrected = [], []
    for _ in range(3):
        evals, _ = planted(rng, 600, 300, 100)
        error = variance_null(200, 2.5)[1]
        plain.append(iterated_median(evals, 600, tracy_widom.upper_quantile(0.01), error)[0])
        sigma = fit_bulk(evals, 600, 300).sigma_mp
        assert sigma is not None
        corrected.append(sigma**2)
    assert np.mean(plain) < 0.98
    assert abs(np.mean(corrected) - 1.0) < 0.015


def test_below_the_threshold_only_a_bound() -> None:
    rng = np.random.default_rng(2)
    theta = 0.5 * spiked.bbp_threshold(2.0)
    fit = fit_bulk(evals_of(spiked.sample(rng, 400, 200, [theta], sigma=3.0)), 400, 200)
    assert fit.spikes == 0
    assert fit.spike_strengths == ()
    assert fit.sub_threshold_bound is not None
    assert theta * 3.0 * 20.0 < fit.sub_threshold_bound
    assert fit.sub_threshold_bound == pytest.approx(3.0 * (400 * 200) ** 0.25, rel=0.02)


def test_edges_and_ratios_are_the_laws() -> None:
    rng = np.random.default_rng(3)
    evals, _ = planted(rng, 600, 300, 5)
    fit = fit_bulk(evals, 600, 300)
    assert fit.sigma_mp is not None
    low, high = marchenko_pastur.edges(2.0, fit.sigma_mp)
    assert (fit.lambda_minus, fit.lambda_plus) == pytest.approx((low, high))
    assert fit.delta_tw == pytest.approx(tracy_widom.first_order_scale(600, 300, fit.sigma_mp))
    assert fit.mp_softrank == pytest.approx(high / evals[0])
    assert fit.spike_edge is not None
    assert int((evals > fit.spike_edge).sum()) == fit.spikes
    sv = np.sqrt(evals)
    assert fit.k_gd == int((sv > gavish_donoho_factor(2.0) * np.median(sv)).sum())
    assert fit.tracy_widom_p is not None
    assert fit.tracy_widom_p < 1e-6


def test_spacings_of_noise_repel_and_those_of_independent_values_do_not() -> None:
    rng = np.random.default_rng(4)
    noise = [fit_bulk(marchenko_pastur.sample(rng, 600, 300), 600, 300) for _ in range(10)]
    assert np.mean([f.spacing_ratio for f in noise]) == pytest.approx(GOE_SPACING_RATIO, abs=0.015)
    assert np.mean([f.spacing_ratio_stderr for f in noise]) * math.sqrt(300) == pytest.approx(0.31, abs=0.1)
    independent = marchenko_pastur.quantile(np.sort(rng.random(600))[::-1], 2.0)
    fit = fit_bulk(independent, 1200, 600)
    assert fit.spacing_ratio == pytest.approx(0.386, abs=0.04)
    assert fit.D_bulk_p is not None
    assert fit.D_bulk_p < 0.01


def test_correlated_rows_lower_the_free_aspect_ratio() -> None:
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.2, 1.8, size=(800, 1))
    fit = fit_bulk(evals_of(weights * rng.standard_normal((800, 100))), 800, 100)
    assert fit.Q_eff is not None
    assert 1.0 <= fit.Q_eff < 7.2


def test_zero_columns_leave_the_rest_as_it_is() -> None:
    rng = np.random.default_rng(6)
    W = rng.standard_normal((300, 150))
    W[:, 100:] = 0.0
    fit = fit_bulk(evals_of(W), 300, 150, zeros=50)
    assert (fit.zeros, fit.spikes, fit.reason) == (50, 0, None)
    assert fit.sigma_mp == pytest.approx(1.0, abs=0.03)
    assert fit.D_bulk_p is not None
    assert fit.D_bulk_p > 0.01
    rest = fit_bulk(evals_of(W[:, :100]), 300, 100)
    assert rest.sigma_mp == pytest.approx(fit.sigma_mp, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(-400, 400), st.integers(0, 10**6))
def test_scale_changes_only_what_has_a_unit(exponent: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    evals = marchenko_pastur.sample(rng, 90, 30)
    evals[0] *= 2.0
    one, other = fit_bulk(evals, 90, 30), fit_bulk(evals * 2.0**exponent, 90, 30)
    assert one.sigma_mp is not None
    assert other.sigma_mp == pytest.approx(one.sigma_mp * 2.0 ** (exponent / 2), rel=1e-12)
    for name in ("spikes", "spikes_95", "k_gd"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("D_bulk", "D_bulk_p", "mp_softrank", "mass_above_edge", "tracy_widom_p", "Q_eff", "spacing_ratio"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-8), name
    assert other.spike_thetas == pytest.approx(one.spike_thetas, rel=1e-12)


REFUSED = {
    "zero_matrix": (np.zeros(40), 80, 0),
    "too_small": (np.linspace(2.0, 1.0, 9), 20, 0),
    "flat_spectrum": (np.full(64, 0.25) * (1 + 1e-6 * np.arange(64)[::-1]), 64, 0),
    "non_finite": (np.r_[np.inf, np.ones(30)], 31, 0),
    "bulk_failed": (1.0 / np.arange(1.0, 101.0) ** 4, 200, 0),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_fitted_says_why(reason: str) -> None:
    evals, N, zeros = REFUSED[reason]
    fit = fit_bulk(evals, N, evals.size, zeros=zeros)
    assert fit.reason == reason
    assert fit.sigma_mp is None
    assert fit.spikes is None
    assert fit.spike_strengths == ()


def test_all_zeros_flagged_is_a_zero_matrix_and_few_left_too_small() -> None:
    assert fit_bulk(np.ones(20), 40, 20, zeros=20).reason == "zero_matrix"
    assert fit_bulk(np.linspace(2, 1, 20), 40, 20, zeros=12).reason == "too_small"
    assert fit_bulk([0.5], 1, 1).reason == "too_small"


def test_orthogonal_initialisation_is_flat() -> None:
    W = spiked.haar(np.random.default_rng(0), 200, 100).astype(np.float32).astype(np.float64)
    assert fit_bulk(evals_of(W), 200, 100).reason == "flat_spectrum"


def test_tiny_bulk_under_huge_spikes_stays_in_range() -> None:
    evals = np.r_[np.linspace(2.0, 1.0, 40), np.linspace(2e-200, 1e-200, 60)]
    fit = fit_bulk(evals, 100, 100)
    assert fit.spikes == 40
    assert fit.sigma_mp == pytest.approx(1e-100, rel=1.0)
    assert fit_bulk(np.r_[evals[:-1], -1e-250], 100, 100).spikes == 40


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.0, 1e12), min_size=10, max_size=40),
    st.integers(0, 100),
    st.integers(0, 5),
    st.sampled_from([0.001, 0.01, 0.1]),
)
def test_any_spectrum_gives_plain_json_safe_numbers(values: list[float], more: int, zeros: int, level: float) -> None:
    evals = np.sort(values)[::-1]
    fit = fit_bulk(evals, evals.size + more, evals.size, level=level, zeros=zeros)
    json.dumps(asdict(fit), allow_nan=False)
    for field in fields(BulkFit):
        assert type(getattr(fit, field.name)) in (int, float, str, tuple, type(None)), field.name


@pytest.mark.parametrize(
    ("M", "N", "zeros", "level"), [(9, 20, 0, 0.01), (10, 9, 0, 0.01), (10, 20, 11, 0.01), (10, 20, 0, 0.5)]
)
def test_contradictions_are_refused(M: int, N: int, zeros: int, level: float) -> None:
    with pytest.raises(ValueError):
        fit_bulk(np.ones(10), N, M, zeros=zeros, level=level)
    with pytest.raises(ValueError, match="kurtosis"):
        fit_bulk(np.ones(10), 20, 10, kurtosis=math.nan)
