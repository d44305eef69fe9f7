"""Models whose weights are codes, and what onnxruntime's own kernels make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, parser

from onnxspec.graph import WeightMatrix, survey
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model
from onnxspec.results import Quantization
from tests.graph.build import rng

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>'
F, I8, U8, I32 = np.float32, np.int8, np.uint8, np.int32


def text_model(text: str, arrays: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Parse a graph in ONNX's text form and give it its constants."""
    proto = parser.parse_model(f"{HEADER} {text}")
    for name, array in arrays.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return proto


def run(proto: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def codes(seed: int, shape: tuple[int, ...], low: int, high: int, dtype: type) -> np.ndarray:
    return rng(seed).integers(low, high, shape, endpoint=True).astype(dtype)


def scales(seed: int, *shape: int) -> np.ndarray:
    return (rng(seed).random(shape) * 0.1 + 0.01).astype(F)


def dense_of(values: np.ndarray) -> np.ndarray:
    """Give inputs x outputs, as a product with the identity gives it."""
    assert values.shape[0] == values.shape[3] == 1
    return values[0, :, :, 0].T


def kernel_of(values: np.ndarray, k: tuple[int, ...]) -> np.ndarray:
    """Give the whole kernel, zero outside its groups, as one-hot inputs see it."""
    groups, outputs, inputs, _ = values.shape
    whole = np.zeros((groups * outputs, groups * inputs, *k))
    for g in range(groups):
        part = values[g].reshape(outputs, inputs, *k)
        whole[g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] = part
    return whole


def one_hot_images(channels: int, k: tuple[int, ...], dtype: type, value: int = 1) -> np.ndarray:
    n = channels * int(np.prod(k))
    return (np.eye(n) * value).reshape(n, channels, *k).astype(dtype)


def only(proto: onnx.ModelProto, folder: Path) -> tuple[WeightMatrix, np.ndarray, Quantization]:
    """Give the one weight of a model, its canonical values and how they are quantised."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with open_model(path) as opened:
        (weight,) = survey(opened, DEFAULT_LIMITS).weights
        assert weight.problem is None, weight.problem
        read, measured = weight.read()
        values = read.canonical()
        np.testing.assert_array_equal(values, weight.canonical())
    stated = weight.quantization
    assert stated is not None
    assert measured is not None
    assert all(getattr(stated, name) == getattr(measured, name) for name in ("scheme", "bits", "granularity", "block"))
    return weight, values, measured
