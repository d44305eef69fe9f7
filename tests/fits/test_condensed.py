"""Units of a large sample: replica by replica against the whole sample, and what the interval and profile then are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from onnxspec.fits import bootstrap, condensed, stability
from onnxspec.fits.bootstrap import alpha_interval
from onnxspec.fits.condensed import Condensed, condense, grid_starts, resampled_alphas
from onnxspec.fits.power_law import CONDENSED_ABOVE, KS_CODES, curve, fit_power_law, profile
from onnxspec.fits.random_stream import uniforms
from onnxspec.fits.stability import alpha_profile

MODES = ("grid", "two_sided", "seed2018")


def sample(seed: int, n: int, *, tied: bool = False) -> np.ndarray:
    """Draw 70 % body and 30 % Pareto tail of alpha 2.5 from 1, ascending."""
    random = np.random.default_rng(seed)
    body = math.ceil(0.7 * n)
    x = np.concatenate([np.sqrt(random.random(body)), (1.0 - random.random(n - body)) ** (-1.0 / 1.5)])
    return np.sort(np.ceil(16.0 * x) / 16.0 if tied else x)


def counts_of(units: Condensed, draws: np.ndarray) -> np.ndarray:
    pairs = draws.reshape(-1, 2)
    return np.array([condensed._poisson(int(c), *pair) for c, pair in zip(units.counts, pairs)])


@pytest.mark.parametrize("ks", MODES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_replica_of_single_values_is_the_fit_of_the_values_drawn(ks: str, tied: bool) -> None:
    x = sample(1, 200, tied=tied)
    units = condense(x)
    assert np.unique(x).size == units.counts.size
    assert bool(np.any(units.counts > 1)) == tied
    draws = uniforms(5, 0, 12 * 2 * units.counts.size).reshape(12, -1)
    found = resampled_alphas(units, draws, 10, KS_CODES[ks])
    expected = [
        fit_power_law(np.repeat(np.unique(x), counts_of(units, row)), ks=ks, min_tail=10).alpha for row in draws
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("ks", MODES)
def test_a_replica_of_units_is_that_of_their_values_at_both_ends(ks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the definition: every unit's ends are compared with the law, and its sum is the number times its mean."""
    monkeypatch.setattr(condensed, "RESOLUTION", 16)
    x = sample(2, 400)
    units = condense(x)
    assert units.counts.sum() == 400
    assert units.counts.size < 100
    draws = uniforms(6, 0, 6 * 2 * units.counts.size).reshape(6, -1)
    found = resampled_alphas(units, draws, 10, KS_CODES[ks])
    for row, alpha in zip(draws, found):
        counts = counts_of(units, row)
        kept = np.flatnonzero(counts)
        low, high, mean, c = units.low[kept], units.high[kept], units.mean[kept], counts[kept]
        before = np.cumsum(c) - c
        candidates = []
        for j in range(kept.size):
            n = int(c[j:].sum())
            total = float((c[j:] * (mean[j:] - low[j])).sum())
            if n < 10 or total <= 0.0:
                continue
            law_low, law_high = (1.0 - np.exp(-n / total * (end[j:] - low[j])) for end in (low, high))
            if ks == "seed2018":
                law_low, law_high = law_low / law_high[-1], law_high / law_high[-1]
            first, last = before[j:] - before[j], before[j:] - before[j] + c[j:] - 1
            D = max(np.abs(law_low - first / n).max(), np.abs(law_high - last / n).max())
            if ks == "two_sided":
                D = max(
                    (law_low - first / n).max(),
                    (law_high - last / n).max(),
                    ((last + 1) / n - law_high).max(),
                    ((first + 1) / n - law_low).max(),
                )
            candidates.append((D, 1.0 + n / total))
        assert alpha == pytest.approx(min(candidates)[1], rel=1e-9)


@pytest.mark.parametrize("mean", [1, 7, 64])
def test_small_units_are_drawn_by_inversion(mean: int) -> None:
    at = np.linspace(0.0005, 0.9995, 1000)
    assert [condensed._poisson(mean, u, 0.0) for u in at] == stats.poisson.ppf(at, mean).astype(int).tolist()
    assert condensed._poisson(mean, 1.0 - 2.0**-53, 0.0) < mean + 12.0 * math.sqrt(mean) + 20


