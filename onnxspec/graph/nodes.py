"""Small questions about a node: its attributes, its operator's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxspec.reading import Node

__all__ = ["attribute", "group_of", "operator", "product"]


def attribute(node: Node, name: str, default: Any = None) -> Any:
    """Give the value of an attribute, or its default."""
    found = node.attributes.get(name)
    return default if found is None or found.value is None else found.value


def operator(node: Node) -> str:
    """Name an operator, with its domain where that is not ONNX's own."""
    return node.op_type if node.domain == "" else f"{node.domain}.{node.op_type}"


def group_of(node: Node) -> int:
    """Give the groups of a convolution; nonsense counts as one group."""
    group = attribute(node, "group", 1)
    return group if isinstance(group, int) and group > 0 else 1


def product(shape: Sequence[int]) -> int:
    """Multiply axes in Python integers, which do not overflow."""
    result = 1
    for axis in shape:
        result *= axis
    return result
