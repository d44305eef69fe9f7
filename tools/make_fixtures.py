"""Write the small synthetic models of fixtures/models.

    python tools/make_fixtures.py [--out DIR]

The numbers come from sums, products, quotients and square roots alone, so every machine writes the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[np.float32]
Shape = tuple[int | str, ...]

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "models"
IR_VERSION = 8
OPSET = 17
IN, OUT = 64, 80
"""Sizes of the linear model that is written in several graph forms."""


def near_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Draw sums of twelve uniform numbers: mean 0, variance 1."""
    return np.asarray(rng.random((12, *shape)).sum(axis=0) - 6)


def heavy_tailed(seed: int, shape: tuple[int, ...]) -> Array:
    """Draw a weight with tails like Student's t with three degrees of freedom."""
    rng = np.random.default_rng(seed)
    numerator = near_normal(rng, shape)
    squares = sum(near_normal(rng, shape) ** 2 for _ in range(3))
    return np.asarray(0.125 * numerator / np.sqrt(squares / 3), dtype=np.float32)


def value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def tensor(name: str, array: Array) -> onnx.TensorProto:
    return numpy_helper.from_array(array, name)


def model(
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[onnx.TensorProto],
    *,
    ir_version: int = IR_VERSION,
) -> onnx.ModelProto:
    """Build a checked model whose bytes depend on nothing but the arguments."""
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", OPSET)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="onnxspec-fixtures")
    onnx.checker.check_model(proto, full_check=True)
    return proto


def linear_weight() -> Array:
    """Give the linear model's weight, [OUT, IN]."""
    return heavy_tailed(1, (OUT, IN))


def linear_bias() -> Array:
    return heavy_tailed(2, (OUT,))


def linear_gemm() -> onnx.ModelProto:
    """Gemm on W with transB."""
    node = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], "/fc/Gemm", transB=1)
    weights = [tensor("fc.weight", linear_weight()), tensor("fc.bias", linear_bias())]
    return model("linear_gemm", [node], [value("x", ("n", IN))], [value("y", ("n", OUT))], weights)


def linear_gemm_graph_input() -> onnx.ModelProto:
    """Gemm with the weights listed as graph inputs too, as in files of IR version 3."""
    node = helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["y"], "/fc/Gemm", transB=1)
    weights = [tensor("fc.weight", linear_weight()), tensor("fc.bias", linear_bias())]
    inputs = [value("x", ("n", IN)), value("fc.weight", (OUT, IN)), value("fc.bias", (OUT,))]
    return model("linear_gemm_graph_input", [node], inputs, [value("y", ("n", OUT))], weights, ir_version=3)


def right_matmul(
    name: str, before: list[onnx.NodeProto], weight: str, initializers: list[onnx.TensorProto]
) -> onnx.ModelProto:
    """Build x @ weight + bias, where the nodes before may make the weight."""
    nodes = [
        *before,
        helper.make_node("MatMul", ["x", weight], ["product"], "/fc/MatMul"),
        helper.make_node("Add", ["product", "fc.bias"], ["y"], "/fc/Add"),
    ]
    bias = tensor("fc.bias", linear_bias())
    return model(name, nodes, [value("x", ("n", IN))], [value("y", ("n", OUT))], [*initializers, bias])


def transposed_weight() -> Array:
    return np.ascontiguousarray(linear_weight().T)


def linear_matmul() -> onnx.ModelProto:
    """Multiply by an initializer stored transposed and renamed, as PyTorch's exporter does."""
    return right_matmul("linear_matmul", [], "onnx::MatMul_7", [tensor("onnx::MatMul_7", transposed_weight())])


def linear_matmul_transpose() -> onnx.ModelProto:
    """Multiply by the result of a Transpose node."""
    node = helper.make_node("Transpose", ["fc.weight"], ["fc.weight_t"], "/fc/Transpose", perm=[1, 0])
    return right_matmul("linear_matmul_transpose", [node], "fc.weight_t", [tensor("fc.weight", linear_weight())])


def linear_matmul_constant() -> onnx.ModelProto:
    """Multiply by a Constant node."""
    payload = tensor("", transposed_weight())
    node = helper.make_node("Constant", [], ["fc.weight"], "/fc/Constant", value=payload)
    return right_matmul("linear_matmul_constant", [node], "fc.weight", [])


