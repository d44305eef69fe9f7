"""``onnxspec track`` as its users run it."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from onnxspec.report.study_formats import TRACK_FORMATS
from tests.cli.conftest import Run


@pytest.fixture
def checkpoints(fixtures: Path, tmp_path: Path) -> Path:
    place = tmp_path / "run"
    place.mkdir()
    for number, name in enumerate(("linear_gemm", "linear_matmul", "linear_gemm")):
        shutil.copy(fixtures / "models" / f"{name}.onnx", place / f"c{number + 9}.onnx")
    return place


def test_the_table_fits_80_columns(run: Run, checkpoints: Path) -> None:
    done = run("track", "run")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "run: 3 checkpoints, 1 layers"
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[4:7]] == ["9", "10", "11"]
    assert "Transitions: none" in done.stdout
    assert "never changed" in done.stdout


def test_every_format_and_figure_is_written(run: Run, checkpoints: Path, tmp_path: Path) -> None:
    outputs = [part for name in TRACK_FORMATS for part in ("-o", f"{name}=out.{name}")]
    done = run("track", "run", *outputs, "--plot", "curves.svg", "--scree", "scree.png", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))))
    assert [row["checkpoint"] for row in rows] == ["9", "10", "11"]
    assert float(rows[0]["entropy"]) > 0
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert len(data["layers"][0]["values"]["alpha"]) == 3
    assert "| checkpoint | entropy |" in (tmp_path / "out.markdown").read_text(encoding="utf-8")
    assert (tmp_path / "curves.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "scree.png").read_bytes().startswith(b"\x89PNG")


def test_exit_codes_and_sentences(run: Run, checkpoints: Path, tmp_path: Path) -> None:
    (checkpoints / "c99.onnx").write_bytes(b"no model")
    partly = run("track", "run")
    assert partly.returncode == 4
    assert "3 of 4 checkpoints" in partly.stdout
    assert "c99.onnx" in partly.stderr
    for arguments, code, says in (
        (("missing",), 3, "no such file"),
        (("run", "--layer", "zzz"), 2, "no layer matches zzz"),
        (("run", "--plot", "x.gif"), 2, "--plot is 'x.gif'"),
        (("run", "-f", "sarif"), 2, "no format 'sarif'"),
    ):
        done = run("track", *arguments)
        assert (done.returncode, done.stdout) == (code, ""), arguments
        assert says in done.stderr
