"""How much faster two jobs are than one, in wall time, and whether they give the same bytes.

python tools/bench/scaling.py [MODEL.onnx] [--results FILE]    needs two idle cores to say anything
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from measure import CACHE, ROOT
from models import models

RESULTS = ROOT / "docs" / "performance.json"
RUNS = 5


def main() -> None:
    """Time the engine's phase (open, survey, layers, report) with 1 and 2 jobs, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=str(models()[0].file))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))
    sys.path.insert(0, str(ROOT))
    import onnxspec

    found: dict[str, Any] = {}
    for effort in ("fast", "standard"):
        load = os.getloadavg()[0]
        onnxspec.analyze(options.model, effort=effort, jobs=2)
        times: dict[int, list[float]] = {1: [], 2: []}
        texts = set()
        for _ in range(RUNS):
            for jobs, kept in times.items():
                before = time.perf_counter()
                report = onnxspec.analyze(options.model, effort=effort, jobs=jobs)
                kept.append(time.perf_counter() - before)
                texts.add(report.to_json())
        texts.add(onnxspec.analyze(options.model, effort=effort, jobs=4).to_json())
        if len(texts) != 1:
            raise SystemExit("1, 2 and 4 jobs give different reports")
        wall = [statistics.median(kept) for kept in times.values()]
        least = [min(kept) for kept in times.values()]
        name = f"{Path(options.model).stem}, {effort}"
        found[name] = {"wall": wall, "least": least, "ratio": wall[0] / wall[1], "load": load}
        print(name, found[name], flush=True)
    results = json.loads(options.results.read_text()) if options.results.exists() else {"models": {}, "fits": {}}
    results.setdefault("scaling", {}).update(found)
    options.results.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
