from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxspec.diagnosis.levels import value_levels


def gauss(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32).astype(np.float64)


def rounded(values: np.ndarray, bits: int, axis: tuple[int, ...]) -> np.ndarray:
    """Round symmetrically with one float32 scale for what is left of the axes."""
    top = 2 ** (bits - 1) - 1
    scale = (np.abs(values).max(axis=axis, keepdims=True) / top).astype(np.float32)
    return (np.round(values / scale).astype(np.float32) * scale).astype(np.float64)


@pytest.mark.parametrize(
    ("shape", "axis", "granularity"),
    [
        ((1, 256, 300, 1), (0, 1, 2, 3), "tensor"),
        ((1, 256, 300, 1), (2, 3), "output"),
        ((1, 256, 300, 1), (1, 3), "input"),
        ((1, 64, 32, 9), (0, 2, 3), "output"),
        ((4, 32, 64, 9), (2, 3), "output"),
    ],
)
def test_int4(shape: tuple[int, ...], axis: tuple[int, ...], granularity: str) -> None:
    result = value_levels(rounded(gauss(*shape), 4, axis))
    assert (result.granularity, result.bits) == (granularity, 4)
    assert result.count is not None
    assert 13 <= result.count <= 15


@pytest.mark.parametrize("block", [32, 128])
def test_blocks(block: int) -> None:
    values = rounded(gauss(96, 1024 // block, block), 4, (2,)).reshape(1, 96, 1024, 1)
    result = value_levels(values)
    assert (result.granularity, result.block, result.bits) == ("block", block, 4)
    turned = value_levels(np.ascontiguousarray(values.swapaxes(1, 2)))
    assert (turned.granularity, turned.block) == ("block", block)


def test_int8_by_channel() -> None:
    result = value_levels(rounded(gauss(1, 64, 1024, 1), 8, (2, 3)))
    assert (result.granularity, result.bits) == ("output", 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_training_leaves_is_no_grid(dtype: type) -> None:
    values = np.random.default_rng(1).standard_normal((1, 256, 256, 1)).astype(dtype).astype(np.float64)
    assert value_levels(values).reason == "continuous"


def test_bfloat16_is_no_grid_of_eight_bits() -> None:
    import ml_dtypes

    values = gauss(1, 128, 300, 1).astype(ml_dtypes.bfloat16).astype(np.float64)
    assert value_levels(values).reason == "continuous"


def test_zeros_prove_nothing() -> None:
    values = gauss(1, 128, 128, 1)
    values[np.random.default_rng(2).random(values.shape) < 0.95] = 0.0
    assert value_levels(values).reason == "continuous"
    assert value_levels(np.zeros((1, 64, 64, 1))).reason == "too_small"


def test_binary_and_constant() -> None:
    assert value_levels(np.sign(gauss(1, 64, 64, 1))).bits == 1
    assert value_levels(np.full((1, 64, 64, 1), 0.3)).bits == 0
    with pytest.raises(ValueError, match="axes"):
        value_levels(np.zeros((4, 4)))


@given(st.integers(0, 99), st.sampled_from([2.0**-40, 3.7, 1e20]))
def test_scale_and_order_change_nothing(seed: int, scale: float) -> None:
    values = rounded(gauss(1, 48, 64, 1, seed=seed), 3, (0, 1, 2, 3))
    expected = value_levels(values)
    assert expected.bits == 3
    shuffled = np.random.default_rng(seed).permutation(values.ravel()).reshape(values.shape)
    assert value_levels(shuffled * scale) == expected


@pytest.mark.parametrize("shape", [(1, 300, 200, 1), (2, 40, 30, 9)])
@pytest.mark.parametrize("axis", [(2, 3), (1, 3)])
def test_the_order_in_memory_changes_nothing(shape: tuple[int, ...], axis: tuple[int, ...]) -> None:
    values = rounded(gauss(*shape), 4, axis)
    turned = np.ascontiguousarray(values.swapaxes(1, 2)).swapaxes(1, 2)
    assert value_levels(values).bits == 4
    assert value_levels(turned) == value_levels(values)
