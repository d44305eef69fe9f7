"""Which inputs of which operators hold weights, and in which role.

Each operator has one function that gives the slots of a node. An operator that
is not in the table, but is fed a constant with two or more axes longer than 1,
is counted as ``unsupported_op``, by name; the operators of `NO_WEIGHT` combine
values element by element or move them, and hold no matrix to multiply with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from onnxspec.graph import layouts
from onnxspec.graph.folding import attribute
from onnxspec.reading import Node

__all__ = ["HANDLERS", "NOT_AVERAGED", "NO_WEIGHT", "Shape", "SlotRole", "operator", "slot_roles"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SlotRole:
    """What one input of a node holds.

    Attributes
    ----------
    input : int
        Position of the input.
    role : str
        ``dense``, ``conv``, ``embedding``, ...
    layout : Layout
        How the constant becomes matrices.
    form : str
        Name of the layout: equal for slots that see a tensor in the same way.
    part : str or None
        Which part of the tensor, where one tensor holds several matrices.
    """

    input: int
    role: str
    layout: layouts.Layout
    form: str
    part: str | None = None


NOT_AVERAGED: Mapping[str, str] = MappingProxyType(
    {
        "embedding": "its spectrum shows the frequencies of tokens",
        "depthwise_conv": "one channel has no matrix",
    }
)
"""Roles that enter no mean, and why."""

NO_WEIGHT = frozenset(
    [
        "Add",
        "And",
        "ArgMax",
        "ArgMin",
        "BatchNormalization",
        "BitShift",
        "Cast",
        "CastLike",
        "Clip",
        "Compress",
        "Concat",
        "ConstantOfShape",
        "CumSum",
        "DequantizeLinear",
        "Div",
        "DynamicQuantizeLinear",
        "Equal",
        "Expand",
        "Flatten",
        "GatherElements",
        "GatherND",
        "Greater",
        "GreaterOrEqual",
        "GroupNormalization",
        "Identity",
        "If",
        "InstanceNormalization",
        "LayerNormalization",
        "Less",
        "LessOrEqual",
        "Loop",
        "Max",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "NonMaxSuppression",
        "Not",
        "OneHot",
        "Or",
        "PRelu",
        "Pad",
        "Pow",
        "QuantizeLinear",
        "Range",
        "ReduceMax",
        "ReduceMean",
        "ReduceSum",
        "Reshape",
        "Resize",
        "RotaryEmbedding",
        "RMSNormalization",
        "Scan",
        "ScatterElements",
        "ScatterND",
        "Select",
        "Shape",
        "SimplifiedLayerNormalization",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
        "Slice",
        "Split",
        "Squeeze",
        "Sub",
        "Sum",
        "Tile",
        "TopK",
        "Transpose",
        "Unsqueeze",
        "Upsample",
        "Where",
        "Xor",
    ]
)
"""Operators whose constant operands are biases, masks, tables and shapes, never weights."""

Handler = Callable[[Node, Mapping[int, Shape]], list[SlotRole]]


def operator(node: Node) -> str:
    """Name an operator, with its domain where that is not ONNX's own."""
    return node.op_type if node.domain == "" else f"{node.domain}.{node.op_type}"


def _conv(node: Node, shapes: Mapping[int, Shape]) -> list[SlotRole]:
    group = _group(node)
    role = "depthwise_conv" if group > 1 and shapes.get(1, ())[1:2] == (1,) else "conv"
    return [SlotRole(1, role, layouts.conv(group), f"conv:{group}")]


def _conv_transpose(node: Node, shapes: Mapping[int, Shape]) -> list[SlotRole]:
    group = _group(node)
    role = "depthwise_conv" if group > 1 and shapes.get(1, ())[:1] == (group,) else "conv_transpose"
    return [SlotRole(1, role, layouts.conv_transpose(group), f"conv_transpose:{group}")]


def _group(node: Node) -> int:
    """Give the groups of a convolution; nonsense counts as one group."""
    group = attribute(node, "group", 1)
    return group if isinstance(group, int) and group > 0 else 1


def _gemm(node: Node, shapes: Mapping[int, Shape]) -> list[SlotRole]:
    found = []
    if len(shapes.get(0, ())) == 2:
        found.append(_dense(0, outputs_first=not attribute(node, "transA", 0)))
    if len(shapes.get(1, ())) == 2:
        found.append(_dense(1, outputs_first=bool(attribute(node, "transB", 0))))
    return found


def _matmul(_: Node, shapes: Mapping[int, Shape]) -> list[SlotRole]:
    return [_dense(i, outputs_first=i == 0) for i in (0, 1) if len(shapes.get(i, ())) >= 2]


def _dense(position: int, *, outputs_first: bool) -> SlotRole:
    """Describe a matrix product's constant operand."""
    if outputs_first:
        return SlotRole(position, "dense", layouts.outputs_first, "outputs_first")
    return SlotRole(position, "dense", layouts.inputs_first, "inputs_first")


def _gather(node: Node, _: Mapping[int, Shape]) -> list[SlotRole]:
    axis = attribute(node, "axis", 0)
    return [SlotRole(0, "embedding", layouts.table(axis), f"table:{axis}")]


HANDLERS: dict[str, Handler] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
}


def slot_roles(node: Node, shapes: Mapping[int, Shape]) -> list[SlotRole] | None:
    """Give the slots of a node that are fed constants of these shapes, or None for an unknown operator."""
    handler = HANDLERS.get(operator(node))
    if handler is None:
        return None
    return [slot for slot in handler(node, shapes) if slot.input in shapes]
