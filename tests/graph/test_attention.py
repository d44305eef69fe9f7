"""Fused projections, experts, tables, Einsum and onnxruntime's own operators, against onnxruntime's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from onnxspec.graph.fused import einsum_layout
from onnxspec.graph.nchwc import unblock
from tests.graph.build import rng
from tests.graph.text import matrix, parsed, run, surveyed

D = 24


def weight(*shape: int, seed: int = 1) -> np.ndarray:
    return rng(seed).standard_normal(shape).astype(np.float32)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attend(x: np.ndarray, parts: dict[str, np.ndarray], heads: int) -> np.ndarray:
    """Multi-head attention in NumPy from three matrices, outputs x inputs."""
    q, k, v = (np.stack(np.split(x @ parts[name].T, heads, axis=-1)) for name in ("query", "key", "value"))
    mixed = softmax(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])) @ v
    return np.concatenate(list(mixed), axis=-1)


def parts_of(weights: dict) -> dict[str, np.ndarray]:
    return {w.slot.part: matrix(values) for w, values in weights.values() if w.slot.part}


@pytest.mark.parametrize("sizes", ["", ", qkv_hidden_sizes = [24, 24, 12]"])
def test_attention_is_one_matrix_and_three(sizes: str, tmp_path: Path) -> None:
    w = weight(D, 60 if sizes else 72)
    text = f"""g (float[1, s, {D}] x) => (float[1, s, o] y) {{
        y = com.microsoft.Attention <num_heads = 3{sizes}> (x, w, b)
    }}"""
    model = parsed(text, {"w": w, "b": np.zeros(w.shape[1], np.float32)})
    found, weights = surveyed(model, tmp_path)
    x = weight(5, D, seed=2)
    (y,) = run(model, x=x[None])
    parts = parts_of(weights)
    assert list(parts) == ["query", "key", "value"]
    np.testing.assert_allclose(attend(x, parts, 3), y[0], atol=2e-5)
    whole = [values for one, values in weights.values() if one.role == "attention_qkv"]
    np.testing.assert_array_equal(matrix(whole[0]), np.concatenate(list(parts.values())))
    assert {one.role: one.averaged for one in found.weights} == {"attention_qkv": False, "dense": True}
    assert sum(one.slots for one in found.weights) == 1


PACKED = {
    "split": """h = MatMul (x, w)
        q, k, v = Split <axis = -1, num_outputs = 3> (h)""",
    "split_after_bias": """h0 = MatMul (x, w)
        h = Add (b, h0)
        q, k, v = Split <axis = -1> (h, sizes)""",
    "gemm": """x2 = Squeeze (x, zero)
        h0 = Gemm <transB = 1> (x2, w, b)
        h = Unsqueeze (h0, zero)
        q, k, v = Split <axis = -1, num_outputs = 3> (h)""",
    "three_first": """h = MatMul (x, w)
        r = Reshape (h, heads_last)
        t = Transpose <perm = [2, 0, 1, 3, 4]> (r)
        q5, k5, v5 = Split <axis = 0, num_outputs = 3> (t)
        q = Reshape (q5, flat)
        k = Reshape (k5, flat)
        v = Reshape (v5, flat)""",
    "unflattened": """h = MatMul (x, w)
        s = Shape (h)
        front = Slice (s, zero, two)
        end = Slice (s, three, most)
        target = Concat <axis = 0> (front, three_of_24, end)
        r = Reshape (h, target)
        u = Unsqueeze (r, zero)
        t = Transpose <perm = [3, 1, 2, 0, 4]> (u)
        f = Squeeze (t, three)
        q = Gather <axis = 0> (f, first)
        k = Gather <axis = 0> (f, second)
        v = Gather <axis = 0> (f, third)""",
    "heads_first": """h = MatMul (x, w)
        r = Reshape (h, three_last)
        t = Transpose <perm = [3, 0, 1, 2, 4]> (r)
        q5, k5, v5 = Split <axis = 0, num_outputs = 3> (t)
        q = Reshape (q5, flat)
        k = Reshape (k5, flat)
        v = Reshape (v5, flat)""",
}

PACKED["three_first, the rest open"] = PACKED["three_first"].replace("heads_last", "heads_open")
PACKED["heads_first, the rest open"] = PACKED["heads_first"].replace("three_last", "three_open")


@pytest.mark.parametrize("form", PACKED)
def test_a_product_split_on_the_way_to_attention_is_fused(form: str, tmp_path: Path) -> None:
    text = f"""g (float[1, s, {D}] x) => (float[1, s, {D}] y) {{
        {PACKED[form]}
        kt = Transpose <perm = [0, 2, 1]> (k)
        s0 = MatMul (q, kt)
        s1 = Div (s0, root)
        p = Softmax <axis = -1> (s1)
        y = MatMul (p, v)
    }}"""
    w = weight(72, D) if form == "gemm" else weight(D, 72)
    arrays = {
        "w": w,
        "b": np.zeros(72, np.float32),
        "sizes": np.array([24, 24, 24]),
        "zero": np.array([0]),
        "heads_last": np.array([0, 0, 3, 4, 6]),
        "three_last": np.array([0, 0, 4, 3, 6]),
        "heads_open": np.array([0, 0, 3, 4, -1]),
        "three_open": np.array([0, 0, 4, 3, -1]),
        "flat": np.array([1, -1, 24]),
        "two": np.array([2]),
        "three": np.array([3]),
        "most": np.array([2**62]),
        "three_of_24": np.array([3, 24]),
        **{name: np.array(i) for i, name in enumerate(("first", "second", "third"))},
        "root": np.float32(np.sqrt(D)).reshape(()),
    }
    model = parsed(text, arrays)
    x = weight(5, D, seed=2)
    (y,) = run(model, x=x[None])
    found, weights = surveyed(model, tmp_path)
    assert [one.slot.part for one in found.weights] == [None, "query", "key", "value"]
    np.testing.assert_allclose(attend(x, parts_of(weights), 1), y[0], atol=3e-5)


def test_of_two_axes_of_three_the_one_taken_apart_is_cut(tmp_path: Path) -> None:
    text = f"""g (float[1, s, {D}] x) => (float[1, 3, s, 8] y) {{
        h = MatMul (x, w)
        r = Reshape (h, heads)
        t = Transpose <perm = [2, 0, 3, 1, 4]> (r)
        q = Gather <axis = 0> (t, first)
        k = Gather <axis = 0> (t, second)
        v = Gather <axis = 0> (t, third)
        kt = Transpose <perm = [0, 1, 3, 2]> (k)
        s0 = MatMul (q, kt)
        s1 = Div (s0, root)
        p = Softmax <axis = -1> (s1)
        y = MatMul (p, v)
    }}"""
    numbers = {name: np.array(i) for i, name in enumerate(("first", "second", "third"))}
    arrays = {"w": weight(D, 72), "heads": np.array([0, 0, 3, 3, 8]), "root": np.float32(8**0.5).reshape(()), **numbers}
    model = parsed(text, arrays)
    x = weight(5, D, seed=2)
    (y,) = run(model, x=x[None])
    _, weights = surveyed(model, tmp_path)
    parts = parts_of(weights)
    assert list(parts) == ["query", "key", "value"]
    np.testing.assert_allclose(attend(x, parts, 3), np.concatenate(list(y[0]), axis=-1), atol=3e-5)


def test_three_heads_are_no_query_key_and_value(tmp_path: Path) -> None:
    text = f"""g (float[1, s, {D}] x) => (float[1, 3, s, 8] y) {{
        q0 = MatMul (x, wq)
        q1 = Reshape (q0, heads)
        q = Transpose <perm = [0, 2, 1, 3]> (q1)
        k0 = MatMul (x, wk)
        k1 = Reshape (k0, heads)
        kt = Transpose <perm = [0, 2, 3, 1]> (k1)
        v0 = MatMul (x, wv)
        v1 = Reshape (v0, heads)
        v = Transpose <perm = [0, 2, 1, 3]> (v1)
        s = MatMul (q, kt)
        p = Softmax <axis = -1> (s)
        y = MatMul (p, v)
    }}"""
    arrays = {name: weight(D, D, seed=i) for i, name in enumerate(("wq", "wk", "wv"))}
    found, _ = surveyed(parsed(text, {**arrays, "heads": np.array([0, 0, 3, 8])}), tmp_path)
    assert [(one.tensor, one.role, one.slot.part) for one in found.weights] == [
        (name, "dense", None) for name in ("wq", "wk", "wv")
    ]


def test_a_split_into_gates_is_not_attention(tmp_path: Path) -> None:
    text = f"""g (float[1, {D}] x) => (float[1, {D}] y) {{
        h = MatMul (x, w)
        r, z, n = Split <axis = -1, num_outputs = 3> (h)
        a = Sigmoid (r)
        b = Tanh (z)
        c = Mul (a, b)
        y = Add (c, n)
    }}"""
    found, _ = surveyed(parsed(text, {"w": weight(D, 72)}), tmp_path)
    assert [one.role for one in found.weights] == ["dense"]


def test_packed_grouped_queries(tmp_path: Path) -> None:
    text = """g (float[1, 4, 32] x, int32[1] last, int32 total, float[1, 2, 0, 16] none) => (float[1, 4, 64] y,
            float[1, 2, 4, 16] key, float[1, 2, 4, 16] value) {
        packed = MatMul (x, w)
        y, key, value = com.microsoft.GroupQueryAttention <num_heads = 4, kv_num_heads = 2>
            (packed, , , none, none, last, total)
    }"""
    w = weight(32, 128)
    model = parsed(text, {"w": w})
    _, weights = surveyed(model, tmp_path)
    parts = parts_of(weights)
    assert [part.shape for part in parts.values()] == [(64, 32), (32, 32), (32, 32)]
    x = weight(1, 4, 32, seed=3)
    none = np.zeros((1, 2, 0, 16), np.float32)
    y, key, value = run(model, x=x, last=np.array([3], np.int32), total=np.array(4, np.int32), none=none)
    for name, got in (("key", key), ("value", value)):
        np.testing.assert_allclose(x[0] @ parts[name].T, got[0].transpose(1, 0, 2).reshape(4, 32), atol=1e-5)
    first = x[0, :1] @ parts["value"].T  # the first token sees itself alone
    np.testing.assert_allclose(np.repeat(first.reshape(2, 16), 2, axis=0).reshape(-1), y[0, 0], atol=1e-5)


def test_multi_head_attention_has_no_weight(tmp_path: Path) -> None:
    text = """g (float[1, 4, 24] q) => (float[1, 4, 24] y) {
        y = com.microsoft.MultiHeadAttention <num_heads = 3> (q, q, q, b)
    }"""
    found, _ = surveyed(parsed(text, {"b": np.ones(72, np.float32)}), tmp_path)
    assert not found.weights
    assert not found.skipped
    assert [account.reason for account in found.accounts] == ["vector"]


# --- products ---------------------------------------------------------------------------


EINSUMS = {
    # equation: shape of x, shape of w, the result from canonical values v (groups, outputs, inputs)
    "bi,oi->bo": ((7, 5), (12, 5), lambda x, v: x @ v[0].T),
    "bi,io->bo": ((7, 5), (5, 12), lambda x, v: x @ v[0].T),
    "bi,io": ((7, 5), (5, 12), lambda x, v: x @ v[0].T),
    "...i,oi->...o": ((2, 3, 5), (12, 5), lambda x, v: x @ v[0].T),
    "bhi,hio->bho": ((2, 3, 5), (3, 5, 8), lambda x, v: np.stack([x[:, h] @ v[h].T for h in range(3)], axis=1)),
    "aij,ajk->aik": ((3, 2, 5), (3, 5, 12), lambda x, v: x @ v.swapaxes(1, 2)),
    "bsd,dhk->bshk": ((2, 3, 6), (6, 4, 5), lambda x, v: (x @ v[0].T).reshape(2, 3, 4, 5)),
    "bshk,hkd->bsd": ((2, 3, 4, 5), (4, 5, 6), lambda x, v: x.reshape(2, 3, 20) @ v[0].T),
}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("equation", EINSUMS)
def test_einsum(equation: str, swapped: bool, tmp_path: Path) -> None:
    shape, stored, product = EINSUMS[equation]
    order = "x, w"
    if swapped:
        (first, second), arrow, result = *[equation.partition("->")[0].split(",")], *equation.partition("->")[1:]
        equation, order = f"{second},{first}{arrow or '->'}{result or 'bo'}", "w, x"
    dims = ", ".join(f"n{i}" for i in range(len(shape)))
    w = weight(*stored)
    model = parsed(f'g (float[{dims}] x) => (float y) {{ y = Einsum <equation = "{equation}"> ({order}) }}', {"w": w})
    model.graph.output[0].type.tensor_type.ClearField("shape")
    _, weights = surveyed(model, tmp_path)
    ((_, values),) = weights.values()
    assert values.size == w.size
    x = weight(*shape, seed=2)
    (y,) = run(model, x=x)
    np.testing.assert_allclose(product(x.astype(np.float64), values[..., 0]), y, atol=1e-5)


@pytest.mark.parametrize("equation", ["bi,i->bi", "bi,oi->b", "ii,i->i", "bi,oj->bioj", "x,?"])
def test_einsum_without_a_matrix(equation: str) -> None:
    assert einsum_layout(equation, 1, 2) is None


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("batched", [0, 1])
def test_fused_matmul(turned: int, batched: int, tmp_path: Path) -> None:
    stack = weight(3, 12, 10)  # three matrices, outputs x inputs
    stored = stack if turned else stack.swapaxes(1, 2)
    if batched:
        stored = np.moveaxis(stored, 1, 0)
    text = f"""g (float[a, b, c] x) => (float[d, e, f] y) {{
        y = com.microsoft.FusedMatMul <transB = {turned}, transBatchB = {batched}> (x, w)
    }}"""
    model = parsed(text, {"w": np.ascontiguousarray(stored)})
    _, weights = surveyed(model, tmp_path)
    ((_, values),) = weights.values()
    (y,) = run(model, x=np.broadcast_to(np.eye(10, dtype=np.float32), (3, 10, 10)).copy())
    np.testing.assert_array_equal(values[..., 0], y.swapaxes(1, 2))
    np.testing.assert_array_equal(values[..., 0], stack)


def test_fused_gemm(tmp_path: Path) -> None:
    text = """g (float[a, b] x) => (float[c, d] y) {
        y = com.microsoft.FusedGemm <transB = 1, activation = "LeakyRelu", activation_alpha = 1.0> (x, w, b)
    }"""
    model = parsed(text, {"w": weight(12, 10), "b": np.zeros(12, np.float32)})
    _, weights = surveyed(model, tmp_path)
    ((_, values),) = weights.values()
    (y,) = run(model, x=np.eye(10, dtype=np.float32))
    np.testing.assert_array_equal(matrix(values), y.T)


def test_fused_conv(tmp_path: Path) -> None:
    text = """g (float[a, b, c] x) => (float[d, e, f] y) {
        y = com.microsoft.FusedConv <group = 2, kernel_shape = [3], activation = "LeakyRelu",
            activation_params = [1.0]> (x, w)
    }"""
    model = parsed(text, {"w": weight(8, 4, 3)})
    _, weights = surveyed(model, tmp_path)
    ((one, values),) = weights.values()
    assert (one.role, one.kernel_shape) == ("conv", (2, 4, 4, 3))
    (y,) = run(model, x=np.eye(24, dtype=np.float32).reshape(24, 8, 3))
    got = y[:, :, 0].T.reshape(2, 4, 2, 4, 3)  # groups, outputs, groups, inputs, positions
    np.testing.assert_array_equal(values, np.stack([got[0, :, 0], got[1, :, 1]]))


def documented(operator: str, position: int) -> str:
    """Give what onnxruntime's own schema says of an input; its CPU build does not run these operators."""
    schemas = onnxruntime.capi._pybind_state.get_all_operator_schema()
    return next(s for s in schemas if (s.domain, s.name) == ("com.microsoft", operator)).inputs[position].description


