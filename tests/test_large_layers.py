"""Layers that are worked through in parts: the same report however they are stored, in bounded memory."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxspec
from onnxspec.graph import values
from onnxspec.layers import value_facts
from onnxspec.results import Layer
from onnxspec.spectra import slabs
from tests.graph.build import model as build
from tests.graph.build import rng
from tests.test_engine import numbers


@pytest.fixture
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "LARGE", 4000)
    monkeypatch.setattr(values, "IN_FILE", 5000)
    monkeypatch.setattr(values, "SHORT", 1)
    for module in ("onnxspec.graph.values", "onnxspec.layers.analyze"):
        monkeypatch.setattr(f"{module}.STACK_ELEMENTS", 3000)
    monkeypatch.setattr(slabs, "SLAB_ELEMENTS", 3000)
    monkeypatch.setattr(value_facts, "SLAB", 2000)
    monkeypatch.setattr(value_facts, "PART", 700)


def layer_of(tmp_path: Path, array: np.ndarray, node: object, **options: object) -> Layer:
    path = tmp_path / "one.onnx"
    path.write_bytes(build([node], {"w": array}).SerializeToString())
    return onnxspec.analyze(path, jobs=1, **options).layers[0]


def matrix(outputs: int, inputs: int) -> np.ndarray:
    random = rng(8)
    noise = random.standard_normal((outputs, inputs)) * random.pareto(2.5, (outputs, 1)) ** 0.5
    return noise.astype(np.float32)


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("shape", [(4200, 60), (60, 4200)])
def test_graph_forms_give_the_same_numbers(shape: tuple[int, int], tmp_path: Path) -> None:
    w = matrix(*shape)
    gemm = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    matmul = helper.make_node("MatMul", ["x", "w"], ["y"])
    left = helper.make_node("MatMul", ["w", "x"], ["y"])
    forms = [layer_of(tmp_path, w, gemm), layer_of(tmp_path, w.T.copy(), matmul), layer_of(tmp_path, w, left)]
    double = layer_of(tmp_path, w.astype(np.float64), gemm)
    assert forms[0].trained is not None
    for other in forms[1:]:
        assert numbers(other) == numbers(forms[0])
    assert double.value_hash == forms[0].value_hash
    assert double.alpha == forms[0].alpha


@pytest.mark.parametrize("shape", [(4200, 60), (60, 4200)])
def test_parts_change_rounding_alone(shape: tuple[int, int], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    w = matrix(*shape)
    w[5, 7] = 1e-40
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    whole = layer_of(tmp_path, w, node, spectra=True)
    request.getfixturevalue("_everything_is_large")
    parts = layer_of(tmp_path, w, node, spectra=True)
    assert (parts.value_hash == whole.value_hash) == (shape[0] > shape[1])  # very large ones are hashed lengthwise
    same = ("content_hash", "denormals", "rank", "n_tail", "phase", "spikes", "levels")
    for name in same:
        assert getattr(parts, name) == getattr(whole, name), name
    assert whole.denormals == 1
    assert whole.lambda_max is not None
    np.testing.assert_allclose(parts.evals, whole.evals, atol=1e-12 * whole.lambda_max)
    assert parts.alpha == pytest.approx(whole.alpha, rel=1e-9)
    assert parts.trained["verdict"] == whole.trained["verdict"]


def kernel(outputs: int, inputs: int, side: int) -> np.ndarray:
    return matrix(outputs, inputs * side * side).reshape(outputs, inputs, side, side)


CONV = helper.make_node("Conv", ["x", "w"], ["y"])


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("options", [{}, {"conv": "slices", "min_evals": 10}, {"conv": "unfold"}, {"exact": True}])
def test_a_stack_in_the_file_gives_the_numbers_of_one_in_memory(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = kernel(16, 12, 9)
    read = layer_of(tmp_path, w, CONV, **options)
    double = layer_of(tmp_path, w.astype(np.float64), CONV, **options)
    monkeypatch.setattr(values, "IN_FILE", 10**9)
    held = layer_of(tmp_path, w, CONV, **options)
    assert read.trained is not None
    assert read.num_matrices == (1 if "unfold" in options.values() else 81)
    assert numbers(read) == numbers(held)
    assert (double.value_hash, double.alpha) == (held.value_hash, held.alpha)


@pytest.mark.parametrize("shape", [(16, 12, 9), (12, 16, 9)])
def test_parts_of_a_stack_change_rounding_alone(
    shape: tuple[int, int, int], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outputs, inputs, side = shape
    w = rng(9).standard_normal((outputs, inputs, side, side)).astype(np.float32)
    whole = layer_of(tmp_path, w, CONV, spectra=True)
    request.getfixturevalue("_everything_is_large")
    parts = layer_of(tmp_path, w, CONV, spectra=True)
    for name in ("value_hash", "content_hash", "rank", "n_tail", "phase", "spikes", "evals", "alpha", "alpha_ci"):
        assert getattr(parts, name) == getattr(whole, name), name
    assert parts.mp["sigma_mp"] == pytest.approx(whole.mp["sigma_mp"], rel=1e-9)
    assert parts.trained["verdict"] == whole.trained["verdict"]


@pytest.mark.usefixtures("_everything_is_large")
def test_rounded_values_of_a_stack_are_seen_in_a_sample(tmp_path: Path) -> None:
    w = np.round(kernel(16, 12, 9).clip(-2, 2) * 3).astype(np.float32)
    layer = layer_of(tmp_path, w, CONV, effort="fast")
    assert layer.levels is not None
    assert layer.levels["count"] == 13


@pytest.mark.usefixtures("_everything_is_large")
def test_a_stack_with_a_value_that_is_not_finite_fails(tmp_path: Path) -> None:
    w = kernel(16, 12, 9)
    w[15, 11, 8, 8] = np.inf
    layer = layer_of(tmp_path, w, CONV)
    assert (layer.status, layer.reason) == ("failed", "non_finite")


@pytest.mark.usefixtures("_everything_is_large")
def test_values_that_are_not_finite_are_found_in_any_part(tmp_path: Path) -> None:
    w = matrix(4200, 60)
    w[4100, 3], w[17, 1] = np.nan, -np.inf
    layer = layer_of(tmp_path, w, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1))
    assert (layer.status, layer.reason) == ("failed", "non_finite")
    assert "2 of 252000" in layer.warnings[0]


@pytest.mark.usefixtures("_everything_is_large")
def test_rounded_values_are_seen_in_a_sample(tmp_path: Path) -> None:
    w = np.round(matrix(4200, 60).clip(-2, 2) * 3).astype(np.float32)
    layer = layer_of(tmp_path, w, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), effort="fast")
    assert layer.levels is not None
    assert layer.levels["count"] == 13


def test_too_little_memory_costs_the_layer_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("onnxspec.layers.analyze.spectrum", full)
    layer = layer_of(tmp_path, matrix(80, 60), helper.make_node("Gemm", ["x", "w"], ["y"], transB=1))
    assert (layer.status, layer.reason) == ("failed", "out_of_memory")


def test_the_facts_of_one_pass() -> None:
    array = np.array([0.0, -3.5, 2.0**-130, -(2.0**-149), math.inf, 1.0], np.float32).reshape(1, 3, 2, 1)
    for exact in (array, array.astype(np.float64)):
        facts = value_facts.facts_of(values.Values((1, 3, 2, 1), exact))
        assert facts == replace(facts, not_finite=1, largest=3.5, denormals=2, value_hash=None)
    finite = np.where(np.isfinite(array), array, np.float32(0))
    hashes = {value_facts.value_hash(a) for a in (finite, finite.astype(np.float64))}
    assert len(hashes) == 1
    assert hashes != {value_facts.value_hash(finite.astype(np.float64) + 1e-12)}
