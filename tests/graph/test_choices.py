"""Weights that leave the branches of an If, and slices of a Scan that are turned before use, against onnxruntime."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.graph.build import rng
from tests.graph.text import matrix, parsed, run, surveyed

A = rng(1).standard_normal((12, 9)).astype(np.float32)
B = rng(2).standard_normal((12, 9)).astype(np.float32)

IF = """w = If (c) <then_branch = t () => (float[12,9] wt) { wt = %s },
                   else_branch = e () => (float[12,9] we) { we = %s }>"""
CHOICES = {
    "two": (IF % ("Identity(a)", "Identity(b)") + " y = MatMul(x, w)", {"a": A, "b": B}),
    "same": (IF % ("Identity(a)", "Identity(a)") + " y = MatMul(x, w)", {"a": A}),
    "same_from_both_sides": (
        IF % ("Identity(a)", "Transpose<perm=[1,0]>(at)") + " y = MatMul(x, w)",
        {"a": A, "at": np.ascontiguousarray(A.T)},
    ),
    "transposed_inside": (
        IF % ("Transpose<perm=[1,0]>(at)", "Identity(b)") + " i = Identity(w) y = MatMul(x, i)",
        {"at": np.ascontiguousarray(A.T), "b": B},
    ),
    "transposed_outside": (
        IF % ("Identity(a)", "Identity(b)") + " t = Transpose<perm=[1,0]>(w) y = Gemm<transB=1>(x, t)",
        {"a": A, "b": B},
    ),
    "nested": (
        IF
        % (
            "If (d) <then_branch = t2 () => (float[12,9] w2) { w2 = Identity(a) }, "
            "else_branch = e2 () => (float[12,9] w3) { w3 = Identity(b) }>",
            "Identity(b)",
        )
        + " y = MatMul(x, w)",
        {"a": A, "b": B},
    ),
    "codes_and_scale": (
        """q, s = If (c) <
             then_branch = t () => (int8[12,9] qt, float st) { qt = Identity(qa) st = Identity(sa) },
             else_branch = e () => (int8[12,9] qe, float se) { qe = Identity(qb) se = Identity(sb) }>
           w = DequantizeLinear(q, s) y = MatMul(x, w)""",
        {
            "qa": (A * 40).astype(np.int8),
            "qb": (B * 40).astype(np.int8),
            "sa": np.float32(0.5),
            "sb": np.float32(0.25),
        },
    ),
}


@pytest.mark.parametrize("case", CHOICES)
def test_a_weight_that_leaves_an_if(case: str, tmp_path: Path) -> None:
    body, arrays = CHOICES[case]
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    names = ["c", "d"] if "(d)" in body else ["c"]
    inputs = ", ".join(f"bool {name}" for name in names)
    model = parsed(f"g ({inputs}, float[12,12] x) => (float[12,9] y) {{ {body} }}", arrays)
    implied: list[np.ndarray] = []
    for branches in itertools.product([True, False], repeat=len(names)):
        feeds = {name: np.array(branch) for name, branch in zip(names, branches)}
        (y,) = run(model, x=np.eye(12, dtype=np.float32), **feeds)
        if not any(np.array_equal(y, other) for other in implied):
            implied.append(y)
    survey, weights = surveyed(model, tmp_path)
    ours = [matrix(values).T.astype(np.float32) for _, values in weights.values()]
    if case == "same_from_both_sides":  # the transposed copy is a tensor of its own
        ours = ours[:1]
    assert len(ours) == len(implied)
    for y in implied:
        assert any(np.array_equal(y, w) for w in ours)
    assert sum(weight.slots for weight in survey.weights) == 1
    assert all(account.reason != "unused" or account.weights for account in survey.accounts)
    assert not survey.skipped


def test_weights_of_the_branches_own(tmp_path: Path) -> None:
    """One branch holds its weight as an initializer that is its output, the other as a Constant node."""
    info = helper.make_tensor_value_info
    then = helper.make_graph([], "t", [], [info("wt", 1, [12, 9])], initializer=[numpy_helper.from_array(A, "wt")])
    constant = helper.make_node("Constant", [], ["we"], value=numpy_helper.from_array(B))
    other = helper.make_graph([constant], "e", [], [info("we", 1, [12, 9])])
    model = parsed("g (bool c, float[n,12] x) => (float[n,9] y) { y = MatMul(x, w) }")
    model.graph.node.insert(0, helper.make_node("If", ["c"], ["w"], then_branch=then, else_branch=other))
    _, weights = surveyed(model, tmp_path)
    assert sorted(float(values.sum()) for _, values in weights.values()) == pytest.approx(
        sorted([float(A.sum(dtype=float)), float(B.sum(dtype=float))])
    )


def test_a_branch_that_computes_its_output_makes_no_weight(tmp_path: Path) -> None:
    model = parsed(
        "g (bool c, float[12,9] z, float[n,12] x) => (float[n,9] y) { "
        + IF % ("Identity(a)", "Relu(z)")
        + " y = MatMul(x, w) }",
        {"a": A},
    )
    survey, weights = surveyed(model, tmp_path)
    assert not weights
    assert [account.reason for account in survey.accounts] == ["unused"]


def test_a_bias_that_leaves_an_if_is_a_vector(tmp_path: Path) -> None:
    model = parsed(
        "g (bool c, float[n,12] x) => (float[n,9] y) { b = If (c) "
        "<then_branch = t () => (float[9] bt) { bt = Identity(b1) }, "
        "else_branch = e () => (float[9] be) { be = Identity(b2) }> m = MatMul(x, a) y = Add(m, b) }",
        {"a": A, "b1": A[0], "b2": A[1]},
    )
    survey, weights = surveyed(model, tmp_path)
    assert list(weights) == ["a"]
    assert {account.tensor.name: account.reason for account in survey.accounts if not account.weights} == {
        "b1": "vector",
        "b2": "vector",
    }


SLICES = {
    "plain": ("z = MatMul(s, k)", (4, 9, 9)),
    "transposed": ("kt = Transpose<perm=[1,0]>(k) z = MatMul(s, kt)", (4, 9, 9)),
    "turned_twice": ("a = Unsqueeze(k, zero) b = Squeeze(a, zero) kt = Transpose(b) z = MatMul(s, kt)", (4, 9, 9)),
    "codes": ("d = DequantizeLinear(k, half) kt = Transpose<perm=[1,0]>(d) z = MatMul(s, kt)", (4, 9, 9)),
    "half_precision": ("t = Transpose<perm=[1,0]>(k) f = Cast<to=1>(t) z = MatMul(s, f)", (4, 9, 9)),
    "reshaped": ("kr = Reshape(k, nine) z = MatMul(s, kr)", (4, 81)),
}


@pytest.mark.parametrize("case", SLICES)
def test_slices_of_a_scan_are_a_stack(case: str, tmp_path: Path) -> None:
    body, shape = SLICES[case]
    stack = rng(3).standard_normal(shape).astype(np.float32)
    kind = {"codes": "int8", "half_precision": "float16"}.get(case, "float")
    if kind != "float":
        stack = (stack * 40).astype(kind)
    arrays = {"w": stack, "zero": np.array([0]), "nine": np.array([9, 9]), "half": np.array(0.5, np.float32)}
    model = parsed(
        "g (float[9,9] x) => (float[9,9] last, float[4,9,9] y) { last, y = Scan<num_scan_inputs=1, body = b "
        f"(float[9,9] s, {kind}[{','.join(map(str, shape[1:]))}] k) => (float[9,9] s2, float[9,9] z) "
        f"{{ {body} s2 = Identity(s) }}>(x, w) }}",
        {name: array for name, array in arrays.items() if name == "w" or name in body},
    )
    _, implied = run(model, x=np.eye(9, dtype=np.float32))
    _, weights = surveyed(model, tmp_path)
    ((weight, values),) = weights.values()
    assert (weight.role, weight.num_matrices, weight.slots) == ("dense", 4, 1)
    np.testing.assert_array_equal(values[..., 0].swapaxes(1, 2).astype(np.float32), implied)
