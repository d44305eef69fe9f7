"""Series of real models: what docs/validation.md says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import onnxspec
from onnxspec.results.series import Series

RESNET = {20: 91.78, 32: 92.78, 44: 93.14, 56: 93.62}


@pytest.fixture(scope="module")
def resnets(shared: Path) -> Series:
    folder = shared / "models" / "resnet-cifar10"
    rows = [{"model": str(folder / f"resnet{n}_ts_op17.onnx"), "accuracy": a} for n, a in RESNET.items()]
    return onnxspec.series(
        rows, metrics=["log_spectral_norm_mean", "alpha_hat_slices_sum", "alpha_hat_mean", "log_parameters"]
    )


def test_norms_order_the_resnets_as_claimed_and_conclude_nothing(resnets: Series) -> None:
    found = {relation.metric: relation for relation in resnets.relations}
    assert found["log_spectral_norm_mean"].kendall_tau.value == -1.0
    assert found["alpha_hat_slices_sum"].kendall_tau.value == -1.0
    assert found["alpha_hat_mean"].as_expected is False
    assert found["log_parameters"].kendall_tau.value == 1.0
    assert not any(relation.conclusive for relation in found.values())
    assert found["log_spectral_norm_mean"].loo_rmse == pytest.approx(0.043, abs=5e-4)


def test_the_kernel_positions_of_a_resnet_sum_to_its_capacity(shared: Path, resnets: Series) -> None:
    path = shared / "models" / "resnet-cifar10" / "resnet20_ts_op17.onnx"
    report = onnxspec.analyze(path, effort="fast", conv="slices")
    total = 0.0
    for layer in report.layers:
        parts = layer.slices or [{"alpha_hat": layer.alpha_hat}]
        total += sum(part["alpha_hat"] for part in parts if part["alpha_hat"] is not None)
    assert resnets.members[0].metrics["alpha_hat_slices_sum"] == pytest.approx(total, rel=1e-12)
