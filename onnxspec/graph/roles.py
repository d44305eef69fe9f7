"""Which inputs of which operators hold weights, and in which role.

Each operator has one function that gives the slots of a node. An operator that
is not in the table, but is fed a constant with two or more axes longer than 1,
is counted as ``unsupported_op``, by name; the operators of `NO_WEIGHT` combine
values element by element or move them, and hold no matrix to multiply with.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from onnxspec.graph import attention, fused, layouts, nchwc, quantized, recurrent
from onnxspec.graph.nodes import attribute, group_of, operator
from onnxspec.graph.slots import Handler, Operands, SlotRole, dense

__all__ = ["BIASES", "HANDLERS", "NOT_AVERAGED", "NO_WEIGHT", "slot_roles"]

NOT_AVERAGED: Mapping[str, str] = MappingProxyType(
    {
        "attention_qkv": "its parts for query, key and value are averaged one by one",
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


BIASES: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "GRU": frozenset({3, 5}),
        "LSTM": frozenset({3, 5, 6, 7}),
        "RNN": frozenset({3, 5}),
        "com.microsoft.DynamicQuantizeLSTM": frozenset({3, 5, 6, 7}),
        "com.microsoft.MoE": frozenset({3, 5, 7}),
        "com.microsoft.QMoE": frozenset({4, 7, 10}),
    }
)
"""Inputs with two axes that hold one vector for each direction or expert, by operator."""


def _conv(operands: Operands) -> list[SlotRole]:
    group = group_of(operands.node)
    role = "depthwise_conv" if group > 1 and operands.shape(1)[1:2] == (1,) else "conv"
    return [SlotRole(1, role, layouts.conv(group), f"conv:{group}")]


def _conv_transpose(operands: Operands) -> list[SlotRole]:
    group = group_of(operands.node)
    role = "depthwise_conv" if group > 1 and operands.shape(1)[:1] == (group,) else "conv_transpose"
    return [SlotRole(1, role, layouts.conv_transpose(group), f"conv_transpose:{group}")]


def _gemm(operands: Operands) -> list[SlotRole]:
    found = []
    if len(operands.shape(0)) == 2:
        found.append(dense(0, outputs_first=not attribute(operands.node, "transA", 0)))
    if len(operands.shape(1)) == 2:
        found.append(dense(1, outputs_first=bool(attribute(operands.node, "transB", 0))))
    return attention.projections(operands, found)


def _matmul(operands: Operands) -> list[SlotRole]:
    found = [dense(i, outputs_first=i == 0) for i in (0, 1) if len(operands.shape(i)) >= 2]
    return attention.projections(operands, found)


_TURNING = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_STEPS = 32


def _multiplied(operands: Operands) -> bool | None:
    """Say whether what a Gather takes is multiplied from the right, and then whether its outputs stand first."""
    scope = operands.scope
    names = [(operands.node.outputs[0], False)]
    for _ in range(_STEPS):
        if not names:
            return None
        name, turned = names.pop(0)
        for reader, position in scope.few_readers(name):
            node = scope.nodes[reader]
            if position == 1 and node.op_type in ("Gemm", "MatMul"):
                return turned != bool(node.op_type == "Gemm" and attribute(node, "transB", 0))
            if position == 0 and node.outputs and (node.op_type in _TURNING or node.op_type == "Transpose"):
                names.append((node.outputs[0], turned != (node.op_type == "Transpose")))
    return None


def _gather(operands: Operands) -> list[SlotRole]:
    axis = attribute(operands.node, "axis", 0)
    outputs_first = _multiplied(operands) if len(operands.shape(0)) >= 3 and axis == 0 else None
    if outputs_first is not None:  # one matrix of a stack is chosen: of an expert, or of a layer in a Loop
        return [dense(0, outputs_first=outputs_first, constant=quantized.gathered(operands))]
    return [SlotRole(0, "embedding", layouts.table(axis), f"table:{axis}", constant=quantized.gathered(operands))]


_PLAIN: dict[str, Handler] = {
    "com.microsoft.FusedConv": _conv,
    "com.microsoft.FusedGemm": _gemm,
    "com.microsoft.NhwcFusedConv": _conv,  # its data stand channels last, its kernel as that of Conv
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DeformConv": _conv,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
HANDLERS: dict[str, Handler] = {
    **_PLAIN,
    **attention.HANDLERS,
    **fused.HANDLERS,
    **nchwc.HANDLERS,
    **quantized.HANDLERS,
    **recurrent.HANDLERS,
}
"""By operator, with its domain where it is not ONNX's own."""


def slot_roles(operands: Operands) -> list[SlotRole] | None:
    """Give the slots of a node that are fed constants, or None for an unknown operator."""
    handler = HANDLERS.get(operator(operands.node))
    if handler is None:
        return None
    return [slot for slot in handler(operands) if slot.input in operands.constants]
