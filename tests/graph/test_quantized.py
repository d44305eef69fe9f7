"""Weights in codes against onnxruntime: what its own kernels give for one-hot inputs is the weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper, parser

from onnxspec.engine import analyze
from onnxspec.graph import WeightMatrix, survey
from onnxspec.limits import DEFAULT_LIMITS
from onnxspec.reading import open_model
from onnxspec.results import Quantization
from tests.graph.build import found, rng
from tests.oracle import naive

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>'
F, I8, U8, I32 = np.float32, np.int8, np.uint8, np.int32


def text_model(text: str, arrays: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Parse a graph in ONNX's text form and give it its constants."""
    proto = parser.parse_model(f"{HEADER} {text}")
    for name, array in arrays.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return proto


def run(proto: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def codes(seed: int, shape: tuple[int, ...], low: int, high: int, dtype: type) -> np.ndarray:
    return rng(seed).integers(low, high, shape, endpoint=True).astype(dtype)


def scales(seed: int, *shape: int) -> np.ndarray:
    return (rng(seed).random(shape) * 0.1 + 0.01).astype(F)


def dense_of(values: np.ndarray) -> np.ndarray:
    """Give inputs x outputs, as a product with the identity gives it."""
    assert values.shape[0] == values.shape[3] == 1
    return values[0, :, :, 0].T


def kernel_of(values: np.ndarray, k: tuple[int, ...]) -> np.ndarray:
    """Give the whole kernel, zero outside its groups, as one-hot inputs see it."""
    groups, outputs, inputs, _ = values.shape
    whole = np.zeros((groups * outputs, groups * inputs, *k))
    for g in range(groups):
        part = values[g].reshape(outputs, inputs, *k)
        whole[g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] = part
    return whole


def one_hot_images(channels: int, k: tuple[int, ...], dtype: type, value: int = 1) -> np.ndarray:
    n = channels * int(np.prod(k))
    return (np.eye(n) * value).reshape(n, channels, *k).astype(dtype)


def only(proto: onnx.ModelProto, folder: Path) -> tuple[WeightMatrix, np.ndarray, Quantization]:
    """Give the one weight of a model, its canonical values and how they are quantised."""
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with open_model(path) as opened:
        (weight,) = survey(opened, DEFAULT_LIMITS).weights
        assert weight.problem is None, weight.problem
        read, measured = weight.read()
        values = read.canonical()
        np.testing.assert_array_equal(values, weight.canonical())
    stated = weight.quantization
    assert stated is not None
    assert measured is not None
    assert all(getattr(stated, name) == getattr(measured, name) for name in ("scheme", "bits", "granularity", "block"))
    return weight, values, measured


# --- integer products, whose scale comes afterwards ---------------------------------------

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


def test_qattention(tmp_path: Path) -> None:
    """Attention with the decoded weight gives what QAttention gives."""
    w = codes(1, (8, 24), -128, 127, I8)
    arrays = {"w": w, "b": rng(5).standard_normal(24).astype(F), "xs": np.array(0.02, F), "ws": scales(3)}
    arrays |= {"xz": np.array(128, U8), "wz": np.array(7, I8)}
    proto = text_model(
        "g (uint8[1,5,8] x) => (float[1,5,8] y) "
        "{ y = com.microsoft.QAttention<num_heads=2>(x, w, b, xs, ws, , xz, wz) }",
        arrays,
    )
    x = codes(6, (1, 5, 8), 0, 255, U8)
    (expected,) = run(proto, x=x)
    result, (values, *parts) = found(proto, tmp_path)
    whole = result.weights[0]
    assert (whole.role, whole.kernel_shape) == ("attention_qkv", (1, 24, 8, 1))
    assert values is not None
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), values)
    plain = text_model(
        "g (float[1,5,8] x) => (float[1,5,8] y) { y = com.microsoft.Attention<num_heads=2>(x, w, b) }",
        {"w": dense_of(values).astype(F), "b": arrays["b"]},
    )
    (ours,) = run(plain, x=(x.astype(F) - 128) * F(0.02))
    np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("channel", [False, True])
