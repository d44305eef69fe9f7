"""What the experiments share, as far as it needs no torch: resumption, tables, averages."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "tools" / "experiments"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(EXPERIMENTS), *sys.path])
    return importlib.import_module


def test_a_finished_run_is_used_while_its_recipe_is_the_same(module, tmp_path: Path) -> None:
    lab = module("lab").Lab("demo", "", ["--work", str(tmp_path)])
    calls: list[Path] = []

    def compute(place: Path) -> dict[str, Any]:
        calls.append(place)
        return {"rows": [len(calls)]}

    first = lab.once("a", {"seed": 1}, compute)
    assert lab.once("a", {"seed": 1}, compute) == first
    assert len(calls) == 1
    assert lab.once("a", {"seed": 2}, compute)["rows"] == [2]
    kept = json.loads((tmp_path / "full" / "demo" / "a" / "run.json").read_text())
    assert kept == {"rows": [2], "recipe": {"seed": 2}}


def test_an_interrupted_run_leaves_no_result(module, tmp_path: Path) -> None:
    lab = module("lab").Lab("demo", "", ["--work", str(tmp_path)])

    def fail(place: Path) -> dict[str, Any]:
        raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        lab.once("a", {}, fail)
    assert lab.once("a", {}, lambda place: {"rows": []})["rows"] == []


def test_the_limit_counts_new_runs_only(module, tmp_path: Path) -> None:
    make = module("lab").Lab
    lab = make("demo", "", ["--work", str(tmp_path), "--limit", "1"])
    assert lab.once("a", {}, lambda place: {}) is not None
    assert lab.once("b", {}, lambda place: {}) is None
    assert lab.once("a", {}, lambda place: {}) is not None


def test_a_quick_run_never_writes_over_the_results(module, tmp_path: Path) -> None:
    common = module("lab")
    lab = common.Lab("demo", "", ["--quick", "--work", str(tmp_path)])
    lab.csv([{"a": 1.23456789, "b": None}])
    lab.markdown("## Demo")
    assert (tmp_path / "quick" / "results" / "demo.csv").read_text() == "a,b\n1.23457,\n"
    assert "the numbers mean nothing" in (tmp_path / "quick" / "results" / "demo.md").read_text()
    assert common.RESULTS not in lab.results.parents


def test_unknown_values_enter_no_average(module) -> None:
    common = module("lab")
    assert common.mean([1.0, None, 3.0]) == 2.0
    assert common.mean([None]) is None
    assert common.deviation([1.0, None, 3.0]) == pytest.approx(2**0.5)
    assert common.deviation([1.0, None]) is None
    assert common.table([{"x": 0.123456, "y": None}]).splitlines()[-1] == "| 0.1235 | - |"


def test_rank_correlations_are_over_runs_and_over_means(module) -> None:
    rows = [
        {"layer": "FC1", "batch": size, "spikes": spikes, "mp_softrank": None, "stable_rank": 1.0, "test_accuracy": 0.5}
        for size, spikes in ((2, 9), (2, 7), (16, 8), (16, 2), (100, 0), (100, 1))
    ]
    found = {r["metric"]: r for r in module("batch_size").rank_correlations(rows) if r["layer"] == "FC1"}
    assert found["spikes"]["rho, means"] == pytest.approx(-1.0)
    assert -1.0 < found["spikes"]["rho, all runs"] < -0.8
    assert found["mp_softrank"]["rho, means"] is None
    assert found["stable_rank"]["rho, means"] is None


def test_every_experiment_is_run_by_run_all(module) -> None:
    experiments = {path.stem for path in EXPERIMENTS.glob("*.py") if "common.Lab(" in path.read_text(encoding="utf-8")}
    assert set(module("run_all").SCRIPTS) == experiments


def test_torch_stays_out_of_the_package() -> None:
    root = EXPERIMENTS.parents[1]
    assert "torch" not in (root / "pyproject.toml").read_text().split("[tool.")[0]
    assert "torch==2.13.0" in (EXPERIMENTS / "requirements.txt").read_text().splitlines()
    for path in (root / "onnxspec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "torch" for name in names), path
