"""Valid graphs that few exporters write: values handed through Loops, functions, old opsets, products of three."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from tests.graph.build import rng
from tests.graph.text import matrix, parsed, run, surveyed

W = rng(1).standard_normal((9, 9)).astype(np.float32)
A = rng(2).standard_normal((9, 12)).astype(np.float32)
S = rng(3).random(9).astype(np.float32)

INNER = """Loop<body = b2 (int64 j, bool d, float[n,9] r, float[9,9] q) => (bool d2, float[n,9] r2, float[9,9] q2)
  { r2 = MatMul(r, q) d2 = Identity(d) q2 = Identity(q) }>(t, c, s, k)"""
LOOPS = {
    "two_deep": (f"s2, ko = {INNER} c2 = Identity(c) k2 = Identity(k)", "y = Identity(z)", 1),
    "handed_through_the_inner_one": (f"s2, k2 = {INNER} c2 = Identity(c)", "y = Identity(z)", 1),
    "used_after_the_loop": ("s2 = MatMul(s, k) c2 = Identity(c) k2 = Identity(k)", "y = MatMul(z, wo)", 2),
    "turned_after_the_loop": (
        "s2 = MatMul(s, k) c2 = Identity(c) k2 = Identity(k)",
        "wt = Transpose<perm=[1,0]>(wo) y = Gemm<transB=1>(z, wt)",
        1,
    ),
}


@pytest.mark.parametrize("case", LOOPS)
def test_weights_that_loops_hand_through(case: str, tmp_path: Path) -> None:
    body, after, slots = LOOPS[case]
    model = parsed(
        "g (float[n,9] x, int64 t, bool c0) => (float[n,9] y) { z, wo = Loop<body = b1 "
        "(int64 i, bool c, float[n,9] s, float[9,9] k) => (bool c2, float[n,9] s2, float[9,9] k2) "
        f"{{ {body} }}>(t, c0, x, w) {after} }}",
        {"w": W},
    )
    (implied,) = run(model, x=np.eye(9, dtype=np.float32), t=np.array(1), c0=np.array(True))
    survey, weights = surveyed(model, tmp_path)
    first, values = next(iter(weights.values()))
    product = matrix(values).T if "after" not in case else matrix(values).T @ matrix(values).T
    np.testing.assert_allclose(product, implied, rtol=1e-5, atol=1e-5)
    assert first.slots == slots
    assert all(account.weights for account in survey.accounts)
    assert len(weights) == (2 if case == "turned_after_the_loop" else 1)


def test_results_of_loops_that_hand_each_other_around_end(tmp_path: Path) -> None:
    """Two Loops that each start from the other's result: no model, and no endless search."""
    body = "b (int64 i, bool c, float[9,9] k) => (bool c2, float[9,9] k2) { c2 = Identity(c) k2 = Identity(k) }"
    model = parsed(
        f"g (float[n,9] x, int64 t, bool c0) => (float[n,9] y) {{ p = Loop<body = {body}>(t, c0, q) "
        f"q = Loop<body = {body.replace('b (', 'b3 (')}>(t, c0, p) v = MatMul(x, p) y = MatMul(v, w) }}",
        {"w": W},
    )
    survey, weights = surveyed(model, tmp_path)
    assert list(weights) == ["MatMul_3"]
    assert "cyclic_graph" in {diagnostic.code for diagnostic in survey.diagnostics}