def test_dynamic_quantize_lstm(directions: int, channel: bool, tmp_path: Path) -> None:
    """LSTM with the decoded matrices gives what DynamicQuantizeLSTM gives, for every one-hot input and state."""
    inputs, hidden = 6, 5
    w, r = codes(1, (directions, inputs, 20), 0, 255, U8), codes(2, (directions, hidden, 20), 0, 255, U8)
    shape = (directions, 20) if channel else (directions,)
    arrays = {"w": w, "r": r, "ws": scales(3, *shape), "rs": scales(4, *shape)}
    arrays |= {"wz": np.full(shape, 117, U8), "rz": np.full(shape, 131, U8)}  # onnxruntime wants them all alike
    kind = "bidirectional" if directions == 2 else "forward"
    proto = text_model(
        f"g (float[1,n,{inputs}] x, float[{directions},n,{hidden}] h, float[{directions},n,{hidden}] c) "
        f"=> (float[1,{directions},n,{hidden}] y) {{ y = com.microsoft.DynamicQuantizeLSTM"
        f'<hidden_size={hidden}, direction="{kind}">(x, w, r, , , h, c, , ws, wz, rs, rz) }}',
        arrays,
    )
    n = inputs + hidden
    x, h = np.zeros((1, n, inputs), F), np.zeros((directions, n, hidden), F)
    x[0, :inputs] = np.eye(inputs)
    h[:, inputs:] = np.eye(hidden)
    c = rng(7).standard_normal((directions, n, hidden)).astype(F)
    (expected,) = run(proto, x=x, h=h, c=c)
    result, values = found(proto, tmp_path)
    roles = [weight.role for weight in result.weights]
    assert roles == ["recurrent_input"] * directions + ["recurrent_hidden"] * directions
    assert sum(weight.slots for weight in result.weights) == 2
    wv, rv = np.concatenate(values[:directions]), np.concatenate(values[directions:])
    plain = text_model(
        f"g (float[1,n,{inputs}] x, float[{directions},n,{hidden}] h, float[{directions},n,{hidden}] c) "
        f"=> (float[1,{directions},n,{hidden}] y) "
        f'{{ y = LSTM<hidden_size={hidden}, direction="{kind}">(x, w, r, , , h, c) }}',
        {"w": wv[..., 0].astype(F), "r": rv[..., 0].astype(F)},
    )
    (ours,) = run(plain, x=x, h=h, c=c)
    np.testing.assert_allclose(ours, expected, atol=2e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("columns", [64, 40])
@pytest.mark.parametrize("zero", ["default", "packed", "float"])
def test_matmul_nbits(bits: int, columns: int, zero: str, tmp_path: Path) -> None:
    rows, block = 10, 16
    blocks = -(-columns // block)
    arrays = {"w": codes(1, (rows, blocks, block * bits // 8), 0, 255, U8), "s": scales(3, rows, blocks)}
    name = {"default": "", "packed": ", z", "float": ", z"}[zero]
    if zero == "packed":
        arrays["z"] = codes(4, (rows, -(-blocks * bits // 8)), 0, 255, U8)
    elif zero == "float":
        arrays["z"] = (rng(4).random((rows, blocks)) * 2**bits).astype(F)
    proto = text_model(
        f"g (float[{columns},{columns}] x) => (float[{columns},{rows}] y) {{ y = com.microsoft.MatMulNBits"
        f"<N={rows}, K={columns}, bits={bits}, block_size={block}>(x, w, s{name}) }}",
        arrays,
    )
    _, values, measured = only(proto, tmp_path)
    if zero == "float":
        np.testing.assert_array_equal(values[0, :, :, 0], naive.matmul_nbits(*arrays.values(), bits, block, columns))
    if zero != "float" or bits != 8:  # onnxruntime 1.31 has no kernel for these on the CPU
        (implied,) = run(proto, x=np.eye(columns, dtype=F))
        np.testing.assert_allclose(dense_of(values), implied, rtol=1e-6, atol=1e-7)
    if zero != "float":
        np.testing.assert_array_equal(dense_of(values).astype(F), implied)
    assert (measured.bits, measured.granularity, measured.block) == (bits, "block", block)


def test_matmul_nbits_with_groups_out_of_order(tmp_path: Path) -> None:
    rows, columns, block = 10, 64, 16
    arrays = {"w": codes(1, (rows, 4, 8), 0, 255, U8), "s": scales(3, rows, 4), "g": codes(5, (columns,), 0, 3, I32)}
    proto = text_model(
        f"g (float[{columns},{columns}] x) => (float[{columns},{rows}] y) {{ y = com.microsoft.MatMulNBits"
        f"<N={rows}, K={columns}, bits=4, block_size={block}>(x, w, s, , g) }}",
        arrays,
    )
    (implied,) = run(proto, x=np.eye(columns, dtype=F))
    _, values, measured = only(proto, tmp_path)
    np.testing.assert_allclose(dense_of(values), implied, rtol=1e-6)
    assert measured.block == block


@pytest.mark.parametrize("kind", ["int4", "uint4", "packed4", "packed8"])
@pytest.mark.parametrize("zeros", [False, True])
def test_gather_block_quantized(kind: str, zeros: bool, tmp_path: Path) -> None:
    rows, columns, block = 12, 48, 16
    bits = 8 if kind == "packed8" else 4
    arrays: dict[str, np.ndarray] = {"s": scales(3, rows, columns // block), "i": np.arange(rows)}
    proto = text_model(
        f"g (int64[n] x) => (float[n,{columns}] y) {{ y = com.microsoft.GatherBlockQuantized"
        f"<bits={bits}, block_size={block}, quantize_axis=1>(w, x, s{', z' if zeros else ''}) }}",
        {"s": arrays["s"]},
    )
    low, high = (-8, 7) if kind == "int4" else (0, 15 if bits == 4 else 255)
    for name, shape in (("w", (rows, columns)), ("z", (rows, columns // block)))[: 1 + zeros]:
        values = codes(7, shape, low, high, np.int64)
        if kind.startswith("packed"):
            packed = naive.pack_low_bits_first(values, bits)
            proto.graph.initializer.append(numpy_helper.from_array(packed, name))
        else:
            code = onnx.TensorProto.INT4 if kind == "int4" else onnx.TensorProto.UINT4
            proto.graph.initializer.append(helper.make_tensor(name, code, shape, values.reshape(-1)))
    (implied,) = run(proto, x=np.arange(rows))
    weight, values, measured = only(proto, tmp_path)
    np.testing.assert_array_equal(values[0, :, :, 0].astype(F), implied)
    assert weight.role == "embedding"
    assert measured.bits == bits


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("block", [0, 16])
def test_qmoe(bits: int, block: int, tmp_path: Path) -> None:
    """Each token goes to one expert; the identity in the other layer shows the matrix."""
    experts, n = 3, 32
    pack = 8 // bits
    half = 2 ** (bits - 1)
    eye = naive.pack_low_bits_first(np.tile(np.eye(n, dtype=int) + half, (experts, 1, 1)), bits)
    first = codes(1, (experts, n, n // pack), 0, 255, U8)
    s1 = scales(3, experts, n, n // block) if block else scales(3, experts, n)
    ones = np.ones(s1.shape, F)
    attributes = f'k=1, activation_type="identity", expert_weight_bits={bits}' + (f", block_size={block}" * bool(block))
    text = (
        f"g (float[t,{n}] x, float[t,{experts}] router) => (float[t,{n}] y) "
        f"{{ y = com.microsoft.QMoE<{attributes}>(x, router, a, as, , b, bs) }}"
    )
    x = np.tile(np.eye(n, dtype=F), (experts, 1))
    router = np.repeat(np.eye(experts, dtype=F), n, axis=0) * 100
    for own, other in (("a", "b"), ("b", "a")):
        proto = text_model(text, {own: first, f"{own}s": s1, other: eye, f"{other}s": ones})
        (implied,) = run(proto, x=x, router=router)
        result, values = found(proto, tmp_path)
        weight, ours = next((w, v) for w, v in zip(result.weights, values) if w.tensor == own)
        assert weight.num_matrices == experts
        # Between the layers onnxruntime rounds activations to 8 bits in some cases.
        error = np.abs(implied).max() / 254 if own == "a" and bits == 8 and block else 1e-6
        np.testing.assert_allclose(
            ours[..., 0].swapaxes(1, 2).reshape(experts * n, n), implied, rtol=2e-6, atol=1.05 * error
        )


# --- QDQ and the like: ordinary operators after a decoder -----------------------------------


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


# --- hostile codes ---------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "attributes",
    [
        "N=10, K=64, bits=4, block_size=0",
        "N=10, K=64, bits=5, block_size=16",
        "N=0, K=64, bits=4, block_size=16",
        "N=99999999, K=99999999, bits=4, block_size=16",
        "N=-4, K=64, bits=4, block_size=16",
    ],
)
def test_nonsense_of_matmul_nbits_fails_with_a_reason(attributes: str, tmp_path: Path) -> None:
    arrays = {"w": codes(1, (10, 4, 8), 0, 255, U8), "s": scales(3, 10, 4)}
    proto = text_model(
        f"g (float[64,64] x) => (float[64,10] y) {{ y = com.microsoft.MatMulNBits<{attributes}>(x, w, s) }}", arrays
    )
    result, _ = found(proto, tmp_path)
    assert result.weights[0].problem is not None
    assert result.weights[0].problem.code in {"unsupported_layout", "invalid_graph", "over_limit"}


# --- real files ------------------------------------------------------------------------------


def test_files_of_matmul_nbits_decode_as_onnxruntime_does(shared: Path) -> None:
    """Each MatMulNBits of the file is run on the identity, each GatherBlockQuantized on all its rows."""
    path = shared / "models" / "derived" / "minilm_l3_matmulnbits.onnx"
    proto = onnx.load(path)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    nodes = {name: node for node in proto.graph.node for name in node.input if name in stored}
    checked = 0
    with open_model(path) as opened:
        for weight in survey(opened, DEFAULT_LIMITS).weights:
            node = nodes[weight.tensor]
            values = weight.canonical()[0, :, :, 0]
            if node.op_type == "MatMulNBits":
                feed = np.eye(values.shape[1], dtype=F)
                (implied,) = run(_alone(node, stored, 0, feed), feed=feed)
                implied = implied.T
            else:
                feed = np.arange(values.shape[0])
                (implied,) = run(_alone(node, stored, 1, feed), feed=feed)
            np.testing.assert_array_equal(values.astype(F), implied)
            checked += 1
    assert checked == 21


def test_a_file_in_int4_decodes_as_onnxruntime_does(shared: Path) -> None:
    path = shared / "models" / "derived" / "resnet20_qdq_int4.onnx"
    proto = onnx.load(path)
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    nodes = {node.input[0]: node for node in proto.graph.node if node.op_type == "DequantizeLinear"}
    with open_model(path) as opened:
        weights = survey(opened, DEFAULT_LIMITS).weights
        for weight in weights:
            (implied,) = run(_alone(nodes[weight.tensor], stored))
            np.testing.assert_array_equal(weight.constant.load(), implied)
    assert len(weights) == 20


def _alone(
    node: onnx.NodeProto, stored: dict[str, onnx.TensorProto], fed: int = -1, feed: np.ndarray | None = None
) -> onnx.ModelProto:
    """Take one node out of a model, with one input to feed."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[0] = "y"
    infos = []
    if feed is not None:
        copy.input[fed] = "feed"
        infos = [helper.make_tensor_value_info("feed", helper.np_dtype_to_tensor_dtype(feed.dtype), feed.shape)]
    constants = [stored[name] for name in copy.input if name in stored]
    out = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([copy], "g", infos, [out], initializer=constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


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


def test_eight_bits_a_channel_move_norms_by_little(shared: Path) -> None:
    folder = shared / "models"
    original = analyze(folder / "resnet-cifar10" / "resnet20_ts_op17.onnx", conv="unfold")
    quantised = analyze(folder / "derived" / "resnet20_qdq_pc.onnx", conv="unfold")
    assert len(original.layers) == len(quantised.layers) == 20
    for a, b in zip(original.layers, quantised.layers):
        assert b.quantization is not None
        assert b.log_norm == pytest.approx(a.log_norm, abs=LOG_NORM)
        assert b.stable_rank == pytest.approx(a.stable_rank, rel=STABLE_RANK)


def test_half_precision_moves_eigenvalues_by_little(shared: Path) -> None:
    folder = shared / "models"
    original = analyze(folder / "resnet-cifar10" / "resnet20_ts_op17.onnx", spectra=True)
    half = analyze(folder / "derived" / "resnet20_fp16.onnx", spectra=True)
    for a, b in zip(original.layers, half.layers):
        assert a.evals is not None
        np.testing.assert_allclose(b.evals, a.evals, rtol=0, atol=1e-3 * a.evals[0])
