"""Make changed copies of an ONNX model, each with one known change to some of its layers.

    python tools/export_minilm.py
    python tools/make_pairs.py [--model FILE] [--out FOLDER] [--seed N]

Writes KIND.onnx for every kind, KIND.renamed.onnx with every tensor, value and node renamed at random, and
manifest.json: for each file the verdict that each touched tensor should get, and the new names.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pair_kinds as kinds
from fetch_models import cache_folder
from onnx import numpy_helper
from onnx_graph import write_atomically

MIN_SIDE = 16


class Weights:
    """The two-axis weights of MatMul and Gemm in a model, as (outputs, inputs)."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self.turned: dict[str, bool] = {}
        for node in model.graph.node:
            if node.op_type not in ("MatMul", "Gemm") or len(node.input) < 2 or node.input[1] not in self._tensors:
                continue
            tensor = self._tensors[node.input[1]]
            if len(tensor.dims) == 2 and min(tensor.dims) >= MIN_SIDE:
                trans = any(a.name == "transB" and a.i for a in node.attribute)
                self.turned[tensor.name] = not trans
        self.names = list(self.turned)

    def get(self, name: str) -> kinds.Array:
        """Give a weight as (outputs, inputs)."""
        array = numpy_helper.to_array(self._tensors[name])
        return np.array(array.T if self.turned[name] else array)

    def put(self, name: str, values: kinds.Array) -> None:
        """Store a weight."""
        stored = np.ascontiguousarray(values.T if self.turned[name] else values, np.float32)
        self._tensors[name].CopyFrom(numpy_helper.from_array(stored, name))

    def other(self, shape: tuple[int, int], rng: np.random.Generator) -> kinds.Array:
        """Give trained values that have nothing to do with the weights: rows of the largest table, else made ones."""
        tables = [numpy_helper.to_array(t) for t in self._tensors.values() if len(t.dims) == 2]
        table = max(tables, key=lambda array: array.size)
        if table.shape[1] < min(shape) or table.shape[0] < 4 * max(shape):
            return kinds.structured(shape, rng)
        start = int(rng.integers(table.shape[0] - max(shape)))
        part = table[start : start + max(shape), : min(shape)]
        return np.asarray(part if shape[0] >= shape[1] else part.T, np.float32)


def one_nan(w: kinds.Array, rng: np.random.Generator) -> kinds.Array:
    out = w.copy()
    out.flat[int(rng.integers(w.size))] = np.nan
    return out


KINDS: dict[str, tuple[str, kinds.Kind]] = {
    "lora8": ("low_rank_update", lambda w, rng: kinds.merged_lora(w, rng, 8, 0.05)),
    "sparse1": ("sparse_update", lambda w, rng: kinds.bumps(w, rng, 0.01)),
    "int8": ("rounding", lambda w, _: kinds.round_trip(w, 8)),
    "int4": ("rounding", lambda w, _: kinds.round_trip(w, 4, block=32 if w.shape[1] % 32 == 0 else None)),
    "fp16": ("cast", lambda w, _: kinds.single(w.astype(np.float16))),
    "fine_tune": ("dense_fine_tune", lambda w, rng: kinds.fine_tune(w, rng, 0.02)),
    "reinit": ("reinitialised", kinds.reinitialised),
    "nan": ("not_finite", one_nan),
}


def permute_neurons(weights: Weights, rng: np.random.Generator, touched: dict[str, str]) -> None:
    """Permute the hidden neurons between consecutive layers of many outputs and as many inputs, biases included."""
    graph = weights.model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for first, second in zip(weights.names, weights.names[1:]):
        hidden = weights.get(first).shape[0]
        if weights.get(second).shape[1] != hidden or hidden <= weights.get(first).shape[1] or rng.random() < 0.3:
            continue
        order = rng.permutation(hidden)
        product = next(node.output[0] for node in graph.node if first in node.input)
        bias = next((n for node in graph.node if product in node.input for n in node.input if n in tensors), None)
        weights.put(first, weights.get(first)[order])
        weights.put(second, weights.get(second)[:, order])
        if bias is not None and list(tensors[bias].dims) == [hidden]:
            tensors[bias].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensors[bias])[order], bias))
        touched |= {first: "permuted", second: "permuted"}


