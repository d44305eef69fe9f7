"""Folding in NumPy against onnxruntime, which runs the same constant graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from onnxspec.errors import TensorError
from onnxspec.graph.constants import Constants
from onnxspec.graph.view import GraphView
from onnxspec.reading import open_model
from tests.graph.build import model, rng

R = rng(3)
W = R.standard_normal((4, 6)).astype(np.float32)
CODES = R.integers(-128, 127, (4, 6), dtype=np.int8)


def i64(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


CASES = {
    "identity": ("Identity", {}, [W]),
    "transpose": ("Transpose", {}, [W]),
    "transpose_perm": ("Transpose", {"perm": [1, 2, 0]}, [W.reshape(2, 4, 3)]),
    "reshape": ("Reshape", {}, [W, i64(3, -1)]),
    "reshape_zero": ("Reshape", {}, [W, i64(0, 2, 3)]),
    "squeeze": ("Squeeze", {}, [W[None, :, None], i64(0)]),
    "squeeze_all": ("Squeeze", {}, [W[None, :, None]]),
    "unsqueeze": ("Unsqueeze", {}, [W, i64(0, -1)]),
    "flatten": ("Flatten", {"axis": -1}, [W.reshape(2, 2, 6)]),
    "flatten_0": ("Flatten", {"axis": 0}, [W]),
    "cast": ("Cast", {"to": 10}, [W]),
    "cast_int": ("Cast", {"to": 1}, [CODES]),
    "slice": ("Slice", {}, [W, i64(1), i64(100), i64(1)]),
    "slice_back": ("Slice", {}, [W, i64(-1), i64(-100), i64(0), i64(-2)]),
    "slice_end": ("Slice", {}, [W, i64(0, 1), i64(-1, 5), i64(0, 1), i64(1, 2)]),
    "slice_empty": ("Slice", {}, [W, i64(3), i64(1), i64(0)]),
    "concat": ("Concat", {"axis": -1}, [W, W[:, :2]]),
    "split": ("Split", {"axis": 1}, [W, i64(2, 4)]),
    "split_parts": ("Split", {"axis": 1, "num_outputs": 2}, [W]),
    "gather": ("Gather", {"axis": 1}, [W, i64(0, -1, 3)]),
    "expand": ("Expand", {}, [W[:1], i64(4, 1)]),
    "add": ("Add", {}, [W, W[:1]]),
    "sub": ("Sub", {}, [W, W[0]]),
    "mul": ("Mul", {}, [W, np.float32(3.3).reshape(())]),
    "div": ("Div", {}, [W, W + 5]),
    "div_int": ("Div", {}, [CODES.astype(np.int64), np.full((4, 6), -7)]),
    "dequantize_tensor": ("DequantizeLinear", {}, [CODES, np.float32(0.03), np.int8(4)]),
    "dequantize_channel": (
        "DequantizeLinear",
        {"axis": 0},
        [CODES, R.random(4).astype(np.float32), np.array([1, -2, 3, 0], np.int8)],
    ),
    "dequantize_block": (
        "DequantizeLinear",
        {"axis": 1, "block_size": 3},
        [CODES, R.random((4, 2)).astype(np.float32), np.ones((4, 2), np.int8)],
    ),
    "dequantize_half": ("DequantizeLinear", {"axis": 0}, [CODES, R.random(4).astype(np.float16)]),
    "dequantize_uint8": ("DequantizeLinear", {}, [CODES.view(np.uint8), np.float32(0.1), np.uint8(128)]),
}


def folded(proto: onnx.ModelProto, folder: Path, outputs: list[str]) -> list[np.ndarray]:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with open_model(path) as opened:
        view = GraphView(opened)
        constants = Constants(view)
        results = []
        for name in outputs:
            constant = constants.find(view.scopes[0], name)
            assert constant is not None
            if constant.problem is not None:
                raise constant.problem
            value = constant.load()
            assert value.shape == constant.shape
            results.append(value)
        return results


@pytest.mark.parametrize("name", CASES)
def test_folding_equals_onnxruntime(name: str, tmp_path: Path) -> None:
    op, attributes, arrays = CASES[name]
    names = [f"c{i}" for i in range(len(arrays))]
    outputs = ["y", "z"] if op == "Split" else ["y"]
    node = helper.make_node(op, names, outputs, **attributes)
    proto = model([node], dict(zip(names, (np.asarray(a) for a in arrays))), inputs=(), outputs=outputs)
    for output in proto.graph.output:
        output.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(_dtype_of(op, attributes, arrays))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {})
    for ours, theirs in zip(folded(proto, tmp_path, outputs), expected):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def _dtype_of(op: str, attributes: dict[str, object], arrays: list[np.ndarray]) -> np.dtype:
    if op == "Cast":
        return np.dtype(np.float16 if attributes["to"] == 10 else np.float32)
    return np.asarray(arrays[1 if op == "DequantizeLinear" else 0]).dtype


def test_a_chain_is_folded_and_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Slice", ["w", "s0", "s1"], ["a"]),
        helper.make_node("Slice", ["w", "s1", "s2"], ["b"]),
        helper.make_node("Concat", ["b", "a"], ["c"], axis=0),
        helper.make_node("Unsqueeze", ["c", "s0"], ["y"]),
    ]
    arrays = {"w": W, "s0": i64(0), "s1": i64(2), "s2": i64(4)}
    (value,) = folded(model(nodes, arrays, inputs=()), tmp_path, ["y"])
    np.testing.assert_array_equal(value, np.concatenate([W[2:], W[:2]])[None])


@pytest.mark.parametrize(
    ("scale", "zero"),
    [
        (np.float32(0), np.int8(0)),
        (np.float32(np.nan), np.int8(0)),
        (np.float32(-1), np.int8(0)),
        (np.ones(3, np.float32), np.zeros(3, np.int8)),
        (np.ones(4, np.float32), np.zeros(2, np.int8)),
    ],
)
def test_scales_that_do_not_fit_are_refused(scale: np.ndarray, zero: np.ndarray, tmp_path: Path) -> None:
    node = helper.make_node("DequantizeLinear", ["w", "s", "z"], ["y"], axis=0)
    proto = model([node], {"w": CODES, "s": np.asarray(scale), "z": np.asarray(zero)}, inputs=())
    with pytest.raises(TensorError) as error:
        folded(proto, tmp_path, ["y"])
    assert error.value.code == "invalid_scale"


def test_folding_is_bounded_before_it_allocates(tmp_path: Path) -> None:
    nodes = [helper.make_node("Expand", ["w", "s"], ["y"])]
    with pytest.raises(TensorError) as error:
        folded(model(nodes, {"w": W, "s": i64(2**26, 4, 6)}, inputs=()), tmp_path, ["y"])
    assert error.value.code == "over_limit"


def test_a_long_chain_needs_no_recursion(tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", [f"v{i}"], [f"v{i + 1}"]) for i in range(5000)]
    (value,) = folded(model(nodes, {"v0": W}, inputs=(), outputs=["v5000"]), tmp_path, ["v5000"])
    np.testing.assert_array_equal(value, W)


def test_sparse_initializers_are_made_dense(tmp_path: Path) -> None:
    dense = np.zeros((5, 4), np.float32)
    dense[1, 2], dense[4, 0] = 7, -3
    values = numpy_helper.from_array(np.array([7, -3], np.float32), "w")
    for indices in (i64(6, 16), np.array([[1, 2], [4, 0]])):
        sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(indices, "i"), [5, 4])
        proto = model([helper.make_node("Identity", ["w"], ["y"])], inputs=())
        proto.graph.sparse_initializer.append(sparse)
        (value,) = folded(proto, tmp_path, ["y"])
        np.testing.assert_array_equal(value, dense)
