"""QAttention, DynamicQuantizeLSTM and QEmbedLayerNormalization: float layers of the decoded weights give the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.graph.build import found, rng
from tests.graph.quantized.codes import I8, I32, U8, F, codes, dense_of, run, scales, text_model


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


def test_qembed_layer_normalization(tmp_path: Path) -> None:
    """The layer norm of the decoded rows' sum is what onnxruntime gives for every word, position and segment."""
    rows = {"word": 20, "position": 10, "segment": 4, "gamma": 1, "beta": 1}
    arrays: dict[str, np.ndarray] = {}
    for number, (name, count) in enumerate(rows.items()):
        table = codes(number, (count, 8), 0, 255, U8)
        arrays[name] = table if count > 1 else table[0]
        arrays[f"{name}_s"] = np.array(0.01 * (number + 1), F)
        arrays[f"{name}_z"] = np.array(100 + number, U8)
    scale, zero = (", ".join(f"{name}_{letter}" for name in rows) for letter in "sz")
    proto = text_model(
        "g (int32[b,l] ids, int32[b,l] seg) => (float[b,l,8] y, int32[b] m) { y, m = com.microsoft."
        "QEmbedLayerNormalization<epsilon=1e-12>"
        f"(ids, seg, word, position, segment, gamma, beta, , {scale}, {zero}) }}",
        arrays,
    )
    ids = np.arange(20, dtype=I32).reshape(2, 10)
    segments = (ids % 4).astype(I32)
    implied, _ = run(proto, ids=ids, seg=segments)
    result, values = found(proto, tmp_path)
    tables = {weight.tensor: value[0, :, :, 0] for weight, value in zip(result.weights, values) if value is not None}
    assert {weight.role for weight in result.weights} == {"embedding"}
    total = tables["word"][ids] + tables["position"][None, :] + tables["segment"][segments]
    gamma, beta = ((arrays[n].astype(F) - arrays[f"{n}_z"]) * arrays[f"{n}_s"] for n in ("gamma", "beta"))
    normal = (total - total.mean(-1, keepdims=True)) / np.sqrt(total.var(-1, keepdims=True) + 1e-12)
    np.testing.assert_allclose(normal * gamma + beta, implied, atol=5e-6)