OLD = {
    "slice_by_attributes": (6, "w = Slice<axes=[0], starts=[1], ends=[10]>(a)", {"a": np.concatenate([A[:1], A])}, A),
    "reshape_by_attribute": (4, "w = Reshape<shape=[9,12]>(a)", {"a": A.reshape(-1)}, A),
    "cast_to_a_name": (5, 'w = Cast<to="FLOAT">(a)', {"a": A.astype(np.float64)}, A),
    "cast_to_half": (5, 'w = Cast<to="FLOAT16">(a)', {"a": A}, A.astype(np.float16)),
    "concat_without_an_axis": (3, "w = Concat(a, b)", {"a": A[:, :4], "b": A[:, 4:]}, A),
    "broadcast_along_an_axis": (6, "w = Mul<axis=0, broadcast=1>(a, s)", {"a": A, "s": S}, A * S[:, None]),
    "broadcast_of_the_last_axes": (6, "w = Sub<broadcast=1>(a, s)", {"a": A.T.copy(), "s": S}, A.T - S),
    "pad_by_attribute": (6, "w = Pad<pads=[0,0,1,0]>(a)", {"a": A[:8]}, np.concatenate([A[:8], 0 * A[:1]])),
    "unsqueeze_by_attribute": (6, "u = Unsqueeze<axes=[0]>(a) w = Squeeze<axes=[0]>(u)", {"a": A}, A),
    "split_by_attribute": (6, "w, rest = Split<axis=0, split=[9,3]>(a)", {"a": np.concatenate([A, A[:3]])}, A),
}


@pytest.mark.parametrize("case", OLD)
def test_operators_of_old_opsets(case: str, tmp_path: Path) -> None:
    """onnxruntime refuses opsets below 7; what their text says is written out in NumPy."""
    opset, body, arrays, expected = OLD[case]
    rows, columns = expected.shape
    model = parsed(
        f"g (float[n,{columns}] x) => (float[n,{rows}] y) {{ {body} y = Gemm<transB=1, broadcast=1>(x, w, c) }}",
        arrays | {"c": np.zeros(rows, np.float32)},
        header=f'<ir_version: 3, opset_import: ["" : {opset}]>\n',
    )
    _, weights = surveyed(model, tmp_path)
    ((_, values),) = weights.values()
    np.testing.assert_array_equal(matrix(values), expected.astype(np.float64))


PRODUCTS = {
    "ni,ij,jk->nk": (12, (12, 9), (9, 11)),
    "ij,jk,ni->nk": (12, (12, 9), (9, 11)),
    "ni,ij,nj->n": (12, (12, 9), None),
    "ni,oij,nj->no": (12, (4, 12, 9), None),
}


@pytest.mark.parametrize("equation", PRODUCTS)
def test_einsum_of_three(equation: str, tmp_path: Path) -> None:
    """The product with the matrices that were found is what onnxruntime gives."""
    inputs, first, second = PRODUCTS[equation]
    a = rng(4).standard_normal(first).astype(np.float32)
    x = np.eye(inputs, dtype=np.float32)
    z = rng(5).standard_normal((inputs, 9)).astype(np.float32)
    result, arrays = equation.partition("->")[2], {"a": a}
    dims = "n" + ",k" * (len(result) - 1)
    if second is None:
        model = parsed(
            f'g (float[n,12] x, float[n,9] z) => (float[{dims}] y) {{ y = Einsum<equation="{equation}">(x, a, z) }}',
            arrays,
        )
        (implied,) = run(model, x=x, z=z)
    else:
        arrays["b"] = rng(6).standard_normal(second).astype(np.float32)
        order = "a, b, x" if equation.startswith("ij") else "x, a, b"
        model = parsed(
            f'g (float[n,12] x) => (float[{dims}] y) {{ y = Einsum<equation="{equation}">({order}) }}', arrays
        )
        (implied,) = run(model, x=x)
    survey, weights = surveyed(model, tmp_path)
    assert not survey.skipped
    found = {name: values[..., 0] for name, (_, values) in weights.items()}
    if equation == "ni,oij,nj->no":
        ours = np.einsum("oij,ij->io", found["a"].reshape(4, 12, 9), z)
    elif second is None:
        ours = np.einsum("ji,ij->i", found["a"][0], z)
    elif equation.startswith("ij"):  # its first neighbour is the other weight
        ours = found["a"][0] @ found["b"][0].T
    else:
        ours = found["a"][0].T @ found["b"][0].T
    np.testing.assert_allclose(ours, implied, rtol=1e-4, atol=1e-5)


