"""A small model with structured layers, and copies of it with one planted fault each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, np.ndarray]

LAYERS = 10
SIDE = 128


def weights(seed: int = 7) -> Weights:
    """Give layers with a heavy tail, as training leaves them: noise and a power law of directions."""
    rng = np.random.default_rng(seed)
    made = {}
    for number in range(LAYERS):
        noise = rng.normal(size=(SIDE + 32, SIDE))
        left = np.linalg.qr(rng.normal(size=(SIDE + 32, SIDE)))[0]
        right = np.linalg.qr(rng.normal(size=(SIDE, SIDE)))[0]
        values = 60.0 * rng.pareto(1.5, size=SIDE).clip(0.0, 8.0) / 8.0
        made[f"layer{number}"] = ((noise + (left * values) @ right) * 0.05).astype(np.float32)
    return made


def save(made: Weights, path: Path) -> Path:
    """Write one MatMul a layer, side by side."""
    nodes, outputs = [], []
    for name in made:
        nodes.append(helper.make_node("MatMul", ["x", f"{name}.weight"], [f"{name}.y"], name=f"/{name}/MatMul"))
        outputs.append(helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, None))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    stored = [numpy_helper.from_array(array, f"{name}.weight") for name, array in made.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=stored)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(proto.SerializeToString())
    onnx.load(path)
    return path


def random_layer(made: Weights) -> None:
    made["layer4"] = np.random.default_rng(1).normal(0.0, 0.05, made["layer4"].shape).astype(np.float32)


def duplicate(made: Weights) -> None:
    made["layer4"] = made["layer7"].copy()


def zero(made: Weights) -> None:
    made["layer4"] = np.zeros_like(made["layer4"])


def constant(made: Weights) -> None:
    made["layer4"] = np.full_like(made["layer4"], 0.01)


def rank_8(made: Weights) -> None:
    left, values, right = np.linalg.svd(made["layer4"].astype(np.float64), full_matrices=False)
    made["layer4"] = ((left[:, :8] * values[:8]) @ right[:8]).astype(np.float32)


def nan(made: Weights) -> None:
    made["layer4"] = made["layer4"].copy()
    made["layer4"][3, 5] = np.nan


def denormal(made: Weights) -> None:
    made["layer4"] = made["layer4"].copy()
    made["layer4"][:16] = 1e-40


PLANTED: dict[str, tuple[Callable[[Weights], None], str]] = {
    "random": (random_layer, "OS301"),
    "duplicate": (duplicate, "OS206"),
    "zero": (zero, "OS203"),
    "constant": (constant, "OS204"),
    "rank 8": (rank_8, "OS205"),
    "NaN": (nan, "OS201"),
    "denormal": (denormal, "OS202"),
}
