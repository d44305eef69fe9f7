"""Measure onnxspec against the floor and its peers; write docs/performance.json and the tables of its page.

    python tools/bench/run.py [--runs 5] [--only NAME]... [--weightwatcher PYTHON] [--diffract PYTHON]
                              [--fits TOOL=PYTHON]... [--skip-slow] [--tables-only] [--results FILE]

CPU seconds of whole processes (user and system, by wait4), one BLAS thread, one job, warm caches, a
temporary model excluded. The commands of one model are run in turn and the medians are compared, so
that a busy machine hits all of them alike. What a peer needs lies in an environment of its own; a peer
that is not given is left as it was measured before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from measure import CACHE, ROOT, Cost, onnxspec, run
from models import Model, models, save_weights
from tables import write_tables

HERE = Path(__file__).resolve().parent
RESULTS = ROOT / "docs" / "performance.json"
SLOW = {"all-MiniLM-L6-v2": 1, "dense 4096 x 4096": 1}
"""Models that WeightWatcher analyses with mp_fit and randomize, and how often: it takes minutes."""


def medians(costs: list[Cost]) -> dict[str, Any]:
    """Give median, spread and number of runs."""
    cpu = [cost.cpu for cost in costs]
    return {
        "cpu": round(statistics.median(cpu), 3),
        "least": round(min(cpu), 3),
        "most": round(max(cpu), 3),
        "runs": len(cpu),
        "peak_mb": round(max(cost.peak for cost in costs), 1),
    }


DENSE = frozenset({"all-MiniLM-L6-v2", "4 dense of 1024 x 4096", "dense 4096 x 4096"})
"""Models of matrices alone, which diffract-core takes."""


def of_model(model: Model, runs: int, peer: str | None, diffract: str | None, *, slow: bool) -> dict[str, Any]:
    """Measure one model: floor, both efforts, WeightWatcher and diffract-core in turn."""
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "weights.npz")
        save_weights(model.file, Path(weights))
        target = str(Path(folder) / "report.json")
        file = str(model.file)
        commands: dict[str, Callable[[], Cost]] = {
            "floor": lambda: run([sys.executable, str(HERE / "floor.py"), weights]),
            "fast": lambda: onnxspec("--effort", "fast", "--jobs", "1", file, "-o", target),
            "standard": lambda: onnxspec("--effort", "standard", "--jobs", "1", file, "-o", target),
        }
        often = dict.fromkeys(commands, runs)
        if peer is not None:
            script = str(HERE / "weightwatcher_peer.py")
            commands["weightwatcher"] = lambda: run([peer, script, weights])
            often["weightwatcher"] = runs if slow else 1
            if slow and model.name in SLOW:
                commands["weightwatcher full"] = lambda: run([peer, script, weights, "full"])
                often["weightwatcher full"] = SLOW[model.name]
        if diffract is not None and model.name in DENSE:
            commands["diffract-core"] = lambda: run([diffract, str(HERE / "diffract_peer.py"), weights])
            often["diffract-core"] = min(runs, 3)
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        commands["fast"](), commands["standard"]()  # warm the caches
        for number in range(runs):
            for name, command in commands.items():
                if number < often[name]:
                    costs[name].append(command())
        found = {name: medians(each) for name, each in costs.items()}
        if "weightwatcher" in found:
            found["weightwatcher"]["analysed"] = int(costs["weightwatcher"][0].output.split()[-1])
    return {"bytes": model.file.stat().st_size, "load": os.getloadavg()[0], **found}


def main() -> None:
    """Measure what was asked for, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", action="append")
    parser.add_argument("--weightwatcher", metavar="PYTHON")
    parser.add_argument("--diffract", metavar="PYTHON")
    parser.add_argument("--fits", metavar="TOOL=PYTHON", action="append", default=[])
    parser.add_argument("--skip-slow", action="store_true")
    parser.add_argument("--tables-only", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    results: dict[str, Any] = (
        json.loads(options.results.read_text()) if options.results.exists() else {"models": {}, "fits": {}}
    )
    if not options.tables_only:
        measure(options, results)
    if options.results == RESULTS:
        write_tables(results, ROOT / "docs" / "performance.md")


def measure(options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Run everything, and keep what is done after each step."""
    sys.path.insert(0, str(ROOT))
    CACHE.mkdir(parents=True, exist_ok=True)
    results["machine"] = machine()

    def keep() -> None:
        options.results.write_text(json.dumps(results, indent=1) + "\n")

    for model in models():
        if options.only and model.name not in options.only:
            continue
        if not model.ready():
            print(f"{model.name}: not there ({model.note})", file=sys.stderr)
            continue
        found = of_model(model, options.runs, options.weightwatcher, options.diffract, slow=not options.skip_slow)
        results["models"].setdefault(model.name, {}).update(found)
        keep()
        print(model.name, {k: v["cpu"] for k, v in found.items() if isinstance(v, dict)}, flush=True)
    if not options.only or "slices" in options.only:
        found = json.loads(run([sys.executable, str(HERE / "slices.py")], extra={"PYTHONPATH": str(ROOT)}).output)
        ratio = statistics.median(a / b for a, b in zip(found["onnxspec"], found["bare loop"]))
        results["slices"] = {**found, "ratio": round(ratio, 3), "load": os.getloadavg()[0]}
        keep()
    for entry in [f"onnxspec={sys.executable}", *options.fits]:
        tool, _, python = entry.partition("=")
        if not options.only or "fits" in options.only:
            command = [python, str(HERE / "fit_peer.py"), tool]
            extra = {"PYTHONPATH": str(ROOT)} if tool == "onnxspec" else {}
            results["fits"][tool] = json.loads(run(command, extra=extra).output)
            keep()


def machine() -> dict[str, Any]:
    """Describe the machine and the versions."""
    import numba
    import numpy
    import scipy

    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    return {
        "cpu": cpu or platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "date": date.today().isoformat(),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    main()
