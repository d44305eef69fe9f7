"""``analyze`` and ``inspect`` end to end: output, exit codes, one sentence for each bad input."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxspec import Report
from tests.cli.conftest import Run


def report_of(text: str) -> dict:
    return json.loads(text)


def test_table_shows_coverage_first_and_fits_80_columns(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/linear_gemm.onnx")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].startswith("Coverage: ")
    assert max(map(len, lines[1:])) <= 80
    assert done.stderr == ""


def test_json_has_the_promised_names(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/linear_gemm.onnx", "-f", "json")
    report = report_of(done.stdout)
    assert list(report)[:7] == ["schema_version", "tool", "settings", "model", "coverage", "layers", "summary"]
    layer = report["layers"][0]
    for name in (
        "id name op_type role tensor used_by shape dtype content_hash value_hash quantization N M Q num_matrices "
        "num_evals status reason alpha alpha_stderr alpha_ci xmin xmax D n_tail gof_p best_fit alternatives sv_max "
        "sv_min lambda_max norm spectral_norm log_norm log_spectral_norm log_alpha_norm alpha_weighted alpha_hat "
        "stable_rank entropy rank rank_loss mp spikes trained phase warnings plot"
    ).split():
        assert name in layer
    for name in (
        "layers layers_averaged alpha_mean alpha_median alpha_weighted_mean alpha_hat_sum alpha_hat_mean log_norm_mean "
        "log_spectral_norm_mean log_alpha_norm_mean stable_rank_mean phases"
    ).split():
        assert name in report["summary"]
    coverage = report["coverage"]
    assert coverage["slots"] == coverage["slots_analyzed"] + coverage["slots_skipped"] + coverage["slots_failed"]
    assert Report.from_json(done.stdout).to_json() == done.stdout


def test_two_runs_and_any_number_of_jobs_give_the_same_bytes(run: Run, fixtures: Path) -> None:
    model = fixtures / "models/unhealthy.onnx"
    outputs = {run("analyze", model, "-f", "json", "--jobs", jobs).stdout for jobs in ("1", "2", "3")}
    assert len(outputs) == 1


def test_several_models_give_an_array_in_the_order_of_the_arguments(run: Run, fixtures: Path) -> None:
    paths = [str(fixtures / f"models/{name}.onnx") for name in ("linear_matmul", "conv2d")]
    done = run("inspect", *paths, "-f", "json")
    assert [report["model"]["path"] for report in json.loads(done.stdout)] == paths


def test_csv_has_one_row_a_layer(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/unhealthy.onnx", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["id"] for row in rows] == ["healthy", "nan", "zero", "rank_one", "small", "tiny"]
    assert rows[1]["alpha"] == ""
    assert float(rows[0]["alpha"]) > 1


def test_outputs_to_files(run: Run, fixtures: Path, tmp_path: Path) -> None:
    done = run("analyze", fixtures / "models/linear_gemm.onnx", "-o", "out.json", "-o", "csv=out.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert report_of((tmp_path / "out.json").read_text())["coverage"]["slots"] > 0
    assert (tmp_path / "out.csv").read_text().startswith("id,")


def test_unhealthy_layers_cost_only_themselves(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/unhealthy.onnx", "-f", "json")
    assert done.returncode == 4
    layers = {layer["id"]: layer for layer in report_of(done.stdout)["layers"]}
    assert layers["nan"]["status"] == "failed"
    assert layers["nan"]["reason"] == "non_finite"
    assert layers["nan"]["norm"] is None
    assert {layers[name]["reason"] for name in ("zero",)} == {"zero_matrix"}
    assert layers["rank_one"]["reason"] == "rank_one"
    assert layers["tiny"]["reason"] == "too_small"
    assert layers["tiny"]["norm"] > 0
    assert layers["healthy"]["alpha"] > 1
    assert "non_finite" in done.stderr


def test_layer_selects_by_glob(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/unhealthy.onnx", "--layer", "heal*", "-f", "json")
    assert done.returncode == 0
    layers = report_of(done.stdout)["layers"]
    assert [layer["id"] for layer in layers if layer["status"] == "ok"] == ["healthy"]
    none = run("analyze", fixtures / "models/unhealthy.onnx", "--layer", "nothing*")
    assert none.returncode == 2
    assert "no layer matches" in none.stderr


def test_stdin(run: Run, fixtures: Path) -> None:
    data = (fixtures / "models/linear_gemm.onnx").read_bytes()
    done = run("analyze", "-", "-f", "json", stdin=data)
    assert done.returncode == 0, done.stderr
    assert report_of(done.stdout)["coverage"]["slots_analyzed"] > 0
    assert run("analyze", "-", "--max-bytes", "1K", stdin=data).returncode == 3


def test_timeout_of_zero_leaves_every_layer_out(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/linear_gemm.onnx", "--timeout", "0", "-f", "json")
    assert done.returncode == 4
    assert {layer["reason"] for layer in report_of(done.stdout)["layers"]} == {"time_limit"}
    assert "time_limit" in done.stderr


def test_max_memory_leaves_larger_layers_out(run: Run, fixtures: Path) -> None:
    model = fixtures / "models/linear_gemm.onnx"
    done = run("analyze", model, "--max-memory", "4K", "-f", "json")
    assert done.returncode == 4
    (layer,) = json.loads(done.stdout)["layers"]
    assert layer["reason"] == "memory_limit"
    assert "MiB" in layer["warnings"][0]
    assert run("analyze", model, "--max-memory", "0.1G", "-f", "json").returncode == 0
    wrong = run("analyze", model, "--max-memory", "plenty")
    assert wrong.returncode == 2
    assert "--max-memory" in wrong.stderr


def test_max_bytes_refuses_the_file(run: Run, fixtures: Path) -> None:
    done = run("analyze", fixtures / "models/linear_gemm.onnx", "--max-bytes", "1000")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def bad_inputs(folder: Path, good: bytes) -> dict[str, bytes | None]:
    return {
        "absent.onnx": None,
        "empty.onnx": b"",
        "text.onnx": b"hello world\n" * 50,
        "pointer.onnx": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "page.onnx": b"<!DOCTYPE html><html><body>404</body></html>",
        "archive.onnx": b"PK\x03\x04" + bytes(100),
        "truncated.onnx": good[: len(good) // 2],
    }


@pytest.mark.parametrize(
    "name",
    ["absent.onnx", "empty.onnx", "text.onnx", "pointer.onnx", "page.onnx", "archive.onnx", "truncated.onnx", "folder"],
)
@pytest.mark.parametrize("command", ["analyze", "inspect"])
def test_bad_input_gives_one_sentence_and_code_3(
    command: str, name: str, run: Run, fixtures: Path, tmp_path: Path
) -> None:
    good = (fixtures / "models/linear_gemm.onnx").read_bytes()
    (tmp_path / "folder").mkdir()
    content = bad_inputs(tmp_path, good).get(name)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run(command, name)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("onnxspec: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def external_model(folder: Path, location: str, fixtures: Path) -> Path:
    """Write a model whose first weight lies in a side file and whose second lies inside."""
    proto = onnx.load(fixtures / "models/linear_gemm.onnx")
    path = folder / "model.onnx"
    weight = proto.graph.initializer[0]
    other = numpy_helper.from_array(numpy_helper.to_array(weight) * 2, "inside")
    proto.graph.initializer.append(other)
    node = proto.graph.node.add()
    node.op_type = "MatMul"
    node.input.extend(["extra", "inside"])
    node.output.append("unused")
    proto.graph.input.add().name = "extra"
    data = weight.raw_data
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(proto.SerializeToString())
    (folder.parent / "outside.bin").write_bytes(data)
    return path


@pytest.mark.parametrize("location", ["missing.bin", "../outside.bin", "a/../../outside.bin"])
def test_bad_external_data_costs_its_layer(location: str, run: Run, fixtures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = external_model(folder, location, fixtures)
    done = run("analyze", path, "-f", "json")
    assert done.returncode == 4, done.stderr
    report = report_of(done.stdout)
    assert [layer["status"] for layer in report["layers"]] == ["failed", "ok"]
    assert done.stderr.count("\n") == 1


def test_several_inputs_end_with_the_worst_code(run: Run, fixtures: Path) -> None:
    good, half = fixtures / "models/linear_gemm.onnx", fixtures / "models/unhealthy.onnx"
    assert run("inspect", good, "nothing.onnx").returncode == 3
    assert run("analyze", good, half).returncode == 4


def test_version_and_help(run: Run) -> None:
    assert run("--version").stdout.startswith("onnxspec ")
    assert "analyze" in run("--help").stdout
    assert run("analyze", "x.onnx", "--conv", "sideways").returncode == 2


def test_names_that_would_harm_a_terminal_or_a_spreadsheet_are_escaped(
    run: Run, fixtures: Path, tmp_path: Path
) -> None:
    proto = onnx.load(fixtures / "models/linear_gemm.onnx")
    evil = "=cmd()\x1b[31m\u202e</script>\n"
    old = proto.graph.initializer[0].name
    proto.graph.initializer[0].name = evil
    for node in proto.graph.node:
        node.name = ""
        node.input[:] = [evil if name == old else name for name in node.input]
    (tmp_path / "evil.onnx").write_bytes(proto.SerializeToString())
    for output_format in ("table", "csv", "json"):
        text = run("analyze", "evil.onnx", "-f", output_format).stdout
        assert "\x1b" not in text
        assert "\u202e" not in text
        if output_format == "csv":
            assert not any(cell.startswith("=") for row in csv.reader(io.StringIO(text)) for cell in row)


def test_weightwatcher_columns(run: Run, fixtures: Path, tmp_path: Path) -> None:
    shutil.copy(fixtures / "models/linear_gemm.onnx", tmp_path / "m.onnx")
    done = run("analyze", "--compat", "weightwatcher", "m.onnx")
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    weight = numpy_helper.to_array(onnx.load(tmp_path / "m.onnx").graph.initializer[0]).astype(np.float64)
    assert float(row["norm"]) == pytest.approx(float(np.sum(weight**2)), rel=1e-9)
