"""Build an ONNX graph node by node, with node names in PyTorch's style; shared by the export scripts."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Tensors = dict[str, npt.NDArray[Any]]

IR_VERSION = 8
OPSET = 17


class Graph:
    """A graph under construction; methods that add nodes give the name of their output."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.counts: Counter[str] = Counter()

    def add(self, scope: str, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node named scope/op, with a number when the name is taken."""
        name = f"{scope}/{op}"
        count = self.counts[name]
        self.counts[name] += 1
        name = f"{name}_{count}" if count else name
        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name, **attributes))
        return output

    def constant(self, scope: str, value: Any, dtype: type = np.int64) -> str:
        """Add a Constant node."""
        return self.add(scope, "Constant", value=numpy_helper.from_array(np.asarray(value, dtype)))

    def weight(self, name: str) -> str:
        """Use a tensor of the source file as it is."""
        return self.initializer(name, self.tensors[name])

    def initializer(self, name: str, array: npt.NDArray[Any]) -> str:
        """Store an initializer once."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def result(self, name: str, source: str) -> None:
        """Give an output of the graph its name."""
        self.nodes.append(helper.make_node("Identity", [source], [name], f"/{name}/Identity"))

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Build and check the model."""
        graph = helper.make_graph(self.nodes, "main_graph", inputs, outputs, list(self.initializers.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="onnxspec-tools")
        onnx.checker.check_model(model, full_check=True)
        return model


def write_atomically(path: Path, blob: bytes) -> None:
    """Write a file in one step, so that an interrupted run leaves none behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    part.write_bytes(blob)
    part.replace(path)
