"""Follow one axis of a value computed at run time through the operators that move it, to where it is cut."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from onnxspec.graph.nodes import attribute

if TYPE_CHECKING:
    from onnxspec.graph.slots import Operands
    from onnxspec.reading import Node

__all__ = ["ELEMENTWISE", "is_cut_up"]

ELEMENTWISE = frozenset(
    {"Add", "Cast", "DequantizeLinear", "Identity", "Mul", "QLinearAdd", "QLinearMul", "QuantizeLinear"}
)
"""Operators that leave every element where it is."""

_STEPS = 24
_SAME = ELEMENTWISE | {"Div"}


def is_cut_up(operands: Operands, name: str, axis: int, rank: int | None) -> bool:
    """Say whether what reads a value takes it apart along one axis: by index, in slices or by a Split.

    Parameters
    ----------
    operands : Operands
        A node of the value's scope.
    name : str
        The value.
    axis : int
        Negative: counted from the end.
    rank : int or None
        Number of axes, where it is known.
    """
    scope = operands.scope
    queue = deque([(name, axis, rank)])
    for _ in range(_STEPS):
        if not queue:
            return False
        name, axis, rank = queue.popleft()
        for reader, position in scope.few_readers(name):
            node = scope.nodes[reader]
            if position != 0 and node.op_type not in _SAME:
                continue
            if _cuts(operands, node, axis, rank):
                return True
            moved = _moved(operands, node, axis, rank)
            if moved is not None:
                queue.extend((output, *moved) for output in node.outputs[:1])
    return False


def _cuts(operands: Operands, node: Node, axis: int, rank: int | None) -> bool:
    """Say whether a node takes its first input apart along an axis."""
    if node.op_type in ("Gather", "Split"):
        return _same(attribute(node, "axis", 0), axis, rank)
    if node.op_type == "Slice":
        axes = _numbers(operands, node, 3, "axes")
        return axes is not None and any(_same(each, axis, rank) for each in axes)
    return False


def _same(axis: int, tracked: int, rank: int | None) -> bool:
    """Compare an axis of a node with a tracked one, which counts from the end."""
    return axis == tracked if axis < 0 else rank is not None and axis - rank == tracked


def _moved(operands: Operands, node: Node, axis: int, rank: int | None) -> tuple[int, int | None] | None:
    """Say where an axis is after a node, and how many there are; None where it is lost."""
    if node.op_type in _SAME:
        return axis, rank
    if node.op_type == "Transpose":
        order = attribute(node, "perm", [])
        if not order or (rank is not None and len(order) != rank) or len(order) + axis not in order:
            return None
        return order.index(len(order) + axis) - len(order), len(order)
    if node.op_type not in ("Unsqueeze", "Squeeze"):
        return None
    axes = _numbers(operands, node, 1, "axes")
    if not axes:
        return None
    if rank is None:  # an axis more or less at the front moves nothing that counts from the end
        return (axis, None) if axes == [0] else None
    if node.op_type == "Unsqueeze":
        after = rank + len(axes)
        kept = [i for i in range(after) if i not in {each % after for each in axes}]
        return (kept[rank + axis] - after, after) if len(kept) == rank else None
    kept = [i for i in range(rank) if i not in {each % rank for each in axes}]
    return (kept.index(rank + axis) - len(kept), len(kept)) if rank + axis in kept else None


def _numbers(operands: Operands, node: Node, position: int, name: str) -> list[int] | None:
    """Read an argument that is an input in newer opsets and an attribute in older ones."""
    found = attribute(node, name)
    if found is not None:
        return [int(each) for each in found]
    return operands.numbers(node.inputs[position]) if position < len(node.inputs) else None
