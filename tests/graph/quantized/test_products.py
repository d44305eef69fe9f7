"""Products and convolutions of codes: the weight is what onnxruntime gives for one-hot inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.graph.build import found
from tests.graph.quantized.codes import (
    I8,
    I32,
    U8,
    F,
    codes,
    dense_of,
    kernel_of,
    one_hot_images,
    only,
    run,
    scales,
    text_model,
)

PRODUCTS = {
    "quantize_dynamic": "p = MatMulInteger(x, w, xz, wz) c = Cast<to=1>(p) s = Mul(xs, ws) y = Mul(c, s)",
    "scales_swapped": "p = MatMulInteger(x, w, xz, wz) c = Cast<to=1>(p) s = Mul(ws, xs) y = Mul(s, c)",
    "one_after_the_other": "p = MatMulInteger(x, w, xz, wz) c = Cast<to=1>(p) d = Mul(c, xs) y = Mul(d, ws)",
    "bias": "p = MatMulInteger(x, w, xz, wz) b = Add(p, bias) c = Cast<to=1>(b) s = Mul(xs, ws) y = Mul(c, s)",
    "both_constant": "x8 = QuantizeLinear(xf, cs, cz) p = MatMulInteger(x8, w, cz, wz) c = Cast<to=1>(p) "
    "s = Mul(cs, ws) y = Mul(c, s)",
    "product_constant": "x8 = QuantizeLinear(xf, cs, cz) p = MatMulInteger(x8, w, cz, wz) c = Cast<to=1>(p) "
    "y = Mul(c, csws)",
    "gamma_follows": "p = MatMulInteger(x, w, xz, wz) c = Cast<to=1>(p) s = Mul(xs, ws) a = Mul(c, s) "
    "b = Add(a, zeros) y = Mul(b, ones)",
}


@pytest.mark.parametrize("channel", [False, True])
@pytest.mark.parametrize("form", PRODUCTS)
def test_matmul_integer_finds_its_scale(form: str, channel: bool, tmp_path: Path) -> None:
    w = codes(1, (9, 12), 0, 255, U8)
    wz = codes(2, (12,), 100, 150, U8) if channel else np.array(117, U8)
    ws = scales(3, 12) if channel else scales(3)
    arrays = {"w": w, "wz": wz, "ws": ws, "bias": np.zeros(12, I32), "cs": np.array(0.5, F), "cz": np.array(0, U8)}
    arrays |= {"csws": ws * F(0.5), "zeros": np.zeros(12, F), "ones": np.full(12, 1, F)}
    used = {
        name: array
        for name, array in arrays.items()
        if name in PRODUCTS[form].replace("(", " ").replace(")", " ").replace(",", " ").split()
    }
    inputs = "float[9,9] xf" if "xf" in PRODUCTS[form] else "uint8[9,9] x, float xs, uint8 xz"
    proto = text_model(f"g ({inputs}) => (float[9,12] y) {{ {PRODUCTS[form]} }}", used)
    if "xf" in PRODUCTS[form]:
        (implied,) = run(proto, xf=np.eye(9, dtype=F))
    else:
        (implied,) = run(proto, x=np.eye(9, dtype=U8), xs=np.array(1, F), xz=np.array(0, U8))
    weight, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    assert (weight.role, weight.slots) == ("dense", 1)
    assert measured.granularity == ("channel" if channel else "tensor")


def test_matmul_integer_without_a_scale_fails_with_that_reason(tmp_path: Path) -> None:
    proto = text_model(
        "g (uint8[9,9] x) => (int32[9,12] y) { y = MatMulInteger(x, w) }", {"w": codes(1, (9, 12), 0, 255, U8)}
    )
    result, _ = found(proto, tmp_path)
    assert result.weights[0].problem is not None
    assert result.weights[0].problem.code == "scale_not_found"


@pytest.mark.parametrize(
    ("op", "inputs", "names"),
    [
        ("DynamicQuantizeMatMul", "float[9,9] x", "x, w, ws, wz"),
        ("MatMulIntegerToFloat", "uint8[9,9] x, float xs", "x, w, xs, ws, xz, wz"),
    ],
)
@pytest.mark.parametrize("channel", [False, True])
def test_fused_integer_products(op: str, inputs: str, names: str, channel: bool, tmp_path: Path) -> None:
    w = codes(1, (9, 12), -128, 127, I8)
    wz = codes(2, (12,), -3, 3, I8) if channel else np.array(-5, I8)
    arrays = {"w": w, "wz": wz, "ws": scales(3, 12) if channel else scales(3)}
    if "xz" in names:
        arrays["xz"] = np.array(0, U8)
    proto = text_model(f"g ({inputs}) => (float[9,12] y) {{ y = com.microsoft.{op}({names}) }}", arrays)
    feeds = {"x": np.eye(9, dtype=U8), "xs": np.array(1, F)} if "xz" in names else {"x": np.eye(9, dtype=F)}
    (implied,) = run(proto, **feeds)
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_allclose(dense_of(values), implied, rtol=3e-7)
    assert measured.scheme == op


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("channel", [False, True])
def test_conv_integer(group: int, channel: bool, tmp_path: Path) -> None:
    w = codes(1, (8, 4 // group, 3, 2), 0, 255, U8)
    arrays = {"w": w, "wz": np.array(131, U8), "ws": scales(3, 8, 1, 1) if channel else scales(3)}
    proto = text_model(
        f"g (uint8[n,4,3,2] x, float xs, uint8 xz) => (float[n,8,1,1] y) "
        f"{{ p = ConvInteger<group={group}>(x, w, xz, wz)"
        " c = Cast<to=1>(p) s = Mul(xs, ws) y = Mul(c, s) }",
        arrays,
    )
    (implied,) = run(proto, x=one_hot_images(4, (3, 2), U8), xs=np.array(1, F), xz=np.array(0, U8))
    weight, values, _ = only(proto, tmp_path)
    np.testing.assert_array_equal(kernel_of(values, (3, 2)).astype(F), implied[:, :, 0, 0].T.reshape(8, 4, 3, 2))
    assert weight.role == "conv"


# --- operators that carry their scales -----------------------------------------------------


@pytest.mark.parametrize("channel", [False, True])
def test_qlinear_conv(channel: bool, tmp_path: Path) -> None:
    w = codes(1, (6, 4, 3, 3), -9, 9, I8)
    ws = np.array([0.25, 0.5, 1, 0.25, 2, 1], F) if channel else np.array(0.25, F)
    wz = np.zeros(6, I8) if channel else np.array(3, I8)
    arrays = {"w": w, "ws": ws, "wz": wz, "one": np.array(1, F), "ys": np.array(0.25, F), "z": np.array(0, I8)}
    proto = text_model(
        "g (int8[n,4,3,3] x) => (int8[n,6,1,1] y) { y = QLinearConv(x, one, z, w, ws, wz, ys, z) }", arrays
    )
    (implied,) = run(proto, x=one_hot_images(4, (3, 3), I8))
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(kernel_of(values, (3, 3)), implied.astype(F).T.reshape(6, 4, 3, 3) * F(0.25))
    assert measured.step == (2.0 if channel else 0.25)


@pytest.mark.parametrize("side", ["left", "right"])
def test_qlinear_matmul(side: str, tmp_path: Path) -> None:
    w = codes(1, (8, 11) if side == "right" else (11, 8), -60, 60, I8)
    arrays = {"w": w, "ws": np.array(0.125, F), "wz": np.array(4, I8), "one": np.array(1, F), "z": np.array(0, I8)}
    order = "x, one, z, w, ws, wz" if side == "right" else "w, ws, wz, x, one, z"
    shape = "8,11" if side == "right" else "11,8"
    proto = text_model(f"g (int8[8,8] x) => (int8[{shape}] y) {{ y = QLinearMatMul({order}, ws, z) }}", arrays)
    (implied,) = run(proto, x=np.eye(8, dtype=I8))
    _, values, _ = only(proto, tmp_path)
    got = dense_of(values) if side == "right" else dense_of(values).T
    np.testing.assert_array_equal(got, implied.astype(F) * F(0.125))


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("channel", [False, True])
def test_qgemm(trans: int, channel: bool, tmp_path: Path) -> None:
    w = codes(1, (11, 8) if trans else (8, 11), -100, 100, I8)
    arrays = {"w": w, "ws": scales(3, 11) if channel else scales(3), "one": np.array(1, F), "z": np.array(0, I8)}
    arrays["wz"] = np.zeros(11, I8) if channel else np.array(2, I8)
    proto = text_model(
        f"g (int8[8,8] x) => (float[8,11] y) {{ y = com.microsoft.QGemm<transB={trans}>(x, one, z, w, ws, wz) }}",
        arrays,
    )
    (implied,) = run(proto, x=np.eye(8, dtype=I8))
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    assert measured.scheme == "QGemm"


@pytest.mark.parametrize("group", [1, 2, 4])
def test_qlinear_conv_with_channels_last(group: int, tmp_path: Path) -> None:
    """The data have their channels last; the kernel does not: onnxruntime reads it as any other."""
    w = codes(1, (8, 4 // group, 3, 2), -9, 9, I8)
    ws = np.array([0.25, 0.5, 1, 0.25, 2, 1, 0.5, 0.5], F)
    arrays = {"w": w, "ws": ws, "wz": np.zeros(8, I8), "one": np.array(1, F), "ys": np.array(0.25, F)}
    proto = text_model(
        "g (int8[n,3,2,4] x) => (int8[n,1,1,8] y) { y = com.microsoft.QLinearConv"
        f"<channels_last=1, group={group}>(x, one, z, w, ws, wz, ys, z) }}",
        arrays | {"z": np.array(0, I8)},
    )
    (implied,) = run(proto, x=np.eye(24).reshape(24, 3, 2, 4).astype(I8))
    kernel = (implied.astype(F) * F(0.25)).reshape(3, 2, 4, 8).transpose(3, 2, 0, 1)
    result, (values,) = found(proto, tmp_path)
    assert values is not None
    np.testing.assert_array_equal(kernel_of(values, (3, 2)), kernel)
    assert result.weights[0].role == ("depthwise_conv" if group == 4 else "conv")
