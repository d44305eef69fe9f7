"""Ordinary operators after a decoder: DequantizeLinear, a hand-made one, Quant and BipolarQuant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from tests.graph.build import found, rng
from tests.graph.quantized.codes import I8, U8, F, codes, dense_of, only, run, scales, text_model
from tests.oracle import naive


@pytest.mark.parametrize(
    ("domain", "granularity"),
    [
        *(("", granularity) for granularity in ("tensor", "channel", "block")),
        *(("com.microsoft.", granularity) for granularity in ("tensor", "channel")),  # this one has no blocks
    ],
)
def test_qdq(domain: str, granularity: str, tmp_path: Path) -> None:
    w = codes(1, (12, 32), -128, 127, I8)
    s, z = {
        "tensor": (scales(3), np.array(3, I8)),
        "channel": (scales(3, 32), codes(4, (32,), -5, 5, I8)),
        "block": (scales(3, 2, 32), codes(4, (2, 32), -5, 5, I8)),
    }[granularity]
    block = ", block_size=6" if granularity == "block" else ""
    proto = text_model(
        "g (float[12,12] x) => (float[12,32] y) "
        f"{{ d = {domain}DequantizeLinear<axis={int(not block)}{block}>(w, s, z) "
        "y = MatMul(x, d) }",
        {"w": w, "s": s, "z": z},
    )
    (implied,) = run(proto, x=np.eye(12, dtype=F))
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    assert (measured.scheme, measured.granularity) == ("DequantizeLinear", granularity)
    assert measured.clipped == int(np.sum((w == w.min()) | (w == 127)))
    assert measured.unused == 256 - len(np.unique(w))
    assert measured.step == s.max()
    assert measured.noise_floor == pytest.approx(np.sqrt(np.mean(s.astype(float) ** 2) / 12), rel=1e-12)


def test_noise_floor_is_what_rounding_does(tmp_path: Path) -> None:
    """The stated standard deviation is that of the errors of a quantised float matrix, last block cut short."""
    w = rng(1).standard_normal((200, 100)).astype(F)
    s = (np.linspace(0.04, 0.3, 200 * 4).reshape(200, 4)).astype(F)
    spread = np.repeat(s, 32, axis=1)[:, :100]
    q = np.clip(np.round(w / spread), -128, 127).astype(I8)
    proto = text_model(
        "g (float[n,200] x) => (float[n,100] y) { d = DequantizeLinear<axis=1, block_size=32>(q, s) y = MatMul(x, d) }",
        {"q": q, "s": s},
    )
    _, values, measured = only(proto, tmp_path)
    assert np.abs(q).max() < 127
    error = dense_of(values) - w
    assert measured.noise_floor == pytest.approx(error.std(), rel=0.02)


@pytest.mark.parametrize("form", ["tensor", "rows_looked_up", "columns", "by_hand"])
def test_table_of_codes_is_decoded_after_the_look_up(form: str, tmp_path: Path) -> None:
    w = codes(1, (20, 8), 0, 255, U8)
    arrays = {"w": w, "s": scales(3), "z": np.array(120, U8)}
    body = "g = Gather(w, x) y = DequantizeLinear(g, s, z)"
    if form == "rows_looked_up":
        arrays |= {"s": scales(3, 20, 1), "z": codes(4, (20, 1), 100, 140, U8)}
        body = "g = Gather(w, x) f = Cast<to=1>(g) gs = Gather(s, x) y = Mul(f, gs)"
        del arrays["z"]
    elif form == "columns":
        arrays |= {"s": scales(3, 8), "z": codes(4, (8,), 100, 140, U8)}
    elif form == "by_hand":
        del arrays["z"]
        body = "g = Gather(w, x) f = Cast<to=1>(g) y = Mul(f, s)"
    proto = text_model(f"g (int64[n] x) => (float[n,8] y) {{ {body} }}", arrays)
    (implied,) = run(proto, x=np.arange(20))
    weight, values, _ = only(proto, tmp_path)
    assert weight.role == "embedding"
    np.testing.assert_array_equal(values[0, :, :, 0].astype(F), implied)


def test_indices_stay_no_weight(tmp_path: Path) -> None:
    proto = text_model("g (int64[n] x) => (int8[n,8] y) { y = Gather(w, x) }", {"w": codes(1, (20, 8), 0, 9, I8)})
    result, _ = found(proto, tmp_path)
    assert [skip.reason for skip in result.skipped] == ["index_table"]


@pytest.mark.parametrize("zero", [False, True])
def test_a_hand_made_decoder_is_noticed(zero: bool, tmp_path: Path) -> None:
    w = codes(1, (9, 12), -128, 127, I8)
    arrays = {"w": w, "s": scales(3, 12)} | ({"z": np.array(5, F)} if zero else {})
    middle = "m = Sub(f, z)" if zero else "m = Identity(f)"
    proto = text_model(
        f"g (float[9,9] x) => (float[9,12] y) {{ f = Cast<to=1>(w) {middle} d = Mul(m, s) y = MatMul(x, d) }}", arrays
    )
    (implied,) = run(proto, x=np.eye(9, dtype=F))
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    assert (measured.scheme, measured.bits, measured.granularity) == ("Mul", 8, "channel")
    assert measured.clipped == int(np.sum((w == -128) | (w == 127)))
    result, _ = found(proto, tmp_path)
    reasons = {account.tensor.name: account.reason for account in result.accounts if not account.weights}
    assert reasons == {name: "quantization_parameters" for name in arrays if name != "w"}


QUANTS = [
    (8, 1, 0, "ROUND"),
    (4, 1, 1, "ROUND"),
    (4, 0, 0, "FLOOR"),
    (3, 0, 1, "CEIL"),
    (4, 1, 0, "HALF_UP"),
    (4, 1, 0, "HALF_DOWN"),
    (5, 1, 0, "UP"),
    (5, 1, 0, "DOWN"),
    (1, 1, 0, "ROUND"),
]


@pytest.mark.parametrize("domain", ["onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general"])
@pytest.mark.parametrize(("bits", "signed", "narrow", "mode"), QUANTS)
def test_quant(domain: str, bits: int, signed: int, narrow: int, mode: str, tmp_path: Path) -> None:
    """No kernel of onnxruntime has these; a plain implementation of QONNX's text stands for it."""
    w = (rng(1).integers(-40, 40, (9, 12)) * 0.25).astype(F)
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { d = Q(w, s, z, b) y = MatMul(x, d) }",
        {"w": w, "s": np.array(0.5, F), "z": np.array(0 if signed else 3, F), "b": np.array(bits, F)},
    )
    node = proto.graph.node[0]
    node.op_type, node.domain = "Quant", domain
    node.attribute.extend(
        helper.make_attribute(k, v) for k, v in (("signed", signed), ("narrow", narrow), ("rounding_mode", mode))
    )
    _, values, measured = only(proto, tmp_path)
    expected = naive.quant(w, 0.5, 0.0 if signed else 3.0, bits, bool(signed), bool(narrow), mode)
    np.testing.assert_array_equal(dense_of(values), expected)
    assert measured.bits == bits


