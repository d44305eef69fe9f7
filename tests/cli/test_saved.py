"""``render``, ``explain`` and ``schema``: what works without a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import onnxspec
from onnxspec.catalogue import entries
from onnxspec.cli.saved import _is_plain, inert, load_reports
from onnxspec.errors import ReportError
from onnxspec.limits import Limits
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = Path(__file__).resolve().parents[2] / "fixtures" / "models"
    path = tmp_path_factory.mktemp("saved") / "report.json"
    path.write_text(onnxspec.analyze(models / "unhealthy.onnx", effort="fast").to_json())
    return path


def test_render_gives_every_format(run: Run, saved: Path, tmp_path: Path) -> None:
    done = run("render", saved, "-f", "markdown", "-o", "json=a.json", "-o", "csv=a.csv", "-o", "b.md")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.json").read_text() == saved.read_text()
    assert (tmp_path / "a.csv").read_text().startswith("id,name")
    assert (tmp_path / "b.md").read_text().startswith("## `")
    table = run("render", saved)
    assert "Coverage: 4 of 5 weight slots analysed" in table.stdout
    assert table.stderr == ""


def test_render_takes_arrays_and_standard_input(run: Run, saved: Path) -> None:
    array = f"[{saved.read_text()},{saved.read_text()}]".encode()
    done = run("render", "-", saved, "-f", "json", stdin=array)
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "no valid JSON"),
        (b"\x08\x01onnx", "no valid JSON"),
        (b'{"a": 1}', "no onnxspec report"),
        (b'{"schema_version": "99"}', "schema version '99'"),
        (b'{"schema_version": "1"}', "lacks the key"),
        (b"[" * 100_000, "no valid JSON"),
        (b'{"schema_version": "1", "tool": NaN}', "no valid JSON"),
        (b'{"schema_version": "1", "tool": 1e999}', "too large"),
        (b'{"schema_version": "1", "tool": ' + b"9" * 5000 + b"}", "no valid JSON"),
        (b"\xff\xfe\x00", "no valid JSON"),
    ],
)
def test_a_bad_report_costs_one_sentence_and_exit_3(run: Run, tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "bad.json").write_bytes(text)
    done = run("render", "bad.json")
    assert done.returncode == 3
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 300


def test_a_bad_report_does_not_stop_the_others(run: Run, saved: Path) -> None:
    done = run("render", "missing.json", saved)
    assert done.returncode == 3
    assert "missing.json: cannot be read" in done.stderr
    assert "Coverage:" in done.stdout


def test_numbers_out_of_range_are_refused(saved: Path, tmp_path: Path) -> None:
    data = json.loads(saved.read_text())
    data["layers"][0]["alpha"] = 10**400
    (tmp_path / "huge.json").write_text(json.dumps(data))
    with pytest.raises(ReportError, match="float64"):
        load_reports(str(tmp_path / "huge.json"))


def test_the_size_is_capped_before_anything_is_parsed(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="larger than 1,000 bytes"):
        load_reports(str(saved), Limits(report_bytes=1000))
    assert load_reports(str(saved), Limits(report_bytes=saved.stat().st_size))


def test_control_characters_of_a_saved_report_reach_no_terminal(run: Run, saved: Path, tmp_path: Path) -> None:
    data = json.loads(saved.read_text())
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\ud800"
    data["model"]["path"] = data["model"]["producer"] = evil
    data["layers"][0] |= {"name": evil, "role": evil, "phase": evil, "trained": {evil: [evil], "verdict": evil}}
    (tmp_path / "evil.json").write_text(json.dumps(data))
    for name in ("table", "markdown", "csv", "json"):
        done = run("render", "evil.json", "-f", name)
        assert done.returncode == 0, done.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
        assert "x1b" in done.stdout


def test_deep_nesting_is_refused(saved: Path, tmp_path: Path) -> None:
    data = json.loads(saved.read_text())
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    data["layers"][0]["trained"] = {"a": deep}
    (tmp_path / "deep.json").write_text(json.dumps(data))
    with pytest.raises(ReportError, match="nested too deep"):
        load_reports(str(tmp_path / "deep.json"))


def test_inert_leaves_ordinary_reports_alone(saved: Path) -> None:
    report = onnxspec.Report.from_json(saved.read_text())
    assert inert(report) == report


def test_explain_says_what_a_metric_is_and_is_not(run: Run) -> None:
    done = run("explain", "alpha")
    assert done.returncode == 0
    assert done.stdout.startswith("alpha (metric): power-law exponent\n")
    assert "random labels" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_explain_gives_all_meanings_of_a_word(run: Run) -> None:
    done = run("explain", "isometric")
    assert "isometric (phase)" in done.stdout
    assert "isometric (verdict)" in done.stdout


def test_explain_helps_with_a_wrong_name(run: Run) -> None:
    done = run("explain", "alfa")
    assert done.returncode == 2
    assert "did you mean alpha?" in done.stderr
    far = run("explain", "zzzzqqqq\x1b[2J")
    assert far.returncode == 2
    assert "\x1b" not in far.stderr


def test_explain_lists_every_name(run: Run) -> None:
    done = run("explain")
    assert done.returncode == 0
    words = set(done.stdout.split())
    assert {entry.name for entry in entries()} <= words


def test_schema_prints_a_valid_schema(run: Run, tmp_path: Path) -> None:
    done = run("schema", "report")
    assert done.returncode == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))
    assert run("schema", "report", "-o", "schema.json").stdout == ""
    assert (tmp_path / "schema.json").read_text() == done.stdout
    wrong = run("schema", "reprot")
    assert wrong.returncode == 2
    assert "there is report" in wrong.stderr


@pytest.mark.parametrize(
    "arguments", [["explain", "alpha"], ["schema", "report"], ["render", "{saved}", "-f", "markdown"]]
)
def test_no_heavy_library_is_loaded(arguments: list[str], saved: Path) -> None:
    arguments = [argument.replace("{saved}", str(saved)) for argument in arguments]
    code = (
        "import sys\nfrom onnxspec.cli import app\n"
        f"try:\n    app({arguments!r}, standalone_mode=False)\nexcept BaseException: pass\n"
        "print('LOADED', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.rpartition("LOADED")[2].split()}
    assert "onnxspec" in loaded
    assert not loaded & {"numpy", "onnx", "numba", "scipy", "onnxruntime", "powerlaw", "matplotlib"}
    assert len(done.stdout) > 1000


def test_plain_bytes_are_told_from_those_that_need_a_look() -> None:
    assert _is_plain(b'{"a": ["b c", 1]}')
    for odd in ('"\\u001b"', '"\x7f"', '"\u202e"', '"\\\\"', "[" * 65 + "]" * 65):
        assert not _is_plain(odd.encode())
    assert _is_plain(b'"' + b"[" * 65 + b'"')
    assert not _is_plain(b'["' + b"]" * 99 + b'",' + b"[" * 64 + b"]" * 65)


def test_brackets_in_texts_hide_no_depth(saved: Path, tmp_path: Path) -> None:
    data = json.loads(saved.read_text())
    deep: object = 1
    for _ in range(70):
        deep = [deep]
    data["layers"][0]["trained"] = {"a": "]" * 100, "b": deep}
    (tmp_path / "deep.json").write_text(json.dumps(data))
    with pytest.raises(ReportError, match="nested too deep"):
        load_reports(str(tmp_path / "deep.json"))


def test_render_shows_what_is_asked_for(run: Run, fixtures: Path, tmp_path: Path) -> None:
    assert run("analyze", fixtures / "models/lenet5.onnx", "-o", "json=r.json").returncode == 0
    top = run("render", "r.json", "--sort", "-stable_rank", "--top", "1", "--where", "alpha!=null")
    assert top.returncode == 0, top.stderr
    assert "1 of 4 layers are shown" in top.stdout
    assert "\nconv2\n  ok\n" in top.stdout
    whole = run("render", "r.json", "--top", "1", "-f", "json")
    assert whole.stdout == (tmp_path / "r.json").read_text()
    rows = run("render", "r.json", "--layer", "fc*", "-f", "csv").stdout.splitlines()
    assert [row.partition(",")[0] for row in rows] == ["id", "fc1", "fc2"]
    wrong = run("render", "r.json", "--where", "alpha")
    assert wrong.returncode == 2
    assert "alpha>6" in wrong.stderr


def test_parquet_goes_to_files_alone(run: Run, fixtures: Path, tmp_path: Path) -> None:
    import polars

    model = fixtures / "models/linear_gemm.onnx"
    assert run("analyze", model, "-o", "layers.parquet").returncode == 0
    assert polars.read_parquet(tmp_path / "layers.parquet").height == 1
    refused = run("analyze", model, "-f", "parquet")
    assert refused.returncode == 2
    assert "-o FILE.parquet" in refused.stderr
