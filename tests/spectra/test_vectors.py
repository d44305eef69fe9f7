from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from onnxspec.laws.spiked import haar, sample
from onnxspec.spectra.vectors import _mann_whitney, haar_null, localisation, vector_metrics
from tests.oracle import naive


@pytest.mark.parametrize("n", [10, 384])
def test_one_element(n: int) -> None:
    m = vector_metrics(-3.0 * np.eye(n)[4])
    assert (m.entropy, m.participation, m.localisation, m.ipr) == (0.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("n", [10, 384])
def test_all_elements_alike(n: int) -> None:
    m = vector_metrics(np.ones(n))
    assert m.entropy == pytest.approx(math.log(n), rel=1e-12)
    assert m.normalized_entropy == pytest.approx(1.0, rel=1e-12)
    assert m.participation == pytest.approx(n**0.25, rel=1e-12)
    assert m.localisation == pytest.approx(n, rel=1e-12)
    assert m.ipr == pytest.approx(1 / n, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "entropy", "participation", "ratio", "ratio_sd"),
    [(100, 3.8855, 2.423, 29.5, 4.0), (384, 5.2236, 3.3727, 98.0, 10.6), (1000, 6.1791, 4.2775, 234.5, 21.0)],
)
def test_published_null_values(n: int, entropy: float, participation: float, ratio: float, ratio_sd: float) -> None:
    null = haar_null(n)
    assert null.entropy == pytest.approx(entropy, abs=5e-5)
    assert null.participation == pytest.approx(participation, rel=2e-3)
    assert null.localisation == pytest.approx(ratio, rel=0.01)
    assert null.localisation_sd == pytest.approx(ratio_sd, rel=0.06)
    assert 1.0 / (n * null.ipr) == pytest.approx((n + 2) / (3 * n), rel=1e-12)


@pytest.mark.parametrize("n", [12, 100])
def test_null_against_random_vectors(n: int) -> None:
    draws = np.random.default_rng(0).standard_normal((8000, n))
    rows = [vector_metrics(v) for v in draws]
    null = haar_null(n)
    for name in ("entropy", "participation", "localisation", "ipr"):
        values = np.array([getattr(m, name) for m in rows])
        mean, sd = getattr(null, name), getattr(null, f"{name}_sd")
        exact = name != "participation"
        assert abs(values.mean() - mean) < 4 * sd / math.sqrt(8000) + (0.0 if exact else 0.03 / n * mean), name
        assert values.std() == pytest.approx(sd, rel=0.05 if exact else 0.15), name


def test_a_random_vector_has_the_expected_entropy() -> None:
    v = haar(np.random.default_rng(1), 1000, 1)[:, 0]
    assert vector_metrics(v).entropy == pytest.approx(6.1791, abs=0.08)
    z = vector_metrics(v).entropy_z
    assert z is not None
    assert abs(z) < 4.0


def test_noise_has_no_localised_vector() -> None:
    result = localisation(np.random.default_rng(2).standard_normal((300, 150)), 0)
    assert not result.top_are_spikes
    assert len(result.spikes) == 5
    assert result.bulk_vectors == 50
    for name in ("entropy", "participation", "localisation"):
        assert abs(getattr(result, f"bulk_{name}_z")) < 5 / math.sqrt(50)
    assert result.mann_whitney_p is not None
    assert result.mann_whitney_p > 0.01


@pytest.mark.parametrize("side", ["right", "left"])
def test_localised_spikes_are_seen(side: str) -> None:
    rng = np.random.default_rng(3)
    W = rng.standard_normal((400, 200))
    for block in range(6):
        u, v = np.zeros(400), np.zeros(200)
        u[20 * block : 20 * block + 20] = rng.standard_normal(20)
        v[10 * block : 10 * block + 10] = rng.standard_normal(10)
        W += (3.0 + 0.4 * block) * 20.0 * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    result = localisation(W, 6, side=side)  # type: ignore[arg-type]
    assert result.n == (200 if side == "right" else 400)
    assert result.spike_entropy_z is not None
    assert result.bulk_entropy_z is not None
    assert result.spike_entropy_z < -10.0
    assert abs(result.bulk_entropy_z) < 3.0
    assert result.mann_whitney_p is not None
    assert result.mann_whitney_p < 1e-4


def test_haar_spikes_are_not_localised() -> None:
    W = sample(np.random.default_rng(4), 400, 200, np.linspace(2.0, 4.0, 8))
    result = localisation(W, 8)
    assert result.spike_entropy_z is not None
    assert abs(result.spike_entropy_z) < 2.0


def test_vectors_of_equal_eigenvalues_do_not_count() -> None:
    result = localisation(np.eye(64), 3)
    assert all(m.degenerate for m in result.spikes)
    assert result.spike_entropy_z is None
    assert result.mann_whitney_p is None
    assert result.bulk_vectors == 0


def test_transposed_and_scaled() -> None:
    W = np.random.default_rng(5).standard_normal((80, 50))
    one, other = localisation(W, 2), localisation(W.T * 2.0**300, 2)
    assert [m.entropy for m in one.spikes] == pytest.approx([m.entropy for m in other.spikes], rel=1e-9)


@pytest.mark.parametrize(("sizes", "seed"), [((3, 5), 0), ((4, 4), 1), ((2, 7), 2)])
def test_rank_sum_by_trying_all_orders(sizes: tuple[int, int], seed: int) -> None:
    values = np.random.default_rng(seed).permutation(sum(sizes)).astype(float).tolist()
    a, b = values[: sizes[0]], values[sizes[0] :]
    assert _mann_whitney(a, b) == pytest.approx(naive.rank_sum_p(a, b), rel=1e-12)


def test_rank_sum_of_many_values_against_scipy() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(6)
    a, b = rng.normal(0.5, 1.0, 15).tolist(), rng.standard_normal(50).tolist()
    assert _mann_whitney(a, b) == pytest.approx(mannwhitneyu(a, b, method="asymptotic").pvalue, rel=1e-9)


def test_what_has_no_vectors_says_why() -> None:
    assert localisation(np.ones((9, 9)), 0).reason == "too_small"
    assert localisation(np.zeros((20, 20)), 0).reason == "zero_matrix"
    assert localisation(np.full((20, 20), np.nan), 0).reason == "non_finite"
    with pytest.raises(ValueError, match="spikes"):
        localisation(np.ones((20, 20)), -1)
    with pytest.raises(ValueError, match="zero"):
        vector_metrics(np.zeros(5))


def test_the_result_holds_plain_numbers() -> None:
    result = localisation(np.random.default_rng(7).standard_normal((40, 30)), 1)
    json.dumps(dataclasses.asdict(result), allow_nan=False)
