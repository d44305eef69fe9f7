"""Weights that a Scan hands to its body slice by slice: one stack, a matrix for each turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph import folding
from onnxspec.graph.constants import Constant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constants
    from onnxspec.graph.layouts import Layout
    from onnxspec.graph.scopes import Scope
    from onnxspec.graph.slots import SlotRole
    from onnxspec.graph.view import GraphView
    from onnxspec.reading import Node

__all__ = ["Slice", "slice_of", "stacked"]

MAX_STEPS = 16
"""Nodes that move the values of a slice before it is used."""

_MOVING = frozenset(folding.MOVING) - {"Split"}

_DECODING = frozenset({"Cast", "DequantizeLinear", "Div", "Mul", "Sub"})

Step = tuple["Node", tuple["NDArray[Any] | None", ...]]
"""A node that moves a slice's values, and its other inputs."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A value that is one slice of a constant each time a Scan's body runs.

    Attributes
    ----------
    slice : Constant
        One of them, of which the shape alone is known.
    whole : Constant
        What is cut.
    axis : int
        Where it is cut.
    steps : tuple of (Node, tuple)
        What moves the values of each slice before it is used.
    """

    slice: Constant
    whole: Constant
    axis: int
    steps: tuple[Step, ...] = ()


def slice_of(view: GraphView, constants: Constants, scope: Scope, name: str) -> Slice | None:
    """Give the constant of which a value is one slice each time a Scan's body runs, however it is turned."""
    value = view.resolve(scope, name)
    steps: list[Step] = []
    decoding: list[tuple[Node, tuple[Constant | None, ...]]] = []
    while value is not None and value[1] not in value[0].slices:
        index = value[0].producers.get(value[1])
        node = None if index is None else value[0].nodes[index]
        if node is None or len(steps) + len(decoding) == MAX_STEPS:
            return None
        operands = _decoding(constants, value[0], node)
        rest = _others(constants, value[0], node)
        if operands is not None:
            decoding.insert(0, (node, operands))
        elif rest is not None:
            steps.insert(0, (node, rest))
        else:
            return None
        value = view.resolve(value[0], node.inputs[0])
    if value is None:
        return None
    (outer, source), axis = value[0].slices[value[1]]
    whole = constants.find(outer, source)
    if whole is None or whole.problem is not None or not -len(whole.shape) <= axis < len(whole.shape):
        return None
    axis %= len(whole.shape)
    shape = whole.shape[:axis] + whole.shape[axis + 1 :]
    for node, operands in decoding:  # element by element, so that the whole can be decoded at once
        whole = constants.derive(node, (whole, *operands))
    try:
        moved = _moved(np.broadcast_to(np.zeros((), np.int8), shape), steps)
    except (TensorError, ValueError, IndexError, TypeError, KeyError, OverflowError):
        return None
    return Slice(Constant(whole.key, moved.shape, whole.dtype, inputs=(whole,)), whole, axis, tuple(steps))


def _decoding(constants: Constants, scope: Scope, node: Node) -> tuple[Constant | None, ...] | None:
    """Give the other inputs of a Cast, or of a decoder or factor that is one number; None of any other node."""
    if node.domain or node.op_type not in _DECODING or not node.inputs or not node.inputs[0]:
        return None
    found = tuple(constants.find(scope, name) if name else None for name in node.inputs[1:])
    for name, constant in zip(node.inputs[1:], found):
        if name and (constant is None or constant.size != 1):
            return None
    return found


def _others(constants: Constants, scope: Scope, node: Node) -> tuple[NDArray[Any] | None, ...] | None:
    """Read the other inputs of a node that moves values; None where it does more, or they are not known."""
    if node.domain or node.op_type not in _MOVING or not node.inputs or not node.inputs[0]:
        return None
    if any(held.ref_attr_name for held in node.attributes.values()):
        return None
    found: list[NDArray[Any] | None] = []
    for name in node.inputs[1:]:
        constant = constants.find(scope, name) if name else None
        if name and (constant is None or constant.problem is not None or constant.size > np.iinfo(np.uint8).max):
            return None
        found.append(None if constant is None else constant.load())
    return tuple(found)


def _moved(array: NDArray[Any], steps: Sequence[Step]) -> NDArray[Any]:
    """Move the values of one slice."""
    for node, others in steps:
        array = folding.MOVING[node.op_type](node, array, *others)
    return array


def stacked(role: SlotRole, held: Slice) -> SlotRole:
    """Describe the slot of a slice as one of the whole: a stack of the slices' matrices."""
    form = ":".join(f"{node.op_type}{[*map(repr, node.attributes.values()), others]}" for node, others in held.steps)
    layout = _each(role.layout, held.axis, held.steps)
    return replace(role, constant=held.whole, layout=layout, form=f"slices:{held.axis}:{form}:{role.form}")


def _each(layout: Layout, axis: int, steps: Sequence[Step]) -> Layout:
    """Make the layout of a whole from that of its slices."""

    def whole(array: NDArray[Any]) -> NDArray[Any]:
        parts = np.moveaxis(array, axis, 0)
        if not any(array.strides):  # a dummy that takes no memory
            first = layout(_moved(parts[0], steps))
            return np.broadcast_to(first[:1, :1, :1, :1], (len(parts) * first.shape[0], *first.shape[1:]))
        return np.concatenate([layout(_moved(part, steps)) for part in parts])

    return whole