def rename(model: onnx.ModelProto, rng: np.random.Generator) -> dict[str, str]:
    """Give every node, value and initializer another name; inputs and outputs of the model keep theirs."""
    graph = model.graph
    fixed = {value.name for value in (*graph.input, *graph.output)}
    values = dict.fromkeys(n for node in graph.node for n in (*node.input, *node.output) if n and n not in fixed)
    values |= dict.fromkeys(tensor.name for tensor in graph.initializer if tensor.name not in fixed)
    numbers = rng.permutation(len(values))
    new = {name: f"v{number:06d}" for name, number in zip(values, numbers)}
    for node, number in zip(graph.node, rng.permutation(len(graph.node))):
        node.name = f"n{number:06d}"
        for names in (node.input, node.output):
            names[:] = [new.get(name, name) for name in names]
    for tensor in graph.initializer:
        tensor.name = new.get(tensor.name, tensor.name)
    del graph.value_info[:]
    return new


def make(model: Path, out: Path, seed: int) -> dict[str, Any]:
    """Write all pairs and give the manifest."""
    manifest: dict[str, Any] = {"model": str(model), "seed": seed, "files": {}}
    blob = model.read_bytes()
    changes: list[tuple[str, Callable[[Weights, np.random.Generator, dict[str, str]], None]]] = [
        *((name, _changer(verdict, change)) for name, (verdict, change) in KINDS.items()),
        ("unrelated", _unrelated),
        ("permuted", permute_neurons),
        ("int8_all", _all_int8),
    ]
    for number, (name, change) in enumerate(changes):
        rng = np.random.default_rng([seed, number])
        changed = onnx.load_from_string(blob)
        touched: dict[str, str] = {}
        change(Weights(changed), rng, touched)
        write_atomically(out / f"{name}.onnx", changed.SerializeToString())
        names = rename(changed, rng)
        write_atomically(out / f"{name}.renamed.onnx", changed.SerializeToString())
        manifest["files"][name] = {"touched": touched, "names": names}
    write_atomically(out / "manifest.json", json.dumps(manifest, indent=1).encode())
    return manifest


def _some(weights: Weights, rng: np.random.Generator) -> list[str]:
    """Choose a third of the layers."""
    count = max(1, len(weights.names) // 3)
    return [weights.names[i] for i in sorted(rng.permutation(len(weights.names))[:count])]


def _changer(verdict: str, change: kinds.Kind) -> Callable[[Weights, np.random.Generator, dict[str, str]], None]:
    def apply(weights: Weights, rng: np.random.Generator, touched: dict[str, str]) -> None:
        for name in _some(weights, rng):
            weights.put(name, change(weights.get(name), rng))
            touched[name] = verdict

    return apply


def _unrelated(weights: Weights, rng: np.random.Generator, touched: dict[str, str]) -> None:
    for name in _some(weights, rng):
        weights.put(name, weights.other(weights.get(name).shape, rng))
        touched[name] = "unrelated"


def _all_int8(weights: Weights, rng: np.random.Generator, touched: dict[str, str]) -> None:
    """Round every weight of two axes, tables too."""
    del rng
    for tensor in weights.model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim == 2 and array.dtype == np.float32 and array.size >= 64:
            tensor.CopyFrom(numpy_helper.from_array(kinds.round_trip(array, 8), tensor.name))
            touched[tensor.name] = "rounding"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=8)
    arguments = parser.parse_args()
    model = arguments.model or cache_folder() / "all-MiniLM-L6-v2.onnx"
    manifest = make(model, arguments.out or cache_folder() / "pairs", arguments.seed)
    for name, row in manifest["files"].items():
        print(f"{name}: {len(row['touched'])} layers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
