"""`onnxspec compare` from the shell: formats, exit codes, reports."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxspec
from tests.cli.conftest import Run

LENET = "models/lenet5.onnx"


@pytest.fixture
def pair(fixtures: Path, tmp_path: Path) -> tuple[str, str]:
    model = onnx.load(fixtures / LENET)
    largest = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    values = numpy_helper.to_array(largest)
    largest.CopyFrom(numpy_helper.from_array(values.astype(np.float16).astype(np.float32), largest.name))
    onnx.save(model, tmp_path / "b.onnx")
    return str(fixtures / LENET), str(tmp_path / "b.onnx")


def test_formats_agree(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    outputs = [part for name in ("json", "csv", "markdown", "html") for part in ("-o", f"{name}=c.{name}")]
    done = run("compare", *pair, "-f", "table", *outputs)
    assert done.returncode == 0
    assert "3 identical, 1 cast" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()[2:]) <= 80
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["verdicts"] == {"identical": 3, "cast": 1}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert sorted(row["verdict"] for row in rows) == ["cast", "identical", "identical", "identical"]
    assert "**cast**" in (tmp_path / "c.markdown").read_text()
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "1 of 4 paired layers changed: cast 1." in page
    assert page.count("Log-log ESD of a and b") == 1


@pytest.mark.parametrize(("allow", "expected"), [("identical,cast", 0), ("identical", 1), ("sunshine", 2)])
def test_allow_decides(run: Run, pair: tuple[str, str], allow: str, expected: int) -> None:
    done = run("compare", *pair, "--allow", allow)
    assert done.returncode == expected
    assert ("not allowed" in done.stderr) == (expected == 1)


def test_saved_reports_are_compared(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    paths = []
    for number, model in enumerate(pair):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(onnxspec.analyze(model, effort="fast", jobs=1).to_json())
    done = run("compare", *paths, "--allow", "identical")
    assert "from saved reports" in done.stdout
    page = run("compare", *paths, "-f", "html").stdout
    assert "Made from saved reports" in page
    assert "Log-log ESD of a and b" in page
    assert done.returncode == 4


def test_a_policy_judges_b_with_a_as_its_baseline(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    assert run("init-policy", "-o", "policy.toml", "--profile", "lenient").returncode == 0
    done = run("compare", *pair, "--policy", "policy.toml", "--effort", "fast")
    assert "policy" in done.stderr
    assert done.returncode in (0, 4)
    assert run("compare", pair[0], tmp_path / "none.onnx").returncode == 3
