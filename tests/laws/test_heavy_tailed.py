from __future__ import annotations

import numpy as np
import pytest

from onnxspec.laws import heavy_tailed as ht
from onnxspec.laws import marchenko_pastur

HILL = {1: 2.122, 1.5: 2.449, 2: 2.706, 3: 3.118, 4: 3.455, 6.125: 4.040, 8: 4.470, 10.667: 4.998}


@pytest.mark.parametrize(("Q", "expected"), HILL.items())
def test_hill_at_the_median_of_a_random_matrix(Q: float, expected: float) -> None:
    assert ht.hill_median(Q) == pytest.approx(expected, abs=1e-3)


def test_hill_at_the_median_of_drawn_matrices() -> None:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(20):
        evals = marchenko_pastur.sample(rng, 600, 300)
        values.append(1.0 + 150 / np.log(evals[:150] / evals[150]).sum())
    assert np.mean(values) == pytest.approx(ht.hill_median(2.0), abs=0.03)


@pytest.mark.parametrize("mu", [0.7, 1.5, 3.0])
def test_samplers_have_the_tail_they_promise(mu: float) -> None:
    rng = np.random.default_rng(8)
    size = 200_000
    signed = ht.sample_symmetric_pareto(rng, mu, size)
    assert np.abs(signed).min() >= 1.0
    assert np.mean(signed > 0.0) == pytest.approx(0.5, abs=0.01)
    assert np.mean(np.abs(signed) > 5.0) == pytest.approx(5.0**-mu, rel=0.1)
    lomax = ht.sample_lomax(rng, mu, (size // 2, 2))
    assert lomax.shape == (size // 2, 2)
    assert lomax.min() >= 0.0
    assert np.mean(lomax > 4.0) == pytest.approx(5.0**-mu, rel=0.1)
    top = np.sort(np.abs(ht.sample_student_t(rng, mu, size)))[::-1][:501]
    assert 500 / np.log(top[:500] / top[500]).sum() == pytest.approx(mu, rel=0.2)


def test_classes() -> None:
    assert [ht.class_of_mu(mu) for mu in (1.9, 2.0, 3.9, 4.0)] == [
        "very_heavy",
        "moderately_heavy",
        "moderately_heavy",
        "weakly_heavy",
    ]
    assert [ht.class_of_alpha(a) for a in (1.99, 2.0, 4.0, 6.0, 6.1)] == [
        "very_heavy",
        "moderately_heavy",
        "borderline",
        "borderline",
        "weakly_heavy",
    ]


def test_relations_of_alpha_and_mu() -> None:
    assert ht.alpha_from_mu(1.0) == 1.5
    assert ht.alpha_from_mu(3.0) == 2.5
    assert ht.alpha_from_mu(4.0) is None
    assert [ht.mu_from_alpha(a) for a in (1.5, 2.0, 3.0, 3.5)] == [1.0, 2.0, 2.0, 2.5]
    assert ht.alpha_from_mu_published(1.0) == pytest.approx(1.511)
    assert ht.alpha_from_mu_published(3.0) == pytest.approx(3.6047)
    for mu in (0.5, 1.0, 1.9):
        assert ht.mu_from_alpha(ht.alpha_from_mu(mu) or 0.0) == pytest.approx(mu)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="mu is"):
            ht.alpha_from_mu(bad)


def test_largest_eigenvalue_grows_as_predicted() -> None:
    assert ht.lambda_max_exponent(0.8) == pytest.approx(4.0)
    assert ht.lambda_max_exponent(5.0) is None
    assert ht.lambda_max_scale(10, 10, 5.0) is None
    rng = np.random.default_rng(6)
    mu, n = 0.8, 60
    scale = ht.lambda_max_scale(n, n, mu)
    assert scale is not None
    top = np.array(
        [np.linalg.svd(ht.sample_symmetric_pareto(rng, mu, (n, n)), compute_uv=False)[0] ** 2 / n for _ in range(200)]
    )
    # Frechet: the median y of exp(-y^(-mu/2)) is (ln 2)^(-2/mu)
    assert np.mean(top / scale > np.log(2.0) ** (-2.0 / mu)) == pytest.approx(0.5, abs=0.12)
    bigger = ht.lambda_max_scale(2 * n, 2 * n, mu)
    assert bigger is not None
    assert bigger / scale == pytest.approx(2.0 ** (4.0 / mu - 1.0))
