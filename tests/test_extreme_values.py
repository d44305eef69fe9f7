"""What float64 cannot hold is null with its reason, and one value that is all there is, is no structure of groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import onnxspec
from fixtures.hostile.values import CASES
from onnxspec.diagnosis.exchangeability import dispersion_scores, entry_sums
from tests.graph.build import model

BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize(
    ("name", "reason", "log_norm"), [("huge_float64", "overflow", 617.61), ("denormal_float64", "underflow", -636.39)]
)
def test_eigenvalues_outside_float64(name: str, reason: str, log_norm: float, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(BY_NAME[name].write())
    report = onnxspec.analyze(path, spectra=True)
    layer = next(layer for layer in report.layers if layer.tensor == "w")
    assert (layer.status, layer.reason, layer.alpha, layer.trained, layer.phase) == ("ok", reason, None, None, None)
    assert layer.reasons["alpha"] == layer.reasons["trained"] == reason
    # the norm itself is beyond float64, its logarithm is not: log10 of the sum of squares
    values = BY_NAME[name].make()
    top = np.abs(values).max()
    assert layer.log_norm == pytest.approx(2 * np.log10(top) + np.log10(np.sum((values / top) ** 2)), rel=1e-6)
    assert layer.log_norm == pytest.approx(log_norm, abs=0.01)
    assert onnxspec.Report.from_json(report.to_json()) == report


def test_one_value_that_is_all_there_is() -> None:
    W = np.random.default_rng(0).standard_normal((64, 64)) * 1e-30
    W[3, 5] = 1.0
    assert set(dispersion_scores(entry_sums(W)).values()) == {None}
    W[3, 5] = 1e-30
    assert None not in dispersion_scores(entry_sums(W)).values()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_singular_values_that_rounding_alone_tells_apart_have_no_tail(dtype: type, tmp_path: Path) -> None:
    """An orthogonal initialisation; alpha would be 3.5e7, and the mean of the model with it."""
    rng = np.random.default_rng(3)
    U, V = (np.linalg.qr(rng.standard_normal((n, 60)))[0] for n in (80, 60))
    for spread, reason in ((0.0, "flat_spectrum"), (0.1, None)):
        W = (U * (1.0 + spread * np.linspace(-1, 1, 60))) @ V.T
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        path = tmp_path / "model.onnx"
        path.write_bytes(model(nodes, {"w": W.astype(dtype)}).SerializeToString())
        report = onnxspec.analyze(path)
        layer = report.layers[0]
        assert (layer.reason, layer.alpha is None) == (reason, reason is not None)
        assert (report.summary.alpha_mean is None) == (reason is not None)
        if reason:
            assert layer.phase == "isometric"
