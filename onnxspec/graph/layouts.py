"""How the constant of a slot becomes matrices.

Every weight is brought to one canonical form of four axes, ``(groups, outputs,
inputs, positions)``: what feeds one output stands in one row, whatever way the
graph stores it, so that equal weights give equal bytes in every graph form.
A dense layer has one group and one position; a convolution has its kernel
positions, flattened, in the last axis.

The functions here only move values (views where NumPy can), and so they also
tell the canonical shape when they are run on an array of stride zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["Layout", "canonical_shape", "conv", "conv_transpose", "inputs_first", "matrices", "outputs_first", "table"]

Layout = Callable[["Array"], "Array"]
"""Maps a constant to its canonical form."""


def outputs_first(array: Array) -> Array:
    """Take a (stack of) matrices stored as outputs x inputs: ``Gemm`` with transB, ``MatMul`` with W on the left."""
    return array.reshape(-1, *array.shape[-2:])[..., None]


def inputs_first(array: Array) -> Array:
    """Take a (stack of) matrices stored as inputs x outputs: ``MatMul`` with W on the right."""
    return array.reshape(-1, *array.shape[-2:]).swapaxes(1, 2)[..., None]


def conv(group: int) -> Layout:
    """Make the layout of a ``Conv`` kernel ``[outputs, inputs / group, k...]``."""

    def layout(array: Array) -> Array:
        outputs, inputs = array.shape[:2]
        return array.reshape(group, _part(outputs, group), inputs, -1)

    return layout


def conv_transpose(group: int) -> Layout:
    """Make the layout of a ``ConvTranspose`` kernel ``[inputs, outputs / group, k...]``."""

    def layout(array: Array) -> Array:
        inputs, outputs = array.shape[:2]
        return array.reshape(group, _part(inputs, group), outputs, -1).swapaxes(1, 2)

    return layout


def _part(channels: int, group: int) -> int:
    """Divide channels among groups."""
    if channels % group:
        raise ValueError(f"{channels} channels cannot be divided into {group} groups")
    return channels // group


def table(axis: int) -> Layout:
    """Make the layout of a table that is looked up along `axis`: one row for each entry."""

    def layout(array: Array) -> Array:
        entries = np.moveaxis(array, axis, 0)
        return entries.reshape(1, entries.shape[0], -1, 1)

    return layout


def canonical_shape(layout: Layout, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Give ``(groups, outputs, inputs, positions)`` without reading the constant."""
    groups, outputs, inputs, positions = layout(np.broadcast_to(np.zeros((), np.int8), shape)).shape
    return int(groups), int(outputs), int(inputs), int(positions)


def matrices(canonical: Array, *, unfold: bool = False) -> Array:
    """Cut the canonical form into a stack of matrices, shape ``(number, outputs, inputs)``.

    One matrix for each group and kernel position; with `unfold`, one for each
    group, ``outputs x (inputs * positions)``: the linear map on patches.
    """
    groups, outputs, inputs, positions = canonical.shape
    if unfold:
        return canonical.reshape(groups, outputs, inputs * positions)
    return np.moveaxis(canonical, 3, 1).reshape(groups * positions, outputs, inputs)
