"""Which cores may be used, what a layer needs, and that a budget holds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxspec
from onnxspec.engine import cores
from onnxspec.engine.plan import working_bytes
from onnxspec.settings import Settings
from tests.graph.build import model as build
from tests.graph.build import rng


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/", {"cpu.max": "max 100000\n"}, None),
        ("0::/", {}, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "400000 100000"}, 0.5),
        ("0::/../../x", {"cpu.max": "200000 100000"}, 2.0),
        (
            "4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x",
            {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "300000", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/", {"cpu.max": "lots of it"}, None),
        ("", {"cpu.max": "100000 100000"}, None),
    ],
)
def test_the_quota_of_a_container(own: str, files: dict[str, str], expected: float | None, tmp_path: Path) -> None:
    root = tree(tmp_path / "cgroup", files)
    listing = tmp_path / "own"
    listing.write_text(own)
    (tmp_path / "cgroup").mkdir(exist_ok=True)
    assert cores.quota(root, listing) == expected


def test_usable_cores_respect_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "quota", lambda: None)
    free = cores.usable_cores()
    assert free >= 1
    monkeypatch.setattr(cores, "quota", lambda: 0.2)
    assert cores.usable_cores() == 1
    monkeypatch.setattr(cores, "quota", lambda: 1e6)
    assert cores.usable_cores() == free


def dense(path: Path, shapes: list[tuple[int, int]]) -> Path:
    weights = {f"w{i}": rng(i).standard_normal(shape).astype(np.float32) for i, shape in enumerate(shapes)}
    nodes = [helper.make_node("Gemm", [f"x{i}", f"w{i}"], [f"y{i}"], f"l{i}", transB=1) for i in range(len(shapes))]
    path.write_bytes(build(nodes, weights).SerializeToString())
    return path


def test_a_budget_skips_what_cannot_fit_and_nothing_else(tmp_path: Path) -> None:
    path = dense(tmp_path / "m.onnx", [(300, 200), (900, 800), (100, 90)])
    needs = [working_bytes(weight, Settings()) for weight in onnxspec.iter_weights(path)]
    budget = (needs[0] + needs[1]) // 2
    report = onnxspec.analyze(path, max_memory=budget, jobs=2)
    assert [layer.reason for layer in report.layers] == [None, "memory_limit", None]
    assert [layer.status for layer in report.layers] == ["ok", "skipped", "ok"]
    assert "MiB" in report.layers[1].warnings[0]


def test_a_budget_changes_no_number(tmp_path: Path) -> None:
    path = dense(tmp_path / "m.onnx", [(300, 200), (900, 800), (100, 90), (640, 64)])
    most = max(working_bytes(weight, Settings()) for weight in onnxspec.iter_weights(path))
    texts = {onnxspec.analyze(path, max_memory=budget, jobs=3).to_json() for budget in (most, 10 * most)}
    assert len(texts) == 1


@pytest.mark.parametrize("jobs", [2, 4])
def test_any_number_of_jobs_gives_the_same_bytes(jobs: int, tmp_path: Path) -> None:
    path = dense(tmp_path / "m.onnx", [(20000, 300), (300, 200), (100, 90), (128, 512), (64, 64)])
    assert onnxspec.analyze(path, jobs=jobs).to_json() == onnxspec.analyze(path, jobs=1).to_json()


def test_estimates_grow_with_what_is_asked_for(tmp_path: Path) -> None:
    (weight,) = onnxspec.iter_weights(dense(tmp_path / "m.onnx", [(30000, 300)]))
    fast, standard, full = (working_bytes(weight, Settings(effort=effort)) for effort in ("fast", "standard", "full"))
    assert 4 * 9_000_000 < fast <= standard < full
    assert working_bytes(weight, Settings(effort="fast"), jobs=4) > fast
    assert working_bytes(weight, replace(Settings(effort="fast"), exact=True)) >= fast


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_the_estimate_covers_what_a_tall_matrix_takes(tmp_path: Path) -> None:
    path = dense(tmp_path / "m.onnx", [(60000, 300)])
    code = (
        "import json, sys, onnxspec\n"
        "from onnxspec.engine.plan import working_bytes\n"
        "from onnxspec.settings import Settings\n"
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return 1024 * int(next(line for line in lines if line.startswith('VmHWM')).split()[1])\n"
        "(weight,) = onnxspec.iter_weights(sys.argv[1])\n"
        "import numpy.linalg, onnxspec.layers.analyze\n"
        "before = peak()\n"
        "onnxspec.analyze(sys.argv[1], effort='fast', jobs=1)\n"
        "print(json.dumps([peak() - before, working_bytes(weight, Settings(effort='fast'))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    taken, estimated = json.loads(done.stdout)
    assert taken < 1.2 * estimated + 20_000_000
    assert taken < 0.8 * 8 * 60000 * 300  # never in float64
