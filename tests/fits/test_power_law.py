"""The power-law fit against a plain scan, closed forms, stored answers and exact properties."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.fits.power_law import fit_power_law, profile
from onnxspec.fits.xmin_scan import scan_xmin
from tests.oracle import naive

MODES = ("grid", "two_sided", "seed2018")

continuous = st.floats(1e-3, 1e3)
tied = st.integers(1, 9).map(float)
narrow = st.integers(0, 2**20).map(lambda k: 1.0 + k * 2.0**-52)
wild = st.floats(5e-324, 1.7e308)
samples = st.one_of(
    *(st.lists(values, min_size=2, max_size=size) for values, size in ((continuous, 80), (tied, 60), (narrow, 30))),
    st.lists(wild, min_size=2, max_size=10),
)


def pareto(n: int, alpha: float, seed: int) -> np.ndarray:
    return (1.0 - np.random.default_rng(seed).random(n)) ** (-1.0 / (alpha - 1.0))


def quantiles(n: int, alpha: float) -> np.ndarray:
    return (1.0 - (np.arange(1, n + 1) - 0.5) / n) ** (-1.0 / (alpha - 1.0))


# ---- against the plain scan


@pytest.mark.parametrize("ks", MODES)
@settings(max_examples=80, deadline=None)
@given(values=samples, min_tail=st.integers(2, 6))
def test_fit_is_the_plain_scan(ks, values, min_tail):
    fit = fit_power_law(values, ks=ks, min_tail=min_tail)
    rows = naive.power_law_candidates(values, ks, min_tail)
    if not rows:
        assert fit.alpha is None
        assert fit.reason in {"flat_spectrum", "no_tail"}
        return
    smallest = min(row[2] for row in rows)
    # rounding may decide between distances that are equal in exact arithmetic
    equals = {row[0]: row for row in rows if row[2] <= smallest + 1e-12}
    assert fit.xmin in equals
    _, alpha, D, n_tail = equals[fit.xmin]
    assert fit.alpha == pytest.approx(alpha, rel=1e-9)
    assert abs(fit.D - D) <= 1e-12
    assert fit.n_tail == n_tail


@pytest.mark.parametrize("ks", MODES)
@settings(max_examples=40, deadline=None)
@given(values=samples, min_tail=st.integers(2, 6))
def test_profile_is_the_plain_scan_of_all_candidates(ks, values, min_tail):
    rows = naive.power_law_candidates(values, ks, min_tail)
    xmin, alpha, D, n_tail = profile(values, ks=ks, min_tail=min_tail)
    assert xmin.tolist() == [row[0] for row in rows]
    assert n_tail.tolist() == [row[3] for row in rows]
    np.testing.assert_allclose(alpha, [row[1] for row in rows], rtol=1e-9)
    np.testing.assert_allclose(D, [row[2] for row in rows], rtol=0, atol=1e-12)


@pytest.mark.parametrize("ks", MODES)
@pytest.mark.parametrize("n", [37, 300, 1500])
def test_abandoning_changes_no_bit(ks, n):
    """The scan gives the first minimum of the profile, in which nothing is abandoned."""
    for seed in range(6):
        x = pareto(n, 1.5 + 0.5 * seed, seed)
        x[: n // 3] **= 0.3
        if seed % 2:
            x = np.round(x, 1) + 0.1
        xmin, alpha, D, n_tail = profile(x, ks=ks, min_tail=2)
        first = int(np.argmin(D))
        fit = fit_power_law(x, ks=ks, min_tail=2)
        assert (fit.xmin, fit.alpha, fit.D, fit.n_tail) == (xmin[first], alpha[first], D[first], n_tail[first])


@pytest.mark.parametrize(
    ("ks", "values"),
    [
        ("grid", [1.0, 1.0, 1.0, 2.0, 2.0, 4.0]),
        ("two_sided", [1.0, 1.0, 2.0, 4.0]),
        ("seed2018", [1.0, 1.0, 1.0, 1.0, 2.0, 4.0]),
    ],
)
def test_smallest_xmin_of_equal_distances_wins(ks, values):
    D = profile(values, ks=ks)[2]
    assert D[0] == D[1] == D.min()
    assert fit_power_law(values, ks=ks, min_tail=2).xmin == 1.0


# ---- closed forms


@pytest.mark.parametrize("ks", MODES)
@pytest.mark.parametrize(("true", "found"), [(1.5, 1.5004), (2.0, 2.0008), (2.5, 2.5013), (3.5, 3.5021), (5.0, 5.0034)])
def test_exact_quantiles(ks, true, found):
    """THEORY.md 5.1: the whole sample is the tail."""
    x = quantiles(1000, true)
    fit = fit_power_law(x, ks=ks)
    assert fit.xmin == x[0]
    assert fit.n_tail == 1000
    assert fit.alpha == pytest.approx(found, abs=5e-4)


@pytest.mark.parametrize(("ks", "D"), [("two_sided", 0.0010), ("grid", 0.00067), ("seed2018", 0.00109)])
def test_distance_of_exact_quantiles(ks, D):
    assert abs(fit_power_law(quantiles(1000, 2.5), ks=ks).D - D) <= 5e-5


def test_two_values():
    """alpha - 1 = 2 / ln 4; the grid distance is |1 - exp(-2) - 1/2| at the larger value."""
    fit = fit_power_law([1.0, 4.0], min_tail=2)
    assert fit.alpha == pytest.approx(1.0 + 2.0 / math.log(4.0), rel=1e-14)
    assert abs(fit.D - (0.5 - math.exp(-2.0))) <= 1e-15
    assert (fit.xmin, fit.xmax, fit.n_tail, fit.num_evals) == (1.0, 4.0, 2, 2)
    assert fit.alpha_stderr == pytest.approx((fit.alpha - 1.0) / math.sqrt(2.0), rel=1e-14)


def test_recovers_alpha_behind_a_body():
    """CSN eqn 3.10: exponential body below 1, power law 2.5 above (THEORY.md 5.1: 2.479 +- .095)."""
    alphas = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        weight = (math.exp(2.5) - 1.0) / 2.5  # body's mass over the tail's 1 / 1.5
        share = weight / (weight + 1.0 / 1.5)
        count = rng.binomial(2000, share)
        uniform = rng.random(count)
        body = 1.0 - np.log1p(uniform * (math.exp(2.5) - 1.0)) / 2.5
        fit = fit_power_law(np.concatenate([body, pareto(2000 - count, 2.5, seed + 100)]))
        alphas.append(fit.alpha)
    assert np.mean(alphas) == pytest.approx(2.479, abs=0.1)


# ---- stored answers of other tools


@pytest.mark.parametrize(
    ("answers", "ks"),
    [("res_oracle.json", "grid"), ("res_oracle2.json", "two_sided"), ("res_powerlaw15.json", "grid")],
)
def test_reference_samples(shared, answers, ks):
    folder = shared / "reference" / "power_law"
    expected = json.loads((folder / answers).read_text())
    assert len(expected) == 30
    for name, answer in expected.items():
        fit = fit_power_law(np.load(folder / f"{name}.npy"), ks=ks, min_tail=2)
        assert fit.xmin == answer["xmin"], name
        assert fit.alpha == pytest.approx(answer["alpha"], abs=1e-9), name
        assert abs(fit.D - answer["D"]) <= 1e-12, name
        assert fit.n_tail == answer.get("ntail", fit.n_tail), name


# ---- exact properties


@pytest.mark.parametrize("ks", MODES)
@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.one_of(continuous, tied), min_size=2, max_size=60), power=st.integers(-900, 900))
def test_power_of_two_changes_only_xmin(ks, values, power):
    fit = fit_power_law(values, ks=ks, min_tail=2)
    scaled = fit_power_law(np.ldexp(values, power), ks=ks, min_tail=2)
    assert (scaled.alpha, scaled.alpha_stderr, scaled.D, scaled.n_tail, scaled.reason) == (
        (fit.alpha, fit.alpha_stderr, fit.D, fit.n_tail, fit.reason)
    )
    if fit.xmin is not None:
        assert scaled.xmin == math.ldexp(fit.xmin, power)
        assert scaled.xmax == math.ldexp(fit.xmax, power)


@pytest.mark.parametrize("scale", [7.0, 1e-30, 1e30, 1.0 / 3.0])
def test_any_scale_keeps_alpha(scale):
    x = np.concatenate([pareto(400, 2.5, 1), np.random.default_rng(2).random(200)])
    fit, scaled = fit_power_law(x), fit_power_law(x * scale)
    assert scaled.n_tail == fit.n_tail
    assert scaled.alpha == pytest.approx(fit.alpha, abs=1e-9)
    assert abs(scaled.D - fit.D) <= 1e-12


def test_order_and_non_positive_values_do_not_matter():
    x = pareto(200, 3.0, 3)
    shuffled = np.random.default_rng(4).permutation(np.concatenate([x, np.zeros(7), [-1e-9]]))
    assert fit_power_law(shuffled) == fit_power_law(x)


def test_the_sample_is_not_changed():
    x = pareto(100, 2.0, 5)
    before = x.copy()
    x.flags.writeable = False
    fit_power_law(x)
    profile(x)
    assert (x == before).all()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_range_of_float64(scale):
    fit = fit_power_law(np.array([1.0, 2.0, 3.0, 5.0, 9.0]) * scale, min_tail=2)
    assert fit.alpha == pytest.approx(naive.power_law([1.0, 2.0, 3.0, 5.0, 9.0])[1], rel=1e-9)


# ---- tails and reasons


def test_default_floor_of_the_tail():
    """max(10, 2 %): a steep pair at the end wins only without it."""
    x = np.concatenate([np.linspace(1.0, 2.0, 60), [50.0, 50.1]])
    assert fit_power_law(x).n_tail >= 10
    assert fit_power_law(pareto(2000, 2.5, 8)).n_tail >= 40
    lengths = profile(pareto(2000, 2.5, 8), min_tail=41)[3]
    assert lengths.min() == 41


@pytest.mark.parametrize(
    ("values", "reason", "count"),
    [
        ([], "zero_matrix", 0),
        ([0.0, 0.0, -1.0], "zero_matrix", 0),
        ([1.0], "too_small", 1),
        ([1.0, math.nan, 2.0], "non_finite", 3),
        ([1.0, math.inf], "non_finite", 2),
        ([2.0] * 40, "flat_spectrum", 40),
        ([1.0, 2.0, 3.0], "no_tail", 3),
    ],
)
def test_reasons(values, reason, count):
    fit = fit_power_law(values)
    assert fit.reason == reason
    assert fit.num_evals == count
    numbers = (fit.alpha, fit.alpha_stderr, fit.xmin, fit.xmax, fit.D, fit.n_tail)
    assert numbers == (None,) * 6


def test_too_small_counts_positive_values():
    x = np.concatenate([pareto(49, 2.5, 6), np.zeros(30)])
    assert fit_power_law(x, min_evals=50).reason == "too_small"
    assert fit_power_law(x, min_evals=49).reason is None


def test_no_tail_where_only_the_largest_value_repeats():
    assert fit_power_law([1.0] + [2.0] * 20, min_tail=21).n_tail == 21
    assert fit_power_law([1.0] + [2.0] * 20, min_tail=22).reason == "no_tail"
    assert profile([3.0] * 5)[0].size == 0
    assert profile([])[0].size == 0


def test_bad_arguments():
    with pytest.raises(ValueError, match="ks is 'csn'"):
        fit_power_law([1.0, 2.0], ks="csn")
    with pytest.raises(ValueError, match="min_tail is 1"):
        fit_power_law([1.0, 2.0], min_tail=1)
    with pytest.raises(ValueError, match="finite"):
        profile([1.0, math.nan])


# ---- cost


def test_early_abandon_saves_work():
    """The scan of 4096 values costs far less than its profile, which completes every candidate."""
    x = np.sort(pareto(4096, 2.5, 9))
    scan_xmin(x, 2, 0)
    profile(x)

    def cpu(call):
        begin = time.thread_time()
        call()
        return time.thread_time() - begin

    scan = min(cpu(lambda: scan_xmin(x, 2, 0)) for _ in range(5))
    whole = min(cpu(lambda: profile(x)) for _ in range(3))
    assert scan < 0.5 * whole
