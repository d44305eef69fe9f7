from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from onnxspec.diagnosis import exchangeability as ex
from onnxspec.diagnosis.noise_parts import eigenvalues
from onnxspec.diagnosis.shuffling import shuffled
from tests.oracle import naive


def entries_of(W: np.ndarray) -> ex.Entries:
    entries = ex.entry_sums(np.ascontiguousarray(W))
    assert entries is not None
    return entries


def test_moments_under_permutation_are_exact() -> None:
    values = [0.3, -1.0, 2.0, 0.1, 0.7, -2.2]
    everything = [naive.between_groups([p[:3], p[3:]]) for p in permutations(values)]
    mean, variance = np.mean(everything), np.var(everything)
    centred = np.array(values) - np.mean(values)
    s2, s4 = float((centred**2).sum()), float((centred**4).sum())
    shape = mean * mean / variance
    expected = (np.cbrt(everything[0] / mean) - 1 + 1 / (9 * shape)) * 3 * math.sqrt(shape)
    sums = centred.reshape(2, 3).sum(axis=1)
    assert ex._between_groups(sums, s2, s4, 2, 3) == pytest.approx(expected, rel=1e-9)


def test_sums_against_numpy() -> None:
    rng = np.random.default_rng(1)
    W = rng.laplace(0.4, 2.0, (23, 17))
    entries = entries_of(W)
    a = (W - W.mean()) / W.std()
    assert entries.mean == pytest.approx(W.mean(), rel=1e-12)
    assert entries.scale == pytest.approx(W.std(), rel=1e-12)
    np.testing.assert_allclose(entries.row_sums, a.sum(axis=1), atol=1e-11)
    np.testing.assert_allclose(entries.col_squares, (a * a).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(entries.moments, [(a**k).mean() for k in (3, 4, 6, 8)], rtol=1e-11)


@pytest.mark.parametrize("shape", [(12, 10), (10, 31), (14, 14)])
def test_correlation_is_the_sum_over_rectangles(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    W = rng.uniform(-0.7, 1.9, shape)
    evals = eigenvalues(W)
    n, m = shape
    count = n * (n - 1) * m * (m - 1) / 4
    statistic = naive.rectangles(W.tolist()) / W.std() ** 4 / math.sqrt(count)
    k = 4.0 / (2.0 * (n + m - 4) / math.sqrt(count)) ** 2
    expected = (np.cbrt(1 + statistic / math.sqrt(k)) - 1 + 1 / (9 * k)) * 3 * math.sqrt(k)
    assert ex.correlation_score(entries_of(W), W, float(evals @ evals) * max(shape) ** 2) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "laplace"])
@pytest.mark.parametrize("shape", [(16, 12), (10, 40)])
def test_scores_of_noise_are_standard_normal(kind: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    draw = {"gaussian": rng.standard_normal, "uniform": rng.uniform, "laplace": rng.laplace}[kind]
    rows = []
    for _ in range(600):
        W = draw(size=shape)
        entries = entries_of(W)
        evals = eigenvalues(W)
        squared = float(evals @ evals) * max(shape) ** 2
        rows.append([*ex.dispersion_scores(entries).values(), ex.correlation_score(entries, W, squared)])
    scores = np.array(rows, dtype=np.float64)
    assert np.abs(scores.mean(axis=0)).max() < 4.0 / math.sqrt(600)
    np.testing.assert_allclose(scores.std(axis=0), 1.0, atol=0.14)
    assert 0.02 < float((np.abs(scores) > 1.96).mean()) < 0.08


def test_entries_of_one_size_have_no_norms() -> None:
    rng = np.random.default_rng(4)
    scores = ex.dispersion_scores(entries_of(rng.permutation(np.repeat([-1.0, 1.0], 450)).reshape(30, 30)))
    assert scores["row_norms"] is None
    assert scores["col_norms"] is None
    assert scores["row_means"] is not None


def test_norm_variation_of_noise() -> None:
    rng = np.random.default_rng(5)
    observed, expected = entries_of(rng.standard_normal((384, 384))).norm_cv(0)
    assert expected == pytest.approx(0.0361, abs=2e-4)
    assert observed == pytest.approx(expected, rel=0.15)


def test_shuffle_permutes_the_same_way_every_time() -> None:
    W = np.arange(70000.0).reshape(350, 200)
    first, again, other = shuffled(W, 3, 0), shuffled(W, 3, 0), shuffled(W, 3, 1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.sort(first, axis=None), W.ravel())
    assert float((first == W).mean()) < 1e-3
    assert float((first == other).mean()) < 1e-3
    assert W[0, 1] == 1.0


def test_every_order_is_as_likely() -> None:
    W = np.array([[0.0, 1.0, 2.0]])
    counts: dict[tuple[float, ...], int] = {}
    for replica in range(3000):
        order = tuple(shuffled(W, 9, replica).ravel().tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert max(abs(count - 500) for count in counts.values()) < 5 * math.sqrt(500)


@pytest.mark.parametrize("law", ["laplace", "t2", "cauchy"])
def test_clipped_tails_are_light(law: str) -> None:
    rng = np.random.default_rng(6)
    W = {"laplace": rng.laplace, "t2": lambda size: rng.standard_t(2.0, size), "cauchy": rng.standard_cauchy}[law](
        size=(200, 150)
    )
    W += 3.0
    clipped = ex.clip_tails(W, float(W.mean()))
    assert entries_of(clipped).excess_kurtosis < 0.0
    assert 0.01 < float((np.abs(clipped) == np.abs(clipped).max()).mean()) < 0.25
    inside = np.abs(clipped) < np.abs(clipped).max()
    unit = 2.0 ** round(np.log2(np.ptp(W[inside]) / np.ptp(clipped[inside])))
    np.testing.assert_allclose(np.ptp((W - unit * clipped)[inside]), 0.0, atol=1e-9)
    again = ex.clip_tails(np.ascontiguousarray(W[::-1]), float(W.mean()))
    np.testing.assert_allclose(again[::-1], clipped, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("entries", [4, 300])
def test_few_entries_that_differ_are_clipped_to_what_can_be_squared(entries: int) -> None:
    W = np.zeros((300, 200))
    W.flat[:: W.size // entries] = (
        2.0**-40 * np.random.default_rng(1).standard_normal(W[:1].size * 300)[:: W.size // entries]
    )
    clipped = ex.clip_tails(W, float(W.mean()))
    assert 0.5 <= np.abs(clipped).max() <= 2.0
    with np.errstate(all="raise"):
        score = ex.correlation_score(entries_of(clipped), clipped, float((np.linalg.svd(clipped)[1] ** 4).sum()))
    assert np.isfinite(score)
    again = ex.clip_tails(2.0**30 * W, 2.0**30 * float(W.mean()))
    assert again.tobytes() == clipped.tobytes()
