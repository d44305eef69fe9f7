"""The table of many models fits 80 columns and says how each went."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import onnxspec
from onnxspec.report import FleetLine
from onnxspec.report.fleet import render
from onnxspec.results import Layers, Report


@pytest.fixture(scope="module")
def report(fixtures: Path) -> Report:
    return onnxspec.analyze(fixtures / "models/lenet5.onnx")


def with_phases(report: Report, **phases: int) -> Report:
    return replace(report, summary=replace(report.summary, phases=phases))


def test_one_line_for_each_model(report: Report) -> None:
    lines = [
        FleetLine("fleet/a/model.onnx", 0, "done", with_phases(report, bulk_decay=3, heavy_tailed=12)),
        FleetLine("fleet/b/model.onnx", 3, "rejected"),
    ]
    text = render(lines).splitlines()
    assert text[:2] == ["2 models: 1 done, 1 rejected", "in fleet/"]
    assert text[3].split() == ["model", "coverage", "alpha", "struct.", "noise", "phases", "exit"]
    alpha = f"{report.summary.alpha_mean:.2f}"
    structured = sum(layer.trained["verdict"] == "structured" for layer in report.layers if layer.trained)
    noise = sum(layer.trained["verdict"] == "noise" for layer in report.layers if layer.trained)
    numbers = ["a/model.onnx", "4/4", alpha, str(structured), str(noise)]
    assert text[4].split() == [*numbers, "heavy_tailed", "12,", "+3", "0"]
    assert text[5].split() == ["b/model.onnx", "-", "-", "-", "-", "3"]


def test_it_fits_whatever_the_models_are(report: Report) -> None:
    phases = dict.fromkeys(("random_like", "bleeding_out", "bulk_spikes", "heavy_tailed", "rank_collapse"), 1234)
    coverage = replace(report.coverage, slots=9999, slots_analyzed=9998)
    wide = replace(with_phases(report, **phases), coverage=coverage, layers=Layers(list(report.layers) * 300))
    wide = replace(wide, summary=replace(wide.summary, alpha_mean=123.456))
    lines = [FleetLine("x" * 300 + "/" + "y" * 300, 4, "incomplete", wide), FleetLine("z\x1b[31m\n", 3, "rejected")]
    text = render(lines)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\\n" in text


def test_models_without_a_common_folder_keep_their_paths(report: Report) -> None:
    text = render([FleetLine("one.onnx", 0, "done", report), FleetLine("b/two.onnx", 0, "done", report)])
    assert "in " not in text.splitlines()[1]
    assert "b/two.onnx" in text
    assert "/abs/" in render([FleetLine("/abs/one.onnx", 0, "done"), FleetLine("/abs/b/two.onnx", 0, "done")])
