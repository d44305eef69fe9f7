"""What can happen to one weight matrix between two models, each with what it should be called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Callable[[Array, np.random.Generator], Array]


def single(values: Array) -> Array:
    """Store as float32."""
    return np.asarray(values, np.float32)


def round_trip(w: Array, bits: int, axis: int | None = 1, block: int | None = None) -> Array:
    """Quantise to symmetric codes with the largest value at the end of the range, and back to float32.

    `axis` is summed over: 1 gives one step a row, 0 one a column, None one for all; `block` cuts rows.
    """
    v = w.astype(np.float64)
    if block is not None:
        v = v.reshape(w.shape[0], -1, block)
        axis = 2
    scale = np.abs(v).max(axis=axis, keepdims=True) / (2 ** (bits - 1) - 1)
    step = single(np.where(scale > 0.0, scale, 1.0))
    return single(np.rint(v / step).astype(np.float32) * step).reshape(w.shape)


def affine_round_trip(w: Array, bits: int) -> Array:
    """Quantise every row to unsigned codes with a zero point, and back."""
    low = np.minimum(w.min(axis=1, keepdims=True), 0.0)
    high = np.maximum(w.max(axis=1, keepdims=True), 0.0)
    step = single((high - low) / (2**bits - 1))
    zero = np.rint(-low / step)
    return single((np.clip(np.rint(w / step) + zero, 0, 2**bits - 1) - zero).astype(np.float32) * step)


def merged_lora(w: Array, rng: np.random.Generator, rank: int, strength: float) -> Array:
    """Add a product of two thin Gaussian factors of `strength` times the norm of w, in float32."""
    delta = rng.standard_normal((w.shape[0], rank)) @ rng.standard_normal((rank, w.shape[1]))
    delta *= strength * np.linalg.norm(w) / np.linalg.norm(delta)
    return single(w) + single(delta)


def bumps(w: Array, rng: np.random.Generator, share: float, strength: float = 1.0) -> Array:
    """Add noise to a share of the elements, and to one at least."""
    hit = rng.random(w.shape) < share
    hit.flat[int(rng.integers(w.size))] = True
    out = single(w).copy()
    out[hit] += single(strength * w.std() * rng.standard_normal(int(hit.sum())))
    return out


def fine_tune(w: Array, rng: np.random.Generator, strength: float, low_rank: int = 4, share: float = 0.5) -> Array:
    """Add a low-rank part, as gradients have, and a bulk; `share` is that of the low-rank part in the energy."""
    part = rng.standard_normal((w.shape[0], low_rank)) @ rng.standard_normal((low_rank, w.shape[1]))
    bulk = rng.standard_normal(w.shape)
    delta = np.sqrt(share) * part / np.linalg.norm(part) + np.sqrt(1.0 - share) * bulk / np.linalg.norm(bulk)
    return single(w + strength * np.linalg.norm(w) * delta)


def reinitialised(w: Array, rng: np.random.Generator, law: str = "normal") -> Array:
    """Draw new values as initialisers do."""
    bound = float(np.sqrt(6.0 / sum(w.shape)))
    if law == "uniform":
        return single(rng.uniform(-bound, bound, w.shape))
    if law == "orthogonal":
        tall = rng.standard_normal((max(w.shape), min(w.shape)))
        q = np.linalg.qr(tall)[0]
        return single(q if w.shape[0] >= w.shape[1] else q.T)
    return single(rng.standard_normal(w.shape) * bound / np.sqrt(3.0))


def pruned(w: Array, share: float) -> Array:
    """Set the smallest values to zero."""
    return np.where(np.abs(w) < np.quantile(np.abs(w), share), np.float32(0), single(w))


def two_of_four(w: Array) -> Array:
    """Keep the two largest of every four consecutive inputs."""
    groups = single(w).reshape(w.shape[0], -1, 4).copy()
    least = np.argsort(np.abs(groups), axis=-1)[..., :2]
    np.put_along_axis(groups, least, np.float32(0), -1)
    return groups.reshape(w.shape)


def without_channels(w: Array, rng: np.random.Generator, share: float = 0.2) -> Array:
    """Set whole rows to zero."""
    out = single(w).copy()
    out[rng.permutation(len(w))[: max(1, int(share * len(w)))]] = 0.0
    return out


def structured(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Make a matrix that looks trained: noise and a heavy tail of directions."""
    n, m = shape
    k = max(2, min(shape) // 6)
    u = np.linalg.qr(rng.standard_normal((n, k)))[0]
    v = np.linalg.qr(rng.standard_normal((m, k)))[0]
    strengths = 0.03 * (np.sqrt(n) + np.sqrt(m)) * (1.0 + rng.pareto(1.5, size=k))
    return single(0.03 * rng.standard_normal(shape) + (u * strengths) @ v.T)


def every_kind(w: Array, rng: np.random.Generator, positions: int = 1) -> Iterator[tuple[str, Array, str]]:
    """Give names, changed matrices and expected verdicts over a range of strengths.

    `w` has the shape (outputs, inputs * positions); steps are drawn from the range at random, so that every seed
    tests other ones.
    """
    import ml_dtypes

    n, m = w.shape
    yield "cast float16", single(w.astype(np.float16)), "cast"
    yield "cast bfloat16", single(w.astype(ml_dtypes.bfloat16)), "cast"
    for bits in range(2, 9):
        axis = [None, 1, 0][int(rng.integers(3 if positions == 1 else 2))]
        yield f"int{bits} axis {axis}", round_trip(w, bits, axis), "rounding"
    yield "uint8 affine", affine_round_trip(w, 8), "rounding"
    if m % 32 == 0 and m > 32:
        yield "int4 blocks of 32", round_trip(w, 4, block=32), "rounding"
    yield "scaled", single(w * rng.uniform(0.2, 5.0)), "scale_change_only"
    rows = single(w * np.exp(rng.normal(size=(n, 1))))
    yield "rows scaled", rows, "channels_scaled"
    yield "rows scaled, int8", round_trip(rows, 8), "channels_scaled"
    yield "rows scaled, float16", single(rows.astype(np.float16)), "channels_scaled"
    order = rng.permutation(n)
    yield "rows permuted", w[order], "permuted"
    inputs = w.reshape(n, -1, positions)
    columns = np.roll(rng.permutation(inputs.shape[1]), 1)
    if np.array_equal(columns, np.arange(columns.size)):
        columns = columns[::-1]
    yield "inputs permuted", inputs[:, columns].reshape(n, m), "permuted"
    both = inputs[order][:, columns].reshape(n, m)
    yield "both permuted", both, "permuted"
    yield "both permuted, float16", single(both.astype(np.float16)), "permuted"
    yield "rows permuted, int8", round_trip(w[order], 8), "permuted"
    yield "pruned", pruned(w, rng.uniform(0.1, 0.9)), "pruned"
    yield "pruned rows", without_channels(w, rng), "pruned"
    yield "pruned, int8", round_trip(pruned(w, 0.5), 8), "pruned"
    if inputs.shape[1] % 4 == 0 and positions == 1:
        yield "2:4", two_of_four(w), "pruned"
    for rank in (1, 2, 4, 8, 16, 32):
        if rank <= min(n, m) // 2:
            strength = float(np.exp(rng.uniform(np.log(0.005), np.log(0.5))))
            yield f"LoRA {rank} at {strength:.3f}", merged_lora(w, rng, rank, strength), "low_rank_update"
            strong = merged_lora(w, rng, rank, rng.uniform(0.1, 0.5))
            yield f"LoRA {rank}, float16", single(strong.astype(np.float16)), "low_rank_update"
    yield "sparse", bumps(w, rng, float(np.exp(rng.uniform(np.log(0.001), np.log(0.2))))), "sparse_update"
    for _ in range(3):
        strength = float(np.exp(rng.uniform(np.log(1e-3), np.log(1.0))))
        yield f"fine-tune at {strength:.3f}", fine_tune(w, rng, strength, share=rng.uniform(0, 0.9)), "dense_fine_tune"
    yield "fine-tune, int8", round_trip(fine_tune(w, rng, 0.1), 8), "dense_fine_tune"
    for law in ("normal", "uniform", "orthogonal"):
        yield f"new {law}", reinitialised(w, rng, law), "reinitialised"
    yield "unrelated", structured((n, m), rng), "unrelated"
    broken = single(w).copy()
    broken.flat[int(rng.integers(w.size))] = np.nan
    yield "one NaN", broken, "not_finite"
    if n == m and positions == 1:
        yield "transposed", np.ascontiguousarray(w.T), "transposed"
