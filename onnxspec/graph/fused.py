"""Products that are neither ``MatMul`` nor ``Gemm``: Einsum, onnxruntime's fused operators, experts, tables.

Factors such as ``alpha`` belong to the node, not to the weight, and are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.graph import layouts
from onnxspec.graph.nodes import attribute, product
from onnxspec.graph.slots import Handler, Operands, SlotRole, dense

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HANDLERS", "einsum_layout"]

MS = "com.microsoft"


def _fused_matmul(operands: Operands) -> list[SlotRole]:
    """Describe ``FusedMatMul``, whose operands may be transposed, and their first axis may be the rows."""
    slots = []
    for position, letter in ((0, "A"), (1, "B")):
        if len(operands.shape(position)) < 2:
            continue
        turned = bool(attribute(operands.node, f"trans{letter}", 0))
        batched = bool(attribute(operands.node, f"transBatch{letter}", 0)) and len(operands.shape(position)) > 2
        outputs_first = turned if position else not turned
        if not batched:
            slots.append(dense(position, outputs_first=outputs_first))
            continue
        form = f"rows_first:{outputs_first}"
        slots.append(SlotRole(position, "dense", _rows_first(outputs_first=outputs_first), form))
    return slots


def _gemm_fast_gelu(operands: Operands) -> list[SlotRole]:
    """Describe ``GemmFastGelu``: a MatMul with its weight on the right, a bias and an activation."""
    return [dense(1, outputs_first=False)] if len(operands.shape(1)) == 2 else []


def _rows_first(*, outputs_first: bool) -> layouts.Layout:
    """Make the layout of a stack whose first axis is each matrix's last but one."""
    inner = layouts.outputs_first if outputs_first else layouts.inputs_first

    def layout(array: NDArray[Any]) -> NDArray[Any]:
        return inner(np.moveaxis(array, 0, -2))

    return layout


def _experts(operands: Operands) -> list[SlotRole]:
    """Describe ``MoE``: stacks ``[experts, outputs, inputs]`` of up to three layers each."""
    return [dense(position, outputs_first=True) for position in (2, 4, 6) if len(operands.shape(position)) == 3]


def _tables(operands: Operands) -> list[SlotRole]:
    """Describe the word, position and segment tables of ``EmbedLayerNormalization``."""
    layout = layouts.table(0)
    return [SlotRole(i, "embedding", layout, "table:0") for i in (2, 3, 4) if len(operands.shape(i)) == 2]


# --- Einsum ---------------------------------------------------------------------------

_EQUATION = re.compile(r"^[A-Za-z.,]*(->[A-Za-z.]*)?$")


def _einsum(operands: Operands) -> list[SlotRole]:
    equation = str(attribute(operands.node, "equation", ""))
    slots = []
    for position, constant in operands.constants.items():
        layout = einsum_layout(equation, position, len(constant.shape))
        if layout is not None:
            slots.append(SlotRole(position, "dense", layout, f"einsum:{position}:{equation.replace(' ', '')}"))
    return slots


def einsum_layout(equation: str, position: int, rank: int) -> layouts.Layout | None:
    """Make the layout of one operand of an Einsum, by what becomes of each of its labels.

    A label of the operand that is summed over is an input of the matrix, one that
    only this operand brings into the result is an output, and one that others
    share and the result keeps numbers matrices of a stack. An operand between
    two others (``ni,ij,jk->nk``) takes its inputs from the first of them.

    Parameters
    ----------
    equation : str
        Such as ``bi,hoi->bho``; ``...`` and a missing ``->`` are understood.
    position : int
        Which operand.
    rank : int
        Its number of axes.

    Returns
    -------
    layout or None
        None where the operand is no matrix to multiply with, or the equation is
        not understood (a label twice, one that only this operand has and the
        result has not).
    """
    equation = equation.replace(" ", "")
    if not _EQUATION.match(equation):
        return None
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if position >= len(terms):
        return None
    labels = _labels(terms[position], rank)
    others = {label for number, term in enumerate(terms) if number != position for label in _letters(term)}
    result = _letters(right) if arrow else _implicit(terms)
    if labels is None or len(set(labels)) != len(labels):
        return None
    groups: list[int] = []
    outputs: list[int] = []
    inputs: list[int] = []
    for axis, label in enumerate(labels):
        key = "..." if label.startswith(".") else label
        if key == "...":
            groups.append(axis)
        elif key in others:
            (groups if key in result else inputs).append(axis)
        elif key in result:
            outputs.append(axis)
        else:
            return None
    if not outputs:
        beside = _neighbour(terms, position)
        outputs = [axis for axis in inputs if labels[axis] not in beside]
        inputs = [axis for axis in inputs if labels[axis] in beside]
    if not outputs or not inputs:
        return None

    def layout(array: NDArray[Any]) -> NDArray[Any]:
        sizes = [product([array.shape[axis] for axis in axes]) for axes in (groups, outputs, inputs)]
        return np.transpose(array, (*groups, *outputs, *inputs)).reshape(*sizes, 1)

    return layout


def _neighbour(terms: list[str], position: int) -> set[str]:
    """Give the labels of the first other operand that shares one."""
    own = set(_letters(terms[position]))
    others = (set(_letters(term)) for number, term in enumerate(terms) if number != position)
    return next((labels for labels in others if labels & own), set())


def _letters(term: str) -> list[str]:
    """Give the labels of a term, the ellipsis as one."""
    return re.findall(r"\.\.\.|[A-Za-z]", term)


def _labels(term: str, rank: int) -> list[str] | None:
    """Give one label an axis; the axes of an ellipsis are numbered. None where the rank does not fit."""
    letters = _letters(term)
    extra = rank - (len(letters) - ("..." in letters))
    if extra < 0 or letters.count("...") > 1 or (extra and "..." not in letters):
        return None
    labels: list[str] = []
    for letter in letters:
        labels += [f".{number}" for number in range(extra)] if letter == "..." else [letter]
    return labels


def _implicit(terms: list[str]) -> list[str]:
    """Give the result of an equation without an arrow: the labels that stand once."""
    letters = [letter for term in terms for letter in _letters(term)]
    return sorted({letter for letter in letters if letter == "..." or letters.count(letter) == 1})


HANDLERS: dict[str, Handler] = {
    "Einsum": _einsum,
    f"{MS}.EmbedLayerNormalization": _tables,
    f"{MS}.FusedMatMul": _fused_matmul,
    f"{MS}.FusedMatMulActivation": _fused_matmul,
    f"{MS}.GemmFastGelu": _gemm_fast_gelu,
    f"{MS}.MoE": _experts,
    f"{MS}.TransposeMatMul": _fused_matmul,
}
