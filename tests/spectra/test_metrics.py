"""Metrics against their definitions, THEORY.md 1.2's tables, and exact shifts."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from onnxspec.results import Layer
from onnxspec.spectra.eigen import spectrum
from onnxspec.spectra.metrics import metrics
from tests.oracle import naive

NAMES = {
    *("sv_max", "sv_min", "lambda_max", "norm", "spectral_norm", "log_norm", "log_spectral_norm", "log_alpha_norm"),
    *("alpha_weighted", "alpha_hat", "stable_rank", "stable_rank_ratio", "log_stable_rank", "entropy"),
    *("entropy_deficit", "trace", "log_det", "rank", "rank_loss"),
}


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def of(array: np.ndarray, alpha: float | None = 2.5) -> tuple[dict[str, float], dict[str, str]]:
    return metrics(spectrum(array), alpha=alpha)


def test_names_are_those_of_a_layer():
    values, reasons = of(gaussian(30, 20))
    assert set(values) == NAMES
    assert NAMES.issubset(field.name for field in fields(Layer))
    assert reasons == {}


@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (5, 30, 20)])
def test_definitions(shape):
    array = gaussian(*shape)
    result = spectrum(array)
    values, _ = metrics(result, alpha=3.25)
    sv = naive.singular_values(array).tolist()
    expected = naive.spectrum_metrics(sv, (result.num_matrices, result.N, result.M), result.rank, 3.25)
    assert set(expected) == set(values)
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-9), name


# ---- iid entries (THEORY.md 1.2: formula, simulated mean)

NULLS = [
    (512, 512, 0.91968, 130.1),
    (1024, 512, 0.9599, 176.2),
    (4096, 384, 0.99210, 225.5),
    (384, 192, 0.95214, 67.7),
    (100, 100, 0.8916, 26.3),
]


@pytest.mark.parametrize(("N", "M", "entropy", "stable_rank"), NULLS)
def test_null_of_iid_entries(N, M, entropy, stable_rank):
    draws = 1 if N * M > 150_000 else 30
    rows = [of(gaussian(N, M, seed=seed))[0] for seed in range(draws)]
    mean_entropy = np.mean([row["entropy"] for row in rows])
    mean_rank = np.mean([row["stable_rank"] for row in rows])
    assert mean_entropy == pytest.approx(1.0 - M / (2.0 * N * math.log(M)), abs=0.002)
    assert mean_entropy == pytest.approx(entropy, abs=0.001)
    assert mean_rank / (M / (1.0 + math.sqrt(M / N)) ** 2) == pytest.approx(1.0, abs=0.06)
    assert mean_rank == pytest.approx(stable_rank, rel=0.03)
    assert np.mean([row["entropy_deficit"] for row in rows]) == pytest.approx(1.0, abs=0.03)
    assert np.mean([row["stable_rank_ratio"] for row in rows]) == pytest.approx(1.0, abs=0.06)


def test_null_of_a_pooled_stack():
    """The two headline numbers are 1 for noise however many matrices are pooled."""
    values, _ = of(gaussian(25, 120, 80))
    assert values["entropy_deficit"] == pytest.approx(1.0, abs=0.03)
    assert values["stable_rank_ratio"] == pytest.approx(1.0, abs=0.1)
    assert (values["rank"], values["rank_loss"]) == (2000, 0)


# ---- exact values


def test_identity():
    values, _ = of(np.eye(64))
    assert values["entropy"] == pytest.approx(1.0, abs=1e-12)
    assert values["stable_rank"] == 64.0
    assert values["log_norm"] == pytest.approx(math.log10(64.0), rel=1e-15)
    assert values["log_spectral_norm"] == 0.0
    assert values["entropy_deficit"] == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("array", [np.outer(np.arange(1.0, 9.0), np.arange(1.0, 6.0)), np.full((7, 5), -2.0)])
def test_rank_one(array):
    values, reasons = of(array)
    assert values["rank"] == 1
    assert values["rank_loss"] == 4
    assert values["entropy"] == 0.0
    assert values["stable_rank"] == pytest.approx(1.0, abs=1e-12)
    assert reasons == {}


def test_constant_matrix():
    """lambda_max = c^2 M, norm = c^2 N M."""
    values, _ = of(np.full((7, 5), -2.0))
    assert values["lambda_max"] == pytest.approx(20.0, rel=1e-14)
    assert values["norm"] == pytest.approx(140.0, rel=1e-14)
    assert values["trace"] == pytest.approx(20.0, rel=1e-14)


def test_two_eigenvalues_three_to_one():
    values, _ = of(np.diag([math.sqrt(3.0), 1.0]))
    assert values["entropy"] == pytest.approx(0.811278124, abs=1e-9)
    assert values["stable_rank"] == pytest.approx(4.0 / 3.0, rel=1e-14)
    assert values["log_det"] == pytest.approx(math.log(0.75), rel=1e-14)


def test_scaling_by_seven():
    W = gaussian(50, 30).astype(np.float64)
    plain, _ = of(W)
    scaled, _ = of(7.0 * W)
    for name in ("entropy", "stable_rank", "entropy_deficit", "stable_rank_ratio"):
        assert scaled[name] == pytest.approx(plain[name], rel=1e-12), name
    assert scaled["log_norm"] - plain["log_norm"] == pytest.approx(1.690196080, abs=1e-9)
    assert scaled["alpha_hat"] - plain["alpha_hat"] == pytest.approx(2.5 * 1.690196080, abs=1e-8)
    assert scaled["rank"] == plain["rank"]


def test_power_of_two_is_exact():
    W = gaussian(50, 30)
    plain, _ = of(W)
    scaled, _ = of(W * np.float32(2.0**30))
    for name in ("entropy", "stable_rank", "entropy_deficit", "stable_rank_ratio", "rank"):
        assert scaled[name] == plain[name], name
    for name in ("norm", "spectral_norm", "lambda_max", "trace"):
        assert scaled[name] == plain[name] * 2.0**60, name


# ---- numbers that do not exist


def test_zero_matrix():
    values, reasons = of(np.zeros((4, 3)))
    numbers = {name: value for name, value in values.items() if value is not None}
    zeros = dict.fromkeys(("sv_max", "sv_min", "lambda_max", "norm", "spectral_norm", "trace"), 0.0)
    assert numbers == {**zeros, "rank": 0, "rank_loss": 3}
    assert reasons == dict.fromkeys(NAMES - set(numbers), "zero_matrix")


def test_without_alpha():
    values, reasons = of(gaussian(30, 20), alpha=None)
    assert reasons == dict.fromkeys(("log_alpha_norm", "alpha_weighted", "alpha_hat"), "no_fit")
    assert all(values[name] is None for name in reasons)


def test_log_stable_rank_divides_by_a_logarithm():
    """lambda_max = 1 for a square matrix with sv_max = sqrt N."""
    values, reasons = of(np.diag([2.0, 1.0, 1.0, 1.0]))
    assert values["log_stable_rank"] is None
    assert reasons == {"log_stable_rank": "near_singular"}
    apart, _ = of(np.diag([2.2, 1.0, 1.0, 1.0]))
    assert apart["log_stable_rank"] == pytest.approx(math.log10(7.84) / math.log10(1.21), rel=1e-12)
    below, _ = of(np.diag([1.0, 1.0, 1.0, 1.0]))
    assert below["log_stable_rank"] == pytest.approx(-1.0, rel=1e-12)


def test_everything_below_the_tolerance():
    values, reasons = metrics(spectrum(gaussian(20, 10), noise_floor=10.0), alpha=2.0)
    assert (values["rank"], values["rank_loss"]) == (0, 10)
    assert reasons == dict.fromkeys(("entropy", "entropy_deficit", "log_det"), "below_tolerance")
    assert values["stable_rank"] > 1.0


def test_one_eigenvalue():
    values, reasons = of(np.array([[3.0, 4.0]]))
    assert values["entropy"] == 0.0
    assert reasons == {"entropy_deficit": "too_small"}


@pytest.mark.parametrize(("scale", "reason"), [(1e200, "overflow"), (1e-200, "underflow")])
def test_range_of_float64(scale, reason):
    W = gaussian(12, 8).astype(np.float64)
    plain, _ = of(W)
    values, reasons = of(W * scale)
    assert reasons == dict.fromkeys(("lambda_max", "norm", "spectral_norm", "trace"), reason)
    for name in ("entropy", "stable_rank"):
        assert values[name] == pytest.approx(plain[name], rel=1e-12)
    assert values["log_norm"] == pytest.approx(plain["log_norm"] + 2.0 * math.log10(scale), rel=1e-12)
    assert values["log_alpha_norm"] == pytest.approx(plain["log_alpha_norm"] + 5.0 * math.log10(scale), rel=1e-12)


def test_singular_value_beyond_float64():
    values, reasons = of(np.full((400, 300), 1.7e308))
    assert values["sv_max"] is None
    assert reasons["sv_max"] == reasons["log_norm"] == "overflow"
    assert set(values) == NAMES
    assert all(reasons[name] for name, value in values.items() if value is None)


def test_every_number_is_finite():
    rng = np.random.default_rng(2)
    for array in (rng.normal(size=(1, 1)), np.zeros((1, 1)), np.full((3, 3), 1e-45), rng.standard_cauchy((40, 9))):
        values, reasons = of(array)
        for name, value in values.items():
            assert (value is None) == (name in reasons), name
            assert value is None or math.isfinite(value), name
