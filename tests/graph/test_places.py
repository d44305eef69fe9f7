"""Weights in branches, loops, scans and local functions, in text form, against onnxruntime's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxspec.engine import analyze
from tests.graph.build import rng
from tests.graph.text import matrix, parsed, run, surveyed

W = rng(1).standard_normal((8, 8)).astype(np.float32)
V = rng(2).standard_normal((8, 8)).astype(np.float32)
EYE = np.eye(8, dtype=np.float32)


def only(model: onnx.ModelProto, folder: Path):
    found, weights = surveyed(model, folder)
    assert len(weights) == 1, [(w.name, w.problem) for w in found.weights]
    ((weight, values),) = weights.values()
    return found, weight, matrix(values)


def test_branches_with_outer_names_and_their_own(tmp_path: Path) -> None:
    text = """g (bool c, float[8, 8] x) => (float[8, 8] y) {
        y = If (c) <
            then_branch = a () => (float[8, 8] z) { z = If (c) <
                then_branch = b () => (float[8, 8] q) { q = MatMul (x, w) },
                else_branch = d () => (float[8, 8] q) { q = MatMul (w, x) }> },
            else_branch = e () => (float[8, 8] z) { z = MatMul (x, v) }>
    }"""
    model = parsed(text, {"w": W, "v": V})
    found, weights = surveyed(model, tmp_path)
    by_place = {weight.place: (weight, matrix(values)) for weight, values in weights.values()}
    assert {place.rpartition(".")[2] for place in by_place} == {"then_branch", "else_branch"}
    then, other = (run(model, c=np.array(c), x=EYE)[0] for c in (True, False))
    inner = [values for weight, values in weights.values() if weight.tensor == "w" and weight.slot.input == 1]
    np.testing.assert_array_equal(matrix(inner[0]).T, then)
    outer = [values for weight, values in weights.values() if weight.tensor == "v"]
    np.testing.assert_array_equal(matrix(outer[0]).T, other)
    assert not found.skipped


LOOPS = {
    "untouched": "wo = Identity (wi)",
    "through_two": "w1 = Identity (wi) wo = Identity (w1)",
    "through_an_if": """wo = If (ci) <
        then_branch = t () => (float[8, 8] a) { a = Identity (wi) },
        else_branch = e () => (float[8, 8] b) { b1 = Identity (wi) b = Identity (b1) }>""",
}


@pytest.mark.parametrize("form", LOOPS)
def test_a_weight_that_a_loop_carries(form: str, tmp_path: Path) -> None:
    text = f"""g (float[8, 8] x) => (float[8, 8] y) {{
        y, last = Loop (three, true, x, w) <body = b (int64 i, bool ci, float[8, 8] xi, float[8, 8] wi)
            => (bool co, float[8, 8] xo, float[8, 8] wo) {{
                co = Identity (ci)
                xo = MatMul (xi, wi)
                {LOOPS[form]}
            }}>
    }}"""
    model = parsed(text, {"w": W, "three": np.array(3), "true": np.array(True)})
    found, weight, values = only(model, tmp_path)
    (y, *_) = run(model, x=EYE)
    np.testing.assert_allclose(np.linalg.matrix_power(values.T.astype(np.float64), 3), y, atol=1e-4)
    assert weight.place == "main/Loop_0.body"
    assert (weight.slots, found.skipped) == (1, [])


def test_a_state_that_changes_is_no_weight(tmp_path: Path) -> None:
    text = """g (float[8, 8] x) => (float[8, 8] y) {
        y, last = Loop (three, true, x, w) <body = b (int64 i, bool ci, float[8, 8] xi, float[8, 8] wi)
            => (bool co, float[8, 8] xo, float[8, 8] wo) {
                co = Identity (ci)
                xo = MatMul (xi, wi)
                wo = Add (wi, xi)
            }>
    }"""
    found, weights = surveyed(parsed(text, {"w": W, "three": np.array(3), "true": np.array(True)}), tmp_path)
    assert not weights
    assert [(skip.slot, skip.reason) for skip in found.skipped] == [("Loop_0:3", "not_a_weight")]


def test_scan_with_an_outer_name_and_a_state(tmp_path: Path) -> None:
    text = """g (float[5, 8] x) => (float[5, 8] y) {
        h, keep, y = Scan <num_scan_inputs = 1, body = b (float[8] hi, float[8, 8] vi, float[8] xi)
            => (float[8] ho, float[8, 8] vo, float[8] yi) {
                a = MatMul (xi, w)
                c = MatMul (hi, vi)
                ho = Add (a, c)
                yi = Identity (ho)
                vo = Identity (vi)
            }> (zero, v, x)
    }"""
    model = parsed(text, {"w": W, "v": V, "zero": np.zeros(8, np.float32)})
    found, weights = surveyed(model, tmp_path)
    w, v = (next(matrix(a).T for one, a in weights.values() if one.tensor == name) for name in "wv")
    x = rng(3).standard_normal((5, 8)).astype(np.float32)
    h, expected = np.zeros(8), []
    for row in x:
        h = row @ w + h @ v
        expected.append(h)
    np.testing.assert_allclose(run(model, x=x)[0], expected, rtol=1e-4, atol=1e-3)
    assert not found.skipped


def test_scan_before_opset_9_has_a_batch_axis(tmp_path: Path) -> None:
    text = """g (float[1, 5, 8] x) => (float[1, 5, 8] y) {
        keep, y = Scan <num_scan_inputs = 1, body = b (float[8, 8] vi, float[8] xi) => (float[8, 8] vo, float[8] yi) {
                yi = MatMul (xi, vi)
                vo = Identity (vi)
            }> ( , v, x)
    }"""
    model = parsed(text, {"v": V[None]}, '<ir_version: 8, opset_import: ["" : 8]>\n')
    _, weight, values = only(model, tmp_path)
    x = rng(3).standard_normal((1, 5, 8)).astype(np.float32)
    np.testing.assert_allclose(run(model, x=x)[0], x @ values.T, atol=1e-5)
    assert weight.constant.chain() == ("Squeeze",)


@pytest.mark.parametrize("axis", [0, 1])
def test_layers_that_a_scan_takes_slice_by_slice(axis: int, tmp_path: Path) -> None:
    stack = rng(4).standard_normal((3, 8, 8)).astype(np.float32) / 3
    text = f"""g (float[8, 8] x) => (float[8, 8] y) {{
        y = Scan <num_scan_inputs = 1, scan_input_axes = [{axis}], body = b (float[8, 8] xi, float[8, 8] wi)
            => (float[8, 8] xo) {{ xo = Gemm <transB = 1> (xi, wi) }}> (x, w)
    }}"""
    model = parsed(text, {"w": np.ascontiguousarray(np.moveaxis(stack, 0, axis))})
    found, weights = surveyed(model, tmp_path)
    ((weight, values),) = weights.values()
    assert weight.num_matrices == 3
    expected = EYE.astype(np.float64)
    for one in values[..., 0]:
        expected = expected @ one.T
    np.testing.assert_allclose(run(model, x=EYE)[0], expected, atol=1e-4)
    np.testing.assert_array_equal(values[..., 0], stack)
    assert not found.skipped


FUNCTIONS = '<ir_version: 10, opset_import: ["" : 21, "f" : 1]>\n'


def test_functions_by_call_site(tmp_path: Path) -> None:
    text = """g (float[8, 8] x) => (float[8, 8] y) {
        a = f.layer (x, w)
        b = f.layer (a, v)
        y = f.layer (b, w)
    }
    <domain: "f", opset_import: ["" : 21]>
    layer (x, w) => (y) { t = Transpose (w) y = MatMul (x, t) }"""
    model = parsed(text, {"w": W, "v": V}, FUNCTIONS)
    _, weights = surveyed(model, tmp_path)
    w, v = (next(matrix(a) for one, a in weights.values() if one.tensor == name) for name in "wv")
    np.testing.assert_allclose(run(model, x=EYE)[0], w.T @ v.T @ w.T, atol=1e-4)
    assert sum(one.slots for one, _ in weights.values()) == 2  # w is seen by one instance of the body


def test_what_a_function_gives_may_be_a_weight(tmp_path: Path) -> None:
    text = """g (float[8, 8] x) => (float[8, 8] y) {
        t = f.turn (w)
        u = f.turn2 (t)
        y = MatMul (x, u)
    }
    <domain: "f", opset_import: ["" : 21]>
    turn (a) => (b) { b = Transpose (a) }
    <domain: "f", opset_import: ["" : 21, "f" : 1]>
    turn2 (a) => (b) { c = f.turn (a) d = f.turn (c) b = Identity (d) }"""
    model = parsed(text, {"w": W}, FUNCTIONS)
    _, weight, values = only(model, tmp_path)
    np.testing.assert_array_equal(values.T, run(model, x=EYE)[0])
    assert weight.tensor == "w"


def test_attributes_of_the_call_reach_the_body(tmp_path: Path) -> None:
    text = """g (float[8, 8] x) => (float[8, 8] y) {
        a = f.layer <turn = 1> (x, w)
        b = f.layer (a, w)
        y = f.held <k = float[8, 8] {K}> (b)
    }
    <domain: "f", opset_import: ["" : 21]>
    layer <turn: int = 0> (x, w) => (y) { y = Gemm <transB: int = @turn> (x, w) }
    <domain: "f", opset_import: ["" : 21]>
    held <k> (x) => (y) { c = Constant <value: tensor = @k> () y = MatMul (x, c) }"""
    numbers = ", ".join(f"{value:.9g}" for value in V.reshape(-1))
    model = parsed(text.replace("{K}", f"{{{numbers}}}"), {"w": W}, FUNCTIONS)
    found, weights = surveyed(model, tmp_path)
    matrices = [matrix(values) for _, values in weights.values()]
    assert len(matrices) == 3
    np.testing.assert_array_equal(matrices[0], W)
    np.testing.assert_array_equal(matrices[1], W.T)
    product = np.linalg.multi_dot([one.T.astype(np.float64) for one in matrices])
    np.testing.assert_allclose(run(model, x=EYE)[0], product, atol=1e-4)
    assert sum(account.tensor.size for account in found.accounts) == 128
    assert all(account.weights for account in found.accounts)


def test_a_body_inside_a_function_gets_its_attributes_too(tmp_path: Path) -> None:
    text = """g (bool c, float[8, 8] x) => (float[8, 8] y) { y = f.either <t = 1> (c, x, w) }
    <domain: "f", opset_import: ["" : 21]>
    either <t> (c, x, w) => (y) {
        y = If (c) <
            then_branch = a () => (float[8, 8] p) { p = Gemm <transB: int = @t> (x, w) },
            else_branch = b () => (float[8, 8] p) { p = Identity (x) }>
    }"""
    model = parsed(text, {"w": W}, FUNCTIONS)
    _, _, values = only(model, tmp_path)
    np.testing.assert_array_equal(values.T, run(model, c=np.array(True), x=EYE)[0])


def test_thirty_functions_that_double_cost_thirty_bodies(tmp_path: Path) -> None:
    functions = []
    for number in range(30):
        inner = f"f{number + 1}" if number < 29 else "MatMul"
        calls = [
            helper.make_node(inner, ["x", "w"], ["a"], domain="f" if number < 29 else ""),
            helper.make_node(inner, ["a", "w"], ["y"], domain="f" if number < 29 else ""),
        ]
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("f", 1)]
        functions.append(helper.make_function("f", f"f{number}", ["x", "w"], ["y"], calls, opsets))
    model = parsed("g (float[8, 8] x) => (float[8, 8] y) { y = f.f0 (x, w) }", {"w": W}, FUNCTIONS)
    model.functions.extend(functions)
    found, weights = surveyed(model, tmp_path)
    ((weight, _),) = weights.values()
    assert weight.slots == 2
    assert not [d for d in found.diagnostics if d.severity == "error"]


def test_sparse_weights(tmp_path: Path) -> None:
    dense = np.where(rng(6).random((8, 8)) < 0.3, W, 0).astype(np.float32)
    flat = np.flatnonzero(dense)
    model = parsed("g (float[8, 8] x) => (float[8, 8] y) { y = MatMul (x, w) }")
    values = numpy_helper.from_array(dense.reshape(-1)[flat], "w")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, numpy_helper.from_array(flat, "i"), [8, 8]))
    _, weight, found = only(model, tmp_path)
    np.testing.assert_array_equal(found.T, run(model, x=EYE)[0])
    assert weight.op_type == "MatMul"


def test_a_normalization_is_seen_through_identity(tmp_path: Path) -> None:
    text = """g (float[1, 4, 9, 9] x) => (float[1, 8, 7, 7] y, float[1, 8, 7, 7] z) {
        a = Conv (x, w)
        b = Identity (a)
        y = BatchNormalization (b, one, zero, zero, one)
        z = Conv (x, v)
    }"""
    arrays = {"w": np.ones((8, 4, 3, 3), np.float32), "v": np.zeros((8, 4, 3, 3), np.float32)}
    arrays |= {"one": np.ones(8, np.float32), "zero": np.zeros(8, np.float32)}
    found, _ = surveyed(parsed(text, arrays), tmp_path)
    assert {one.tensor: one.batch_norm for one in found.weights} == {"w": True, "v": False}


def test_a_table_cut_at_run_time_is_semi_dynamic(tmp_path: Path) -> None:
    text = """g (float[n, 8] x, int64[1] n0) => (float[n, 8] y) {
        t = Slice (w, zero, n0, zero)
        y = Add (x, t)
    }"""
    found, _ = surveyed(parsed(text, {"w": W, "zero": np.array([0])}), tmp_path)
    assert [(skip.slot, skip.reason) for skip in found.skipped] == [("Slice_0:0", "semi_dynamic")]


def test_parameters_in_attributes_are_counted(tmp_path: Path) -> None:
    numbers = ", ".join(str(i / 7) for i in range(80))
    text = f"""g (float[1, 20] x) => (float[1, 4] y) {{
        y = ai.onnx.ml.LinearRegressor <coefficients = [{numbers}], intercepts = [0.5, 1.5, 0.0, 2.5], targets = 4> (x)
    }}"""
    header = '<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]>\n'
    found, _ = surveyed(parsed(text, header=header), tmp_path)
    assert [(skip.slot, skip.reason, skip.parameters) for skip in found.skipped] == [
        ("LinearRegressor_0:coefficients", "unsupported_op", 80)
    ]
    assert sorted((a.reason, a.tensor.size) for a in found.accounts) == [("unsupported_op", 80), ("vector", 4)]


def test_sparse_weights_are_analysed_like_dense_ones(tmp_path: Path) -> None:
    """Their content is that of values, indices and dims; an index that stands twice has no one meaning."""
    dense = np.where(rng(6).random((64, 64)) < 0.3, rng(7).standard_normal((64, 64)), 0).astype(np.float32)
    flat = np.flatnonzero(dense)
    layers = []
    for name, indices in (("sparse", flat), ("turned", flat[::-1].copy()), ("twice", np.zeros_like(flat))):
        model = parsed("g (float[64, 64] x) => (float[64, 64] y) { y = MatMul (x, w) }")
        values = numpy_helper.from_array(dense.reshape(-1)[indices], "w")
        stored = numpy_helper.from_array(indices, "i")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, stored, [64, 64]))
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        layers.append(analyze(path, effort="fast").layers[0])
    plain = parsed("g (float[64, 64] x) => (float[64, 64] y) { y = MatMul (x, w) }", {"w": dense})
    path.write_bytes(plain.SerializeToString())
    wanted = analyze(path, effort="fast").layers[0]
    sparse, turned, twice = layers
    assert (twice.status, twice.reason) == ("failed", "invalid_sparse")
    for layer in (sparse, turned):
        assert (layer.status, layer.value_hash, layer.norm) == ("ok", wanted.value_hash, wanted.norm)
    assert len({sparse.content_hash, turned.content_hash, wanted.content_hash}) == 3
