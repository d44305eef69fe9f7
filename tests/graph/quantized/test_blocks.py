"""Codes packed into bytes, with a scale for each block: MatMulNBits, GatherBlockQuantized, QMoE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.graph.build import found, rng
from tests.graph.quantized.codes import I32, U8, F, codes, dense_of, only, run, scales, text_model
from tests.oracle import naive


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


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(("rows", "columns", "block"), [(10, 64, 16), (16, 64, 64), (10, 24, 32)])
def test_matmul_bnb4(kind: int, rows: int, columns: int, block: int, tmp_path: Path) -> None:
    """Every code occurs; blocks run over the rows' ends where they do not divide them."""
    length = rows * columns
    arrays = {"w": codes(1, (length // 2,), 0, 255, U8), "s": scales(3, -(-length // block))}
    assert len(np.unique(arrays["w"] >> 4)) == len(np.unique(arrays["w"] & 15)) == 16
    proto = text_model(
        f"g (float[{columns},{columns}] x) => (float[{columns},{rows}] y) {{ y = com.microsoft.MatMulBnb4"
        f"<N={rows}, K={columns}, block_size={block}, quant_type={kind}>(x, w, s) }}",
        arrays,
    )
    (implied,) = run(proto, x=np.eye(columns, dtype=F))
    weight, values, measured = only(proto, tmp_path)
    np.testing.assert_allclose(dense_of(values), implied, rtol=2e-7)
    assert (measured.scheme, measured.bits, measured.granularity, measured.block) == ("MatMulBnb4", 4, "block", block)
    assert weight.slots == 1


@pytest.mark.parametrize(
    "attributes", ["N=10, K=64, block_size=0", "N=10, K=63, block_size=16", "N=-1, K=1, block_size=16"]
)
def test_nonsense_of_matmul_bnb4_fails_with_a_reason(attributes: str, tmp_path: Path) -> None:
    proto = text_model(
        "g (float[64,64] x) => (float[64,10] y) "
        f"{{ y = com.microsoft.MatMulBnb4<{attributes}, quant_type=1>(x, w, s) }}",
        {"w": codes(1, (320,), 0, 255, U8), "s": scales(3, 40)},
    )
    (weight,) = found(proto, tmp_path)[0].weights
    assert weight.problem is not None
    assert weight.problem.code in {"unsupported_layout", "invalid_graph"}
    assert weight.slots == 1
