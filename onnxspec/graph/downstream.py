"""Where the scale of codes stands that are multiplied or looked up before they are decoded.

``MatMulInteger`` and ``ConvInteger`` give integers::

    Y -> [Add of an int32 bias] -> Cast -> Mul(., Mul(a_scale, b_scale))

and exporters write the product of the scales in several ways. A table of codes is
decoded after the look-up: ``Gather -> DequantizeLinear``, or ``Gather -> Cast -> Mul``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from onnxspec.graph.nodes import attribute

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant
    from onnxspec.graph.slots import Operands
    from onnxspec.reading import Node

__all__ = ["scale_after_gather", "scale_after_product"]

_SHAPING = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity"})
_FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
_STEPS = 64


def scale_after_product(operands: Operands, position: int, channels: int) -> Constant | None:
    """Give the scale of one operand of an integer product, found in what follows it.

    Parameters
    ----------
    operands : Operands
        A node of MatMulInteger or ConvInteger.
    position : int
        Which of its two operands.
    channels : int
        Output channels that the operand has: a scale has one entry, or so many.
    """
    other = _scale_of_input(operands, 1 - position)
    for factors in _multipliers(operands):
        fitting = [c for c in factors if c.size in (1, channels) and c.dtype in _FLOATS]
        strangers = [c for c in fitting if other is None or c.key != other.key]
        if not strangers:
            continue
        if len(factors) == 1 and other is not None and factors[0].size in (1, channels):
            divided = _without(operands, strangers[0], other)
            if divided is not None:
                return divided
        return max(reversed(strangers), key=lambda constant: constant.size)
    return None


def _without(operands: Operands, product: Constant, other: Constant) -> Constant | None:
    """Take the other operand's constant scale out of the product of both."""
    if other.size != 1:
        return None
    return operands.derive("Div", product, operands.derive("Reshape", other, attributes={"shape": []}))


def _multipliers(operands: Operands) -> Iterator[list[Constant]]:
    """Give the constant factors of each ``Mul`` that follows the product, nearest first."""
    scope, store = operands.scope, operands.store
    queue = [(operands.node.outputs[0], "integers")]
    for _ in range(_STEPS):
        if not queue:
            return
        name, state = queue.pop(0)
        for reader, slot in scope.few_readers(name):
            node = scope.nodes[reader]
            if node.op_type == "DequantizeLinear" and slot == 0 and len(node.inputs) > 1:
                scale = store.find(scope, node.inputs[1])
                if scale is not None:
                    yield [scale]
                continue
            if node.op_type == "Mul" and len(node.inputs) == 2 and state != "integers":
                factors = _factors(operands, node.inputs[1 - slot])
                if factors:
                    yield factors
            after = _state_after(node, slot, state)
            if after and node.outputs:
                queue.append((node.outputs[0], after))


def _state_after(node: Node, slot: int, state: str) -> str | None:
    """Say how far the product is on its way through one more node; None where it ends."""
    if node.op_type in _SHAPING and slot == 0:
        return state
    if node.op_type == "Cast":
        return "cast"
    if node.op_type in ("Add", "Sub") and state == "integers":
        return state
    return "scaled" if node.op_type == "Mul" and state == "cast" else None


def _factors(operands: Operands, name: str) -> list[Constant]:
    """Give the constants that a value is the product of: itself, or the operands of its ``Mul``."""
    scope, store = operands.scope, operands.store
    constant = store.find(scope, name)
    if constant is not None and (constant.node is None or constant.node.op_type != "Mul"):
        return [constant]
    if constant is not None:
        parts = [part for part in constant.inputs if part is not None]
        return [] if any(part.problem for part in parts) else parts
    value = operands.view.resolve(scope, name)
    node = _producer(operands, name) if value is not None else None
    if node is None or node.op_type != "Mul":
        return []
    found = [store.find(scope, source) for source in node.inputs]
    return [part for part in found if part is not None]


def _producer(operands: Operands, name: str) -> Node | None:
    """Give the node of the same scope that makes a value, through changes of shape."""
    scope = operands.scope
    for _ in range(_STEPS):
        index = scope.producers.get(name)
        if index is None:
            return None
        node = scope.nodes[index]
        if node.op_type not in _SHAPING or not node.inputs:
            return node
        name = node.inputs[0]
    return None


def _scale_of_input(operands: Operands, position: int) -> Constant | None:
    """Give the constant scale with which the other operand was quantised, where that is known."""
    inputs = operands.node.inputs
    node = _producer(operands, inputs[position]) if position < len(inputs) and inputs[position] else None
    if node is None or node.op_type != "QuantizeLinear" or len(node.inputs) < 2:
        return None
    return operands.find(node.inputs[1])


_LINEAR = frozenset({"QGemm", "QLinearAdd", "QLinearMatMul", "QLinearMul"})
"""Operators whose two operands of codes are each followed by scale and zero point."""


def scale_after_gather(operands: Operands, codes: Constant) -> tuple[Constant, Constant | None, int] | None:
    """Give scale, zero point and axis with which rows of a table of codes are decoded after the look-up."""
    scope = operands.scope
    queue = [(operands.node.outputs[0], False)]
    for _ in range(_STEPS):
        if not queue:
            return None
        name, cast = queue.pop(0)
        for reader, slot in scope.few_readers(name):
            node = scope.nodes[reader]
            if not node.outputs:
                continue
            if node.op_type == "DequantizeLinear" and slot == 0 and len(node.inputs) > 1:
                zero = node.inputs[2] if len(node.inputs) > 2 else ""
                return _of_rows(operands, codes, node.inputs[1], zero)
            if node.op_type in _LINEAR and slot % 3 == 0 and slot + 2 < min(len(node.inputs), 6):
                return _of_rows(operands, codes, *node.inputs[slot + 1 : slot + 3])
            if node.op_type == "Mul" and cast and len(node.inputs) == 2:
                return _of_rows(operands, codes, node.inputs[1 - slot], "")
            if node.op_type == "Cast" or (node.op_type in _SHAPING and slot == 0):
                queue.append((node.outputs[0], cast or node.op_type == "Cast"))
    return None


def _of_rows(
    operands: Operands, codes: Constant, scale: str, zero: str
) -> tuple[Constant, Constant | None, int] | None:
    """Find the constants behind scale and zero point: of the whole table, of its columns or of its rows."""
    gather = operands.node
    axis = attribute(gather, "axis", 0)
    if not -len(codes.shape) <= axis < len(codes.shape):
        return None
    found = operands.find(scale)
    if found is not None:
        zeros = operands.find(zero) if zero else None
        if (zero and zeros is None) or found.size not in (1, codes.shape[-1]):
            return None
        return found, zeros, -1
    rows = [_looked_up(operands, name, axis) if name else None for name in (scale, zero)]
    if rows[0] is None or (zero and rows[1] is None) or rows[0].size not in (1, codes.shape[axis]):
        return None
    return rows[0], rows[1], axis


def _looked_up(operands: Operands, name: str, axis: int) -> Constant | None:
    """Give the constant from which a value is looked up by the same indices."""
    node = _producer(operands, name)
    if node is None or node.op_type != "Gather" or attribute(node, "axis", 0) != axis:
        return None
    same = len(node.inputs) > 1 and node.inputs[1] == operands.node.inputs[1]
    return operands.find(node.inputs[0]) if same else None
