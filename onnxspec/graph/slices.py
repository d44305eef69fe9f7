"""Weights that a Scan hands to its body slice by slice: one stack, a matrix for each turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.graph.constants import Constant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constants
    from onnxspec.graph.layouts import Layout
    from onnxspec.graph.scopes import Scope
    from onnxspec.graph.slots import SlotRole
    from onnxspec.graph.view import GraphView

__all__ = ["Slice", "slice_of", "stacked"]

Slice = tuple[Constant, Constant, int]
"""One slice, of which the shape alone is known; the whole; the axis along which it is cut."""


def slice_of(view: GraphView, constants: Constants, scope: Scope, name: str) -> Slice | None:
    """Give the constant of which a value is one slice each time a Scan's body runs."""
    value = view.resolve(scope, name)
    found = value[0].slices.get(value[1]) if value is not None else None
    if found is None:
        return None
    (outer, source), axis = found
    whole = constants.find(outer, source)
    if whole is None or whole.problem is not None or not -len(whole.shape) <= axis < len(whole.shape):
        return None
    axis %= len(whole.shape)
    shape = whole.shape[:axis] + whole.shape[axis + 1 :]
    return Constant(whole.key, shape, whole.dtype, inputs=(whole,)), whole, axis


def stacked(role: SlotRole, held: Slice) -> SlotRole:
    """Describe the slot of a slice as one of the whole: a stack of the slices' matrices."""
    _, whole, axis = held
    return replace(role, constant=whole, layout=_each(role.layout, axis), form=f"slices:{axis}:{role.form}")


def _each(layout: Layout, axis: int) -> Layout:
    """Make the layout of a whole from that of its slices."""

    def whole(array: NDArray[Any]) -> NDArray[Any]:
        parts = np.moveaxis(array, axis, 0)
        if not any(array.strides):  # a dummy that takes no memory
            first = layout(parts[0])
            return np.broadcast_to(first[:1, :1, :1, :1], (len(parts) * first.shape[0], *first.shape[1:]))
        return np.concatenate([layout(part) for part in parts])

    return whole
