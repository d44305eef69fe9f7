"""Names of layers: what a reader finds in the source model, whatever exporter wrote the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxspec.graph.names import display, layer_name, module_of, unique
from tests.graph.build import rng
from tests.graph.text import parsed, surveyed

NAMES = {
    # tensor, node, operator, bias: name
    ("onnx::MatMul_1593", "/encoder/layer.3/attention/self/query/MatMul", "MatMul", ""): (
        "encoder.layer.3.attention.self.query"
    ),
    ("onnx::MatMul_470_Q4", "/encoder/layer.0/output/dense/MatMul_Q4", "MatMulNBits", ""): (
        "encoder.layer.0.output.dense"
    ),
    ("layer1.0.conv1.weight", "Conv_2", "Conv", ""): "layer1.0.conv1",
    ("onnx::Conv_273", "/layer1/layer1.0/conv1/Conv", "Conv", ""): "layer1.0.conv1",
    ("260", "MatMul_31", "MatMul", ""): "MatMul_31",
    ("260", "MatMul_31", "MatMul", "fc1.bias"): "fc1",
    ("val_55", "node_MatMul_56", "MatMul", "model.linear1.bias"): "model.linear1",
    ("model.embeddings.weight", "node_embedding", "Gather", ""): "model.embeddings",
    ("StatefulPartitionedCall/model/dense/MatMul/ReadVariableOp:0", "x", "MatMul", ""): "model.dense",
    ("functional_1/conv1d_9_1/convolution/ExpandDims_1:0", "n", "Conv", ""): "functional_1.conv1d_9_1",
    ("functional_1/time_distributed_8_1/Cast_8/ReadVariableOp:0", "n", "MatMul", ""): (
        "functional_1.time_distributed_8_1"
    ),
    ("m/lstm_1/lstm_cell_1/Cast/ReadVariableOp/resource:0", "n", "MatMul", ""): "m.lstm_1.lstm_cell_1.kernel",
    ("m/lstm_1/lstm_cell_1/Cast_1/ReadVariableOp/resource:0", "n", "MatMul", ""): (
        "m.lstm_1.lstm_cell_1.recurrent_kernel"
    ),
    ("ConstantFolding/rnn/cell_0/gru_cell/gates/kernel/read_enter:0", "n", "Gemm", ""): "rnn.cell_0.gru_cell.gates",
    ("jax2tf_get_/pjit_get_/MagikaV2/Conv_0/transpose_3:0", "n", "Conv", ""): "MagikaV2.Conv_0",
    ("jax2tf_get_/Const:0", "jax2tf_get_/pjit_get_/MagikaV2/Dense_0/einsum/Einsum", "MatMul", ""): "MagikaV2.Dense_0",
    ("const_fold_opt__710", "model_1/contours/BiasAdd;model_1/conv2d_5/Conv2D", "Conv", ""): "model_1.contours",
    ("conv2d_1/kernel:0", "conv2d_1", "Conv", ""): "conv2d_1",
    ("mos_estimator/dense_1/MatMul/ReadVariableOp/resource:0", "n", "MatMul", ""): "mos_estimator.dense_1",
    ("conv2d_12.w_0", "Conv@3", "Conv", ""): "conv2d_12",
    ("conv2d_0.w_0_deepcopy_0", "Conv.1", "Conv", ""): "conv2d_0",
    ("conv2_expand_weights", "Conv@1", "Conv", ""): "conv2_expand",
    ("coefficient1", "MatMul1", "MatMul", ""): "coefficient1",
    ("encoder.weight_quantized", "/encoder/Gather_quant", "Gather", ""): "encoder",
    ("", "", "Conv", ""): "Conv_7",
    ("weight", "n", "Gemm", "layer.bias"): "layer",
}


@pytest.mark.parametrize("case", NAMES, ids=lambda case: case[0] or "nothing")
def test_names_of_real_exporters(case: tuple[str, str, str, str]) -> None:
    tensor, node, op_type, bias = case
    assert layer_name(tensor, node, op_type, 7, bias=bias) == NAMES[case]


def test_the_module_of_the_metadata_says_more_than_a_bias() -> None:
    scopes = "['', 'encoder', 'encoder.layer.3.attention.query', 'linear_7']"
    module = module_of(scopes)
    assert layer_name("val_5", "node_linear_7", "MatMul", 9, bias="norm.bias", module=module) == (
        "encoder.layer.3.attention.query"
    )
    assert layer_name("encoder.word.weight", "node_linear_7", "MatMul", 9, module=module) == "encoder.word"
    assert [module_of(text) for text in ("", "['linear']", "['', 'linear']", '["\'", 7')] == ["", "", "", ""]


def test_both_weights_of_a_recurrent_node_have_names() -> None:
    names = {layer_name("onnx::LSTM_1", "/lstm/LSTM_1", "LSTM", 0, f"recurrent_{w}") for w in ("input", "hidden")}
    assert names == {"lstm.1.input", "lstm.1.hidden"}


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=80))
def test_any_name_is_accepted_and_printable(tensor: str, node: str, bias: str) -> None:
    name = layer_name(tensor, node, "Conv", 3, bias=bias)
    assert name == "" or len(name) <= 256 * 12
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200f\u2066" for c in name)
    assert display(name) == name or "…" in name or "\\" in name


@given(st.lists(st.sampled_from(["a", "b", "a#2", ""]), max_size=30))
def test_ids_are_unique_and_stable(names: list[str]) -> None:
    ids = unique(names)
    assert len(set(ids)) == len(ids)
    assert unique(names[:-1]) == ids[: max(0, len(names) - 1)]
    assert all(one.startswith(name) for one, name in zip(ids, names))


def test_a_bias_added_after_the_product_names_the_layer(tmp_path: Path) -> None:
    text = """g (float[1, 8] x) => (float[1, 8] y) {
        a = MatMul (x, val_3)
        y = Add (model.head.bias, a)
    }"""
    r = rng(1)
    arrays = {"val_3": r.standard_normal((8, 8)).astype("f4"), "model.head.bias": r.standard_normal(8).astype("f4")}
    text = text.replace("model.head.bias", "bias_")
    model = parsed(text, {"val_3": arrays["val_3"]})
    model.graph.node[1].input[0] = "model.head.bias"
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(arrays["model.head.bias"], "model.head.bias"))
    _, weights = surveyed(model, tmp_path)
    assert list(weights) == ["model.head"]
