"""Small models for the tests of the graph, made with onnx.helper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxspec.graph import Survey, WeightMatrix, survey
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model

OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def model(
    nodes: Sequence[onnx.NodeProto],
    arrays: dict[str, np.ndarray] | None = None,
    *,
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    tensors: Sequence[onnx.TensorProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    as_inputs: bool = False,
    opsets: Sequence[Any] = OPSETS,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(array, name) for name, array in (arrays or {}).items()] + list(tensors)
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    if as_inputs:
        infos += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in initializers]
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "g", infos, outs, initializer=initializers)
    return helper.make_model(graph, opset_imports=list(opsets), functions=list(functions), ir_version=10)


def found(proto: onnx.ModelProto, folder: Path) -> tuple[Survey, list[np.ndarray | None]]:
    """Survey a model and load every weight in canonical form."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with open_model(path) as opened:
        result = survey(opened, DEFAULT_LIMITS)
        return result, [None if weight.problem else weight.canonical() for weight in result.weights]


def only(proto: onnx.ModelProto, folder: Path) -> tuple[WeightMatrix, np.ndarray]:
    """Give the one weight of a model, and its canonical values."""
    result, values = found(proto, folder)
    assert len(result.weights) == 1, [weight.name for weight in result.weights]
    assert values[0] is not None, result.weights[0].problem
    return result.weights[0], values[0]
