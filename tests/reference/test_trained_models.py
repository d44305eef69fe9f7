"""The trained verdict on real weights: trained layers are told from noise, a planted random one is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxspec
from tests.reference.test_real_models import MODELS


def p_values(report: onnxspec.Report) -> dict[str, float]:
    tested = {layer.name: layer.trained for layer in report.layers if layer.trained is not None}
    return {name: trained["p_value"] for name, trained in tested.items() if trained["p_value"] is not None}


def test_every_layer_of_a_trained_network_is_told_from_noise(shared: Path) -> None:
    found = p_values(onnxspec.analyze(shared / "models/resnet-cifar10/resnet20_ts_op17.onnx"))
    assert len(found) == 20
    assert max(found.values()) < 1e-6


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_a_planted_random_layer_is_found_first(kind: str, shared: Path, tmp_path: Path) -> None:
    proto = onnx.load(shared / "models/resnet-cifar10/resnet32_ts_op17.onnx")
    kernels = [t for t in proto.graph.initializer if len(t.dims) == 4 and t.dims[1] >= 32]
    target = kernels[len(kernels) // 2]
    random = np.random.default_rng(7)
    shape = tuple(target.dims)
    scale = np.sqrt(2 / np.prod(shape[1:]))
    noise = random.standard_normal(shape) if kind == "normal" else random.uniform(-1.7, 1.7, shape)
    target.CopyFrom(numpy_helper.from_array((scale * noise).astype(np.float32), target.name))
    (tmp_path / "planted.onnx").write_bytes(proto.SerializeToString())
    report = onnxspec.analyze(tmp_path / "planted.onnx")
    found = p_values(report)
    first = max(found, key=lambda name: found[name])
    assert report.layers[first].tensor == target.name
    assert report.layers[first].trained["verdict"] == "noise"
    assert sum(layer.trained["verdict"] == "noise" for layer in report.layers if layer.trained) == 1


def test_minilm_has_one_layer_that_is_not_told_from_noise() -> None:
    path = MODELS / "all-MiniLM-L6-v2.onnx"
    if not path.is_file():
        pytest.skip("needs all-MiniLM-L6-v2 as ONNX (make models, tools/export_minilm.py)")
    report = onnxspec.analyze(path)
    noise = [layer.name for layer in report.layers if layer.trained and layer.trained["verdict"] == "noise"]
    assert noise == ["pooler.dense"]
    value = report.layers["encoder.layer.4.attention.self.value"]
    minima = [(round(m["alpha"], 2), m["n_tail"], m["below_min_tail"]) for m in value.alpha_profile["minima"]]
    assert (8.44, 9, True) in minima
    assert (2.43, 87, False) in minima
    assert value.alpha == pytest.approx(2.43, abs=0.005)
