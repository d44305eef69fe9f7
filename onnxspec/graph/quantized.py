"""Operators whose weights are codes: integers with scales and zero points.

Each handler makes the weight from the inputs that hold it (see `Operands.derive`).
Two kinds of operator compute with codes alone, ``MatMulInteger``, ``ConvInteger``
and ``Gather`` of a table of codes; their scale is looked for in what follows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onnxspec.errors import TensorError
from onnxspec.graph import layouts
from onnxspec.graph.attention import attention_slots, projections
from onnxspec.graph.coded import CODE_BITS, OWN
from onnxspec.graph.downstream import scale_after_gather, scale_after_product
from onnxspec.graph.nodes import attribute, group_of
from onnxspec.graph.recurrent import GATES, recurrent_slots
from onnxspec.graph.slots import Handler, Operands, SlotRole, dense

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant

__all__ = ["HANDLERS", "PARAMETERS", "gathered"]

MS = "com.microsoft"

PARAMETERS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "ConvInteger": frozenset({2, 3}),
        "DequantizeLinear": frozenset({1, 2}),
        "MatMulInteger": frozenset({2, 3}),
        "QLinearConv": frozenset({1, 2, 4, 5, 6, 7}),
        "QLinearMatMul": frozenset({1, 2, 4, 5, 6, 7}),
        "QuantizeLinear": frozenset({1, 2}),
        f"{MS}.DequantizeLinear": frozenset({1, 2}),
        f"{MS}.DynamicQuantizeLSTM": frozenset({8, 9, 10, 11}),
        f"{MS}.DynamicQuantizeMatMul": frozenset({2, 3}),
        f"{MS}.GatherBlockQuantized": frozenset({2, 3}),
        f"{MS}.MatMulBnb4": frozenset({2}),
        f"{MS}.MatMulIntegerToFloat": frozenset({2, 3, 4, 5}),
        f"{MS}.MatMulNBits": frozenset({2, 3, 4}),
        f"{MS}.QAttention": frozenset({3, 4, 6, 7}),
        f"{MS}.QEmbedLayerNormalization": frozenset(range(8, 18)),
        f"{MS}.QGemm": frozenset({1, 2, 4, 5, 7, 8}),
        f"{MS}.QLinearAdd": frozenset({1, 2, 4, 5, 6, 7}),
        f"{MS}.QLinearConv": frozenset({1, 2, 4, 5, 6, 7}),
        f"{MS}.QLinearMul": frozenset({1, 2, 4, 5, 6, 7}),
        f"{MS}.QMoE": frozenset({3, 6, 9, *range(11, 21)}),
        f"{MS}.QuantizeLinear": frozenset({1, 2}),
    }
)
"""Inputs that hold scales, zero points and the like, by operator."""


def _decoded(
    operands: Operands, codes: Constant, scale: Constant | None, zero: Constant | None, **attributes: Any
) -> Constant:
    """Make the values of codes; where the scale is no constant, a constant with that problem."""
    if scale is None:
        return _undecodable(codes, "scale_not_found", "the scale of the codes was not found in the graph")
    return operands.derive("DequantizeLinear", codes, scale, zero, domain=OWN, attributes=attributes)


def _undecodable(codes: Constant, code: str, message: str) -> Constant:
    """Make a constant that stands for codes that cannot be decoded."""
    return codes.broken(codes.problem or TensorError(code, message))


def _missing(operands: Operands, position: int) -> bool:
    """Say whether an input is given but no constant, so that the weight is not fixed."""
    return operands.given(position) and operands.get(position) is None


def _weight(operands: Operands, codes: int, scale: int, zero: int, **attributes: Any) -> Constant | None:
    """Make the values of codes from inputs of the node itself; None where the codes are no constant."""
    held = operands.get(codes)
    if held is None:
        return None
    if _missing(operands, zero):
        return _undecodable(held, "scale_not_found", "the zero point of the codes is no constant")
    return _decoded(operands, held, operands.get(scale), operands.get(zero), **attributes)


# --- products and convolutions ---------------------------------------------------------


def _product(operands: Operands, inputs: tuple[tuple[int, int, int], ...]) -> list[SlotRole]:
    """Describe the operands of a product, each given by its codes, scale and zero point.

    The first multiplies from the left; its scales run along rows, those of the second along columns.
    """
    slots = []
    for number, (codes, scale, zero) in enumerate(inputs):
        left = len(inputs) == 2 and number == 0
        if len(operands.shape(codes)) >= 2:
            weight = _weight(operands, codes, scale, zero, axis=-2 if left else -1)
            slots.append(dense(codes, outputs_first=left, constant=weight, scheme=operands.node.op_type))
    return projections(operands, slots)


def _qlinear_matmul(operands: Operands) -> list[SlotRole]:
    return _product(operands, ((0, 1, 2), (3, 4, 5)))


def _dynamic_matmul(operands: Operands) -> list[SlotRole]:
    return _product(operands, ((1, 2, 3),))


def _integer_to_float(operands: Operands) -> list[SlotRole]:
    return _product(operands, ((1, 3, 5),))


def _qgemm(operands: Operands) -> list[SlotRole]:
    if len(operands.shape(3)) != 2:
        return []
    transposed = bool(attribute(operands.node, "transB", 0))
    weight = _weight(operands, 3, 4, 5, axis=0 if transposed else 1)
    return projections(operands, [dense(3, outputs_first=transposed, constant=weight, scheme="QGemm")])


def _qlinear_conv(operands: Operands) -> list[SlotRole]:
    return _conv(operands, 3, _weight(operands, 3, 4, 5, axis=0))


def _conv(operands: Operands, position: int, weight: Constant | None) -> list[SlotRole]:
    """Describe a convolution's kernel."""
    group, shape = group_of(operands.node), operands.shape(position)
    if weight is None or len(shape) < 3:
        return []
    role = "depthwise_conv" if group > 1 and shape[1] == 1 else "conv"
    layout = layouts.conv(group)
    return [SlotRole(position, role, layout, f"conv:{group}", constant=weight, scheme=operands.node.op_type)]