@pytest.mark.parametrize("domain", ["onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general"])
def test_bipolar_quant(domain: str, tmp_path: Path) -> None:
    w = rng(1).standard_normal((9, 12)).astype(F)
    w[0, 0] = 0
    proto = text_model(
        "g (float[9,9] x) => (float[9,12] y) { d = Q(w, s) y = MatMul(x, d) }", {"w": w, "s": np.array(0.3, F)}
    )
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "BipolarQuant", domain
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values), [[F(0.3) if v >= 0 else F(-0.3) for v in row] for row in w])
    assert measured.bits == 1


SMALL_FLOATS = {
    "float8e4m3fn": (4, 3, 7, 448.0),
    "float8e4m3fnuz": (4, 3, 8, 240.0),
    "float8e5m2": (5, 2, 15, 57344.0),
    "float8e5m2fnuz": (5, 2, 16, 57344.0),
}
"""Bits of exponent and mantissa, bias, largest finite number."""


@pytest.mark.parametrize("dtype", SMALL_FLOATS)
@pytest.mark.parametrize("decoder", ["DequantizeLinear<axis=1>(w, s)", "Cast<to=1>(w)"])
def test_codes_that_are_small_floats(dtype: str, decoder: str, tmp_path: Path) -> None:
    """All finite codes, against onnxruntime and against the format written out."""
    exponent, mantissa, bias, largest = SMALL_FLOATS[dtype]
    table = [naive.small_float(code, exponent, mantissa, bias) for code in range(256)]
    finite = [code for code in range(256) if abs(table[code]) <= largest and code != 128]
    chosen = np.array([finite[i % len(finite)] for i in range(24 * 12)], U8).reshape(24, 12)
    s = scales(3, 12)
    proto = text_model(
        f"g (float[24,24] x) => (float[24,12] y) {{ d = {decoder} y = MatMul(x, d) }}",
        {"s": s} if "s)" in decoder else {},
    )
    code = getattr(onnx.TensorProto, dtype.upper())
    proto.graph.initializer.append(
        onnx.TensorProto(name="w", data_type=code, dims=chosen.shape, raw_data=chosen.tobytes())
    )
    (implied,) = run(proto, x=np.eye(24, dtype=F))
    result, (values,) = found(proto, tmp_path)
    assert values is not None
    np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    expected = np.array(table)[chosen].astype(F) * (s if "s)" in decoder else F(1))
    np.testing.assert_array_equal(dense_of(values).astype(F), expected)
    stated = result.weights[0].quantization
    assert (stated.bits if stated is not None else 8) == 8


