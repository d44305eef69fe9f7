"""Quantised files against onnxruntime, and against the float model that they were made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxspec.engine import analyze
from onnxspec.graph import survey
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model
from tests.graph.quantized.codes import F, run

LOG_NORM, STABLE_RANK = 0.002, 0.003


def test_files_of_matmul_nbits_decode_as_onnxruntime_does(shared: Path) -> None:
    """Each MatMulNBits of the file is run on the identity, each GatherBlockQuantized on all its rows."""
    path = shared / "models" / "derived" / "minilm_l3_matmulnbits.onnx"
    proto = onnx.load(path)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    nodes = {name: node for node in proto.graph.node for name in node.input if name in stored}
    checked = 0
    with open_model(path) as opened:
        for weight in survey(opened, DEFAULT_LIMITS).weights:
            node = nodes[weight.tensor]
            values = weight.canonical()[0, :, :, 0]
            if node.op_type == "MatMulNBits":
                feed = np.eye(values.shape[1], dtype=F)
                (implied,) = run(_alone(node, stored, 0, feed), feed=feed)
                implied = implied.T
            else:
                feed = np.arange(values.shape[0])
                (implied,) = run(_alone(node, stored, 1, feed), feed=feed)
            np.testing.assert_array_equal(values.astype(F), implied)
            checked += 1
    assert checked == 21


def test_a_file_in_int4_decodes_as_onnxruntime_does(shared: Path) -> None:
    path = shared / "models" / "derived" / "resnet20_qdq_int4.onnx"
    proto = onnx.load(path)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    nodes = {node.input[0]: node for node in proto.graph.node if node.op_type == "DequantizeLinear"}
    with open_model(path) as opened:
        weights = survey(opened, DEFAULT_LIMITS).weights
        for weight in weights:
            (implied,) = run(_alone(nodes[weight.tensor], stored))
            np.testing.assert_array_equal(weight.constant.load(), implied)
    assert len(weights) == 20


def _alone(
    node: onnx.NodeProto, stored: dict[str, onnx.TensorProto], fed: int = -1, feed: np.ndarray | None = None
) -> onnx.ModelProto:
    """Take one node out of a model, with one input to feed."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[0] = "y"
    infos = []
    if feed is not None:
        copy.input[fed] = "feed"
        infos = [helper.make_tensor_value_info("feed", helper.np_dtype_to_tensor_dtype(feed.dtype), feed.shape)]
    constants = [stored[name] for name in copy.input if name in stored]
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([copy], "g", infos, [out], initializer=constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def test_eight_bits_a_channel_move_norms_by_little(shared: Path) -> None:
    folder = shared / "models"
    original = analyze(folder / "resnet-cifar10" / "resnet20_ts_op17.onnx", conv="unfold")
    quantised = analyze(folder / "derived" / "resnet20_qdq_pc.onnx", conv="unfold")
    assert len(original.layers) == len(quantised.layers) == 20
    for a, b in zip(original.layers, quantised.layers):
        assert b.quantization is not None
        assert b.log_norm == pytest.approx(a.log_norm, abs=LOG_NORM)
        assert b.stable_rank == pytest.approx(a.stable_rank, rel=STABLE_RANK)


def test_half_precision_moves_eigenvalues_by_little(shared: Path) -> None:
    folder = shared / "models"
    original = analyze(folder / "resnet-cifar10" / "resnet20_ts_op17.onnx", spectra=True)
    half = analyze(folder / "derived" / "resnet20_fp16.onnx", spectra=True)
    for a, b in zip(original.layers, half.layers):
        assert a.evals is not None
        np.testing.assert_allclose(b.evals, a.evals, rtol=0, atol=1e-3 * a.evals[0])


def test_what_eight_bits_cost_is_their_rounding_alone(shared: Path) -> None:
    """Pooled over kernel positions one layer moves by 0.310 %, over the bound for one map on patches.

    Plain NumPy on the file's codes gives the same number, so that nothing is lost in decoding.
    """
    folder = shared / "models"
    path = folder / "derived" / "resnet20_qdq_pc.onnx"
    proto = onnx.load(path)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    plain = {}
    for node in proto.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored and stored[node.input[0]].ndim == 4:
            q, s, z = (stored[name].astype(F) for name in node.input)
            assert {a.name: a.i for a in node.attribute}["axis"] == 0
            w = (q - z.reshape(-1, 1, 1, 1)) * s.reshape(-1, 1, 1, 1)
            kernel = w.reshape(*w.shape[:2], -1).astype(float)
            squares = np.concatenate(
                [np.linalg.svd(kernel[:, :, p], compute_uv=False) ** 2 for p in range(kernel.shape[2])]
            )
            plain[node.input[0]] = squares.sum() / squares.max()
    report = analyze(path, effort="fast")
    ours = {layer.tensor: layer.stable_rank for layer in report.layers if layer.tensor in plain}
    assert len(ours) == len(plain) == 19
    assert ours == pytest.approx(plain, rel=1e-12)
    original = analyze(folder / "resnet-cifar10" / "resnet20_ts_op17.onnx", effort="fast")
    moved = [abs(b.stable_rank / a.stable_rank - 1) for a, b in zip(original.layers, report.layers)]
    assert max(moved) == pytest.approx(0.00310, abs=5e-6)
    assert sorted(moved)[-2] < STABLE_RANK
    assert all(abs(b.log_norm - a.log_norm) < LOG_NORM for a, b in zip(original.layers, report.layers))
