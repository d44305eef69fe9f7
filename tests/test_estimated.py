"""Layers above --stochastic-above: what is known of them, what is null, and that every output says so."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from typer.testing import CliRunner

import onnxspec
from onnxspec.cli import app
from onnxspec.engine.plan import flops, working_bytes
from onnxspec.errors import UsageError
from onnxspec.graph import values
from onnxspec.results import Layer, Report
from onnxspec.settings import Settings
from onnxspec.spectra import stochastic
from tests.graph.build import model as build
from tests.graph.build import rng

NODES = [
    helper.make_node("Gemm", ["x", "large"], ["h"], "large", transB=1),
    helper.make_node("Gemm", ["h", "small"], ["y"], "small", transB=1),
]


def heavy(rows: int, columns: int) -> np.ndarray:
    random = rng(3)
    return (random.standard_normal((rows, columns)) * random.pareto(2.5, (rows, 1)) ** 0.5).astype(np.float32)


def write(path: Path, large: np.ndarray) -> Path:
    weights = {"large": large, "small": heavy(80, large.shape[0])}
    path.write_bytes(build(NODES, weights).SerializeToString())
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("estimated") / "two.onnx", heavy(300, 200))


@pytest.fixture(scope="module")
def report(model: Path) -> Report:
    return onnxspec.analyze(model, stochastic_above=100, jobs=1)


@pytest.fixture(scope="module")
def solved(model: Path) -> Report:
    return onnxspec.analyze(model, jobs=1)


KNOWN = (
    *("sv_max", "lambda_max", "norm", "spectral_norm", "log_norm", "log_spectral_norm"),
    *("stable_rank", "stable_rank_ratio", "log_stable_rank", "trace"),
)


def test_norms_are_those_of_the_whole_spectrum(report: Report, solved: Report) -> None:
    found, exact = report.layers["large"], solved.layers["large"]
    for name in KNOWN:
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=1e-9), name
    for name in ("N", "M", "Q", "num_matrices", "num_evals", "value_hash", "content_hash", "denormals", "levels"):
        assert getattr(found, name) == getattr(exact, name), name
    np.testing.assert_allclose(found.estimate["evals"][:5], exact.plot.top_evals[:5], rtol=1e-5)


def test_everything_else_is_null_with_its_reason(report: Report, solved: Report) -> None:
    found, exact = report.layers["large"], solved.layers["large"]
    assert (found.status, found.reason, found.averaged) == ("ok", "stochastic", False)
    assert found.reasons["averaged"] == "stochastic"
    lost = [f.name for f in fields(Layer) if getattr(exact, f.name) is not None and getattr(found, f.name) is None]
    assert {"alpha", "rank", "entropy", "mp", "trained", "phase", "health"} <= set(lost)
    assert {found.reasons[name] for name in lost} == {"stochastic"}


def test_only_what_is_above_the_limit_is_estimated_and_enters_no_mean(report: Report, solved: Report) -> None:
    assert report.layers["small"] == solved.layers["small"]
    assert report.layers["small"].estimate is None
    assert report.summary.layers_averaged == 1
    assert report.summary.not_averaged == (report.layers["large"].id,)
    assert report.summary.log_norm_mean == report.layers["small"].log_norm
    assert onnxspec.analyze(report.model.path, stochastic_above=200, jobs=1).layers == solved.layers


def test_the_report_comes_back_and_jobs_change_no_byte(report: Report, model: Path) -> None:
    assert Report.from_json(report.to_json()) == report
    assert onnxspec.analyze(model, stochastic_above=100, jobs=2).to_json() == report.to_json()


def test_in_the_file_and_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "one.onnx", heavy(300, 200))
    monkeypatch.setattr(values, "IN_FILE", 1000)
    monkeypatch.setattr(values, "SHORT", 1)
    with monkeypatch.context() as context:
        context.setattr("onnxspec.graph.weights.in_file", lambda *_: None)
        held = onnxspec.analyze(path, stochastic_above=100, jobs=1).layers
    assert onnxspec.analyze(path, stochastic_above=100, jobs=1).layers == held


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_values_of_any_size(scale: float, tmp_path: Path) -> None:
    path = write(tmp_path / "one.onnx", (heavy(300, 200) * np.float32(scale)).astype(np.float32))
    found = onnxspec.analyze(path, stochastic_above=100, jobs=1).layers["large"]
    exact = onnxspec.analyze(path, jobs=1, effort="fast").layers["large"]
    for name in KNOWN:
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=1e-6), name


def test_squares_beyond_float64(tmp_path: Path) -> None:
    path = write(tmp_path / "one.onnx", heavy(300, 200).astype(np.float64) * 1e200)
    found = onnxspec.analyze(path, stochastic_above=100, jobs=1).layers["large"]
    assert (found.estimate, found.reasons["estimate"], found.lambda_max) == (None, "overflow", None)
    assert found.log_spectral_norm is not None
    assert found.log_spectral_norm > 400


def test_zeros_are_solved(tmp_path: Path) -> None:
    path = write(tmp_path / "one.onnx", np.zeros((300, 200), np.float32))
    found = onnxspec.analyze(path, stochastic_above=100, jobs=1).layers["large"]
    assert (found.reason, found.rank, found.norm) == ("zero_matrix", 0, 0.0)


@pytest.mark.parametrize("form", ["table", "csv", "html", "markdown", "json"])
def test_every_output_says_so(form: str, report: Report, tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    saved.write_text(report.to_json())
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["render", str(saved), "-f", form, "-o", str(out)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "stochastic" in out.read_text()


def test_check_does_not_pass_what_was_not_looked_at(report: Report, tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    saved.write_text(report.to_json())
    result = CliRunner().invoke(app, ["check", str(saved), "-f", "json"])
    assert result.exit_code in (1, 4), result.output
    found = [f for f in json.loads(result.output)["findings"] if "stochastic 1" in f["message"]]
    assert found
    assert "without --stochastic-above" in found[0]["message"]


def test_the_option(model: Path, report: Report) -> None:
    result = CliRunner().invoke(app, ["analyze", str(model), "--stochastic-above", "100", "-f", "json", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    layers = json.loads(result.stdout)["layers"]
    assert [layer["estimate"] is not None for layer in layers] == [True, False]
    with pytest.raises(UsageError, match="at least 1"):
        Settings(stochastic_above=0)


def test_the_plan_knows_that_no_gram_matrix_is_formed(model: Path) -> None:
    solving, estimating = Settings(effort="fast"), Settings(effort="fast", stochastic_above=100)
    weight = next(w for w in onnxspec.iter_weights(model) if w.name == "large")
    assert flops(weight, estimating) == pytest.approx(4 * 300 * 200 * stochastic.BLOCK * stochastic.STEPS, rel=1e-3)
    assert working_bytes(weight, estimating) < 100e6
    assert flops(weight, solving) < flops(weight, estimating)  # of so small a matrix
