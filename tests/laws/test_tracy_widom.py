from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import airy

from onnxspec.laws import marchenko_pastur, tracy_widom

QUANTILES = {0.5: -1.2686, 0.9: 0.4501, 0.95: 0.9793, 0.99: 2.0234, 0.995: 2.4223, 0.999: 3.2722, 0.9999: 4.3594}


def determinant(s: float, nodes: int = 100) -> float:
    """Give F(s) by the Fredholm determinant."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    x, w = 14.0 * (points + 1.0), np.sqrt(14.0 * weights)
    kernel = 0.5 * w[:, None] * airy(0.5 * (x[:, None] + x) + s)[0] * w
    return float(np.linalg.det(np.eye(nodes) - kernel))


@pytest.mark.parametrize(("p", "expected"), QUANTILES.items())
def test_quantiles_are_the_published_ones(p: float, expected: float) -> None:
    assert float(tracy_widom.quantile(p)) == pytest.approx(expected, abs=2e-4)
    assert tracy_widom.upper_quantile(1.0 - p) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("s", [-5.03, -3.77, -2.21, -1.301, -1.2, -0.55, 0.333, 1.87, 3.14, 5.9])
def test_cdf_is_the_determinant(s: float) -> None:
    assert float(tracy_widom.cdf(s)) == pytest.approx(determinant(s), abs=1e-7)
    assert float(tracy_widom.sf(s)) == pytest.approx(1.0 - determinant(s), abs=1e-7)


def test_moments() -> None:
    s = np.linspace(-12.0, 15.0, 20001)
    rho = tracy_widom.density(s)
    step = s[1] - s[0]
    assert rho.sum() * step == pytest.approx(1.0, abs=1e-6)
    mean = float((s * rho).sum() * step)
    assert mean == pytest.approx(tracy_widom.MEAN, abs=1e-5)
    assert float(((s - mean) ** 2 * rho).sum() * step) == pytest.approx(tracy_widom.VARIANCE, abs=1e-4)
    assert abs(tracy_widom.MEAN + 1.2065336) < 1e-7


def test_tails_follow_their_asymptotics() -> None:
    # log(1 - F) -> log of half the integral of Ai; log F -> -|s|^3 / 24.
    x = np.linspace(0.0, 6.0, 60001)
    half_integral = 0.5 * airy(14.0 + x)[0].sum() * (x[1] - x[0])
    assert np.log(tracy_widom.sf(14.0)) == pytest.approx(np.log(half_integral), abs=2e-3)
    constant = -11.0 / 48.0 * np.log(2.0) + 0.5 * -0.1654211437004509  # log tau_1
    r = 9.0
    asymptotic = constant - r**3 / 24.0 - r**1.5 / (3.0 * np.sqrt(2.0)) - np.log(r) / 16.0
    assert np.log(tracy_widom.cdf(-r)) == pytest.approx(asymptotic, abs=0.05)


def test_monotone_and_continuous_over_the_whole_line() -> None:
    s = np.linspace(-20.0, 40.0, 30001)
    below, above = tracy_widom.cdf(s), tracy_widom.sf(s)
    assert np.all(np.diff(below) >= 0.0)
    assert np.all(np.diff(above) <= 0.0)
    assert np.all(above[:-1][s[:-1] > 0.0] > above[1:][s[:-1] > 0.0])
    assert np.max(np.abs(np.diff(below))) < 8e-4
    np.testing.assert_allclose(below + above, 1.0, atol=1e-14)


@settings(deadline=None)
@given(st.floats(1e-12, 0.999))
def test_isf_inverts_sf(q: float) -> None:
    assert float(tracy_widom.sf(tracy_widom.isf(q))) == pytest.approx(q, rel=1e-8)


EDGES = [(600, 300, 2.8720, 0.0408), (300, 300, 3.9255, 0.0713), (1000, 100, 1.7042, 0.0268)]


@pytest.mark.parametrize(("N", "M", "mean", "sd"), EDGES)
def test_second_order_centring_gives_the_published_edges(N: int, M: int, mean: float, sd: float) -> None:
    mu, s = tracy_widom.centring(N, M)
    assert mu + tracy_widom.MEAN * s == pytest.approx(mean, rel=0.001)
    assert s * tracy_widom.VARIANCE**0.5 == pytest.approx(sd, rel=0.01)
    assert tracy_widom.centring(N, M, sigma=2.0) == pytest.approx((4 * mu, 4 * s))
    # the first-order scale is the same to 2 %
    assert tracy_widom.first_order_scale(N, M) == pytest.approx(s, rel=0.02)


def test_published_95_percent_edge_and_simulation() -> None:
    mu, s = tracy_widom.centring(600, 300)
    edge = mu + tracy_widom.upper_quantile(0.05) * s
    assert edge == pytest.approx(2.9423, rel=0.001)
    rng = np.random.default_rng(4)
    mu, s = tracy_widom.centring(120, 60)
    top = np.array([marchenko_pastur.sample(rng, 120, 60)[0] for _ in range(1500)])
    assert np.mean((top - mu) / s > tracy_widom.upper_quantile(0.05)) == pytest.approx(0.05, abs=0.02)
    assert np.mean((top - mu) / s > tracy_widom.upper_quantile(0.5)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("function", [tracy_widom.quantile, tracy_widom.isf])
@pytest.mark.parametrize("p", [0.0, 1.0, float("nan")])
def test_impossible_probabilities_are_refused(function: object, p: float) -> None:
    with pytest.raises(ValueError, match="strictly"):
        function(p)  # type: ignore[operator]
