"""Which weights are found, in which role, and that the graph's form changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from onnxspec.graph import layouts
from tests.graph.build import found, model, only, rng

W = rng(1).standard_normal((12, 10)).astype(np.float32)


def node(op: str, inputs: list[str], outputs: list[str] | None = None, **attributes: object):
    return helper.make_node(op, inputs, outputs or ["y"], name=attributes.pop("name", ""), **attributes)


FORMS = {
    "gemm_transposed": model([node("Gemm", ["x", "w"], transB=1)], {"w": W}),
    "gemm": model([node("Gemm", ["x", "w"])], {"w": W.T.copy()}),
    "matmul": model([node("MatMul", ["x", "w"])], {"w": W.T.copy()}),
    "matmul_left": model([node("MatMul", ["w", "x"])], {"w": W}),
    "transpose_node": model([node("Transpose", ["w"], ["t"]), node("MatMul", ["x", "t"])], {"w": W}),
    "identity_chain": model(
        [node("Identity", ["w"], ["a"]), node("Identity", ["a"], ["b"]), node("Gemm", ["x", "b"], transB=1)], {"w": W}
    ),
    "also_input": model([node("Gemm", ["x", "w"], transB=1)], {"w": W}, as_inputs=True),
    "constant_node": model(
        [helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(W)), node("Gemm", ["x", "w"], transB=1)]
    ),
    "conv_1x1": model([node("Conv", ["x", "w"])], {"w": W[:, :, None, None]}),
    "conv_transpose_1x1": model([node("ConvTranspose", ["x", "w"])], {"w": W.T.copy()[:, :, None, None]}),
    "stacked": model([node("MatMul", ["x", "w"])], {"w": W.T.copy()[None]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_graph_form_gives_the_same_canonical_weight(form: str, tmp_path: Path) -> None:
    weight, values = only(FORMS[form], tmp_path)
    assert weight.kernel_shape == (1, 12, 10, 1)
    np.testing.assert_array_equal(values[0, :, :, 0], W)
    assert (weight.N, weight.M, weight.num_matrices) == (12, 10, 1)


def test_convolutions_in_all_dimensions(tmp_path: Path) -> None:
    for kernel in ((3,), (3, 2), (2, 3, 2)):
        w = rng(2).standard_normal((8, 6, *kernel)).astype(np.float32)
        weight, values = only(model([node("Conv", ["x", "w"])], {"w": w}), tmp_path)
        stack = layouts.matrices(values)
        assert weight.role == "conv"
        assert stack.shape == (int(np.prod(kernel)), 8, 6)
        np.testing.assert_array_equal(stack[1], w.reshape(8, 6, -1)[:, :, 1])
        np.testing.assert_array_equal(layouts.matrices(values, unfold=True)[0], w.reshape(8, -1))


def test_grouped_convolution_gives_one_matrix_a_group(tmp_path: Path) -> None:
    w = rng(2).standard_normal((8, 3, 2, 2)).astype(np.float32)
    weight, values = only(model([node("Conv", ["x", "w"], group=4)], {"w": w}), tmp_path)
    assert weight.kernel_shape == (4, 2, 3, 4)
    np.testing.assert_array_equal(layouts.matrices(values)[4], w[2:4, :, 0, 0])


def test_transposed_convolution_swaps_inputs_and_outputs(tmp_path: Path) -> None:
    w = rng(2).standard_normal((8, 3, 2, 2)).astype(np.float32)
    weight, values = only(model([node("ConvTranspose", ["x", "w"], group=2)], {"w": w}), tmp_path)
    assert weight.role == "conv_transpose"
    assert weight.kernel_shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(layouts.matrices(values)[4], w[4:8, :, 0, 0].T)


def test_depthwise_convolution_is_known_and_not_averaged(tmp_path: Path) -> None:
    w = rng(2).standard_normal((16, 1, 3, 3)).astype(np.float32)
    weight, _ = only(model([node("Conv", ["x", "w"], group=16)], {"w": w}), tmp_path)
    assert weight.role == "depthwise_conv"
    assert not weight.averaged


def test_embedding_and_expert_stacks(tmp_path: Path) -> None:
    table = rng(2).standard_normal((40, 8)).astype(np.float32)
    weight, values = only(model([node("Gather", ["w", "x"])], {"w": table}), tmp_path)
    assert weight.role == "embedding"
    np.testing.assert_array_equal(values[0, :, :, 0], table)
    experts = rng(2).standard_normal((3, 8, 5)).astype(np.float32)
    weight, values = only(model([node("MatMul", ["x", "w"])], {"w": experts}), tmp_path)
    assert weight.num_matrices == 3
    np.testing.assert_array_equal(values[1, :, :, 0], experts[1].T)


def test_one_tensor_used_twice_is_one_layer(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"], name="p"), node("MatMul", ["a", "w"], name="q")]
    weight, _ = only(model(nodes, {"w": W[:10]}), tmp_path)
    assert weight.used_by == ["p:1", "q:1"]


def test_equal_content_under_two_names_is_one_layer(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"], name="p"), node("MatMul", ["a", "v"], name="q")]
    result, _ = found(model(nodes, {"w": W[:10], "v": W[:10].copy()}), tmp_path)
    assert [weight.used_by for weight in result.weights] == [["p:1", "q:1"]]
    assert {account.reason for account in result.accounts if not account.weights} == set()


def test_what_is_no_weight_is_listed_with_its_reason(tmp_path: Path) -> None:
    nodes = [
        node("Einsum", ["x", "w"], ["a"], equation="bi,oi->bo", name="e"),
        node("Add", ["a", "table"], ["b"], name="add"),
        node("Add", ["b", "bias"], name="bias_add"),
    ]
    arrays = {"w": W, "table": np.ones((8, 12), np.float32), "bias": np.ones(12, np.float32)}
    result, _ = found(model(nodes, arrays), tmp_path)
    reasons = {skip.slot: skip.reason for skip in result.skipped}
    assert reasons["add:1"] == "not_a_weight"
    assert set(reasons) <= {"add:1", "e:1"}
    assert {a.tensor.name: a.reason for a in result.accounts if not a.weights}["bias"] == "vector"


def test_unknown_operator_counts_as_unsupported(tmp_path: Path) -> None:
    custom = helper.make_node("Mystery", ["x", "w"], ["y"], domain="com.example")
    result, _ = found(model([custom], {"w": W}), tmp_path)
    assert [(skip.op_type, skip.reason) for skip in result.skipped] == [("com.example.Mystery", "unsupported_op")]


def test_a_kernel_that_does_not_fit_its_groups_fails_alone(tmp_path: Path) -> None:
    w = rng(2).standard_normal((8, 3, 3, 3)).astype(np.float32)
    nodes = [node("Conv", ["x", "w"], ["a"], group=3), node("Conv", ["x", "v"])]
    result, _ = found(model(nodes, {"w": w, "v": w + 1}), tmp_path)
    problems = [weight.problem for weight in result.weights]
    assert problems[0] is not None
    assert problems[0].code == "invalid_graph"
    assert problems[1] is None


def test_weights_in_branches_loops_and_functions(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [node("MatMul", ["x", "w"], ["b"])], "then", [], [helper.make_empty_tensor_value_info("b")]
    )
    other = helper.make_graph(
        [node("MatMul", ["x", "v"], ["c"])], "else", [], [helper.make_empty_tensor_value_info("c")]
    )
    other.initializer.append(numpy_helper.from_array(W * 2, "v"))
    choice = helper.make_node("If", ["cond"], ["y"], then_branch=inner, else_branch=other, name="pick")
    result, values = found(model([choice], {"w": W}, inputs=("x", "cond")), tmp_path)
    assert sorted(w.place for w in result.weights) == ["main/pick.else_branch", "main/pick.then_branch"]
    assert all(value is not None for value in values)


def test_functions_that_call_each_other_twice_stay_small(tmp_path: Path) -> None:
    functions = []
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    for i in range(30):
        if i == 29:
            body = [node("MatMul", ["x", "w"])]
        else:
            body = [
                helper.make_node(f"f{i + 1}", ["x", "w"], ["a"], domain="local"),
                helper.make_node(f"f{i + 1}", ["a", "w"], ["y"], domain="local"),
            ]
        functions.append(helper.make_function("local", f"f{i}", ["x", "w"], ["y"], body, opsets))
    call = helper.make_node("f0", ["x", "w"], ["y"], domain="local")
    weight, _ = only(model([call], {"w": W}, functions=functions, opsets=opsets), tmp_path)
    assert len(weight.used_by) == 1


def test_a_recursive_function_is_named_and_survived(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    body = [helper.make_node("f", ["x", "w"], ["a"], domain="local"), node("MatMul", ["a", "w"])]
    function = helper.make_function("local", "f", ["x", "w"], ["y"], body, opsets)
    call = helper.make_node("f", ["x", "w"], ["y"], domain="local")
    result, _ = found(model([call], {"w": W}, functions=[function], opsets=opsets), tmp_path)
    assert len(result.weights) == 1
    assert "recursive_function" in {diagnostic.code for diagnostic in result.diagnostics}


def test_a_cycle_is_survived(tmp_path: Path) -> None:
    nodes = [
        node("Identity", ["b"], ["a"]),
        node("Identity", ["a"], ["b"]),
        node("MatMul", ["x", "a"], ["c"]),
        node("MatMul", ["c", "w"]),
    ]
    result, _ = found(model(nodes, {"w": W}), tmp_path)
    assert len(result.weights) == 1
    assert "cyclic_graph" in {diagnostic.code for diagnostic in result.diagnostics}


def test_batch_norm_that_follows_is_noticed(tmp_path: Path) -> None:
    vector = np.ones(8, np.float32)
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("BatchNormalization", ["a", "s", "s", "s", "s"], ["b"]),
        node("Conv", ["b", "v"]),
    ]
    w = rng(2).standard_normal((8, 8, 3, 3)).astype(np.float32)
    result, _ = found(model(nodes, {"w": w, "v": w * 2, "s": vector}), tmp_path)
    assert [weight.batch_norm for weight in result.weights] == [True, False]
    assert [weight.depth for weight in result.weights] == [0, 1]


def test_shapes_of_weights_are_no_slots(tmp_path: Path) -> None:
    """The older dynamo exporter makes zero biases by Shape, Expand and CastLike of the weight."""
    w = rng(2).standard_normal((8, 6, 3, 3)).astype(np.float32)
    nodes = [
        node("Shape", ["w"], ["dims"], start=0, end=1),
        node("Expand", ["x1", "dims"], ["bias"]),
        node("Conv", ["x", "w", "bias"]),
    ]
    result, _ = found(model(nodes, {"w": w}, inputs=("x", "x1")), tmp_path)
    assert [weight.used_by for weight in result.weights] == [["Conv_2:1"]]
    assert result.skipped == []
