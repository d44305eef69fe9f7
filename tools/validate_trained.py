"""Check the trained verdict: false alarms on random layers, and what it says of trained ones.

Usage: python tools/validate_trained.py [--quick] [--full] [MODEL...]

MODEL is a .safetensors or an .onnx file; of an ONNX file every initializer with two or
more axes is read, convolutions unfolded to C_out x C_in*k. Without MODEL only the
random layers are drawn: 2,000 in six shapes, and 1,500 with 10, 16 and 32 columns.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from onnxspec.diagnosis.multiple_tests import benjamini_hochberg
from onnxspec.diagnosis.noise_parts import eigenvalues
from onnxspec.diagnosis.trained import Trained, trained_verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SHAPES = ((64, 64), (256, 128), (300, 300), (600, 300), (512, 512), (4096, 384))
SMALL = ((10, 10), (64, 10), (16, 16), (144, 16), (32, 32), (288, 32))
KINDS = ("gaussian", "uniform", "truncated")
OTHER = ("laplace", "t3", "int8", "pruned")


def noise(rng: np.random.Generator, kind: str, N: int, M: int) -> Array:
    """Draw one random layer."""
    if kind == "uniform":
        return rng.uniform(-1.0, 1.0, (N, M))
    if kind == "laplace":
        return rng.laplace(size=(N, M))
    if kind == "t3":
        return rng.standard_t(3.0, (N, M))
    W = rng.standard_normal((N, M))
    if kind == "truncated":
        while (far := np.abs(W) > 2.0).any():
            W[far] = rng.standard_normal(int(far.sum()))
    if kind == "int8":
        step = np.abs(W).max() / 127.0
        W = np.rint(W / step) * step
    if kind == "pruned":
        W *= rng.uniform(size=(N, M)) < 0.5
    return W


def false_alarms(
    rng: np.random.Generator, kinds: tuple[str, ...], shapes: tuple[tuple[int, int], ...], draws: int
) -> None:
    """Print the share of random layers below each level."""
    everything: list[float] = []
    print("| entries | " + " | ".join(f"{N}x{M}" for N, M in shapes) + " | all | p < 0.05 | p < 0.001 |")
    print("|---" * (len(shapes) + 4) + "|")
    for kind in kinds:
        p = [[trained_verdict(noise(rng, kind, *shape)).p_value or 0.0 for _ in range(draws)] for shape in shapes]
        row = np.array(p)
        everything += row.ravel().tolist()
        cells = " | ".join(f"{100.0 * float((x < 0.01).mean()):.1f} %" for x in [*row, row.ravel()])
        tails = f"{100 * (row < 0.05).mean():.1f} % | {100 * (row < 0.001).mean():.2f} %"
        print(f"| {kind} | {cells} | {tails} |", flush=True)
    p_all = np.array(everything)
    shares = ", ".join(f"{100.0 * float((p_all < x).mean()):.2f} % below {x}" for x in (0.05, 0.01, 0.001))
    print(f"{p_all.size} random layers: {shares}\n")


def read(path: Path) -> Iterator[tuple[str, Array]]:
    """Read the matrices of a model."""
    if path.suffix == ".safetensors":
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        for name, info in json.loads(data[8 : 8 + length]).items():
            if name != "__metadata__" and info["dtype"] == "F32" and len(info["shape"]) > 1:
                first, last = (8 + length + at for at in info["data_offsets"])
                yield name, np.frombuffer(data[first:last], np.float32).reshape(info["shape"]).astype(np.float64)
        return
    import onnx

    for tensor in onnx.load(path).graph.initializer:
        if len(tensor.dims) > 1 and tensor.data_type == onnx.TensorProto.FLOAT:
            yield tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float64)


def model(path: Path, effort: Literal["standard", "full"]) -> None:
    """Print the verdict of each layer of a model."""
    rows: list[tuple[str, Array, Trained]] = []
    spent = 0.0
    for name, array in read(path):
        W = array.reshape(array.shape[0], -1)
        if max(W.shape) > 20000:
            continue
        lam = eigenvalues(W)
        start = time.process_time()
        rows.append((name, W, trained_verdict(W, lam, effort=effort, seed=len(rows))))
        spent += time.process_time() - start
    adjusted = benjamini_hochberg([row[2].p_value for row in rows])
    print(f"## {path.name}: {len(rows)} matrices, effort {effort}, {spent:.2f} s CPU\n")
    print("| layer | shape | verdict | p | adjusted | smallest part | row-norm CV / noise | permutations |")
    print("|---" * 8 + "|")
    for (name, W, result), q in zip(rows, adjusted, strict=True):
        if result.verdict is None or q is None:
            print(f"| {name} | {W.shape[0]}x{W.shape[1]} | {result.reason} | | | | | |")
            continue
        parts = [part for part in result.parts if part.p_value is not None]
        best = min(parts, key=lambda part: part.p_value if part.p_value is not None else 1.0)
        print(
            f"| {name} | {W.shape[0]}x{W.shape[1]} | {result.verdict} | {result.p_value:.2g} | {q:.2g} | {best.name} "
            f"{best.score:.1f} | {result.row_norm_cv:.4f} / {result.row_norm_cv_noise:.4f} | {result.permutations} |"
        )
    print()


def main(arguments: list[str]) -> None:
    options = {a for a in arguments if a.startswith("--")}
    paths = [Path(a) for a in arguments if not a.startswith("--")]
    if not paths:
        rng = np.random.default_rng(20250301)
        draws = 10 if "--quick" in options else 112
        false_alarms(rng, KINDS, SHAPES, draws)
        false_alarms(rng, KINDS, SMALL, draws)
        false_alarms(rng, OTHER, ((16, 16), (64, 64), (256, 128), (300, 300)), draws)
    for path in paths:
        model(path, "full" if "--full" in options else "standard")


if __name__ == "__main__":
    main(sys.argv[1:])