def test_gemm_fast_gelu(tmp_path: Path) -> None:
    """By its documentation: MatMul and FastGelu in one, which the CPU runs apart (`FastGelu` adds the bias)."""
    w, b = rng(21).standard_normal((12, 9)).astype(np.float32), rng(22).standard_normal(9).astype(np.float32)
    fused = parsed("g (float[n,12] x) => (float[n,9] y) { y = com.microsoft.GemmFastGelu(x, w, b) }", {"w": w, "b": b})
    apart = parsed(
        "g (float[12,12] x) => (float[12,9] h, float[12,9] y) { h = MatMul(x, w) y = com.microsoft.FastGelu(h, b) }",
        {"w": w, "b": b},
    )
    found, weights = surveyed(fused, tmp_path)
    ((weight, values),) = weights.values()
    assert (weight.role, weight.used_by, found.skipped) == ("dense", ["GemmFastGelu_0:1"], [])
    np.testing.assert_array_equal(matrix(values).T, run(apart, x=np.eye(12, dtype=np.float32))[0])


def test_nhwc_fused_conv(tmp_path: Path) -> None:
    """Its kernel stands as that of Conv, says the schema; only its data stand channels last."""
    assert "[M, C/group, kH, kW]" in documented("NhwcFusedConv", 1)
    w = rng(23).standard_normal((8, 3, 2, 2)).astype(np.float32)
    texts = {
        "fused": "g (float[n,5,5,6] x) => (y) { y = com.microsoft.NhwcFusedConv <group = 2> (x, w) }",
        "plain": "g (float[n,6,5,5] x) => (y) { y = Conv <group = 2> (x, w) }",
    }
    values = {}
    for name, text in texts.items():
        found, weights = surveyed(parsed(text, {"w": w}), tmp_path)
        ((weight, values[name]),) = weights.values()
        assert (weight.role, found.skipped) == ("conv", [])
    np.testing.assert_array_equal(values["fused"], values["plain"])


