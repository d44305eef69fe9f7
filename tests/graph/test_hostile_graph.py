"""Hostile graphs end as they should, in a child process with limits on memory and time."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxspec
from fixtures.hostile.graph import CASES, NASTY, GraphCase, many_attributes, many_nodes, many_tensors
from onnxspec.graph import survey, surveying
from onnxspec.graph.roles import HANDLERS
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model
from tests.graph import build

GIB = 2**30


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))


def program(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "onnxspec", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        preexec_fn=limited,
        check=False,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{case.name}")
def test_outcome(case: GraphCase, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(case.write())
    effort = ["--effort", "fast"] if case.command == "analyze" else []
    done = program(case.command, *effort, str(path), "-f", "json")
    assert "Traceback" not in done.stderr
    assert done.returncode in case.exits, done.stderr
    report = json.loads(done.stdout)
    codes = {entry["code"] for entry in report["diagnostics"]} | {skip["reason"] for skip in report["skipped"]}
    assert case.code is None or case.code in codes
    assert "ok" in {layer["id"] for layer in report["layers"] if layer["status"] != "failed"}


@pytest.mark.parametrize("name", ["nasty_names", "long_names", "doubling", "cycle", "foreign"])
@pytest.mark.parametrize("form", ["table", "csv"])
def test_other_formats(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(next(case for case in CASES if case.name == name).write())
    done = program("analyze", "--effort", "fast", "-q", str(path), "-f", form)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 4)
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "\x00" not in done.stdout
    if form == "csv":
        assert not any(
            cell.startswith(("=", "-1+", "@")) for line in done.stdout.splitlines() for cell in line.split(",")
        )


def test_every_nasty_name_is_a_layer_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(next(case for case in CASES if case.name == "nasty_names").write())
    layers = onnxspec.inspect(path).layers
    assert len(layers) == len(NASTY) + 1
    assert len({layer.id for layer in layers}) == len(layers)
    assert all(layer.id.isprintable() for layer in layers)


CHILD = """
import resource, sys, time
import onnxspec
start = time.process_time()
total = 0
for number in range(10_000_000):
    total += number
unit = time.process_time() - start
start = time.process_time()
report = onnxspec.inspect(sys.argv[1])
print(time.process_time() - start, unit, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(report.layers))
"""


NODES = int(os.environ.get("ONNXSPEC_TEST_NODES", "40000"))
"""200000 is the measure; a fifth of it, in a fifth of the time, is what every run of the tests makes."""


@pytest.mark.parametrize(
    ("write", "layers"), [(many_nodes, NODES // 50), (many_attributes, NODES // 50 + 1), (many_tensors, 1)]
)
def test_two_hundred_thousand_nodes(write: Callable[[int], bytes], layers: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(write(NODES))
    command = [sys.executable, "-c", CHILD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    seconds, unit, kilobytes, found = (float(text) for text in done.stdout.split())
    assert found == layers
    assert kilobytes < 2**20
    # 10 s on a core that adds ten million numbers in 0.6 s; a busy machine is slower at both.
    assert seconds < 10 * (NODES / 200_000) * max(1.0, unit / 0.6) + 0.5


SHAPES = ((), (0,), (9,), (8, 8), (8, 0), (3, 8, 8), (0, 3, 5), (4, 4, 3, 3), (1, 2, 3, 4, 5))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("known", sorted(HANDLERS))
def test_handlers_take_constants_of_any_rank_and_type(
    known: str, dtype: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no weight for an operator is told from an error of ours: here no error but a `TensorError` is caught."""
    monkeypatch.setattr(surveying, "MISFITS", ())
    domain, _, op_type = known.rpartition(".")
    for shape in SHAPES:
        arrays = {"c": np.ones(shape, dtype), "s": np.ones((), np.float32), "z": np.zeros((), dtype)}
        for names in (["c"] * 13, ["x", *["c"] * 12], ["x", "c", "s", "c", "s", "z", "s", "z"], ["x", "c", "z", "z"]):
            model = build.model([helper.make_node(op_type, names, ["y"], domain=domain)], arrays)
            path = tmp_path / "model.onnx"
            path.write_bytes(model.SerializeToString())
            with open_model(path) as opened:
                survey(opened, DEFAULT_LIMITS, runtime_folding=False)


@pytest.mark.parametrize("op", ["Add", "Concat", "Cast", "Gather", "Mul", "DequantizeLinear", "Reshape", "Slice"])
def test_an_input_that_is_left_out_costs_its_node_alone(op: str, tmp_path: Path) -> None:
    square = np.eye(16, dtype=np.float32) + 1
    nodes = [helper.make_node("MatMul", ["x", "ok"], ["y"], name="ok")]
    for i, names in enumerate((["w", ""], ["w", "", "w"], ["", "w"])):
        nodes += [helper.make_node(op, names, [f"c{i}"]), helper.make_node("MatMul", ["x", f"c{i}"], [f"m{i}"])]
        nodes += [helper.make_node("Add", ["x", f"c{i}"], [f"a{i}"])]
    path = tmp_path / "model.onnx"
    path.write_bytes(build.model(nodes, {"w": square, "ok": square}).SerializeToString())
    report = onnxspec.analyze(path, effort="fast")
    assert report.layers["ok"].status == "ok"
