"""``onnxspec series`` as its users run it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from onnxspec.report.study_formats import SERIES_FORMATS
from tests.cli.conftest import Run

TABLE = "series/natcomm_cv.csv"


def test_the_table_fits_80_columns_and_says_what_counts(run: Run, fixtures: Path) -> None:
    done = run("series", fixtures / TABLE)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    for text in (
        "All 17 models",
        "VGG: 8 models",
        "n too small to conclude: no p-value of tau can be below 0.083",
        "alpha                    +0.86   0.50..1.00 0.0017 +0.95 0.940  0.404  0.544 x",
        "- alpha: all models +0.43 (p 0.016), ResNet -0.60 (p 0.23); VGG +0.86",
        "p-values are not corrected",
    ):
        assert text in done.stdout, text


def test_every_format_is_written_at_once(run: Run, fixtures: Path, tmp_path: Path) -> None:
    outputs = [part for name in SERIES_FORMATS for part in ("-o", f"{name}=out.{name}")]
    done = run("series", fixtures / TABLE, "--metric", "alpha", "--metric", "log_norm", *outputs)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [r["metric"] for r in data["relations"][::4]] == ["alpha", "log_norm"]
    assert data["paradoxes"][0]["flagged"] is True
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 8
    dense = rows[3]
    assert (dense["group"], dense["conclusive"], dense["kendall_tau_low"]) == ("DenseNet", "False", "")
    assert float(rows[1]["rmse"]) == pytest.approx(0.404, abs=5e-4)
    markdown = (tmp_path / "out.markdown").read_text(encoding="utf-8")
    assert "| `alpha` | 8 | +0.857 |" in markdown
    assert "against" in markdown


def test_groups_by_any_column_or_none(run: Run, fixtures: Path) -> None:
    none = run("series", fixtures / TABLE, "--by", "none", "-f", "json")
    data = json.loads(none.stdout)
    assert {r["group"] for r in data["relations"]} == {None}
    assert data["paradoxes"] == []
    wrong = run("series", fixtures / TABLE, "--by", "depth")
    assert wrong.returncode == 2
    assert "no column 'depth'" in wrong.stderr


def test_models_are_analysed_and_a_bad_one_ends_with_4(run: Run, fixtures: Path, tmp_path: Path) -> None:
    lines = [f"{fixtures / 'models' / name}.onnx,{k}" for k, name in enumerate(("conv1d", "conv2d", "linear_gemm"))]
    (tmp_path / "s.csv").write_text("\n".join(["model,accuracy", *lines]) + "\n", encoding="utf-8")
    done = run("series", "s.csv", "--plot", "s.svg")
    assert done.returncode == 0, done.stderr
    assert "All 3 models" in done.stdout
    assert (tmp_path / "s.svg").read_text(encoding="utf-8").startswith("<?xml")
    (tmp_path / "s.csv").write_text("\n".join(["model,accuracy", *lines, "gone.onnx,9"]) + "\n", encoding="utf-8")
    done = run("series", "s.csv", "--metric", "log_norm_mean")
    assert done.returncode == 4
    assert "3 of 4 models" in done.stdout
    assert "gone.onnx: there is no such file" in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("model,accuracy\na.onnx,1\n", 3, "no model of the series could be analysed"),
        ("model\na\n", 3, "no column accuracy"),
        ("model,accuracy,x\na,1,1e400\n", 3, "finite"),
        (f"model,accuracy\n{'n' * 3000},1\n", 3, "no such file"),
        ("model,accuracy\n/dev/null,1\n", 3, "no regular file"),
    ],
)
def test_bad_tables_end_with_one_sentence(run: Run, tmp_path: Path, text: str, code: int, says: str) -> None:
    (tmp_path / "s.csv").write_text(text, encoding="utf-8")
    done = run("series", "s.csv")
    assert done.returncode == code
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_wrong_options_are_told_before_the_work(run: Run, fixtures: Path) -> None:
    for arguments, says in (
        (("-f", "sarif"), "no format 'sarif'"),
        (("--plot", "x.txt"), "--plot is 'x.txt'"),
        (("--metric", "beta"), "no metric 'beta'"),
    ):
        done = run("series", fixtures / TABLE, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert says in done.stderr


def test_names_from_a_table_are_inert(run: Run, tmp_path: Path) -> None:
    rows = [f"<b>`|{k}`</b>,{k},$x${k % 2},{k * k}" for k in range(6)]
    (tmp_path / "s.csv").write_text("\n".join(["model,accuracy,group,=1+1", *rows]) + "\n", encoding="utf-8")
    done = run("series", "s.csv", "-f", "markdown", "--plot", "s.png")
    assert done.returncode == 0, done.stderr
    assert "| <b>" not in done.stdout
    assert "'=1+1" in run("series", "s.csv", "-f", "csv").stdout