def test_longformer_attention(tmp_path: Path) -> None:
    """Two fused projections, query, key and value side by side as in Attention; the schema gives their shape."""
    assert all("(hidden_size, 3 * hidden_size)" in documented("LongformerAttention", i) for i in (1, 4))
    w, g = (rng(seed).standard_normal((8, 24)).astype(np.float32) for seed in (24, 25))
    text = """g (float[n,8,8] x, float[n,8] mask, int32[n,8] flags) => (y) {
        y = com.microsoft.LongformerAttention <num_heads = 2, window = 2> (x, w, b, mask, g, b, flags)
    }"""
    found, weights = surveyed(parsed(text, {"w": w, "g": g, "b": np.zeros(24, np.float32)}), tmp_path)
    assert [(weight.role, weight.slot.part) for weight in found.weights] == 2 * [
        ("attention_qkv", None), ("dense", "query"), ("dense", "key"), ("dense", "value")
    ]  # fmt: skip
    for number, (weight, values) in enumerate(weights.values()):
        stored = (w, g)[number // 4]
        part = slice(None) if number % 4 == 0 else slice(8 * (number % 4 - 1), 8 * (number % 4))
        np.testing.assert_array_equal(matrix(values).T, stored[:, part])
        assert weight.used_by == [f"LongformerAttention_0:{(1, 4)[number // 4]}"]


def test_embeddings_of_three_tables(tmp_path: Path) -> None:
    text = """g (int32[1, n] ids, int32[1, n] segments) => (float[1, n, 16] y, int32[1] m, float[1, n, 16] total) {
        y, m, total = com.microsoft.EmbedLayerNormalization <epsilon = 0.00001>
            (ids, segments, words, positions, kinds, gamma, beta)
    }"""
    arrays = {"words": weight(40, 16), "positions": weight(20, 16, seed=2), "kinds": weight(4, 16, seed=3)}
    ones = {"gamma": np.ones(16, np.float32), "beta": np.zeros(16, np.float32)}
    model = parsed(text, {**arrays, **ones})
    _, weights = surveyed(model, tmp_path)
    tables = {one.tensor: matrix(values) for one, values in weights.values()}
    assert {one.role for one, _ in weights.values()} == {"embedding"}
    ids, segments = rng(4).integers(0, 40, (1, 20)), rng(5).integers(0, 4, (1, 20))
    total = run(model, ids=ids.astype(np.int32), segments=segments.astype(np.int32))[2]
    expected = tables["words"][ids[0]] + tables["positions"] + tables["kinds"][segments[0]]
    np.testing.assert_allclose(expected, total[0], atol=1e-6)


def test_tables_whose_rows_are_fixed_at_export(tmp_path: Path) -> None:
    text = """g (int64[1, 6] ids) => (float[1, 6, 16] y) {
        w = Gather (words, ids)
        k = Gather (kinds, zeros)
        p0 = Gather (positions, places)
        p = Unsqueeze (p0, zero)
        b0 = Gather (offsets, buckets)
        b = Transpose <perm = [2, 0, 1]> (b0)
        y0 = Add (w, p)
        y1 = Add (k, y0)
        y = Add (y1, b)
    }"""
    tables = {"words": weight(40, 16), "positions": weight(20, 16, seed=2), "kinds": weight(2, 16, seed=3)}
    rows = {"zeros": np.zeros((1, 6), np.int64), "places": np.arange(6), "zero": np.array([0])}
    bias = {"offsets": weight(30, 1, seed=7), "buckets": rng(1).integers(0, 30, (6, 16))}
    model = parsed(text, {**tables, **rows, **bias})
    found, weights = surveyed(model, tmp_path)
    mine = {one.tensor: matrix(values) for one, values in weights.values()}
    assert {one.role for one, _ in weights.values()} == {"embedding"}
    assert {(one.tensor, *one.used_by) for one, _ in weights.values()} == {
        ("words", "Gather_0:0"),
        ("kinds", "Gather_1:0"),
        ("positions", "Gather_2:0"),
    }
    ids = rng(4).integers(0, 40, (1, 6))
    (y,) = run(model, ids=ids)
    offsets = bias["offsets"][bias["buckets"]].transpose(2, 0, 1)
    np.testing.assert_allclose(mine["words"][ids[0]] + mine["positions"][:6] + mine["kinds"][0] + offsets, y, atol=1e-5)
    reasons = {account.tensor.name: account.reason for account in found.accounts if not account.weights}
    assert reasons["places"] == reasons["zeros"] == "structural"


def test_a_table_is_looked_for_in_a_bounded_number_of_steps(tmp_path: Path) -> None:
    """Or a chain of casts, all of which are added to something, would be walked as often as it is long."""
    casts = "".join(f"c{i + 1} = Cast <to = {11 if i % 2 else 1}> (c{i})\n" for i in range(40))
    text = f"""g (float[1, 6, 16] x) => (float[1, 6, 16] y) {{
        c0 = Gather (positions, places)
        {casts}
        z = Add (x, c4)
        y = Add (z, c40)
    }}"""
    model = parsed(text, {"positions": weight(20, 16), "places": np.arange(6)[None]})
    found, _ = surveyed(model, tmp_path)
    assert [(one.tensor, one.role) for one in found.weights] == [("positions", "embedding")]
    assert [(skip.slot, skip.reason) for skip in found.skipped] == [("Add_42:1", "not_a_weight")]


def test_experts(tmp_path: Path) -> None:
    text = """g (float[n, 8] x, float[n, 3] router) => (float[n, 8] y) {
        y = com.microsoft.MoE <k = 1, activation_type = "identity", normalize_routing_weights = 1>
            (x, router, first, , second)
    }"""
    model = parsed(text, {"first": weight(3, 16, 8), "second": weight(3, 8, 16, seed=2)})
    _, weights = surveyed(model, tmp_path)
    by_name = {one.tensor: values[..., 0] for one, values in weights.values()}
    for expert in range(3):
        router = np.full((8, 3), -50, np.float32)
        router[:, expert] = 50
        (y,) = run(model, x=np.eye(8, dtype=np.float32), router=router)
        product = by_name["second"][expert] @ by_name["first"][expert]
        np.testing.assert_allclose(product.T, y, atol=1e-4)


# --- kernels in blocks --------------------------------------------------------------------


def optimised(channels: list[tuple[int, int, int]], folder: Path) -> tuple[onnx.ModelProto, list[np.ndarray]]:
    """Give a chain of convolutions as onnxruntime saves it at the highest level, and the true kernels."""
    nodes, tensors, kernels, last = [], [], [], "x"
    for number, (inputs, outputs, group) in enumerate(channels):
        kernels.append(weight(outputs, inputs // group, 3, 3, seed=number))
        tensors.append(numpy_helper.from_array(kernels[-1], f"w{number}"))
        nodes.append(helper.make_node("Conv", [last, f"w{number}"], [f"c{number}"], group=group, name=f"conv{number}"))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        last = f"r{number}"
    x = helper.make_tensor_value_info("x", 1, [1, channels[0][0], 16, 16])
    graph = helper.make_graph(nodes, "g", [x], [helper.make_empty_tensor_value_info(last)], tensors)
    graph.output[0].type.tensor_type.elem_type = 1
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    saved = onnx.load(folder / "optimised.onnx")
    if not any(node.domain == "com.microsoft.nchwc" for node in saved.graph.node):
        pytest.skip("onnxruntime does not store kernels in blocks on this machine")
    return saved, kernels


@pytest.mark.parametrize(
    "channels",
    [[(3, 24, 1)], [(3, 32, 1), (32, 32, 32), (32, 20, 1)], [(3, 24, 1), (24, 40, 1)]],
    ids=["first", "depthwise", "inside"],
)
def test_blocks_are_undone_where_the_file_proves_their_size(channels: list, tmp_path: Path) -> None:
    model, kernels = optimised(channels, tmp_path)
    found, weights = surveyed(model, tmp_path)
    assert not [one.problem for one in found.weights if one.problem]
    assert len(weights) == len(kernels)
    for (_, values), kernel, (_, outputs, group) in zip(weights.values(), kernels, channels):
        expected = kernel.reshape(group, outputs // group, kernel.shape[1], -1)
        np.testing.assert_array_equal(values, expected)


def test_blocks_of_unknown_size_are_refused(tmp_path: Path) -> None:
    model, _ = optimised([(3, 32, 1), (32, 64, 1)], tmp_path)
    found, weights = surveyed(model, tmp_path)
    assert {one.problem.code for one in found.weights if one.problem} == {"reordered"}
    assert not weights


def test_a_real_file_in_blocks_of_sixteen(shared: Path) -> None:
    blocked = onnx.load(shared / "models/derived/resnet20_ortopt_all.onnx")
    plain = onnx.load(shared / "models/resnet-cifar10/resnet20_ts_op17.onnx")
    kernels = [numpy_helper.to_array(t) for t in plain.graph.initializer if len(t.dims) == 4]
    stored = {t.name: numpy_helper.to_array(t) for t in blocked.graph.initializer}
    nodes = [node for node in blocked.graph.node if node.domain.endswith("nchwc") and node.op_type == "Conv"]
    assert len(nodes) == 19
    for node in nodes:
        array = unblock(stored[node.input[1]], 16)
        assert any(np.array_equal(array, kernel) for kernel in kernels if kernel.shape == array.shape)
