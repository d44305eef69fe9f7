"""The data of the theory figures, and THEORY.md's table of alpha against mu in reduced form."""

from __future__ import annotations

import numpy as np
import pytest

from onnxspec import theory
from onnxspec.laws import marchenko_pastur
from onnxspec.theory import Entries


def alphas(mu: float, entries: Entries, draws: int, **options: object) -> np.ndarray:
    points = theory.alpha_of_mu([mu], entries=entries, draws=draws, **options)  # type: ignore[arg-type]
    return np.array([point.alpha for point in points])


@pytest.mark.parametrize("mu", [0.5, 1.0, 1.5])
def test_alpha_of_very_heavy_tails_is_one_plus_half_mu(mu: float) -> None:
    assert abs(alphas(mu, "sym", 5).mean() - (1.0 + mu / 2.0)) <= 0.12


def test_the_saturation_of_alpha_belongs_to_entries_whose_mean_is_not_zero() -> None:
    assert np.median(alphas(5.0, "lomax", 5)) < 5.0
    assert np.median(alphas(5.0, "sym", 5)) > 6.0
    assert np.median(alphas(5.0, "pareto", 5)) > 6.0


# THEORY.md 4.3, M = 300, Q = 2: the value listed, and three standard errors of the mean of 8 plus its rounding
@pytest.mark.parametrize(
    ("entries", "mu", "listed", "tolerance"),
    [
        ("lomax", 1.0, 1.47, 0.12),
        ("lomax", 2.0, 2.2, 0.2),
        ("lomax", 3.0, 3.0, 0.28),
        ("lomax", 4.0, 3.4, 0.22),
        ("lomax", 5.0, 3.38, 0.25),
        ("sym", 2.0, 2.31, 0.26),
        ("sym", 2.5, 3.36, 0.55),
        ("sym", 3.0, 4.84, 1.3),
        ("sym", 3.5, 5.8, 2.2),
    ],
)
def test_the_listed_alphas_are_reproduced(entries: Entries, mu: float, listed: float, tolerance: float) -> None:
    assert abs(alphas(mu, entries, 8, seed=1).mean() - listed) <= tolerance


def test_every_matrix_has_its_own_stream() -> None:
    both = theory.alpha_of_mu([1.0, 2.0], M=60, draws=2)
    assert theory.alpha_of_mu([1.0], M=60, draws=1) == both[:1]
    assert len({point.alpha for point in both}) == 4
    assert theory.alpha_of_mu([1.0], M=60, seed=1)[0].alpha != both[0].alpha


def test_signs_change_nothing_but_signs() -> None:
    def draw(entries: Entries) -> np.ndarray:
        return theory.draw_entries(np.random.default_rng(3), entries, 1.5, (40, 30))

    assert (draw("lomax") > 0.0).all()
    np.testing.assert_array_equal(np.abs(draw("sym")), draw("lomax"))
    assert 0.4 < (draw("sym") < 0.0).mean() < 0.6
    assert np.abs(draw("pareto")).min() >= 1.0
    with pytest.raises(ValueError, match="entries is"):
        draw("cauchy")  # type: ignore[arg-type]


def test_mp_curves_are_the_laws_and_their_matrices_follow_them() -> None:
    curves = theory.mp_curves(M=200)
    assert [(c.varies, c.Q, c.sigma) for c in curves[3:5]] == [("Q", 5.0, 1.0), ("sigma", 3.0, 0.7)]
    for curve in curves:
        low, high = marchenko_pastur.edges(curve.Q, curve.sigma)
        assert curve.x[-1] == high
        assert curve.x[0] == low or (low == 0.0 and 0.0 < curve.x[0] < 1e-3 * high)
        assert np.isfinite(curve.density).all()
        # the integral of the density by the angle, and the distance of one matrix (rigid: far below 1.6 / sqrt M)
        mass = np.trapezoid(curve.density, curve.x)
        assert abs(mass - (1.0 if low > 0.0 else 1.0 - curve.cdf[0])) < 5e-3
        place = (np.arange(curve.M) + 0.5) / curve.M
        law = marchenko_pastur.cdf(curve.evals[::-1], curve.Q, curve.sigma)
        assert np.abs(law - place).max() < 0.03


def test_heavy_tailed_spectra_are_those_of_their_matrices() -> None:
    spectra = theory.heavy_tailed_spectra(N=90, M=30, seed=4)
    assert [s.scale for s in spectra] == [0.01, 1.0, 1.0]
    for k, s in enumerate(spectra):
        weights = s.scale * theory.draw_entries(np.random.default_rng([4, k]), "lomax", s.mu, (90, 30))
        expected = np.linalg.svd(weights, compute_uv=False) ** 2 / 90
        np.testing.assert_allclose(s.evals, expected, rtol=1e-6)
        assert s.fit.alpha is not None
    assert spectra[0].fit.alpha < spectra[1].fit.alpha < spectra[2].fit.alpha


@pytest.mark.parametrize(("N", "M"), [(10, 20), (5, 1)])
def test_shapes_without_a_spectrum_are_refused(N: int, M: int) -> None:
    with pytest.raises(ValueError, match="needs N >= M >= 2"):
        theory.heavy_tailed_spectra(N=N, M=M)


def test_rows_hold_everything_that_is_drawn() -> None:
    curves = theory.mp_curves([2.0], [1.5], M=20, points=7)
    rows = theory.mp_rows(curves)
    assert len(rows) == 2 * (7 + 20)
    for row in rows:
        if row["kind"] == "law":
            assert row["density"] == marchenko_pastur.density(row["x"], row["Q"], row["sigma"])
            assert row["cdf"] == marchenko_pastur.cdf(row["x"], row["Q"], row["sigma"])
    spectra = theory.heavy_tailed_spectra([3.0], N=40, M=20)
    heavy = theory.heavy_tailed_rows(spectra)
    assert [row["eval"] for row in heavy] == spectra[0].evals.tolist()
    assert {row["alpha"] for row in heavy} == {spectra[0].fit.alpha}
    points = theory.alpha_rows(theory.alpha_of_mu([1.0, 5.0], M=60))
    assert [row["alpha_limit"] for row in points] == [1.5, None]
