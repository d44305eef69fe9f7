"""The NumPy scan over xmin against the compiled one, and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from onnxspec.fits.candidates import best_candidate, candidates, distance, distances, tail_logs
from onnxspec.fits.power_law import COMPILED_SCAN, curve, fit_power_law, profile
from onnxspec.fits.xmin_scan import chosen_candidates, scan_xmin


def samples(n: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(n)
    pareto = 1.0 + random.pareto(1.5, n)
    return {
        "pareto": pareto,
        "body and tail": np.concatenate([random.random(n - n // 5) + 0.01, 1.0 + random.pareto(2.0, n // 5)]),
        "noise": random.standard_normal(n) ** 2 + 1e-3,
        "ties": np.round(pareto, 1),
        "narrow": 1.0 + 1e-9 * random.random(n),
        "wide": np.exp(random.uniform(-700.0, 700.0, n)),
    }


@pytest.mark.parametrize("ks", [0, 1, 2])
@pytest.mark.parametrize("n", [12, 40, 300, 2500])
def test_it_finds_what_the_compiled_scan_finds(n: int, ks: int) -> None:
    for name, values in samples(n).items():
        x = np.sort(values)
        start, alpha, distance_found = best_candidate(x, max(2, n // 50), ks)
        expected = scan_xmin(x, max(2, n // 50), ks)
        assert start == expected[0], name
        assert alpha == pytest.approx(expected[1], rel=1e-12), name
        assert distance_found == pytest.approx(expected[2], abs=1e-13), name


@pytest.mark.parametrize("ks", [0, 1, 2])
def test_every_distance_against_the_compiled_one(ks: int) -> None:
    x = np.sort(samples(300)["ties"])
    starts = candidates(x, 5)
    alphas, compiled = chosen_candidates(x, starts, ks)
    logs, sums = tail_logs(x)
    found = [distance(logs, sums, int(s), ks) for s in starts]
    assert found == pytest.approx(compiled.tolist(), abs=1e-13)
    assert distances(logs, sums, starts, ks).tolist() == found
    assert (1.0 + (x.size - starts) / sums[starts]).tolist() == pytest.approx(alphas.tolist(), rel=1e-12)


@pytest.mark.parametrize("power", [-40, 3])
def test_a_power_of_two_changes_no_bit(power: int) -> None:
    x = np.sort(samples(300)["body and tail"])
    assert best_candidate(x * 2.0**power, 10, 0) == best_candidate(x, 10, 0)


def test_no_candidate() -> None:
    assert best_candidate(np.array([1.0, 2.0, 3.0]), 4, 0) == (-1, 0.0, 0.0)
    assert best_candidate(np.ones(20), 2, 0) == (-1, 0.0, 0.0)


def test_large_samples_take_the_compiled_scan_and_agree() -> None:
    values = samples(COMPILED_SCAN + 1)["body and tail"]
    fit = fit_power_law(values)
    assert fit.alpha is not None
    start, alpha, found = best_candidate(np.sort(values), 328, 0)
    assert (values.size - start, alpha, found) == (fit.n_tail, pytest.approx(fit.alpha), pytest.approx(fit.D))


def test_the_curve_of_a_plot_is_a_part_of_the_profile() -> None:
    values = samples(300)["noise"]
    shown = curve(values, 7)
    every = profile(values)
    places = np.searchsorted(every[0], shown[0])
    assert len(places) == 7
    for mine, all_of_it in zip(shown, every):
        np.testing.assert_allclose(mine, all_of_it[places], rtol=1e-12)
