"""Small questions about a node: its attributes, its operator's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxspec.errors import TensorError
from onnxspec.reading import Node

__all__ = ["MISFITS", "attribute", "group_of", "operator", "product"]

MISFITS: tuple[type[Exception], ...] = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What evaluating a node raises whose attributes and inputs do not fit each other, one of them missing included."""


def attribute(node: Node, name: str, default: Any = None) -> Any:
    """Give the value of an attribute, or its default.

    Raises
    ------
    TensorError
        It is not of its default's type (``invalid_graph``): a file may give any attribute any type.
    """
    found = node.attributes.get(name)
    if found is None or found.value is None:
        return default
    value: Any = found.value
    if default is None or isinstance(value, type(default)):
        if not isinstance(default, list) or all(isinstance(item, int) for item in value):
            return value
    elif isinstance(default, float) and isinstance(value, int):
        return value
    raise TensorError("invalid_graph", f"the attribute {name} of {operator(node)} has a value of another type")


def operator(node: Node) -> str:
    """Name an operator, with its domain where that is not ONNX's own."""
    return node.op_type if node.domain == "" else f"{node.domain}.{node.op_type}"


def group_of(node: Node) -> int:
    """Give the groups of a convolution; a number below 1 counts as one group."""
    group: int = attribute(node, "group", 1)
    return max(group, 1)


def product(shape: Sequence[int]) -> int:
    """Multiply axes in Python integers, which do not overflow."""
    result = 1
    for axis in shape:
        result *= axis
    return result
