"""Fused projections of attention: query, key and value in one matrix, and as three.

Exporters fuse the three into one matrix; the means of a model must not depend on
that, nor count one weight twice. So both forms are analysed, the fused matrix as
``attention_qkv``, which enters no mean, and its three parts as ``dense`` layers
named ``query``, ``key`` and ``value``, which do, as in a graph that was never fused.

A plain ``MatMul`` or ``Gemm`` is known to be fused by what reads its result: a
Split or a Reshape into three parts on the way to attention.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.graph import layouts
from onnxspec.graph.nodes import attribute, operator, product
from onnxspec.graph.slots import Handler, Operands, SlotRole
from onnxspec.graph.tracing import ELEMENTWISE, is_cut_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constant
    from onnxspec.reading import Node

__all__ = ["HANDLERS", "PARTS", "fused_slots", "projections", "qkv_widths"]

PARTS = ("query", "key", "value")
MS = "com.microsoft"

_STEPS = 48
_NAMES = re.compile(r"qkv|in_proj|c_attn|query_key_value|Wqkv|attn|attention|to_kv", re.IGNORECASE)
_ATTENTION = frozenset(
    {
        "Attention",
        "Softmax",
        f"{MS}.GroupQueryAttention",
        f"{MS}.MultiHeadAttention",
        f"{MS}.PackedMultiHeadAttention",
        f"{MS}.QLinearSoftmax",
    }
)
_BEFORE = ELEMENTWISE | {"Squeeze", "Unsqueeze"}
"""Operators between a projection and where it is cut."""

_PRODUCTS = frozenset({"FusedMatMul", "MatMul", "QLinearMatMul"})
_BESIDE = frozenset(
    {"Div", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Sqrt", "Sub", "Transpose", "Where"}
)
_PASSING = _BEFORE | _PRODUCTS | _BESIDE
"""Operators between a projection and the softmax of attention."""


def fused_slots(
    position: int,
    columns: Sequence[NDArray[np.intp] | slice],
    *,
    outputs_first: bool,
    form: str,
    constant: Constant | None = None,
    scheme: str | None = None,
) -> list[SlotRole]:
    """Give a fused matrix and its three parts as slots.

    Parameters
    ----------
    position : int
        The input.
    columns : sequence of slice or ndarray
        The outputs of query, key and value.
    outputs_first : bool
        Whether outputs stand in rows.
    form : str
        Name of the cut, see `SlotRole.form`.
    constant : Constant, optional
        The weight, where it is not the input itself.
    scheme : str, optional
        How it is quantised.
    """
    whole = layouts.outputs_first if outputs_first else layouts.inputs_first
    slots = [SlotRole(position, "attention_qkv", whole, whole.__name__, None, constant, scheme)]
    for name, chosen in zip(PARTS, columns):
        layout = _outputs(whole, chosen)
        slots.append(SlotRole(position, "dense", layout, f"{whole.__name__}:{form}", name, constant, scheme))
    return slots


def _outputs(whole: layouts.Layout, chosen: NDArray[np.intp] | slice) -> layouts.Layout:
    """Make the layout of some outputs of a matrix."""

    def layout(array: NDArray[Any]) -> NDArray[Any]:
        return whole(array)[:, chosen]

    return layout


def qkv_widths(node: Node, columns: int) -> tuple[int, ...] | None:
    """Give the columns of query, key and value in the weight of an ``Attention`` node."""
    sizes = attribute(node, "qkv_hidden_sizes")
    if not sizes:
        return (columns // 3,) * 3 if columns % 3 == 0 else None
    fits = len(sizes) == 3 and all(isinstance(n, int) and n > 0 for n in sizes) and sum(sizes) == columns
    return tuple(sizes) if fits else None


def _slices(widths: Sequence[int]) -> list[slice]:
    """Give the columns of parts that stand side by side."""
    ends = np.cumsum([0, *widths])
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def attention_slots(
    operands: Operands, position: int, constant: Constant | None = None, scheme: str | None = None
) -> list[SlotRole]:
    """Give the slots of an ``Attention`` or ``QAttention`` node, whose weight is ``[inputs, q + k + v]``."""
    held = constant if constant is not None else operands.get(position)
    if held is None or len(held.shape) != 2:
        return []
    widths = qkv_widths(operands.node, held.shape[1])
    if widths is None:
        whole = layouts.inputs_first
        return [SlotRole(position, "attention_qkv", whole, whole.__name__, None, constant, scheme)]
    form = "+".join(map(str, widths))
    return fused_slots(position, _slices(widths), outputs_first=False, form=form, constant=constant, scheme=scheme)


def projections(operands: Operands, slots: list[SlotRole]) -> list[SlotRole]:
    """Take fused projections of plain matrix products apart; other slots stay as they are.

    Parameters
    ----------
    operands : Operands
        A ``MatMul``, ``Gemm`` or an operator like them.
    slots : list of SlotRole
        Its slots.
    """
    result = []
    for slot in slots:
        held = slot.constant if slot.constant is not None else operands.get(slot.input)
        found = None
        if slot.role == "dense" and slot.part is None and held is not None and len(held.shape) == 2:
            first = slot.layout is layouts.outputs_first
            outputs = held.shape[0 if first else 1]
            # A weight on the left has its outputs in rows of the result, where nothing is split.
            if slot.input > 0 and outputs >= 6:
                found = _cut(operands, outputs)
        if found is None:
            result.append(slot)
        else:
            form, columns = found
            result += fused_slots(
                slot.input, columns, outputs_first=first, form=form, constant=slot.constant, scheme=slot.scheme
            )
    return result


def _cut(operands: Operands, outputs: int) -> tuple[str, list[NDArray[np.intp] | slice]] | None:
    """Say which outputs of a projection are query, key and value, where the graph shows it."""
    scope = operands.scope
    names = [operands.node.outputs[0]] if operands.node.outputs else []
    for _ in range(_STEPS):
        if not names:
            return None
        name = names.pop(0)
        for reader, position in scope.few_readers(name):
            node = scope.nodes[reader]
            found = None
            if operator(node) == f"{MS}.GroupQueryAttention" and position == 0:
                found = _packed(node, outputs)
                if found is not None:
                    return found
            elif node.op_type == "Split" and position == 0:
                found = _split(operands, node, outputs)
            elif node.op_type == "Reshape" and position == 0:
                shape, rank = _shape_of(operands, node)
                found = _reshape(operands, node, shape, rank, outputs)
                if found is None and shape[-1:] == [outputs]:
                    names += node.outputs[:1]
            elif node.op_type in _BEFORE:
                names += node.outputs[:1]
            if found is not None and _feeds_attention(operands, node):
                return found
    return None


def _packed(node: Node, outputs: int) -> tuple[str, list[NDArray[np.intp] | slice]] | None:
    """Read the heads of a ``GroupQueryAttention`` whose query holds key and value too."""
    heads, shared = attribute(node, "num_heads", 0), attribute(node, "kv_num_heads", 0)
    if any(node.inputs[1:3]) or heads < 1 or shared < 1 or outputs % (heads + 2 * shared):
        return None
    size = outputs // (heads + 2 * shared)
    widths = (heads * size, shared * size, shared * size)
    return "+".join(map(str, widths)), list(_slices(widths))


def _split(operands: Operands, node: Node, outputs: int) -> tuple[str, list[NDArray[np.intp] | slice]] | None:
    """Read a Split of the last axis into three."""
    if len(node.outputs) != 3:
        return None
    sizes = attribute(node, "split")
    if sizes is None and len(node.inputs) > 1 and node.inputs[1]:
        sizes = operands.numbers(node.inputs[1])
        if sizes is None:
            return None
    widths = [outputs // 3] * 3 if sizes is None else list(sizes)
    if sum(widths) != outputs or min(widths) < 1 or len(widths) != 3:
        return None
    if widths[1] != widths[2] or widths[0] % widths[1]:  # key and value are alike, query has as many or more heads
        return None
    return "+".join(map(str, widths)), list(_slices(widths))


def _reshape(
    operands: Operands, node: Node, shape: list[int | None], rank: int | None, outputs: int
) -> tuple[str, list[NDArray[np.intp] | slice]] | None:
    """Read a Reshape that cuts the outputs into axes, one of them of three: before or after the heads.

    There may be three heads too; the axis of query, key and value is the one that is taken apart.
    """
    for start in range(len(shape) - 1, -1, -1):
        tail = _filled(shape[start:], outputs)
        if tail is None:
            return None
        if product(tail) != outputs:
            continue
        three = [axis for axis, length in enumerate(tail) if length == 3]
        cut = next((axis for axis in three if is_cut_up(operands, node.outputs[0], axis - len(tail), rank)), None)
        if cut is None:
            continue
        before, after = product(tail[:cut]), product(tail[cut + 1 :])
        heads = shape[start - 1] if start > _LEADING and len(tail) == 2 and shape[-1] == -1 else None
        if heads is not None and heads > 1 and after % heads == 0:
            before, after = heads, after // heads
        if after == 1:
            return None
        numbers = np.arange(outputs).reshape(before, 3, after)
        return f"{before}x3x{after}", [numbers[:, part].reshape(-1) for part in range(3)]
    return None


_LEADING = 2
"""Axes of a batch of sequences, before those that outputs are cut into."""


def _filled(tail: list[int | None], outputs: int) -> list[int] | None:
    """Put a number for the one axis that is to be found; None where another is not known."""
    known = [n for n in tail if n is not None and n > 0]
    if len(known) == len(tail):
        return known
    if len(known) != len(tail) - 1 or -1 not in tail:
        return None
    return [max(1, outputs // product(known)) if n == -1 else n for n in tail if n is not None]


def _shape_of(operands: Operands, node: Node) -> tuple[list[int | None], int | None]:
    """Give the target of a Reshape, as far as the graph says it, and its length: a Concat may be part run-time.

    Where an axis is unflattened, what follows it is the end of a Shape: nothing after the last axis.
    """
    if len(node.inputs) < 2 or not node.inputs[1]:
        return [], None
    if operands.find(node.inputs[1]) is not None:
        whole = operands.numbers(node.inputs[1])
        return ([], None) if whole is None else ([*whole], len(whole))
    scope = operands.scope
    index = scope.producers.get(node.inputs[1])
    if index is None or scope.nodes[index].op_type != "Concat":
        return [], None
    shape: list[int | None] = []
    slices = 0
    for name in scope.nodes[index].inputs:
        part = operands.numbers(name)
        if part is not None:
            shape += part
            continue
        maker = scope.producers.get(name)
        sliced = maker is not None and scope.nodes[maker].op_type == "Slice"
        slices += sliced
        if not (sliced and shape and name == scope.nodes[index].inputs[-1]):
            shape.append(None)
    return shape, None if slices else len(shape)


def _feeds_attention(operands: Operands, node: Node) -> bool:
    """Say whether what a node gives reaches a softmax or an attention operator, or bears such a name."""
    weight = operands.get(1)
    if _NAMES.search(operands.node.name) or (weight is not None and _NAMES.search(weight.name)):
        return True
    scope = operands.scope
    names = list(node.outputs)
    seen = set(names)
    for _ in range(_STEPS):
        if not names:
            return False
        for reader, _slot in scope.few_readers(names.pop(0)):
            after = scope.nodes[reader]
            if operator(after) in _ATTENTION:
                return True
            factors = after.inputs[:4:3] if after.op_type == "QLinearMatMul" else after.inputs
            if after.op_type in _PRODUCTS and any(operands.find(name) is not None for name in factors):
                continue
            for name in after.outputs if after.op_type in _PASSING else ():
                if name not in seen:
                    seen.add(name)
                    names.append(name)
    return False


def _attention(operands: Operands) -> list[SlotRole]:
    return attention_slots(operands, 1)


def _longformer(operands: Operands) -> list[SlotRole]:
    """Give the projections of all tokens, and those of the few that attend to everything."""
    return [*attention_slots(operands, 1), *attention_slots(operands, 4)]


def _no_weight(_: Operands) -> list[SlotRole]:
    """Give no slot: what these operators are fed are data, biases, masks and tables of angles."""
    return []


HANDLERS: dict[str, Handler] = {
    f"{MS}.Attention": _attention,
    f"{MS}.DecoderMaskedSelfAttention": _attention,
    f"{MS}.GroupQueryAttention": _no_weight,
    f"{MS}.LongformerAttention": _longformer,
    f"{MS}.MultiHeadAttention": _no_weight,
    f"{MS}.PackedAttention": _attention,
    f"{MS}.PackedMultiHeadAttention": _no_weight,
    f"{MS}.RotaryEmbedding": _no_weight,
    "Attention": _no_weight,
}
