"""Peak memory on models far larger than what is held: one of 10 GiB with external data, one tall embedding.

python tools/bench/memory.py [--results FILE]    adds to docs/performance.json (tables: run.py --tables-only)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from measure import CACHE, ROOT, onnxspec

RESULTS = ROOT / "docs" / "performance.json"
TALL = (250_000, 768)
BASE, FACTOR = 220.0, 2.2


def bar(rows: int, columns: int) -> float:
    """Give 220 MB + 2.2 Gram matrices + one slab in float64."""
    sys.path.insert(0, str(ROOT))
    from onnxspec.spectra.slabs import slab_rows

    side = min(rows, columns)
    slab = 8 * side * min(slab_rows(side), max(rows, columns))
    return BASE + (FACTOR * 8 * side * side + slab) / 1e6


def ten_gib() -> Path:
    """Make the 10 GiB model: a sparse file beside the graph."""
    path = CACHE / "ten-gib.onnx"
    if not path.exists():
        maker = str(ROOT / "tools" / "make_big_model.py")
        subprocess.run([sys.executable, maker, "external", str(path), "--gib", "10"], check=True)
    return path


def tall() -> Path:
    """Make the model with one tall embedding."""
    import numpy as np
    from onnx import TensorProto, helper

    path = CACHE / "tall.onnx"
    if path.exists():
        return path
    rows, columns = TALL
    side = path.with_name("tall.data")
    random = np.random.default_rng(5)
    with side.open("wb") as stream:
        for _ in range(0, rows, 10_000):
            block = random.standard_normal((10_000, columns)) * random.pareto(3.0, (10_000, 1)) ** 0.5
            stream.write(block.astype("<f4").tobytes())
    tensor = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=TALL, data_location=TensorProto.EXTERNAL)
    for key, text in (("location", side.name), ("offset", "0"), ("length", str(4 * rows * columns))):
        tensor.external_data.add(key=key, value=text)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"], "embedding")],
        "tall",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
    )
    graph.initializer.append(tensor)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())
    return path


def main() -> None:
    """Measure, and add to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    target = str(CACHE / "memory.json")
    for name, path, effort, shape in (
        ("10 GiB external data, 16384 x 16384 skipped at --max-memory 1G, fast", ten_gib(), "fast", (16384, 768)),
        ("embedding 250,000 x 768, fast", tall(), "fast", TALL),
        ("embedding 250,000 x 768, standard", tall(), "standard", TALL),
    ):
        cost = onnxspec("--effort", effort, "--jobs", "1", "--max-memory", "1G", str(path), "-o", target)
        report = json.loads(Path(target).read_text())
        analysed = sum(layer["status"] == "ok" for layer in report["layers"])
        limit = f"{bar(*shape):.0f}" + (" (and 400)" if shape == TALL else "")
        found[name] = {"peak_mb": cost.peak, "cpu": cost.cpu, "bar": limit, "analysed": analysed}
        print(name, found[name], flush=True)
    results = json.loads(options.results.read_text()) if options.results.exists() else {"models": {}, "fits": {}}
    results["memory"] = found
    options.results.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