def _matmul_integer(operands: Operands) -> list[SlotRole]:
    slots = []
    for position in (0, 1):
        codes = operands.get(position)
        if codes is None or len(codes.shape) < 2:
            continue
        axis = -1 if position else -2
        weight = _integer(operands, position, codes, axis)
        slots.append(dense(position, outputs_first=not position, constant=weight, scheme="MatMulInteger"))
    return projections(operands, slots)


def _conv_integer(operands: Operands) -> list[SlotRole]:
    codes = operands.get(1)
    if codes is None or len(codes.shape) < 3:
        return []
    return _conv(operands, 1, _integer(operands, 1, codes, 0))


def _integer(operands: Operands, position: int, codes: Constant, axis: int) -> Constant:
    """Make the values of codes whose scale is multiplied in afterwards."""
    if _missing(operands, position + 2):
        return _undecodable(codes, "scale_not_found", "the zero point of the codes is no constant")
    scale = scale_after_product(operands, position, codes.shape[axis])
    return _decoded(operands, codes, scale, operands.get(position + 2), axis=axis)


# --- codes packed into bytes ------------------------------------------------------------


def _unpacked(operands: Operands, packed: Constant, bits: int, length: int, axes: int = 1) -> Constant:
    """Make one code a byte from packed bytes."""
    attributes = {"bits": bits, "length": length, "axes": axes}
    return operands.derive("UnpackBits", packed, domain=OWN, attributes=attributes)


def _reshaped(operands: Operands, constant: Constant, *shape: int) -> Constant:
    """Make a constant of another shape."""
    return operands.derive("Reshape", constant, attributes={"shape": list(shape)})


