from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.laws import marchenko_pastur, spiked

# THEORY.md 3: N = 1000, M = 500; factor over the threshold, eigenvalue, overlaps on the M and on the N side
TABLE = [
    (1.2, 3.0093, 0.347, 0.261),
    (1.5, 3.4053, 0.611, 0.493),
    (2.0, 4.5052, 0.797, 0.693),
    (3.0, 7.9425, 0.916, 0.854),
]


@pytest.mark.parametrize(("factor", "eigenvalue", "right", "left"), TABLE)
def test_published_table(factor: float, eigenvalue: float, right: float, left: float) -> None:
    theta = factor * spiked.bbp_threshold(2.0)
    assert float(spiked.outlier(theta, 2.0)) == pytest.approx(eigenvalue, abs=1e-4)
    assert [float(v) for v in spiked.overlaps(theta, 2.0)] == pytest.approx([right, left], abs=6e-4)


def test_threshold_is_the_edge_of_the_bulk() -> None:
    for Q in (1.0, 2.0, 7.3):
        edge = marchenko_pastur.edges(Q, 1.3)[1]
        theta = spiked.bbp_threshold(Q)
        np.testing.assert_allclose(spiked.outlier([0.1 * theta, theta], Q, 1.3), edge, rtol=1e-12)
        assert [float(v) for v in spiked.overlaps(0.99 * theta, Q)] == [0.0, 0.0]
        assert spiked.strength(0.999 * edge, Q, 1.3) is None
        assert spiked.strength(0.0, Q, 1.3) is None
    assert spiked.sub_threshold_bound(1000, 500, 2.0) == pytest.approx(2.0 * 1000**0.5 * spiked.bbp_threshold(2.0))


@settings(deadline=None)
@given(st.floats(1.0, 200.0), st.floats(1.01, 50.0), st.floats(0.01, 100.0))
def test_inversion_round_trip(Q: float, factor: float, sigma: float) -> None:
    theta = factor * spiked.bbp_threshold(Q)
    found = spiked.strength(float(spiked.outlier(theta, Q, sigma)), Q, sigma)
    assert found == pytest.approx(theta, rel=1e-10)


def test_shrinkage_is_strength_times_overlaps() -> None:
    # The least-squares singular value is d times the cosines of both vectors.
    theta = np.array([0.9, 1.5, 3.0, 10.0])
    right, left = spiked.overlaps(theta, 2.0)
    shrunk = spiked.shrink(spiked.outlier(theta, 2.0, 1.7), 400, 200, 1.7)
    np.testing.assert_allclose(shrunk, theta * 1.7 * 20.0 * np.sqrt(right * left), rtol=1e-9)
    assert float(spiked.shrink(1.0, 400, 200)) == 0.0


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_sample_puts_its_outlier_where_the_theory_says(factor: float) -> None:
    rng = np.random.default_rng(7)
    theta = factor * spiked.bbp_threshold(2.0)
    top = []
    for _ in range(25):
        W = spiked.sample(rng, 240, 120, [theta])
        top.append(np.linalg.eigvalsh(W.T @ W)[-1] / 240)
    assert np.mean(top) == pytest.approx(float(spiked.outlier(theta, 2.0)), rel=0.03)


def test_haar_vectors_are_orthonormal_with_random_signs() -> None:
    rng = np.random.default_rng(3)
    vectors = spiked.haar(rng, 50, 20)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(20), atol=1e-12)
    corner = np.array([spiked.haar(rng, 4, 2)[0, 0] for _ in range(400)])
    assert abs(corner.mean()) < 0.12
    assert (corner**2).mean() == pytest.approx(0.25, abs=0.06)


def test_spikes_displace_the_bulk_by_the_predicted_count() -> None:
    rng = np.random.default_rng(5)
    N, M, k = 240, 120, 12
    theta = np.full(k, 1.7 * spiked.bbp_threshold(2.0))
    n, m = N - k, M - k
    x = np.array([0.3, 0.83, 1.5])
    counts = np.zeros(3)
    for _ in range(40):
        W = spiked.sample(rng, N, M, theta)
        counts += (np.linalg.eigvalsh(W.T @ W)[:, None] / n < x).sum(axis=0) / 40
    angle = marchenko_pastur.angle(x, n / m)
    plain = m * marchenko_pastur.cdf(x, n / m)
    displaced = spiked.displaced_count(angle, theta, n / m)
    assert np.all(displaced > 0.5)
    np.testing.assert_allclose(counts, plain + displaced, atol=0.45)
    np.testing.assert_allclose(spiked.displaced_count([0.0, np.pi], theta, 2.0), 0.0, atol=1e-12)
