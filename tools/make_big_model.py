"""Write models of any size without holding them in memory.

    python tools/make_big_model.py embedded OUT.onnx [--gib 1] [--seed N]     one file, weights embedded
    python tools/make_big_model.py external OUT.onnx [--gib 8] [--seed N]     OUT.onnx plus the sparse OUT.onnx.data

A chain of MatMul layers on square float32 weights of equal size, after one small layer (/small/MatMul, 512 x 768).
The small layer is full; every other one has seeded non-zero rows, spread over the matrix, and zero pages between
them, which a file system with sparse files does not store. The protobuf framing is written by hand because
protobuf refuses messages of 2 GiB and more; everything else is ordinary ONNX.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_IN, SMALL_OUT = 512, 768
MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA = 7, 5, 9
"""Field numbers in onnx.proto."""
LENGTH_DELIMITED = 2
FULL_ROWS = 192
"""Rows of a large layer that hold numbers."""
PAGE = 4096


@dataclass(frozen=True)
class Weight:
    """One float32 weight whose rows are made on demand."""

    name: str
    node: str
    rows: int
    columns: int
    seed: int

    @property
    def nbytes(self) -> int:
        """Bytes of the payload."""
        return 4 * self.rows * self.columns

    def full_rows(self) -> npt.NDArray[np.int64]:
        """Give the rows that hold numbers: all, or FULL_ROWS of them evenly spread."""
        count = self.rows if self.rows == SMALL_IN else min(FULL_ROWS, self.rows)
        return np.arange(count, dtype=np.int64) * self.rows // count

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield (byte offset, row) for the rows that hold numbers: Gaussian, times scales with a heavy tail."""
        rng = np.random.default_rng(self.seed)
        for row in self.full_rows():
            scale = 0.02 / np.sqrt(rng.random() + 1e-3)
            values = (scale * rng.standard_normal(self.columns)).astype("<f4")
            yield 4 * self.columns * int(row), values.tobytes()


def plan(total_bytes: int, seed: int, width: int | None = None) -> list[Weight]:
    """Choose one small layer, an adapter and as many square layers as reach the size."""
    small = Weight("small.weight", "/small/MatMul", SMALL_IN, SMALL_OUT, seed)
    width = width or (4096 if total_bytes < 8 * 2**30 else 16384)
    adapter = Weight("adapter.weight", "/adapter/MatMul", SMALL_OUT, width, seed + 1)
    square = 4 * width * width
    count = max(1, -(-(total_bytes - small.nbytes - adapter.nbytes) // square))
    layers = [Weight(f"layer.{i}.weight", f"/layer.{i}/MatMul", width, width, seed + 2 + i) for i in range(count)]
    return [small, adapter, *layers]


def varint(number: int) -> bytes:
    """Encode a protobuf varint."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field_header(number: int, length: int) -> bytes:
    """Encode the tag and length of a length-delimited field."""
    return varint(number << 3 | LENGTH_DELIMITED) + varint(length)


def skeleton(weights: list[Weight]) -> onnx.ModelProto:
    """Build the model without its initializers."""
    nodes, source = [], "x"
    for weight in weights:
        target = "y" if weight is weights[-1] else f"{weight.node}_output_0"
        nodes.append(helper.make_node("MatMul", [source, weight.name], [target], weight.node))
        source = target
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights[0].rows])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weights[-1].columns])]
    graph = helper.make_graph(nodes, "big", inputs, outputs)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="onnxspec-tools")


def describe(weight: Weight) -> onnx.TensorProto:
    """Build a weight's tensor without its payload."""
    return TensorProto(name=weight.name, data_type=TensorProto.FLOAT, dims=[weight.rows, weight.columns])


def write_payload(stream: BinaryIO, weight: Weight, start: int) -> None:
    """Write the full rows at their places behind start; the gaps stay holes."""
    for offset, row in weight.blocks():
        stream.seek(start + offset)
        stream.write(row)


def write_embedded(path: Path, weights: list[Weight]) -> None:
    """Stream a model with raw_data payloads; sizes are known beforehand, so that nothing is buffered."""
    model = skeleton(weights)
    graph_head = model.graph.SerializeToString(deterministic=True)
    model.ClearField("graph")
    model_head = model.SerializeToString(deterministic=True)
    frames = []
    for weight in weights:
        tensor_head = describe(weight).SerializeToString() + field_header(TENSOR_RAW_DATA, weight.nbytes)
        frames.append(field_header(GRAPH_INITIALIZER, len(tensor_head) + weight.nbytes) + tensor_head)
    graph_bytes = len(graph_head) + sum(len(frame) + w.nbytes for frame, w in zip(frames, weights, strict=True))
    with path.open("wb") as stream:
        stream.write(model_head + field_header(MODEL_GRAPH, graph_bytes) + graph_head)
        for frame, weight in zip(frames, weights, strict=True):
            stream.write(frame)
            start = stream.tell()
            write_payload(stream, weight, start)
            stream.truncate(start + weight.nbytes)
            stream.seek(start + weight.nbytes)


def write_external(path: Path, weights: list[Weight]) -> None:
    """Write a model whose payloads lie, page-aligned, in a sparse file beside it."""
    side = path.with_name(path.name + ".data")
    model = skeleton(weights)
    offset = 0
    with side.open("wb") as stream:
        for weight in weights:
            tensor = describe(weight)
            tensor.data_location = TensorProto.EXTERNAL
            for key, text in (("location", side.name), ("offset", str(offset)), ("length", str(weight.nbytes))):
                tensor.external_data.add(key=key, value=text)
            model.graph.initializer.append(tensor)
            write_payload(stream, weight, offset)
            offset += -(-weight.nbytes // PAGE) * PAGE
        stream.truncate(offset)
    path.write_bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a large ONNX model without holding it in memory.")
    parser.add_argument("form", choices=["embedded", "external"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--gib", type=float, default=1.0, help="at least this many GiB of weights (default 1)")
    parser.add_argument("--width", type=int, help="side of the large layers (default 4096, 16384 from 8 GiB on)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    weights = plan(int(options.gib * 2**30), options.seed, options.width)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write = write_embedded if options.form == "embedded" else write_external
    write(options.out, weights)
    side = options.out.with_name(options.out.name + ".data")
    for path in [options.out] + [side] * (options.form == "external"):
        facts = os.stat(path)  # noqa: PTH116
        print(f"{path}: {facts.st_size} bytes, {512 * facts.st_blocks} stored, {len(weights)} layers")


if __name__ == "__main__":
    main()
