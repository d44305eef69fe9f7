"""Tables and projections of quantised transformers, in the forms of onnxruntime's quantiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.graph.build import rng
from tests.graph.quantized.codes import I8, U8, F, codes, run, scales, text_model
from tests.graph.text import matrix, surveyed


def decoded(w: np.ndarray, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    return (w.astype(np.float64) - zero) * scale


def test_tables_of_codes_that_a_sum_of_codes_takes(tmp_path: Path) -> None:
    """Of the two look-ups one has its rows fixed at export."""
    text = """g (int64[1, 5] ids) => (uint8[1, 5, 16] y) {
        w = Gather (words, ids)
        p = Gather (positions, places)
        y = com.microsoft.QLinearAdd (w, ws, wz, p, ps, pz, ys, yz)
    }"""
    arrays = {"words": codes(1, (40, 16), 0, 255, U8), "positions": codes(2, (20, 16), 0, 255, U8)}
    arrays |= {"ws": F(0.02), "ps": F(0.03), "ys": F(0.05), "wz": U8(120), "pz": U8(131), "yz": U8(128)}
    model = text_model(text, arrays | {"places": np.arange(5)[None]})
    found, weights = surveyed(model, tmp_path)
    tables = {one.tensor: matrix(values) for one, values in weights.values()}
    assert {(one.role, one.used_by[0]) for one in found.weights} == {
        ("embedding", "Gather_0:0"),
        ("embedding", "Gather_1:0"),
    }
    for name, scale, zero in (("words", "ws", "wz"), ("positions", "ps", "pz")):
        expected = decoded(arrays[name], arrays[scale], arrays[zero].astype(float))
        np.testing.assert_allclose(tables[name], expected, rtol=1e-6)
    ids = rng(3).integers(0, 40, (1, 5))
    (y,) = run(model, ids=ids)
    total = tables["words"][ids[0]] + tables["positions"][:5]
    inside = np.abs(total) < 0.05 * 120
    assert inside.mean() > 0.9
    assert np.abs((y[0].astype(float) - 128) * 0.05 - total)[inside].max() <= 0.5 * 0.05 + 1e-5


PRODUCTS = {
    "MatMulInteger": """x8, xs, xz = DynamicQuantizeLinear (x)
        p = MatMulInteger (x8, w, xz, wz)
        c = Cast <to = 1> (p)
        s = Mul (xs, ws)
        h = Mul (c, s)""",
    "QLinearMatMul": """x8 = QuantizeLinear (x, cs, cz)
        h8 = QLinearMatMul (x8, cs, cz, w, ws, wz, hs, cz)
        b8 = com.microsoft.QLinearAdd (h8, hs, cz, bias, hs, cz, hs, cz)
        h = DequantizeLinear (b8, hs, cz)""",
    "QDQ": """d = DequantizeLinear (w, ws, wz)
        m = MatMul (x, d)
        q = QuantizeLinear (m, hs, cz)
        h = DequantizeLinear (q, hs, cz)""",
}


@pytest.mark.parametrize("form", PRODUCTS)
def test_query_key_and_value_of_codes(form: str, tmp_path: Path) -> None:
    text = f"""g (float[1, 5, 12] x) => (float[1, 2, 5, 6] y) {{
        {PRODUCTS[form]}
        r = Reshape (h, heads)
        t = Transpose <perm = [2, 0, 3, 1, 4]> (r)
        q = Gather <axis = 0> (t, first)
        k = Gather <axis = 0> (t, second)
        v = Gather <axis = 0> (t, third)
        kt = Transpose <perm = [0, 1, 3, 2]> (k)
        a = MatMul (q, kt)
        p1 = Softmax <axis = -1> (a)
        y = MatMul (p1, v)
    }}"""
    w, ws, wz = codes(1, (12, 36), -128, 127, I8), scales(2, 1)[0], I8(3)
    arrays = {"w": w, "ws": ws, "wz": wz, "cs": F(0.03), "cz": U8(128), "hs": F(0.9), "bias": np.full(36, 128, U8)}
    arrays |= {"heads": np.array([0, 0, 3, 2, 6])} | {
        n: np.array(i) for i, n in enumerate(("first", "second", "third"))
    }
    if form == "QLinearMatMul":
        arrays["w"], arrays["wz"] = (w.astype(int) + 128).astype(U8), U8(131)
    _, weights = surveyed(text_model(text, arrays), tmp_path)
    expected = decoded(w, ws, np.float64(3)).T
    parts = {one.slot.part: matrix(values) for one, values in weights.values()}
    np.testing.assert_allclose(parts.pop(None), expected, rtol=1e-6)
    assert list(parts) == ["query", "key", "value"]
    for number, part in enumerate(parts.values()):
        np.testing.assert_allclose(part, expected[12 * number : 12 * number + 12], rtol=1e-6)
