"""Real models: every slot is analysed or has its reason, and exports of one set of weights agree."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import onnxspec
from tests.conftest import ROOT

MODELS = Path(os.environ.get("ONNXSPEC_MODELS", ROOT / ".cache" / "models"))
FETCHED = (
    "rapidocr-onnxruntime/ch_PP-OCRv4_det_infer.onnx",
    "rapidocr-onnxruntime/ch_PP-OCRv4_rec_infer.onnx",
    "rapidocr-onnxruntime/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "magika/model.onnx",
)
RESNETS = (
    "resnet20_dynamo_op18",
    "resnet20_dynamo_op20_ext",
    "resnet20_ts_nofold_op11",
    "resnet20_ts_op17",
    "resnet32_ts_op17",
    "resnet44_ts_op17",
    "resnet56_ts_op17",
)


def check(path: Path) -> onnxspec.Report:
    report = onnxspec.analyze(path, effort="fast")
    coverage = report.coverage
    assert coverage.slots > 0
    assert coverage.slots_failed == 0
    assert coverage.slots == coverage.slots_analyzed + coverage.slots_skipped
    assert sum(coverage.by_reason.values()) == coverage.slots_skipped
    accounted = coverage.parameters_analyzed + sum(coverage.parameters_by_reason.values())
    assert accounted == coverage.parameters_total
    for layer in report.layers:
        assert layer.status == "ok"
        assert layer.norm is not None or layer.reasons["norm"]
        assert layer.alpha is not None or layer.reason
    return report


@pytest.mark.parametrize("name", FETCHED)
def test_fetched_models(name: str) -> None:
    path = MODELS / name
    if not path.is_file():
        pytest.skip("needs the models of the package index (make models)")
    assert check(path).coverage.slots_skipped == 0


@pytest.mark.parametrize("name", RESNETS)
def test_residual_networks(name: str, shared: Path) -> None:
    report = check(shared / "models/resnet-cifar10" / f"{name}.onnx")
    assert report.coverage.slots_skipped == 0


@pytest.mark.parametrize("name", ["lenet5", "mlp3"])
def test_trained_fixtures(name: str, fixtures: Path) -> None:
    report = check(fixtures / "models" / f"{name}.onnx")
    assert report.coverage.slots_skipped == 0
    assert report.summary.alpha_mean is not None


def spectra(path: Path) -> list[np.ndarray]:
    report = onnxspec.analyze(path, effort="fast", spectra=True)
    return [np.array(layer.evals) for layer in report.layers]


@pytest.mark.parametrize(
    ("one", "other"),
    [("resnet20_ts_op17", "resnet20_dynamo_op20_ext"), ("resnet20_ts_nofold_op11", "resnet20_dynamo_op18")],
)
def test_two_exports_of_the_same_weights(one: str, other: str, shared: Path) -> None:
    folder = shared / "models/resnet-cifar10"
    first, second = spectra(folder / f"{one}.onnx"), spectra(folder / f"{other}.onnx")
    assert len(first) == len(second) == 20
    for a, b in zip(first, second):
        assert np.max(np.abs(a - b)) <= 1e-6 * a[0]


def test_folded_and_raw_batch_norm_differ(shared: Path) -> None:
    folder = shared / "models/resnet-cifar10"
    folded, raw = spectra(folder / "resnet20_ts_op17.onnx"), spectra(folder / "resnet20_ts_nofold_op11.onnx")
    different = sum(np.max(np.abs(a - b)) > 1e-3 * a[0] for a, b in zip(folded, raw))
    assert different == 19
