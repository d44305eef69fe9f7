"""Block Lanczos against all eigenvalues: the largest within their bounds, the distribution within its errors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from onnxspec.graph.values import Held
from onnxspec.spectra import stochastic
from onnxspec.spectra.slabs import Slabs
from onnxspec.spectra.stochastic import Estimate, estimate_spectrum

M = 1000


def haar(random: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    found: np.ndarray = np.linalg.qr(random.standard_normal((rows, columns)))[0]
    return found


@cache
def matrices() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    left, right = haar(random, M, M), haar(random, M, M)
    steps = np.linspace(1.0, 0.0, M)
    return {
        "noise": random.standard_normal((M, M)),
        "wide noise": random.standard_normal((M, 2 * M)),
        "Student t 2.5": random.standard_t(2.5, (2 * M, M)),
        "Pareto 1.2": random.pareto(1.2, (M, M)) * random.choice([-1.0, 1.0], (M, M)),
        "rows of any size": random.standard_normal((M, M)) * random.pareto(3.0, (M, 1)) ** 0.5,
        "power law": (left * np.arange(1, M + 1) ** -0.5) @ right.T,
        "12 equal": (left * np.where(np.arange(M) < 12, 3.0, steps)) @ right.T,
        "nearly equal": (left * np.where(np.arange(M) < 40, 3.0 + 1e-9 * np.arange(M), steps)) @ right.T,
        "20 spikes": random.standard_normal((M, M)) + 90.0 * left[:, :20] @ right[:, :20].T,
        "rank 5": random.standard_normal((M, 5)) @ random.standard_normal((5, M)),
        "identity": np.eye(M),
    }


@cache
def exact(name: str) -> np.ndarray:
    w = matrices()[name]
    found: np.ndarray = np.linalg.svd(w, compute_uv=False) ** 2 / max(w.shape)
    return found


@cache
def estimate(name: str) -> Estimate:
    return estimate_spectrum(Slabs(Held(matrices()[name])), 0)


NAMES = sorted(matrices())


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_eigenvalues_are_within_their_bounds(name: str) -> None:
    found, evals = estimate(name), exact(name)
    assert found.trace == pytest.approx(evals.sum(), rel=1e-12)
    assert found.evals[0] == pytest.approx(evals[0], rel=1e-9)
    assert list(found.evals) == sorted(found.evals, reverse=True)
    rounding = 1e-13 * evals[0]
    for i, (value, error) in enumerate(zip(found.evals, found.errors)):
        assert np.abs(evals - value).min() <= error + rounding
        assert value <= evals[i] + rounding
        assert evals[i] - value <= error + rounding


@pytest.mark.parametrize("name", ["Student t 2.5", "Pareto 1.2", "power law", "20 spikes", "rows of any size"])
def test_what_stands_apart_is_known_to_nine_digits(name: str) -> None:
    found, evals = estimate(name), exact(name)
    assert max(found.errors[:20]) <= 1e-5 * evals[0]
    np.testing.assert_allclose(found.evals[:20], evals[:20], rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_distribution_is_within_its_errors(name: str) -> None:
    found, evals = estimate(name), exact(name)
    assert 1 <= len(found.shares) <= stochastic.POINTS
    for share in found.shares:
        nearly = 1e-9 * share.at
        low, high = (evals < share.at - nearly).mean(), (evals <= share.at + nearly).mean()
        error = 2.0 * share.stderr + share.resolution
        assert low - error <= share.below <= high + error


@pytest.mark.parametrize("name", ["noise", "Student t 2.5", "power law"])
def test_the_distribution_is_of_use(name: str) -> None:
    """Its error is a few hundredths: a wrong weight or a wrong order of the vectors would show."""
    found, evals = estimate(name), exact(name)
    off = [abs((evals < share.at).mean() - share.below) for share in found.shares]
    assert max(off) < 0.04
    assert np.mean([share.resolution for share in found.shares]) < 0.15


def test_one_vector_and_all_steps_is_the_whole_spectrum() -> None:
    """With as many steps as columns Lanczos ends, and its quadrature is exact."""
    w = np.random.default_rng(1).standard_normal((60, 40))
    found = estimate_spectrum(Slabs(Held(w)), 0, block=8, steps=5, top=40)
    evals = np.linalg.svd(w, compute_uv=False) ** 2 / 60
    np.testing.assert_allclose(found.evals, evals, rtol=1e-9)
    assert max(found.errors) < 1e-12 * evals[0]


@pytest.mark.parametrize("name", ["wide noise", "Pareto 1.2"])
def test_a_transposed_matrix_has_the_same_values(name: str) -> None:
    found = estimate_spectrum(Slabs(Held(np.ascontiguousarray(matrices()[name].T))), 0)
    assert found.evals[0] == pytest.approx(estimate(name).evals[0], rel=1e-9)
    for a, b, *errors in zip(found.evals, estimate(name).evals, found.errors, estimate(name).errors):
        assert abs(a - b) <= sum(errors)
    for one, other in zip(found.shares, estimate(name).shares):
        assert abs(one.below - other.below) <= 2.0 * (one.stderr + other.stderr) + one.resolution + other.resolution


def test_a_power_of_two_changes_no_bit_and_neither_does_another_run() -> None:
    w = matrices()["Student t 2.5"]
    found = estimate_spectrum(Slabs(Held(w * 2.0**300)), 300)
    assert found == estimate("Student t 2.5")
    assert found.scaled(0.25) == estimate_spectrum(Slabs(Held(w * 0.5)), 0)
    assert replace(found, products=0) != found


def test_parts_change_rounding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stochastic, "PART_ELEMENTS", 17 * M)
    found = estimate_spectrum(Slabs(Held(matrices()["20 spikes"])), 0)
    np.testing.assert_allclose(found.evals[:20], estimate("20 spikes").evals[:20], rtol=1e-12)


def test_a_column_and_fewer_columns_than_vectors() -> None:
    column = np.arange(1.0, 101.0)[:, np.newaxis]
    found = estimate_spectrum(Slabs(Held(column)), 0)
    assert found.evals == pytest.approx([float((column**2).sum() / 100)])
    narrow = np.random.default_rng(2).standard_normal((50, 7))
    found = estimate_spectrum(Slabs(Held(narrow)), 0)
    np.testing.assert_allclose(found.evals, np.linalg.svd(narrow, compute_uv=False) ** 2 / 50, rtol=1e-12)
