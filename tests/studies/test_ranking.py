"""`onnxspec.series` on models, reports and tables."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import onnxspec
import onnxspec.results
from onnxspec.comparing.series.capacity import CAPACITY, capacity
from onnxspec.errors import InputError, UsageError

MODELS = ("conv2d", "linear_gemm", "lenet5", "unhealthy")


@pytest.fixture(scope="module")
def reports(fixtures: Path) -> dict[str, onnxspec.Report]:
    return {name: onnxspec.analyze(fixtures / "models" / f"{name}.onnx", effort="fast", min_evals=8) for name in MODELS}


def test_metrics_are_those_of_the_report(reports: dict[str, onnxspec.Report]) -> None:
    report = reports["lenet5"]
    metrics, reasons = capacity(report)
    layers = [layer for layer in report.layers if layer.status == "ok" and layer.averaged]
    summary = report.summary
    assert metrics["alpha_hat_sum"] == summary.alpha_hat_sum
    assert metrics["alpha_mean"] == summary.alpha_mean
    assert metrics["log_norm_sum"] == pytest.approx(sum(layer.log_norm or 0.0 for layer in layers))
    product = math.prod(layer.spectral_norm or 1.0 for layer in layers)
    assert metrics["log_spectral_norm_sum"] == pytest.approx(math.log10(product))
    assert metrics["log_parameters"] == math.log10(report.model.parameters)
    assert reasons["spikes_mean"] == reasons["mp_softrank_mean"] == "effort"
    assert reasons["alpha_hat_slices_sum"] == "not_sliced"
    assert set(metrics) | set(reasons) == {metric.name for metric in CAPACITY}


def test_the_sum_over_kernel_positions_is_that_of_its_parts(fixtures: Path) -> None:
    path = fixtures / "models" / "lenet5.onnx"
    report = onnxspec.analyze(path, effort="fast", conv="slices", min_evals=8)
    expected = 0.0
    for layer in report.layers:
        parts = layer.slices if layer.slices else [{"alpha_hat": layer.alpha_hat}]
        expected += sum(part["alpha_hat"] for part in parts if part["alpha_hat"] is not None)
    assert capacity(report)[0]["alpha_hat_slices_sum"] == pytest.approx(expected, rel=1e-12)
    pooled = onnxspec.analyze(path, effort="fast", min_evals=8)
    assert capacity(pooled, report)[0]["alpha_hat_slices_sum"] == pytest.approx(expected, rel=1e-12)
    assert capacity(pooled, report)[0]["alpha_hat_sum"] != pytest.approx(expected)


def test_paths_and_reports_and_saved_reports_agree(fixtures: Path, tmp_path: Path) -> None:
    names = MODELS[:3]
    settings = onnxspec.Settings(effort="fast", min_evals=8, conv="unfold")
    rows = [{"model": str(fixtures / "models" / f"{name}.onnx"), "accuracy": k} for k, name in enumerate(names)]
    from_models = onnxspec.series(rows, settings=settings)
    found = [onnxspec.analyze(row["model"], settings) for row in rows]
    from_reports = onnxspec.series([{"model": report, "accuracy": k} for k, report in enumerate(found)])
    lines = ["model,accuracy"]
    for k, report in enumerate(found):
        (tmp_path / f"{k}.json").write_text(report.to_json(), encoding="utf-8")
        lines.append(f"{k}.json,{k}")
    (tmp_path / "series.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    from_files = onnxspec.series(tmp_path / "series.csv")
    rows_of = [
        [replace(relation, left_out=()) for relation in found.relations]
        for found in (from_models, from_reports, from_files)
    ]
    assert rows_of[0] == rows_of[1] == rows_of[2]
    assert [m.sha256 for m in from_files.members] == [m.sha256 for m in from_models.members]
    assert from_files.relation("log_norm_mean").n == 3


def test_a_bad_model_costs_only_itself(reports: dict[str, onnxspec.Report], tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model", encoding="utf-8")
    (tmp_path / "list.json").write_text("[]", encoding="utf-8")
    rows = [{"model": report, "accuracy": k} for k, report in enumerate(reports.values())]
    bad = [str(tmp_path / name) for name in ("text.onnx", "list.json", "missing.onnx")]
    found = onnxspec.series([*rows, *({"model": path, "accuracy": 50} for path in bad)])
    assert [m.problem is None for m in found.members] == [True] * 4 + [False] * 3
    assert found.relation("log_norm_mean").n == 4
    assert "0 reports" in (found.members[5].problem or "")
    assert "no such file" in (found.members[6].problem or "")
    with pytest.raises(InputError, match="no model of the series"):
        onnxspec.series([{"model": path, "accuracy": 50} for path in bad])


def test_a_model_in_parts_says_so(reports: dict[str, onnxspec.Report]) -> None:
    found = onnxspec.series([{"model": report, "accuracy": k} for k, report in enumerate(reports.values())])
    assert any("% of its weights" in note for note in found.members[3].notes)


def test_columns_of_numbers_join_the_metrics_of_models(reports: dict[str, onnxspec.Report]) -> None:
    rows = [
        {"model": report, "accuracy": k, "epochs": 2 * k, "kind": "abc"[k % 2]}
        for k, report in enumerate(reports.values())
    ]
    found = onnxspec.series(rows, by="kind", metrics=["epochs", "log_norm_mean"])
    assert [(r.metric, r.group) for r in found.relations[:3]] == [("epochs", None), ("epochs", "a"), ("epochs", "b")]
    assert found.relation("epochs").kendall_tau.value == 1.0
    assert found.relation("log_norm_mean", "a").n == 2
    clash = [{**row, "alpha_mean": 1.0} for row in rows]
    with pytest.raises(UsageError, match="alpha_mean is computed"):
        onnxspec.series(clash)
    with pytest.raises(UsageError, match="no metric 'beta'"):
        onnxspec.series(rows, metrics=["beta"])


def test_reports_of_different_settings_are_told(reports: dict[str, onnxspec.Report]) -> None:
    first, *others = reports.values()
    other = replace(first, settings={**first.settings, "ks": "two_sided"})
    rows = [{"model": report, "accuracy": k} for k, report in enumerate([other, *others])]
    assert any("different settings" in note for note in onnxspec.series(rows).notes)
    rows[0]["model"] = replace(first, settings={**first.settings, "effort": "standard"})
    assert not any("different settings" in note for note in onnxspec.series(rows).notes)


def test_the_result_is_the_same_whatever_the_order(fixtures: Path) -> None:
    first = onnxspec.series(fixtures / "series" / "natcomm_cv.csv")
    rows = [
        {"model": f"x{k}", "accuracy": m.accuracy, "group": m.group, **m.metrics}
        for k, m in enumerate(reversed(first.members))
    ]
    second = onnxspec.series(rows)
    for relation in second.relations:
        assert relation == first.relation(relation.metric, relation.group)


def test_absurd_numbers_of_a_saved_report_enter_nothing(reports: dict[str, onnxspec.Report]) -> None:
    report = reports["lenet5"]
    absurd = {"spikes": 2**62, "log_norm": 1.7e308, "trace": 5e-324, "alpha_ci": (-1.7e308, 1.7e308)}
    layers = [replace(layer, **absurd) for layer in report.layers]
    summary = replace(report.summary, layers_averaged=2**62, alpha_mean=1.7e308)
    model = replace(report.model, parameters=2**62)
    broken = replace(report, layers=onnxspec.results.Layers(layers), summary=summary, model=model)
    rows = [{"model": one, "accuracy": k} for k, one in enumerate((*reports.values(), broken))]
    found = onnxspec.series(rows)
    assert found.members[-1].metrics.keys().isdisjoint({"alpha_mean", "log_norm_sum"})
    assert found.members[-1].metrics["log_parameters"] == pytest.approx(62 * math.log10(2))
    found.to_json()
    saved = broken.to_json()
    onnxspec.Report.from_json(saved)


def test_a_track_of_absurd_reports_is_json(reports: dict[str, onnxspec.Report], tmp_path: Path) -> None:
    report = reports["lenet5"]
    absurd = {"spikes": 2**62, "lambda_max": 1.7e308, "trace": 5e-324, "alpha_ci": (-1.7e308, 1.7e308)}
    broken = replace(report, layers=onnxspec.results.Layers([replace(layer, **absurd) for layer in report.layers]))
    for number, one in enumerate((report, broken)):
        (tmp_path / f"{number}.json").write_text(one.to_json(), encoding="utf-8")
    onnxspec.track(tmp_path).to_json()
