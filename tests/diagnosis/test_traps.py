from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from onnxspec.diagnosis.traps import Traps, correlation_traps
from onnxspec.laws.spiked import outlier, sample

SHAPE = (600, 300)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE)


def ratio(result: Traps) -> float:
    assert result.ratio_mean is not None
    return result.ratio_mean


def test_noise_has_no_trap() -> None:
    result = correlation_traps(noise())
    assert result.trapped is False
    assert result.causes == ()
    assert ratio(result) == pytest.approx(0.984, abs=0.02)
    assert len(result.ratios) == 5
    assert result.ratio_sd is not None
    assert result.ratio_sd < 0.03
    # THEORY 8.1: null mean 3.7/M, 99 % 5/M (M = 300)
    assert np.mean(result.rand_ks) == pytest.approx(3.7 / 300, abs=1.3 / 300)
    assert result.rand_distance_ww == pytest.approx(0.0035, abs=0.003)


def test_one_large_element() -> None:
    W = noise(1)
    W[17, 5] = 40.0
    result = correlation_traps(W)
    assert result.trapped is True
    assert result.causes == ("elements",)
    assert ratio(result) == pytest.approx(1.48, abs=0.03)
    theta = 40.0 / (float(W.std()) * np.sqrt(600))
    assert ratio(result) == pytest.approx(float(outlier(theta, 2.0) / outlier(0.0, 2.0)), abs=0.03)
    (element,) = result.elements
    assert (element.row, element.col, element.value) == (17, 5, pytest.approx(40.0))
    assert element.strength == pytest.approx(40.0 / (600 * 300) ** 0.25, rel=0.02)


def test_a_mean_that_is_not_zero() -> None:
    result = correlation_traps(noise(2) + 0.1)
    assert result.trapped is True
    assert result.causes == ("mean",)
    assert ratio(result) == pytest.approx(1.49, abs=0.12)
    assert result.count == 5


def test_a_signal_of_low_rank_does_not_survive() -> None:
    W = sample(np.random.default_rng(3), *SHAPE, [3.0])
    result = correlation_traps(W)
    assert result.trapped is False
    assert ratio(result) == pytest.approx(1.0, abs=0.03)
    assert result.ww_softrank is not None
    assert result.ww_softrank < 0.4


def test_heavy_tails() -> None:
    W = np.random.default_rng(4).standard_t(2.2, (200, 100))
    result = correlation_traps(W)
    assert result.trapped is True
    assert "tails" in result.causes
    assert result.num_elements is not None
    assert result.num_elements >= len(result.elements) > 0
    assert result.rand_distance_ww is not None


def test_the_same_seed_gives_the_same_numbers() -> None:
    W = noise(5)[:80, :40]
    assert correlation_traps(W, seed=7) == correlation_traps(W, seed=7)
    assert correlation_traps(W, seed=7).ratios != correlation_traps(W, seed=8).ratios
    assert correlation_traps(W * 2.0**40).ratios == correlation_traps(W).ratios


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.ones((64, 9)), "too_small"),
        (np.zeros((32, 32)), "zero_matrix"),
        (np.full((32, 32), 3.0), "rank_one"),
        (np.full((32, 32), np.inf), "non_finite"),
    ],
)
def test_what_cannot_be_shuffled_says_why(matrix: np.ndarray, reason: str) -> None:
    result = correlation_traps(matrix)
    assert (result.trapped, result.reason) == (None, reason)


def test_the_result_holds_plain_numbers() -> None:
    W = noise(6)[:60, :30]
    W[3, 3] = 100.0
    json.dumps(dataclasses.asdict(correlation_traps(W)), allow_nan=False)
    with pytest.raises(ValueError, match="replicas"):
        correlation_traps(W, replicas=0)
