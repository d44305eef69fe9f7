"""The whole job: what must not change a byte, and what may change rounding alone."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxspec
from onnxspec.results import Layer
from tests.graph.build import model as build
from tests.graph.build import rng

NAMES = {"id", "name", "tensor", "used_by", "op_type", "shape", "chain", "place", "content_hash", "dtype", "batch_norm"}


def numbers(layer: Layer) -> dict[str, object]:
    return {name: getattr(layer, name) for name in layer.__dataclass_fields__ if name not in NAMES}


def trained_like(n: int, m: int) -> np.ndarray:
    """A matrix with structure: noise, a few strong directions, a heavy tail of rows."""
    random = rng(5)
    noise = random.standard_normal((n, m)) * random.pareto(2.5, (n, 1)) ** 0.5
    return (noise + 3 * random.standard_normal((n, 4)) @ random.standard_normal((4, m))).astype(np.float32)


def analyse(tmp_path: Path, array: np.ndarray, **options: object) -> Layer:
    from onnx import helper

    proto = build([helper.make_node("Gemm", ["x", "w"], ["y"], transB=1, name="layer")], {"w": array})
    path = tmp_path / "one.onnx"
    path.write_bytes(proto.SerializeToString())
    return onnxspec.analyze(path, **options).layers[0]


def test_graph_forms_give_the_same_numbers(fixtures: Path) -> None:
    reports = [onnxspec.analyze(path) for path in sorted(fixtures.glob("models/linear_*.onnx"))]
    assert len(reports) >= 6
    first = reports[0].layers[0]
    assert first.alpha is not None
    for report in reports[1:]:
        assert numbers(report.layers[0]) == numbers(first)


def test_renaming_changes_no_number(fixtures: Path, tmp_path: Path) -> None:
    proto = onnx.load(fixtures / "models/unhealthy.onnx")
    before = onnxspec.analyze(fixtures / "models/unhealthy.onnx")
    names = {t.name: f"renamed_{i}" for i, t in enumerate(proto.graph.initializer)}
    for tensor in proto.graph.initializer:
        tensor.name = names[tensor.name]
    for i, node in enumerate(proto.graph.node):
        node.name = f"n{i}"
        node.input[:] = [names.get(name, name) for name in node.input]
    (tmp_path / "renamed.onnx").write_bytes(proto.SerializeToString())
    after = onnxspec.analyze(tmp_path / "renamed.onnx")
    assert [numbers(layer) for layer in after.layers] == [numbers(layer) for layer in before.layers]


@pytest.mark.parametrize("power", [-20, 1, 40])
def test_scaling_by_a_power_of_two_moves_nothing_but_the_scale(power: int, tmp_path: Path) -> None:
    w = trained_like(120, 80)
    plain, scaled = analyse(tmp_path, w), analyse(tmp_path, w * np.float32(2.0**power))
    for name in ("alpha", "alpha_stderr", "D", "n_tail", "stable_rank", "entropy", "rank"):
        assert getattr(scaled, name) == getattr(plain, name)
    assert scaled.lambda_max == plain.lambda_max * 4.0**power
    assert scaled.xmin == plain.xmin * 4.0**power


def test_other_symmetries_move_rounding_alone(tmp_path: Path) -> None:
    w = trained_like(120, 80)
    plain = analyse(tmp_path, w, spectra=True)
    order = rng(1).permutation(120)
    for changed, factor in ((w.T.copy(), 1.0), (w[order], 1.0), (w * np.float32(3.0), 9.0)):
        other = analyse(tmp_path, changed, spectra=True)
        evals = np.array(other.evals) / factor
        tolerance = 1e-12 if factor == 1.0 else 1e-6  # 3 w is rounded to float32 before it is stored
        assert np.max(np.abs(evals - np.array(plain.evals))) <= tolerance * plain.lambda_max
        assert other.alpha == pytest.approx(plain.alpha, rel=1e-9 if factor == 1.0 else 1e-5)


def test_eigenvalues_against_a_plain_svd(fixtures: Path) -> None:
    path = fixtures / "models/unhealthy.onnx"
    report = onnxspec.analyze(path, spectra=True)
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    checked = 0
    for layer in report.layers:
        if layer.evals is not None and layer.tensor in stored:
            sv = np.linalg.svd(stored[layer.tensor].astype(np.float64), compute_uv=False)
            np.testing.assert_allclose(layer.evals, sv**2 / layer.N, atol=1e-12 * max(sv[0] ** 2 / layer.N, 1e-300))
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("conv", ["pooled", "slices", "unfold"])
def test_conv_modes(conv: str, tmp_path: Path) -> None:
    from onnx import helper

    w = rng(4).standard_normal((96, 64, 3, 3)).astype(np.float32)
    proto = build([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": w})
    (tmp_path / "conv.onnx").write_bytes(proto.SerializeToString())
    layer = onnxspec.analyze(tmp_path / "conv.onnx", conv=conv, spectra=True, min_evals=50).layers[0]
    if conv == "unfold":
        sv = np.linalg.svd(w.reshape(96, -1).astype(np.float64), compute_uv=False)
        assert (layer.N, layer.M, layer.num_evals) == (576, 96, 96)
        np.testing.assert_allclose(layer.evals, sv**2 / 576, rtol=1e-9)
        return
    assert (layer.N, layer.M, layer.num_matrices, layer.num_evals) == (96, 64, 9, 576)
    slices = [np.linalg.svd(w[:, :, i, j].astype(np.float64), compute_uv=False) for i in range(3) for j in range(3)]
    np.testing.assert_allclose(layer.evals, np.sort(np.concatenate(slices) ** 2 / 96)[::-1], rtol=1e-9)
    if conv == "slices":
        assert len(layer.slices) == 9
        alphas = [row["alpha"] for row in layer.slices]
        assert layer.alpha == pytest.approx(np.mean(alphas))
        expected = sum(a * np.log10(s[0] ** 2 / 96) for a, s in zip(alphas, slices))
        assert layer.alpha_hat_slices_sum == pytest.approx(expected)


def test_depthwise_layers_get_norms_and_no_fit(fixtures: Path) -> None:
    report = onnxspec.analyze(fixtures / "models/conv_depthwise.onnx")
    (layer,) = [layer for layer in report.layers if layer.role == "depthwise_conv"]
    assert layer.status == "ok"
    assert layer.reason == "depthwise"
    assert layer.norm is not None
    assert layer.alpha is None
    assert layer.id in report.summary.not_averaged


def test_the_report_is_plain_frozen_data(fixtures: Path) -> None:
    report = onnxspec.analyze(fixtures / "models/linear_gemm.onnx")
    assert pickle.loads(pickle.dumps(report)) == report
    assert onnxspec.Report.from_json(report.to_json()) == report
    with pytest.raises(AttributeError):
        report.layers = ()  # type: ignore[misc]
    name = report.layers[0].name
    assert report.layers[name] is report.layers[0]
    with pytest.raises(KeyError):
        report.layers["no such layer"]


def test_frames(fixtures: Path) -> None:
    report = onnxspec.analyze(fixtures / "models/unhealthy.onnx")
    frame = report.to_frame()
    assert list(frame["id"]) == [layer.id for layer in report.layers]
    assert frame["alpha"].isna().tolist()[1] is True


def test_many_models_through_any_executor(fixtures: Path) -> None:
    paths = sorted(fixtures.glob("models/linear_*.onnx"))[:3]
    with ThreadPoolExecutor(2) as executor:
        through = onnxspec.analyze_many(paths, executor=executor, jobs=1)
    assert [r.to_json() for r in through] == [r.to_json() for r in onnxspec.analyze_many(paths)]


def test_weights_are_given_one_by_one(fixtures: Path) -> None:
    for weight in onnxspec.iter_weights(fixtures / "models/linear_matmul.onnx"):
        matrix = weight.load()
        assert matrix.shape == (weight.N, weight.M)
        assert matrix.dtype == np.float64


def test_unknown_options_are_refused(fixtures: Path) -> None:
    with pytest.raises(onnxspec.UsageError):
        onnxspec.analyze(fixtures / "models/linear_matmul.onnx", convolution="pooled")
    with pytest.raises(onnxspec.UsageError):
        onnxspec.Settings(ks="other")  # type: ignore[arg-type]


def test_a_layer_beyond_the_memory_limit_is_skipped_with_its_reason(fixtures: Path) -> None:
    limits = replace(onnxspec.Limits(), matrix_bytes=10_000)
    report = onnxspec.analyze(fixtures / "models/unhealthy.onnx", limits=limits)
    assert report.layers["healthy"].status == "skipped"
    assert report.layers["healthy"].reason == "memory_limit"
    assert report.layers["tiny"].status == "ok"
    assert report.coverage.by_reason["memory_limit"] >= 1
