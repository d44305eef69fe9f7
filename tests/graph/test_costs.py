"""Small files that ask for much: each costs its own weight, in little time and memory, and no other one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxspec.engine import analyze, inspect
from onnxspec.results import Report
from tests.graph.build import model, rng

R = rng(5)
OK = R.standard_normal((16, 16)).astype(np.float32)
W = R.standard_normal((65, 65)).astype(np.float32)
SECONDS = 20.0


def node(op: str, inputs: Sequence[str], output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], **attributes)


def analysed(nodes: list[onnx.NodeProto], arrays: dict[str, np.ndarray], folder: Path) -> Report:
    """Analyse a model with a sound layer, and hold what is true of each."""
    proto = model([node("MatMul", ["x", "ok"], "y", name="ok"), *nodes], {"ok": OK, **arrays})
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    start = time.process_time()
    report = analyze(path, effort="fast", jobs=1)
    assert time.process_time() - start < SECONDS
    assert report.layers["ok"].status == "ok"
    return report


CORNER = {"a": np.array([0, 0]), "b": np.array([64, 64])}


def test_values_that_are_held_at_once_are_bounded(tmp_path: Path) -> None:
    """Sixty-four products of 64 MiB, of which the last is added first, are in memory together."""
    nodes, arrays = [], {"shape": np.array([4096, 4096]), **CORNER}
    for i in range(128):
        arrays[f"s{i}"] = np.full((1, 1), i + 1, np.float32)
        nodes += [node("Expand", [f"s{i}", "shape"], f"e{i}"), node("Mul", [f"e{i}", f"e{i}"], f"m{i}")]
    nodes.append(node("Add", ["m0", "m0"], "d0"))
    nodes += [node("Add", [f"d{i - 1}", f"m{i}"], f"d{i}") for i in range(1, 128)]
    nodes += [node("Slice", ["d127", "a", "b"], "q"), node("MatMul", ["x", "q"], "z")]
    report = analysed(nodes, arrays, tmp_path)
    assert report.coverage.by_reason == {"over_limit": 1}


@pytest.mark.parametrize("use", ["weight", "shape"])
def test_steps_over_large_values_are_bounded(use: str, tmp_path: Path) -> None:
    """Two thousand sums of 64 MiB for a weight, or for two numbers that are its shape."""
    nodes = [node("Expand", ["s", "shape"], "d0")]
    nodes += [node("Add", [f"d{i}", f"d{i}"], f"d{i + 1}") for i in range(2000)]
    if use == "weight":
        nodes += [node("Slice", ["d2000", "a", "b"], "q")]
    else:
        nodes += [node("Slice", ["d2000", "a", "one"], "c"), node("Cast", ["c"], "i", to=7)]
        nodes += [node("Reshape", ["w", "i"], "q")]
    arrays = {"s": np.zeros((1, 1), np.float32), "shape": np.array([4096, 4096]), "w": OK, "one": np.array([1, 1])}
    report = analysed([*nodes, node("MatMul", ["x", "q"], "z")], arrays | CORNER, tmp_path)
    assert report.coverage.by_reason == {"over_limit": 1}


@pytest.mark.parametrize("side", [8, 65])
def test_long_chains_with_a_reader_at_each_step_are_bounded(side: int, tmp_path: Path) -> None:
    """Each reader's weight takes all steps before it: 2,000 readers would take 2 million."""
    count = 2000
    nodes = [node("Add", [f"c{i}", "w"], f"c{i + 1}") for i in range(count)]
    nodes += [node("MatMul", ["x", f"c{i + 1}"], f"z{i}", name=f"l{i}") for i in range(count)]
    proto = model(nodes, {"c0": W[:side, :side], "w": W[:side, :side]})
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    start = time.process_time()
    report = inspect(path)
    assert time.process_time() - start < SECONDS
    assert 0 < report.coverage.by_reason["over_limit"] < count
    assert report.layers["l10"].reason != "over_limit"  # short chains are not what costs


def test_outputs_without_end_are_not_made(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Split", ["w"], ["p", "q"], axis=1, num_outputs=2**62 + 1),
        node("Concat", ["p", "q"], "c", axis=0),
        node("MatMul", ["x", "c"], "z"),
    ]
    assert analysed(nodes, {"w": OK}, tmp_path).coverage.by_reason == {"invalid_graph": 1}


def test_many_outputs_of_one_node_are_found_in_no_time(tmp_path: Path) -> None:
    count = 4000
    names = [f"p{i}" for i in range(count)]
    nodes = [helper.make_node("Split", ["w"], names, axis=0, num_outputs=count)]
    nodes += [node("Add", ["x", name], f"z{name}") for name in names]
    report = analysed(nodes, {"w": R.standard_normal((count, 4)).astype(np.float32)}, tmp_path)
    assert report.coverage.parameters_by_reason == {"vector": 4 * count}


BAD_SPLITS = {
    "more_outputs_than_elements": ({"num_outputs": 5}, 5, None),
    "as_many_as_it_says_not": ({"num_outputs": 3}, 2, None),
    "negative_part": ({}, 2, [-4, 20]),
    "too_short": ({}, 2, [4, 4]),
}


@pytest.mark.parametrize("case", BAD_SPLITS)
def test_parts_that_do_not_fit(case: str, tmp_path: Path) -> None:
    attributes, outputs, sizes = BAD_SPLITS[case]
    w = OK[:3] if case.startswith("more") else OK
    inputs = ["w"] if sizes is None else ["w", "sizes"]
    nodes = [helper.make_node("Split", inputs, [f"p{i}" for i in range(outputs)], **attributes)]
    nodes += [node("Concat", ["p0", "v"], "c", axis=0), node("MatMul", ["x", "c"], "z")]
    report = analysed(nodes, {"w": w, "v": OK, "sizes": np.array(sizes or [0])}, tmp_path)
    assert report.coverage.by_reason == {"invalid_graph": 1}


CROWDS = {
    "one_weight_in_many_nodes": lambda i: node("MatMul", ["x", "ok"], f"z{i}"),
    "one_name_for_many_results": lambda i: node("MatMul", ["x", "ok"], "h"),
    "many_readers_of_each": lambda i: node("Add", ["h", "bias"], f"s{i}"),
}


@pytest.mark.parametrize("case", ["one_weight_in_many_nodes", "one_name_for_many_results"])
def test_crowds_around_one_value_take_a_time_in_proportion(case: str, tmp_path: Path) -> None:
    count = 20_000
    nodes = [CROWDS[case](i) for i in range(count)]
    nodes += [CROWDS["many_readers_of_each"](i) for i in range(count)] if "results" in case else []
    proto = model(nodes, {"ok": OK, "bias": np.ones(16, np.float32)})
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    start = time.process_time()
    report = inspect(path)
    assert time.process_time() - start < SECONDS
    assert (report.coverage.slots, len(report.layers[0].used_by)) == (count, count)


def test_long_chains_that_only_onnxruntime_could_fold_are_left(tmp_path: Path) -> None:
    count = 30_000
    nodes = [node("Neg", [f"c{i}"], f"c{i + 1}") for i in range(count)] + [node("MatMul", ["x", f"c{count}"], "z")]
    assert analysed(nodes, {"c0": OK}, tmp_path).coverage.by_reason == {"not_folded": 1}


def test_graphs_of_many_inputs_take_a_time_in_proportion(tmp_path: Path) -> None:
    names = [f"i{i}" for i in range(20_000)]
    proto = model([node("Relu", [name], f"z{name}") for name in names], {"ok": OK}, inputs=["x", *names])
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    start = time.process_time()
    inspect(path)
    assert time.process_time() - start < SECONDS / 2
