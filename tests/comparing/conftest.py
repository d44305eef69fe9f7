"""Models of a few dense or convolutional layers, and the changes of tools/pair_kinds.py."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="session")
def kinds() -> Iterator[Any]:
    sys.path.insert(0, str(TOOLS))
    try:
        yield importlib.import_module("pair_kinds")
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a chain of layers: MatMul for two axes (stored inputs x outputs), Conv for four."""

    def build(name: str, weights: Mapping[str, Any]) -> Path:
        nodes, tensors = [], []
        for number, (title, values) in enumerate(weights.items()):
            op = "Conv" if values.ndim == 4 else "MatMul"
            tensors.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), title))
            nodes.append(helper.make_node(op, [f"x{number}", title], [f"y{number}"], title))
        inputs = [helper.make_tensor_value_info(f"x{n}", TensorProto.FLOAT, None) for n in range(len(nodes))]
        outputs = [helper.make_tensor_value_info(f"y{n}", TensorProto.FLOAT, None) for n in range(len(nodes))]
        graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / f"{name}.onnx"
        onnx.save(model, path)
        return path

    return build
