"""Make a folder of small models, no two alike, with some files among them that are none.

python tools/make_fleet.py FOLDER [--models 100] [--broken 2]    the same files for the same numbers
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model(seed: int) -> onnx.ModelProto:
    """Make two to five dense layers of 60 to 250 units, of noise, of noise with strong directions, or heavy-tailed."""
    random = np.random.default_rng(seed)
    sides = random.integers(60, 250, random.integers(3, 7))
    nodes, weights = [], []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sides)):
        weight = random.standard_normal((outputs, inputs))
        if seed % 3 == 1:
            weight += 0.4 * random.standard_normal((outputs, 3)) @ random.standard_normal((3, inputs))
        elif seed % 3 == 2:
            weight *= random.pareto(2.0, (outputs, 1)) ** 0.5
        weights.append(numpy_helper.from_array((weight / np.sqrt(inputs)).astype(np.float32), f"fc{i}.weight"))
        nodes.append(helper.make_node("Gemm", [f"x{i}", f"fc{i}.weight"], [f"x{i + 1}"], f"fc{i}", transB=1))
    ends = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, None) for i in (0, len(nodes))]
    graph = helper.make_graph(nodes, f"model {seed}", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--broken", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(options.models):
        onnx.save(model(seed), options.folder / f"model-{seed:03d}.onnx")
    for number in range(options.broken):
        whole = model(number).SerializeToString()
        (options.folder / f"broken-{number}.onnx").write_bytes(whole[: len(whole) // 2])


if __name__ == "__main__":
    main()