def test_functions_in_functions_with_branches_and_weights_from_outside(tmp_path: Path) -> None:
    model = parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21, "loc" : 1]>
        g (bool c, float[n,9] x) => (float[n,9] y) { wt = loc.turn(w) y = loc.outer(x, wt, v, c) }
        <domain: "loc", opset_import: ["" : 21]> turn (w) => (o) { o = Transpose<perm=[1,0]>(w) }
        <domain: "loc", opset_import: ["" : 21, "loc" : 1]> outer (x, w, v, c) => (y) { y = loc.inner(x, w, v, c) }
        <domain: "loc", opset_import: ["" : 21]> inner (x, w, v, c) => (y) {
          y = If (c) <then_branch = t () => (float[n,9] a) { a = MatMul(x, w) },
                      else_branch = e () => (float[n,9] b) { b = MatMul(x, v) }> }
        """
    )
    v = rng(7).standard_normal((9, 9)).astype(np.float32)
    model.graph.initializer.extend([numpy_helper.from_array(W, "w"), numpy_helper.from_array(v, "v")])
    _, weights = surveyed(model, tmp_path)
    ours = [matrix(values).T.astype(np.float32) for _, values in weights.values()]
    for branch in (True, False):
        (implied,) = run(model, x=np.eye(9, dtype=np.float32), c=np.array(branch))
        assert any(np.array_equal(implied, w) for w in ours)
    assert len(ours) == 2


@pytest.mark.parametrize("group", [1, 2])
def test_deformable_convolution(group: int, tmp_path: Path) -> None:
    """With offsets of zero it is a convolution."""
    k = rng(8).standard_normal((6, 4 // group, 3, 2)).astype(np.float32)
    model = parsed(
        f"g (float[n,4,3,2] x, float[n,12,1,1] o) => (float[n,6,1,1] y) {{ y = DeformConv<group={group}>(x, k, o) }}",
        {"k": k},
        header='<ir_version: 9, opset_import: ["" : 19]>\n',
    )
    x = np.eye(24, dtype=np.float32).reshape(24, 4, 3, 2)
    (implied,) = run(model, x=x, o=np.zeros((24, 12, 1, 1), np.float32))
    _, weights = surveyed(model, tmp_path)
    ((weight, values),) = weights.values()
    whole = np.zeros((6, 4, 6))
    for number, part in enumerate(values):
        rows, columns = part.shape[:2]
        whole[number * rows : (number + 1) * rows, number * columns : (number + 1) * columns] = part
    np.testing.assert_allclose(whole.reshape(6, 24), implied[:, :, 0, 0].T, rtol=1e-6)
    assert weight.role == "conv"


def test_sparse_constants_in_both_forms(tmp_path: Path) -> None:
    dense = np.where(rng(9).random((12, 9)) < 0.4, rng(10).standard_normal((12, 9)), 0).astype(np.float32)
    values = dense[dense != 0]
    for form in ("linear", "by_axis"):
        where = np.argwhere(dense) if form == "by_axis" else np.flatnonzero(dense)
        sparse = helper.make_sparse_tensor(
            helper.make_tensor("w", onnx.TensorProto.FLOAT, [len(values)], values),
            helper.make_tensor("w_indices", onnx.TensorProto.INT64, where.shape, where.reshape(-1)),
            list(dense.shape),
        )
        for place in ("initializer", "node"):
            model = parsed("g (float[n,12] x) => (float[n,9] y) { y = MatMul(x, w) }")
            if place == "initializer":
                model.graph.sparse_initializer.append(sparse)
            else:
                model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=sparse))
            _, weights = surveyed(model, tmp_path)
            ((_, found),) = weights.values()
            np.testing.assert_array_equal(matrix(found).T, dense)


CHOSEN = {
    "plain": "k = Gather(w, e) y = MatMul(x, k)",
    "turned": "k = Gather(w, e) t = Transpose<perm=[1,0]>(k) y = MatMul(x, t)",
    "gemm": "k = Gather(w, e) y = Gemm<transB=1>(x, k)",
    "from_a_list": "u = Unsqueeze(e, zero) k = Gather(w, u) q = Squeeze(k, zero) y = MatMul(x, q)",
}


@pytest.mark.parametrize("case", CHOSEN)
def test_one_matrix_of_a_stack_is_chosen_by_a_run(case: str, tmp_path: Path) -> None:
    """An expert's, or a layer's in a Loop: no table that is looked up, but a stack of matrices."""
    stack = rng(11).standard_normal((3, 12, 12)).astype(np.float32)
    arrays = {"w": stack} | ({"zero": np.array([0])} if "zero" in CHOSEN[case] else {})
    model = parsed(f"g (float[12,12] x, int64 e) => (float[12,12] y) {{ {CHOSEN[case]} }}", arrays)
    _, weights = surveyed(model, tmp_path)
    ((weight, values),) = weights.values()
    assert (weight.role, weight.num_matrices) == ("dense", 3)
    for number in range(3):
        (implied,) = run(model, x=np.eye(12, dtype=np.float32), e=np.array(number))
        np.testing.assert_array_equal(values[number, :, :, 0].T.astype(np.float32), implied)


def test_what_is_looked_up_and_multiplied_stays_a_table(tmp_path: Path) -> None:
    arrays = {"w": rng(12).standard_normal((3, 12, 12)).astype(np.float32), "v": rng(13).standard_normal((12, 9))}
    model = parsed(
        "g (int64[n] e) => (float[n,12,9] y) { k = Gather(w, e) y = MatMul(k, v) }",
        {name: array.astype(np.float32) for name, array in arrays.items()},
    )
    _, weights = surveyed(model, tmp_path)
    assert {weight.tensor: weight.role for weight, _ in weights.values()} == {"w": "embedding", "v": "dense"}


def test_a_mask_of_the_same_size_does_not_stand_for_the_weight(tmp_path: Path) -> None:
    arrays = {"mask": W > 0, "w": W, "zero": np.array(0, np.float32)}
    model = parsed("g (float[9,9] x) => (float[9,9] y) { p = Where(mask, w, zero) y = MatMul(x, p) }", arrays)
    (implied,) = run(model, x=np.eye(9, dtype=np.float32))
    _, weights = surveyed(model, tmp_path)
    ((weight, values),) = weights.values()
    np.testing.assert_array_equal(matrix(values).T.astype(np.float32), implied)
    assert (weight.tensor, weight.dtype) == ("w", "float32")


@pytest.mark.parametrize(("place", "taken"), [(1, 1), (-3, 0), (0, 0)])
def test_a_weight_taken_from_a_sequence_of_constants(place: int, taken: int, tmp_path: Path) -> None:
    held = [rng(seed).standard_normal((9, 9)).astype(np.float32) for seed in (31, 32, 33)]
    model = parsed(
        "g (float[9,9] x) => (float[9,9] y) { s = SequenceConstruct(a, b, c) w = SequenceAt(s, i) y = MatMul(x, w) }",
        dict(zip("abc", held)) | {"i": np.array(place)},
    )
    found, weights = surveyed(model, tmp_path)
    ((weight, values),) = weights.values()
    np.testing.assert_array_equal(matrix(values).T, run(model, x=np.eye(9, dtype=np.float32))[0])
    assert (weight.tensor, found.skipped) == ("abc"[taken], [])


@pytest.mark.parametrize("place", [3, -4])
def test_a_place_beyond_a_sequence_costs_its_weight_alone(place: int, tmp_path: Path) -> None:
    model = parsed(
        "g (float[9,9] x) => (y, z) { s = SequenceConstruct(w) v = SequenceAt(s, i) "
        "y = MatMul(x, v) z = MatMul(x, u) }",
        {"w": W, "u": W * 2, "i": np.array(place)},
    )
    found, weights = surveyed(model, tmp_path)
    assert [weight.tensor for weight, _ in weights.values()] == ["u"]
    assert [weight.problem.code for weight in found.weights if weight.problem] == ["not_folded"]