def _matmul_nbits(operands: Operands) -> list[SlotRole]:
    node, packed, scales, zeros = operands.node, operands.get(1), operands.get(2), operands.get(3)
    rows, columns, bits, block = (int(attribute(node, name, 0)) for name in ("N", "K", "bits", "block_size"))
    bits = bits or 4
    if packed is None:
        return []
    if scales is None or _missing(operands, 3) or _missing(operands, 4):
        weight = _undecodable(packed, "scale_not_found", "scales, zero points or g_idx are no constants")
    elif bits not in (1, 2, 4, 8) or min(rows, columns, block) < 1 or attribute(node, "weight_prepacked", 0):
        weight = _undecodable(packed, "unsupported_layout", f"codes of {bits} bits in blocks of {block} are not read")
    else:
        blocks = -(-columns // block)
        codes = _unpacked(operands, _reshaped(operands, packed, rows, -1), bits, columns)
        scales = _reshaped(operands, scales, rows, blocks)
        if zeros is not None and zeros.dtype == "uint8":
            zeros = _unpacked(operands, _reshaped(operands, zeros, rows, -1), bits, blocks)
        elif zeros is not None:
            zeros = _reshaped(operands, zeros, rows, blocks)
        weight = _in_blocks(operands, codes, scales, zeros, bits, block)
    return projections(operands, [dense(1, outputs_first=True, constant=weight, scheme="MatMulNBits")])


def _in_blocks(
    operands: Operands, codes: Constant, scales: Constant, zeros: Constant | None, bits: int, block: int
) -> Constant:
    """Make the values of codes with scales by block, or by the groups that ``g_idx`` names."""
    groups = operands.get(4)
    attributes: dict[str, Any] = {"axis": 1, "bits": bits, "block_size": block}
    if groups is not None:
        attributes = {"axis": 1, "bits": bits, "grouped": block}
        scales = operands.derive("Gather", scales, groups, attributes={"axis": 1})
        zeros = None if zeros is None else operands.derive("Gather", zeros, groups, attributes={"axis": 1})
    if zeros is None:
        attributes["default_zero"] = 2 ** (bits - 1)
    return _decoded(operands, codes, scales, zeros, **attributes)


def _matmul_bnb4(operands: Operands) -> list[SlotRole]:
    """Read codes of 4 bits in blocks of the flattened ``[N, K]``, which stand for the numbers of a table."""
    node, packed, scales = operands.node, operands.get(1), operands.get(2)
    rows, columns, block = (int(attribute(node, name, 0)) for name in ("N", "K", "block_size"))
    kind = attribute(node, "quant_type", 0)
    if packed is None:
        return []
    if scales is None:
        weight = _undecodable(packed, "scale_not_found", "the scales are no constant")
    elif min(rows, columns, block) < 1 or kind not in (0, 1) or packed.size != -(-rows * columns // 2):
        weight = _undecodable(packed, "unsupported_layout", f"codes of type {kind} in blocks of {block} are not read")
    else:
        attributes = {"bits": 4, "block_size": block, "length": rows * columns, "quant_type": kind}
        codes = operands.derive("DecodeBnb4", packed, scales, domain=OWN, attributes=attributes)
        weight = _reshaped(operands, codes, rows, columns)
    return projections(operands, [dense(1, outputs_first=True, constant=weight, scheme="MatMulBnb4")])


def _gather_block_quantized(operands: Operands) -> list[SlotRole]:
    node, codes, zeros = operands.node, operands.get(0), operands.get(3)
    if codes is None or len(codes.shape) < 2:
        return []
    axis, block = attribute(node, "gather_axis", 0), attribute(node, "block_size", 128)
    attributes: dict[str, Any] = {"axis": attribute(node, "quantize_axis", 1), "block_size": block}
    if _missing(operands, 3):
        weight = _undecodable(codes, "scale_not_found", "the zero points are no constant")
    else:
        if codes.dtype == "uint8":
            bits = int(attribute(node, "bits", 4))
            codes = _unpacked(operands, codes, bits, codes.shape[-1] * (8 // bits) if bits in (1, 2, 4, 8) else 0)
            if zeros is not None:
                zeros = _unpacked(operands, zeros, bits, _last(operands.get(2)))
            else:
                attributes["default_zero"] = 2 ** (bits - 1)
            attributes["bits"] = bits
        weight = _decoded(operands, codes, operands.get(2), zeros, **attributes)
    layout = layouts.table(axis)
    return [SlotRole(0, "embedding", layout, f"table:{axis}", constant=weight, scheme="GatherBlockQuantized")]


def _last(constant: Constant | None) -> int:
    """Give the length of the last axis."""
    return constant.shape[-1] if constant is not None and constant.shape else 0


def _qmoe(operands: Operands) -> list[SlotRole]:
    node = operands.node
    slots = []
    for number, (position, scale, zero) in enumerate(((2, 3, 11), (5, 6, 12), (8, 9, 13)), start=1):
        packed, zeros = operands.get(position), operands.get(zero)
        if packed is None or len(packed.shape) != 3:
            continue
        bits = int(attribute(node, f"fc{number}_expert_weight_bits", 0) or attribute(node, "expert_weight_bits", 4))
        block = int(attribute(node, "block_size", 0))
        kind = str(attribute(node, "quant_type", "int"))
        if bits not in (1, 2, 4, 8) or kind != "int" or _missing(operands, zero) or block < 0:
            weight = _undecodable(packed, "unsupported_layout", f"experts in {bits} bits of type {kind!r} are not read")
        else:
            attributes: dict[str, Any] = {"bits": bits, "axis": 2, "block_size": block}
            codes = _unpacked(operands, packed, bits, packed.shape[-1] * (8 // bits))
            scales = operands.get(scale)
            if scales is not None and not block:
                scales = _reshaped(operands, scales, *packed.shape[:2], 1)
            if zeros is None:
                attributes["default_zero"] = 2 ** (bits - 1)
            elif block:
                zeros = _unpacked(operands, zeros, bits, _last(scales))
            else:
                zeros = _reshaped(operands, _unpacked(operands, zeros, bits, packed.shape[1]), *packed.shape[:2], 1)
            weight = _decoded(operands, codes, scales, zeros, **attributes)
        slots.append(dense(position, outputs_first=True, constant=weight, scheme="QMoE"))
    return slots


# --- attention, recurrent nets, tables ----------------------------------------------------


def _qattention(operands: Operands) -> list[SlotRole]:
    weight = _weight(operands, 1, 4, 7, axis=-1)
    return [] if weight is None else attention_slots(operands, 1, weight, "QAttention")


def _dynamic_lstm(operands: Operands) -> list[SlotRole]:
    slots = []
    for position, scale, zero, role in ((1, 8, 9, "recurrent_input"), (2, 10, 11, "recurrent_hidden")):
        codes, scales, zeros = operands.get(position), operands.get(scale), operands.get(zero)
        if codes is None or len(codes.shape) != 3:
            continue
        if _missing(operands, zero):
            weight = _undecodable(codes, "scale_not_found", "the zero point of the codes is no constant")
        else:
            scales, zeros = (None if c is None else _by_direction(operands, c) for c in (scales, zeros))
            weight = _decoded(operands, codes, scales, zeros, axis=-1)
        scheme = operands.node.op_type
        slots += recurrent_slots(
            operands, position, role, GATES["LSTM"], constant=weight, outputs_first=False, scheme=scheme
        )
    return slots


def _by_direction(operands: Operands, values: Constant) -> Constant:
    """Shape scales ``[dirs]`` or ``[dirs, 4 hidden]`` to stand beside codes ``[dirs, inputs, 4 hidden]``."""
    directions = values.shape[0] if values.shape else 1
    return _reshaped(operands, values, directions, 1, -1)


def _qembed(operands: Operands) -> list[SlotRole]:
    slots = []
    for position, scale, zero in ((2, 8, 13), (3, 9, 14), (4, 10, 15)):
        weight = _weight(operands, position, scale, zero, axis=-1)
        if weight is not None and len(weight.shape) == 2:
            layout = layouts.table(0)
            scheme = operands.node.op_type
            slots.append(SlotRole(position, "embedding", layout, "table:0", constant=weight, scheme=scheme))
    return slots


def gathered(operands: Operands) -> Constant | None:
    """Give the values of a table of codes that ``Gather`` looks up and a scale follows.

    None where the table is none of codes, or nothing decodes what was looked up.
    """
    codes = operands.get(0)
    if codes is None or codes.dtype not in CODE_BITS or len(codes.shape) < 2:
        return None
    found = scale_after_gather(operands, codes)
    if found is None:
        return None
    scale, zero, axis = found
    return _decoded(operands, codes, scale, zero, axis=axis)


HANDLERS: dict[str, Handler] = {
    "ConvInteger": _conv_integer,
    "MatMulInteger": _matmul_integer,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _qlinear_matmul,
    f"{MS}.DynamicQuantizeLSTM": _dynamic_lstm,
    f"{MS}.DynamicQuantizeMatMul": _dynamic_matmul,
    f"{MS}.GatherBlockQuantized": _gather_block_quantized,
    f"{MS}.MatMulBnb4": _matmul_bnb4,
    f"{MS}.MatMulIntegerToFloat": _integer_to_float,
    f"{MS}.MatMulNBits": _matmul_nbits,
    f"{MS}.QAttention": _qattention,
    f"{MS}.QEmbedLayerNormalization": _qembed,
    f"{MS}.QGemm": _qgemm,
    f"{MS}.QLinearConv": _qlinear_conv,
    f"{MS}.QMoE": _qmoe,
}
