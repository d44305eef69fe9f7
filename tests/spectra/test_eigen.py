"""Spectra against an SVD, exact values, and the properties that DESIGN.md section 6 calls exact."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnxspec.spectra import eigen
from onnxspec.spectra.eigen import rank_tolerance, spectrum
from tests.oracle import naive


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def low_rank(n: int, m: int, rank: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, m))


# ---- values


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_eigenvalues_are_those_of_an_svd(array):
    result = spectrum(array)
    sv = naive.singular_values(array)
    N = max(array.shape[1:])
    scale = max(sv[0] ** 2 / N, 1e-300)
    np.testing.assert_allclose(result.evals / scale, sv**2 / N / scale, rtol=0, atol=1e-13)
    assert (np.diff(result.singular_values) <= 0.0).all()
    np.testing.assert_allclose(result.evals, result.singular_values**2 / N, rtol=1e-13)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (128, 128), (9, 40, 30)])
def test_gram_and_exact_agree(shape):
    W = gaussian(*shape)
    gram, exact = spectrum(W), spectrum(W, exact=True)
    assert np.abs(gram.evals - exact.evals).max() <= 1e-12 * exact.evals[0]
    np.testing.assert_allclose(exact.singular_values, naive.singular_values(W), rtol=1e-12)
    assert (gram.N, gram.M, gram.rank, gram.num_matrices) == (exact.N, exact.M, exact.rank, exact.num_matrices)


def test_small_singular_values_of_the_gram_matrix():
    """Down to 1e-6 of the largest: far below what float32 weights can say."""
    rng = np.random.default_rng(1)
    left, _ = np.linalg.qr(rng.normal(size=(90, 60)))
    right, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    sv = np.logspace(0, -6, 60)
    result = spectrum(((left * sv) @ right).astype(np.float64), dtype="float32")
    np.testing.assert_allclose(result.singular_values, sv, rtol=1e-4)
    np.testing.assert_allclose(result.singular_values[:40], sv[:40], rtol=1e-7)


def test_known_matrices():
    identity = spectrum(np.eye(64, dtype=np.float32))
    assert (identity.evals == 1.0 / 64.0).all()
    assert identity.rank == 64
    constant = spectrum(np.full((6, 4), 3.0))
    assert constant.evals[0] == pytest.approx(9.0 * 4.0, rel=1e-14)
    assert constant.rank == 1
    diagonal = spectrum(np.diag([3.0, -2.0, 1.0]))
    np.testing.assert_allclose(diagonal.singular_values, [3.0, 2.0, 1.0], rtol=1e-14)
    vector = spectrum(np.array([[3.0, 4.0]]))
    assert (vector.N, vector.M, vector.rank) == (2, 1, 1)
    assert vector.singular_values[0] == pytest.approx(5.0, rel=1e-15)


def test_orientation():
    wide = spectrum(gaussian(30, 50))
    assert (wide.N, wide.M, wide.Q) == (50, 30, 50 / 30)
    stack = spectrum(gaussian(7, 30, 50))
    assert (stack.N, stack.M, stack.num_matrices, stack.evals.size) == (50, 30, 7, 210)


# ---- exact properties


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-1e3, 1e3, width=32)),
    st.integers(-300, 300),
)
def test_power_of_two_is_exact(W, power):
    plain, scaled = spectrum(W), spectrum(np.ldexp(W, power))
    assert (scaled.singular_values == np.ldexp(plain.singular_values, power)).all()
    assert (scaled.evals == np.ldexp(plain.evals, 2 * power)).all()
    assert scaled.rank == plain.rank
    assert scaled.tolerance == math.ldexp(plain.tolerance, power)


@pytest.mark.parametrize("exact", [False, True])
def test_power_of_two_is_exact_for_float32(exact):
    W = gaussian(160, 96)
    plain, scaled = spectrum(W, exact=exact), spectrum(W * np.float32(2.0**40), exact=exact)
    assert (scaled.evals == plain.evals * 2.0**80).all()


def test_transposed_oblong_matrix_is_exact():
    W = gaussian(160, 96)
    assert (spectrum(W.T).evals == spectrum(W).evals).all()
    assert (spectrum(np.asfortranarray(W)).evals == spectrum(W).evals).all()


def test_transposing_permuting_and_scaling():
    W = gaussian(200, 200).astype(np.float64)
    rng = np.random.default_rng(3)
    plain = spectrum(W).evals
    for other, factor in (
        (W.T, 1.0),
        (W[rng.permutation(200)], 1.0),
        (W[:, rng.permutation(200)], 1.0),
        (W * 7.0, 49.0),
        (-W, 1.0),
    ):
        assert np.abs(spectrum(other).evals / factor - plain).max() <= 1e-12 * plain[0]


def test_batched_is_one_by_one(monkeypatch):
    stack = gaussian(23, 24, 40)
    single = np.sort(np.concatenate([spectrum(W).singular_values for W in stack]))[::-1]
    assert (spectrum(stack).singular_values == single).all()
    monkeypatch.setattr(eigen, "_CHUNK_BYTES", 5 * 8 * 24 * 40)
    assert (spectrum(stack).singular_values == single).all()


def test_the_array_is_not_changed():
    W = gaussian(20, 10).astype(np.float64)
    before = W.copy()
    W.flags.writeable = False
    spectrum(W)
    spectrum(W, exact=True)
    np.testing.assert_array_equal(W, before)


# ---- range and types


@pytest.mark.parametrize("scale", [1e-308, 1e-200, 1e-30, 1e30, 1e200, 1e306])
def test_no_overflow_or_underflow_on_the_way(scale):
    W = np.random.default_rng(5).uniform(0.5, 1.0, size=(12, 8))
    plain, scaled = spectrum(W), spectrum(W * scale)
    np.testing.assert_allclose(scaled.singular_values / scale, plain.singular_values, rtol=1e-7)
    assert scaled.rank == plain.rank == 8


def test_float16_denormals():
    smallest = float(np.finfo(np.float16).smallest_subnormal)
    W = (np.random.default_rng(6).integers(-900, 900, size=(60, 40)) * smallest).astype(np.float16)
    result = spectrum(W)
    assert result.rank == 40
    np.testing.assert_allclose(result.singular_values, naive.singular_values(W.astype(np.float64)), rtol=1e-9)


def test_subnormal_float64():
    W = np.array([[3.0, 0.0], [0.0, 1.0]]) * 5e-324
    assert spectrum(W).singular_values.tolist() == [3 * 5e-324, 5e-324]
    assert spectrum(W).rank == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, ml_dtypes.bfloat16])
def test_any_dtype(dtype):
    values = np.random.default_rng(7).integers(0, 100, size=(30, 20))
    np.testing.assert_allclose(
        spectrum(values.astype(dtype)).evals, spectrum(values.astype(np.float64)).evals, rtol=1e-12
    )


# ---- rank


def test_rank_of_float32_data_held_in_float64():
    W = low_rank(256, 128, 40).astype(np.float32)
    assert spectrum(W).rank == 40
    assert spectrum(W.astype(np.float64), dtype="float32").rank == 40
    assert spectrum(W.astype(np.float64)).rank == 128


def test_rank_of_float64_data_needs_the_svd():
    """The Gram matrix alone would leave noise at 1e-8 of the largest, above the tolerance."""
    W = low_rank(256, 128, 40)
    assert spectrum(W).rank == 40
    assert spectrum(W).singular_values[40] < 1e-12 * spectrum(W).singular_values[0]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_rank_of_narrow_types(dtype):
    """The worst-case bound would exceed sv_max itself and call these matrices rank 0."""
    name = np.dtype(dtype).name
    assert spectrum(low_rank(600, 500, 30).astype(dtype)).rank == 30
    full = spectrum(gaussian(2048, 256).astype(dtype))
    assert full.rank == 256
    assert full.tolerance < full.singular_values[-1]
    assert spectrum(gaussian(2048, 256).astype(dtype).astype(np.float32), dtype=name).tolerance == full.tolerance


def test_rank_above_the_quantisation_noise():
    W = low_rank(400, 200, 20)
    step = float(np.abs(W).max()) / 127.0
    quantised = (np.round(W / step) * step).astype(np.float32)
    assert spectrum(quantised, dtype="int8").rank > 150
    assert spectrum(quantised, dtype="int8", noise_floor=step / math.sqrt(12.0)).rank == 20


def test_tolerance_is_the_documented_one():
    W = gaussian(40, 30)
    result = spectrum(W)
    sv_max = result.singular_values[0]
    assert result.tolerance == pytest.approx(sv_max * 40 * 2.0**-23, rel=1e-12)
    floor = spectrum(W, noise_floor=0.01).tolerance
    assert floor == pytest.approx(0.01 * (math.sqrt(40) + math.sqrt(30)), rel=1e-12)
    rms = math.sqrt(float(np.mean(W.astype(np.float64) ** 2)))
    half = rank_tolerance(result.singular_values, 40, 30, "bfloat16")
    assert half == pytest.approx(2.0**-8 * rms * (math.sqrt(40) + math.sqrt(30)), rel=1e-12)


def test_noise_norm_is_what_the_tolerance_says():
    """Geman: the spectral norm of iid noise is close to s (sqrt N + sqrt M), and not above by more than 2 %."""
    s = 0.3
    noise = np.random.default_rng(8).uniform(-0.5, 0.5, size=(800, 500)) * s * math.sqrt(12.0)
    largest = spectrum(noise).singular_values[0]
    assert 0.95 <= largest / (s * (math.sqrt(800) + math.sqrt(500))) <= 1.02


# ---- rejected input


def test_zero_matrix():
    result = spectrum(np.zeros((3, 5)))
    assert result.rank == 0
    assert (result.evals == 0.0).all()
    assert result.tolerance == 0.0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 3)), "empty"),
        (np.zeros((2, 0, 3)), "empty"),
        (np.zeros(4), "1 axes"),
        (np.zeros((2, 2, 2, 2)), "4 axes"),
        (np.array([[1.0, np.nan]]), "not finite"),
        (np.array([[1.0, np.inf]], dtype=np.float32), "not finite"),
        (np.array([[1.0, -np.inf]], dtype=np.float16), "not finite"),
        (np.array([[1.0, np.nan]], dtype=ml_dtypes.bfloat16), "not finite"),
        (np.zeros((2, 2), dtype=np.complex128), "complex"),
    ],
)
def test_rejected(array, message):
    with pytest.raises(ValueError, match=message):
        spectrum(array)