@pytest.mark.parametrize("mean", [65, 1000])
def test_large_units_have_the_first_three_moments(mean: int) -> None:
    pairs = uniforms(3, 0, 200_000).reshape(-1, 2)
    drawn = np.array([condensed._poisson(mean, *pair) for pair in pairs])
    assert abs(drawn.mean() - mean) < 4 * math.sqrt(mean / len(drawn))
    assert drawn.var() == pytest.approx(mean, rel=4 * math.sqrt(2 / len(drawn)))
    assert stats.skew(drawn) == pytest.approx(mean**-0.5, abs=4 * math.sqrt(6 / len(drawn)))


def test_units_hold_a_thousandth_of_their_tails_and_part_no_equal_values() -> None:
    x = sample(4, 60_000)
    starts = grid_starts(x, [31_234])
    assert starts[0] == 0
    assert 31_234 in starts
    sizes = np.diff(starts, append=x.size)
    assert np.all(sizes <= np.maximum(1, (x.size - starts) / condensed.RESOLUTION + 1))
    tied = sample(4, 60_000, tied=True)
    assert np.all(tied[grid_starts(tied)[1:]] > tied[grid_starts(tied)[1:] - 1])
    assert condense(x[-50:]).counts.tolist() == [1] * 50


def test_nothing_changes_up_to_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    x = sample(5, CONDENSED_ABOVE)
    fit = fit_power_law(x)
    once = alpha_interval(x, fit, seed=3, replicas=40), alpha_profile(x, fit)
    monkeypatch.setattr(bootstrap, "CONDENSED_ABOVE", 10**9)
    monkeypatch.setattr(stability, "CONDENSED_ABOVE", 10**9)
    assert (alpha_interval(x, fit, seed=3, replicas=40), alpha_profile(x, fit)) == once


def test_the_seed_and_nothing_else_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    x = sample(6, CONDENSED_ABOVE + 1000)
    fit = fit_power_law(x)
    once = alpha_interval(x, fit, seed=7, replicas=60)
    assert alpha_interval(x[::-1] * 2.0**-30, fit_power_law(x * 2.0**-30), seed=7, replicas=60) == once
    assert alpha_interval(x, fit, seed=8, replicas=60) != once
    monkeypatch.setattr(bootstrap, "_BATCH", 50_000)
    assert alpha_interval(x, fit, seed=7, replicas=60) == once


def test_interval_covers() -> None:
    rows = []
    for seed in range(40):
        x = sample(100 + seed, CONDENSED_ABOVE + 1000)
        fit = fit_power_law(x)
        low, high = alpha_interval(x, fit, seed=seed)
        rows.append((low <= 2.5 <= high, (high - low) / (2 * 1.96 * fit.alpha_stderr)))
    covers, widths = np.array(rows).T
    assert covers.mean() >= 0.93
    assert 1.0 < np.median(widths) <= 2.3


@pytest.mark.parametrize("tied", [False, True])
def test_profile_against_that_of_all_candidates(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x = sample(8, CONDENSED_ABOVE + 5000, tied=tied)
    fit = fit_power_law(x)
    found = alpha_profile(x, fit)
    monkeypatch.setattr(stability, "CONDENSED_ABOVE", 10**9)
    whole = alpha_profile(x, fit)
    assert found.alpha_min == pytest.approx(whole.alpha_min, abs=2e-3)
    assert found.alpha_max == pytest.approx(whole.alpha_max, abs=2e-3)
    exact = {m.n_tail: m for m in whole.minima}
    assert fit.n_tail in [m.n_tail for m in found.minima]
    best = sorted(found.minima, key=lambda m: m.D)[:2]
    assert [exact[m.n_tail] for m in best] == best


def test_curve_of_a_large_sample() -> None:
    x = sample(9, CONDENSED_ABOVE + 1)
    xmin, alpha, distance = curve(x, 20)
    every = {value: row for value, *row in zip(*profile(x, min_tail=2)[:3])}
    assert len(xmin) == 20
    assert [every[value] for value in xmin] == [list(row) for row in zip(alpha, distance)]
