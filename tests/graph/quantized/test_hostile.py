"""Codes, scales and zero points that do not fit, or are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxspec.engine import analyze
from tests.graph.quantized.codes import I8, U8, F, codes, dense_of, only, scales, text_model


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_none_fails_one_layer_alone(scale: float, tmp_path: Path) -> None:
    w = codes(1, (9, 12), 0, 255, U8)
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { d = DequantizeLinear(w, s) m = MatMul(x, d) y = MatMul(m, v) }",
        {"w": w, "s": np.array(scale, F), "v": np.ones((12, 12), F)},
    )
    path = tmp_path / "hostile.onnx"
    path.write_bytes(proto.SerializeToString())
    report = analyze(path)
    outcome = [(layer.status, layer.reason) for layer in report.layers]
    assert outcome == [("failed", "invalid_scale"), ("ok", "rank_one")]


@pytest.mark.parametrize(
    ("body", "arrays"),
    [
        ("d = DequantizeLinear(w, s, z)", {"z": np.array(1, I8)}),
        ("d = DequantizeLinear<axis=1, block_size=0>(w, t)", {"t": np.ones((9, 2), F)}),
        ("d = DequantizeLinear<axis=1, block_size=-3>(w, t)", {"t": np.ones((9, 4), F)}),
        ("d = DequantizeLinear<axis=7>(w, t)", {"t": np.ones(12, F)}),
        ("d = DequantizeLinear<axis=0>(w, t)", {"t": np.ones(12, F)}),
        ("d = DequantizeLinear<axis=1>(w, t)", {"t": np.ones((0,), F)}),
        (
            "d = DequantizeLinear<axis=1, block_size=1099511627776>(w, t, z)",
            {"t": np.ones((9, 1), F), "z": np.ones((9, 1), I8)},
        ),
        ("d = DequantizeLinear<axis=1, block_size=1>(w, t)", {"t": np.ones((9, 4), F)}),
    ],
)
def test_codes_that_do_not_fit_fail_with_a_reason(body: str, arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    w = codes(1, (9, 12), 0, 255, U8)
    proto = text_model(
        f"g (float[9,9] x) => (float[9,12] y) {{ {body} y = MatMul(x, d) }}", {"w": w, "s": np.array(1, F), **arrays}
    )
    path = tmp_path / "hostile.onnx"
    path.write_bytes(proto.SerializeToString())
    (layer,) = analyze(path).layers
    assert (layer.status, layer.reason) == ("failed", "invalid_scale")


def test_a_huge_block_takes_no_memory(tmp_path: Path) -> None:
    w = codes(1, (9, 12), 0, 255, U8)
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { d = DequantizeLinear<axis=1, block_size=1099511627776>(w, s) "
        "y = MatMul(x, d) }",
        {"w": w, "s": scales(3, 9, 1)},
    )
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values).astype(F), w.astype(F) * scales(3, 9, 1))
    assert measured.block == 2**40


def test_values_that_overflow_are_not_finite_and_no_warning(tmp_path: Path) -> None:
    w = codes(1, (9, 12), 100, 255, U8)
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { d = DequantizeLinear(w, s) y = MatMul(x, d) }",
        {"w": w, "s": np.array(3e38, F)},
    )
    path = tmp_path / "hostile.onnx"
    path.write_bytes(proto.SerializeToString())
    (layer,) = analyze(path).layers
    assert (layer.status, layer.reason) == ("failed", "non_finite")


LOG_NORM, STABLE_RANK = 0.002, 0.003