def linear_matmul_identity() -> onnx.ModelProto:
    """Multiply by an initializer that passes two Identity nodes."""
    nodes = [
        helper.make_node("Identity", ["shared.weight"], ["alias"], "/Identity"),
        helper.make_node("Identity", ["alias"], ["fc.weight"], "/Identity_1"),
    ]
    return right_matmul("linear_matmul_identity", nodes, "fc.weight", [tensor("shared.weight", transposed_weight())])


def linear_matmul_left() -> onnx.ModelProto:
    """Multiply a column of inputs from the left: W @ x + b."""
    nodes = [
        helper.make_node("MatMul", ["fc.weight", "x"], ["product"], "/fc/MatMul"),
        helper.make_node("Add", ["product", "fc.bias"], ["y"], "/fc/Add"),
    ]
    weights = [tensor("fc.weight", linear_weight()), tensor("fc.bias", linear_bias()[:, None])]
    return model("linear_matmul_left", nodes, [value("x", (IN, "n"))], [value("y", (OUT, "n"))], weights)


def convolution(
    name: str, shape: tuple[int, ...], channels: tuple[int, int], *, op: str = "Conv", group: int = 1
) -> onnx.ModelProto:
    """Build one convolution of the given weight shape and (input, output) channels."""
    spatial = ("h", "w", "d")[: len(shape) - 2]
    outer = tuple(f"{axis}_out" for axis in spatial)
    node = helper.make_node(op, ["x", "conv.weight"], ["y"], "/conv/Conv", group=group)
    weights = [tensor("conv.weight", heavy_tailed(sum(shape) + group, shape))]
    inputs = [value("x", ("n", channels[0], *spatial))]
    return model(name, [node], inputs, [value("y", ("n", channels[1], *outer))], weights)


def unhealthy() -> onnx.ModelProto:
    """Put a healthy layer beside layers that cannot be analysed in full, all fed by the same inputs."""
    broken = heavy_tailed(12, (64, 64))
    broken[5, 7] = np.nan
    column = np.arange(1, 65, dtype=np.float32)[:, None]
    row = np.arange(65, 1, -1, dtype=np.float32)[None, :]
    layers = {
        "healthy": heavy_tailed(11, (64, 64)),
        "nan": broken,
        "zero": np.zeros((64, 64), dtype=np.float32),
        "rank_one": column * row / np.float32(1024),
        "small": heavy_tailed(13, (64, 12)),
        "tiny": heavy_tailed(14, (3, 3)),
    }
    nodes, outputs, weights = [], [], []
    for name, array in layers.items():
        source = "x3" if name == "tiny" else "x"
        nodes.append(helper.make_node("MatMul", [source, f"{name}.weight"], [f"{name}_out"], f"/{name}/MatMul"))
        outputs.append(value(f"{name}_out", ("n", array.shape[1])))
        weights.append(tensor(f"{name}.weight", array))
    return model("unhealthy", nodes, [value("x", ("n", 64)), value("x3", ("n", 3))], outputs, weights)


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "linear_gemm": linear_gemm,
    "linear_gemm_graph_input": linear_gemm_graph_input,
    "linear_matmul": linear_matmul,
    "linear_matmul_transpose": linear_matmul_transpose,
    "linear_matmul_constant": linear_matmul_constant,
    "linear_matmul_identity": linear_matmul_identity,
    "linear_matmul_left": linear_matmul_left,
    "conv1d": lambda: convolution("conv1d", (24, 16, 5), (16, 24)),
    "conv2d": lambda: convolution("conv2d", (16, 12, 3, 3), (12, 16)),
    "conv3d": lambda: convolution("conv3d", (8, 6, 3, 3, 3), (6, 8)),
    "conv_grouped": lambda: convolution("conv_grouped", (32, 12, 3, 3), (24, 32), group=2),
    "conv_depthwise": lambda: convolution("conv_depthwise", (32, 1, 3, 3), (32, 32), group=32),
    "conv_transpose": lambda: convolution("conv_transpose", (12, 20, 3, 3), (12, 20), op="ConvTranspose"),
    "unhealthy": unhealthy,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the small synthetic models of fixtures/models.")
    parser.add_argument("--out", type=Path, default=FIXTURES, help="folder of the models")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in MODELS.items():
        (folder / f"{name}.onnx").write_bytes(build().SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
