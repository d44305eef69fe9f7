"""How large the result of an operator can be, known from its small arguments before it is run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.graph.nodes import attribute, product
from onnxspec.reading import Node

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["GROWING", "result_elements"]


def result_elements(node: Node, arrays: Sequence[Array | None]) -> int | None:
    """Bound the elements of a node's result from its small arguments; None where its memory limit must do.

    Raises
    ------
    ValueError, IndexError, TypeError, KeyError, ZeroDivisionError, OverflowError
        The node does not fit its inputs.
    """
    present = [array for array in arrays if array is not None]
    rule = GROWING.get(node.op_type)
    if rule is not None:
        return rule(node, arrays)
    try:
        return max(product(np.broadcast_shapes(*(a.shape for a in present))), sum(a.size for a in present))
    except ValueError:
        return None


def _ints(arrays: Sequence[Array | None], position: int, node: Node, name: str) -> list[int]:
    """Give whole numbers from an input, or from the attribute of older opsets."""
    held = arrays[position] if position < len(arrays) else None
    values = attribute(node, name, []) if held is None else held.reshape(-1)
    return [int(value) for value in values]


def _first(arrays: Sequence[Array | None]) -> Array:
    """Give the first input."""
    if not arrays or arrays[0] is None:
        raise ValueError("its first input is missing")
    return arrays[0]


def _range(_: Node, arrays: Sequence[Array | None]) -> int:
    start, limit, delta = (float(array.reshape(-1)[0]) for array in arrays if array is not None)
    return max(0, int((limit - start) / delta) + 1)


def _tile(node: Node, arrays: Sequence[Array | None]) -> int:
    return _first(arrays).size * product([max(0, n) for n in _ints(arrays, 1, node, "repeats")])


def _pad(node: Node, arrays: Sequence[Array | None]) -> int:
    x, pads = _first(arrays), _ints(arrays, 1, node, "pads")
    return product([n + sum(abs(p) for p in pads) for n in x.shape])


def _one_hot(_: Node, arrays: Sequence[Array | None]) -> int:
    depth = arrays[1]
    return _first(arrays).size * (0 if depth is None else int(depth.reshape(-1)[0]))


def _resize(node: Node, arrays: Sequence[Array | None]) -> int:
    x = _first(arrays)
    numbers = [a.reshape(-1) for a in arrays[1:] if a is not None and a.size]
    held = [attribute(node, name) for name in ("scales", "sizes") if attribute(node, name) is not None]
    most = max((float(np.max(np.abs(v))) for v in [*numbers, *(np.asarray(h) for h in held)] if len(v)), default=1.0)
    longest = max(most, 1.0) * max(x.shape, default=1)
    return int(longest ** max(1, x.ndim)) if np.isfinite(longest) else sys.maxsize


def _matmul(_: Node, arrays: Sequence[Array | None]) -> int:
    a, b = (array for array in arrays[:2] if array is not None)
    if a.ndim < 2 or b.ndim < 2:
        return int(max(a.size, b.size))
    return product([*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]])


def _gemm(_: Node, arrays: Sequence[Array | None]) -> int:
    a, b = (array for array in arrays[:2] if array is not None)
    return int(max(a.shape) * max(b.shape))


def _einsum(node: Node, arrays: Sequence[Array | None]) -> int:
    """Bound the result, and each intermediate product, by all labels' lengths together."""
    terms, _, _ = str(attribute(node, "equation", "")).replace(" ", "").partition("->")
    lengths: dict[str, int] = {}
    for term, array in zip(terms.split(","), arrays):
        if array is None or "." in term:
            return product([a.size for a in arrays if a is not None])
        lengths.update(zip(term, array.shape))
    return product(list(lengths.values()))


def _non_zero(_: Node, arrays: Sequence[Array | None]) -> int:
    return int(_first(arrays).size) * max(1, _first(arrays).ndim)


def _window(_: Node, arrays: Sequence[Array | None]) -> int:
    return int(_first(arrays).reshape(-1)[0])


def _mel(_: Node, arrays: Sequence[Array | None]) -> int:
    bins, length = (int(array.reshape(-1)[0]) for array in arrays[:2] if array is not None)
    return bins * (length // 2 + 1)


def _dft(_: Node, arrays: Sequence[Array | None]) -> int:
    length = arrays[1] if len(arrays) > 1 else None
    return 2 * _first(arrays).size * (1 if length is None else int(length.reshape(-1)[0]))


def _gather_nd(_: Node, arrays: Sequence[Array | None]) -> int:
    data, indices = (array for array in arrays[:2] if array is not None)
    depth = indices.shape[-1]
    return product(indices.shape[:-1]) * product(data.shape[depth:])


GROWING: Mapping[str, Callable[[Node, Sequence[Array | None]], int]] = MappingProxyType(
    {
        "BlackmanWindow": _window,
        "DFT": _dft,
        "Einsum": _einsum,
        "GatherND": _gather_nd,
        "Gemm": _gemm,
        "HammingWindow": _window,
        "HannWindow": _window,
        "MatMul": _matmul,
        "MelWeightMatrix": _mel,
        "NonZero": _non_zero,
        "OneHot": _one_hot,
        "Pad": _pad,
        "Range": _range,
        "Resize": _resize,
        "Tile": _tile,
        "Upsample": _resize,
    }
)
"""Operators whose result can be larger than their inputs, with a bound on it."""
