from __future__ import annotations

import numpy as np
import pytest

from onnxspec.laws import semicircle


def test_density_integrates_to_the_cdf() -> None:
    x = np.linspace(-3.0, 3.0, 60001)
    rho = semicircle.density(x, 1.5)
    running = np.cumsum(0.5 * (rho[1:] + rho[:-1])) * (x[1] - x[0])
    np.testing.assert_allclose(semicircle.cdf(x[1:], 1.5), running, atol=1e-6)
    assert float(semicircle.density(3.1, 1.5)) == 0.0


def test_quantile_inverts_the_cdf() -> None:
    p = np.linspace(0.0, 1.0, 201)
    np.testing.assert_allclose(semicircle.cdf(semicircle.quantile(p, 0.3), 0.3), p, atol=1e-12)
    np.testing.assert_allclose(semicircle.quantile([0.0, 0.5, 1.0]), [-2.0, 0.0, 2.0], atol=1e-12)
    with pytest.raises(ValueError, match="Probabilities"):
        semicircle.quantile(-0.1)
    with pytest.raises(ValueError, match="sigma"):
        semicircle.cdf(0.0, 0.0)


def test_sample_follows_the_law() -> None:
    evals = semicircle.sample(np.random.default_rng(2), 200, 2.0)
    assert np.all(np.diff(evals) <= 0.0)
    expected = semicircle.quantile((np.arange(200)[::-1] + 0.5) / 200, 2.0)
    assert np.max(np.abs(evals - expected)) < 0.25
    assert (evals**2).mean() == pytest.approx(4.0, rel=0.05)
