"""Interval and goodness of fit: replica by replica against plain Python, and their rates on known samples."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from onnxspec.fits import bootstrap
from onnxspec.fits.bootstrap import alpha_interval, goodness_of_fit
from onnxspec.fits.power_law import KS_CODES, fit_power_law
from onnxspec.fits.random_stream import stream_key, uniforms
from tests.oracle import naive

MODES = ("grid", "two_sided", "seed2018")


def pareto(rng: np.random.Generator, n: int, alpha: float) -> np.ndarray:
    return (1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0))


def with_body(rng: np.random.Generator, n: int, alpha: float) -> np.ndarray:
    body = math.ceil(0.7 * n)
    return np.concatenate([np.sqrt(rng.random(body)), pareto(rng, n - body, alpha)])


# ---- replica by replica


@pytest.mark.parametrize("ks", MODES)
@pytest.mark.parametrize("tied", [False, True])
def test_resamples_against_plain_python(ks: str, tied: bool) -> None:
    x = np.sort(with_body(np.random.default_rng(1), 60, 2.5))
    if tied:
        x = np.ceil(x * 4.0)
    draws = uniforms(5, 0, 12 * 60).reshape(12, 60)
    found = bootstrap._resampled_alphas(x, draws, 10, KS_CODES[ks])
    expected = [naive.resampled_alpha(x.tolist(), row.tolist(), ks, 10) for row in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("ks", MODES)
@pytest.mark.parametrize("min_tail", [2, 10])
def test_p_value_against_plain_python(ks: str, min_tail: int) -> None:
    x = with_body(np.random.default_rng(2), 60, 2.5)
    fit = fit_power_law(x, ks=ks, min_tail=min_tail)
    draws = uniforms(stream_key(9, 2), 0, 40 * 120).reshape(40, 120)
    distances = [naive.replica_distance(x.tolist(), row.tolist(), fit.xmin, fit.alpha, ks, min_tail) for row in draws]
    expected = sum(D >= fit.D for D in distances) / 40
    assert 0.0 < expected < 1.0
    assert goodness_of_fit(x, fit, seed=9, replicas=40, ks=ks, min_tail=min_tail) == expected


def test_interval_by_its_definition() -> None:
    x = np.sort(with_body(np.random.default_rng(3), 50, 2.5))
    fit = fit_power_law(x)
    draws = uniforms(stream_key(9, 1), 0, 40 * 50).reshape(40, 50)
    alphas = sorted(naive.resampled_alpha(x.tolist(), row.tolist(), "grid", 10) for row in draws)
    low, high = alphas[3], alphas[-4]  # rank floor(0.1 * 41) of an 80 % interval
    expected = (max(1.0, min(low, 2 * fit.alpha - high)), max(high, 2 * fit.alpha - low))
    assert alpha_interval(x, fit, seed=9, replicas=40, level=0.8) == pytest.approx(expected, rel=1e-9)


# ---- what may change the result, and what may not


def test_the_seed_and_nothing_else_decides() -> None:
    x = with_body(np.random.default_rng(4), 300, 2.5)
    fit = fit_power_law(x)

    def both(values: np.ndarray, seed: int) -> tuple[object, object]:
        f = fit_power_law(values)
        return alpha_interval(values, f, seed=seed), goodness_of_fit(values, f, seed=seed, replicas=100)

    once = both(x, 7)
    assert both(x[::-1], 7) == once
    assert both(np.concatenate([x, np.zeros(5)]), 7) == once
    assert both(x * 2.0**-30, 7) == once
    assert both(x, 8) != once
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: both(x, 7), range(6))) == [once] * 6
    assert once[0][0] < fit.alpha < once[0][1]


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x = with_body(np.random.default_rng(4), 100, 2.5)
    fit = fit_power_law(x)
    once = alpha_interval(x, fit, seed=1), goodness_of_fit(x, fit, seed=1, replicas=100)
    monkeypatch.setattr(bootstrap, "_BATCH", 700)
    assert (alpha_interval(x, fit, seed=1), goodness_of_fit(x, fit, seed=1, replicas=100)) == once


def test_no_fit_no_interval() -> None:
    flat = fit_power_law(np.ones(60))
    assert alpha_interval(np.ones(60), flat, seed=1) is None
    assert goodness_of_fit(np.ones(60), flat, seed=1) is None


def test_arguments_out_of_range() -> None:
    x = pareto(np.random.default_rng(0), 60, 2.0)
    fit = fit_power_law(x)
    for wrong in ({"replicas": 39}, {"level": 0.0}, {"level": 1.0}):
        with pytest.raises(ValueError):
            alpha_interval(x, fit, seed=0, **wrong)
    with pytest.raises(ValueError):
        goodness_of_fit(x, fit, seed=0, replicas=0)


# ---- rates; tools/validate_power_law.py measures them in full


@pytest.mark.parametrize("draw", [pareto, with_body])
def test_interval_covers(draw: object) -> None:
    rng = np.random.default_rng(11)
    rows = []
    for seed in range(120):
        x = draw(rng, 200, 2.5)
        fit = fit_power_law(x)
        low, high = alpha_interval(x, fit, seed=seed)
        rows.append((low <= 2.5 <= high, (high - low) / (2 * 1.96 * fit.alpha_stderr)))
    covers, widths = np.array(rows).T
    assert covers.mean() >= 0.93
    assert np.median(widths) <= 2.3


def test_p_value_is_conservative_on_power_laws() -> None:
    rng = np.random.default_rng(12)
    p = []
    for seed in range(120):
        x = pareto(rng, 200, 2.5)
        p.append(goodness_of_fit(x, fit_power_law(x), seed=seed, replicas=100))
    assert (np.array(p) <= 0.1).mean() <= 0.12
    assert np.median(p) > 0.3


def test_spiked_matrices_are_rejected() -> None:
    rng = np.random.default_rng(13)
    rejected = 0
    for seed in range(10):
        N, M, k = 600, 300, 5
        left, right = (np.linalg.qr(rng.standard_normal((side, k)))[0] for side in (N, M))
        strength = rng.uniform(1.5, 4.5, k) * (M / N) ** 0.25
        W = rng.standard_normal((N, M)) + math.sqrt(N) * (left * strength) @ right.T
        x = np.linalg.eigvalsh(W.T @ W / N)
        rejected += goodness_of_fit(x, fit_power_law(x), seed=seed, replicas=100) <= 0.1
    assert rejected >= 9


def test_stored_p_values(shared: Path) -> None:
    folder = shared / "reference" / "power_law"
    stored = json.loads((folder / "res_oracle_pvalues.json").read_text())
    B = 300
    for name, answer in stored.items():
        x = np.load(folder / f"{name}.npy")
        fit = fit_power_law(x, min_tail=2)
        assert fit.alpha == pytest.approx(answer["alpha"], rel=1e-9)
        p = goodness_of_fit(x, fit, seed=1, replicas=B, min_tail=2)
        assert abs(p - answer["p_full"]) <= 3 * math.sqrt(p * (1 - p) * (1 / 200 + 1 / B)) + 0.01, name
    assert len(stored) == 14