def test_codes_of_four_bits_that_are_floats(tmp_path: Path) -> None:
    """onnxruntime has no kernel for float4e2m1; the format written out stands for it."""
    chosen = codes(1, (12, 8), 0, 15, np.int64)
    s = scales(3, 8)
    proto = text_model(
        "g (float[n,12] x) => (float[n,8] y) { d = DequantizeLinear<axis=1>(w, s) y = MatMul(x, d) }", {"s": s}
    )
    packed = naive.pack_low_bits_first(chosen.reshape(1, -1), 4)
    proto.graph.initializer.append(
        onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT4E2M1, dims=(12, 8), raw_data=packed.tobytes())
    )
    _, values, measured = only(proto, tmp_path)
    table = np.array([naive.small_float(code, 2, 1, 1) for code in range(16)])
    assert table[7] == 6.0
    np.testing.assert_array_equal(dense_of(values).astype(F), table[chosen].astype(F) * s)
    assert (measured.bits, measured.granularity) == (4, "channel")


@pytest.mark.parametrize("signed", [True, False])
def test_codes_of_two_bits(signed: bool, tmp_path: Path) -> None:
    low = -2 if signed else 0
    chosen = codes(1, (12, 8), low, low + 3, np.int64)
    proto = parser.parse_model(
        '<ir_version: 13, opset_import: ["" : 25]> '
        "g (float[12,12] x) => (float[12,8] y) { y = DequantizeLinear<axis=1>(w, s) }"
    )
    proto.graph.initializer.append(numpy_helper.from_array(scales(3, 8), "s"))
    packed = naive.pack_low_bits_first(chosen.reshape(1, -1) & 3, 2)
    code = onnx.TensorProto.INT2 if signed else onnx.TensorProto.UINT2
    proto.graph.initializer.append(onnx.TensorProto(name="w", data_type=code, dims=(12, 8), raw_data=packed.tobytes()))
    (implied,) = run(proto, x=np.eye(12, dtype=F))
    proto.graph.node[0].output[0] = "d"
    proto.graph.node.append(helper.make_node("MatMul", ["x", "d"], ["y"]))
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    assert measured.bits == 2
