"""Kernels that onnxruntime stored in blocks of channels (``com.microsoft.nchwc``).

A model saved at the highest optimisation level holds ``Conv`` kernels of the usual
shape whose values are permuted::

    OIHWBiBo   [O / B, I / B, h, w, B of I, B of O]
    OIHWBo     [O / B, I, h, w, B of O]     (few inputs, or depthwise)

with channels padded by zeros to multiples of the block B, which depends on the
machine that saved the file: 8 or 16. The file does not say which. It is proven
where the true channels, in ``ReorderOutput``, fit the padding of one of the two
alone; otherwise the kernels are refused with the reason ``reordered``, because
the wrong block gives wrong singular values without a sign of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph.nodes import attribute, group_of
from onnxspec.graph.slots import Handler, Operands, SlotRole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.layouts import Layout
    from onnxspec.graph.scopes import Scope
    from onnxspec.graph.view import GraphView
    from onnxspec.reading import Node

__all__ = ["BLOCKS", "HANDLERS", "block_size", "unblock"]

DOMAIN = "com.microsoft.nchwc"

BLOCKS = (8, 16)
"""Channels in a block, on the machines that store kernels so."""

_STEPS = 64


def block_size(view: GraphView) -> int | None:
    """Give the block that the kernels of a file were stored with, where the file proves it."""
    key = "nchwc block"
    if key not in view.cache:
        possible = set(BLOCKS)
        for scope in view.scopes:
            for node in scope.nodes:
                if node.domain == DOMAIN:
                    possible &= _possible(view, scope, node)
        view.cache[key] = possible.pop() if len(possible) == 1 else None
    found: int | None = view.cache[key]
    return found


def _possible(view: GraphView, scope: Scope, node: Node) -> set[int]:
    """Give the blocks that one node allows."""
    if node.op_type == "Conv":
        stored = _stored_outputs(view, scope, node)
        return {block for block in BLOCKS if stored is None or stored % block == 0}
    channels = attribute(node, "channels", 0)
    if node.op_type != "ReorderOutput" or not isinstance(channels, int) or channels < 1 or not node.inputs:
        return set(BLOCKS)
    name = node.inputs[0]
    for _ in range(_STEPS):
        index = scope.producers.get(name)
        source = None if index is None else scope.nodes[index]
        if source is None or source.domain != DOMAIN or not source.inputs:
            return set(BLOCKS)
        if source.op_type == "Conv":
            stored = _stored_outputs(view, scope, source)
            return {block for block in BLOCKS if stored is None or -(-channels // block) * block == stored}
        name = source.inputs[0]
    return set(BLOCKS)


def _stored_outputs(view: GraphView, scope: Scope, node: Node) -> int | None:
    """Give the output channels, with their padding, of a kernel."""
    value = view.resolve(scope, node.inputs[1]) if len(node.inputs) > 1 else None
    tensor = value[0].initializers.get(value[1]) if value is not None else None
    return tensor.shape[0] if tensor is not None and tensor.shape else None


def unblock(array: NDArray[Any], block: int) -> NDArray[Any]:
    """Bring a kernel back to the order ``[outputs, inputs, k...]``, with its padding.

    Raises
    ------
    ValueError
        The kernel cannot be cut into blocks.
    """
    outputs, inputs, *kernel = array.shape
    places = range(len(kernel))
    if inputs % block == 0:
        parts = array.reshape(outputs // block, inputs // block, *kernel, block, block)
        last = 2 + len(kernel)
        order = (0, last + 1, 1, last, *(2 + place for place in places))
    else:
        parts = array.reshape(outputs // block, inputs, *kernel, block)
        order = (0, 2 + len(kernel), 1, *(2 + place for place in places))
    return parts.transpose(order).reshape(array.shape)


def _conv(operands: Operands) -> list[SlotRole]:
    held = operands.get(1)
    if held is None or len(held.shape) < 3 or held.problem is not None:
        return []
    group = group_of(operands.node)
    role = "depthwise_conv" if group > 1 and held.shape[1] == 1 else "conv"
    block = block_size(operands.view)
    problem = TensorError(
        "reordered", "onnxruntime stored the kernel in blocks of channels, of a size that the file does not prove"
    )
    if block is not None and held.shape[0] % block == 0:
        try:
            kept = _kept(unblock(held.load(), block), block, group)
            return [SlotRole(1, role, _layout(block, group, kept), f"nchwc:{block}:{group}:{kept}")]
        except TensorError as error:
            problem = error
    return [SlotRole(1, role, _layout(1, group, held.shape[:2]), "nchwc", constant=held.broken(problem))]


def _kept(array: NDArray[Any], block: int, group: int) -> tuple[int, ...]:
    """Give the outputs and inputs without the zeros that fill the last block."""
    outputs, inputs = array.shape[:2]
    if group > 1:
        return outputs, inputs
    flat = np.abs(array.reshape(outputs, inputs, -1)).max(axis=2)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    last = int(rows[-1]) + 1 if rows.size else outputs
    first = int(columns[-1]) + 1 if columns.size and inputs % block == 0 else inputs
    return (
        last if outputs - last < block else outputs,
        first if inputs - first < block else inputs,
    )


def _layout(block: int, group: int, kept: tuple[int, ...]) -> Layout:
    """Make the layout of a kernel in blocks."""

    def layout(array: NDArray[Any]) -> NDArray[Any]:
        plain = unblock(array, block)[: kept[0], : kept[1]]
        outputs, inputs = plain.shape[:2]
        if outputs % group:
            raise ValueError(f"{outputs} channels cannot be divided into {group} groups")
        return plain.reshape(group, outputs // group, inputs, -1)

    return layout


HANDLERS: dict[str, Handler] = {f"{DOMAIN}.Conv": _conv}
