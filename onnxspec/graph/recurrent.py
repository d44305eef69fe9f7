"""LSTM, GRU and RNN: one matrix a direction for the inputs, one for the hidden state.

``W`` is ``[directions, gates * hidden, inputs]`` and ``R`` is ``[directions, gates *
hidden, hidden]`` in both layouts (the attribute ``layout`` moves the batch axis of
data, not of weights). Gates stand below each other in ONNX's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from onnxspec.graph import layouts
from onnxspec.graph.nodes import attribute
from onnxspec.graph.slots import Handler, Operands, SlotRole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constant

__all__ = ["GATES", "HANDLERS", "recurrent_slots"]

GATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "LSTM": ("input_gate", "output_gate", "forget_gate", "cell_gate"),
        "GRU": ("update_gate", "reset_gate", "hidden_gate"),
        "RNN": (),
    }
)
"""Gates of each operator in the order in which their rows stand in W and R."""

DIRECTIONS = ("forward", "reverse")


def recurrent_slots(
    operands: Operands,
    position: int,
    role: str,
    gates: tuple[str, ...],
    *,
    constant: Constant | None = None,
    outputs_first: bool = True,
    scheme: str | None = None,
) -> list[SlotRole]:
    """Give one slot a direction, or with `Operands.gates` one a direction and gate.

    Parameters
    ----------
    operands : Operands
        The node.
    position : int
        The input: W or R.
    role : str
        ``recurrent_input`` or ``recurrent_hidden``.
    gates : tuple of str
        Names of the gates; empty where there is one block alone.
    constant : Constant, optional
        The weight, where it is not the input itself.
    outputs_first : bool
        Whether gates stand in rows, as in ONNX's own operators, not in columns.
    scheme : str, optional
        How the weight is quantised.
    """
    held = constant if constant is not None else operands.get(position)
    if held is None or len(held.shape) != 3:
        return []
    directions = _directions(operands, held.shape[0])
    chosen: tuple[str | None, ...] = gates if operands.gates and gates else (None,)
    slots = []
    for number, direction in enumerate(directions):
        for gate, name in enumerate(chosen):
            form = f"recurrent:{number}:{gate}/{len(chosen)}:{outputs_first}"
            layout = _block(number, gate, len(chosen), outputs_first=outputs_first)
            part = ".".join(word for word in (direction, name) if word) or None
            slots.append(SlotRole(position, role, layout, form, part, constant, scheme))
    return slots


def _directions(operands: Operands, count: int) -> tuple[str, ...]:
    """Name the directions; the only one needs no name where it is forward, nor do more than there can be."""
    if count == 1 or count > len(DIRECTIONS):
        return ("reverse",) if attribute(operands.node, "direction", "forward") == "reverse" else ("",)
    return DIRECTIONS[:count]


def _block(direction: int, gate: int, gates: int, *, outputs_first: bool) -> layouts.Layout:
    """Make the layout of one direction's rows of one gate, of so many."""

    def layout(array: NDArray[Any]) -> NDArray[Any]:
        if array.shape[0] > len(DIRECTIONS):
            raise ValueError(f"a recurrent operator has one direction or two, not {array.shape[0]}")
        matrix = array[direction] if outputs_first else array[direction].T
        rows, rest = divmod(matrix.shape[0], gates)
        if rest:
            raise ValueError(f"{matrix.shape[0]} rows cannot be divided among {gates} gates")
        return layouts.outputs_first(matrix[gate * rows : (gate + 1) * rows])

    return layout


def _recurrent(operands: Operands) -> list[SlotRole]:
    gates = GATES[operands.node.op_type]
    return [
        slot
        for position, role in ((1, "recurrent_input"), (2, "recurrent_hidden"))
        for slot in recurrent_slots(operands, position, role, gates)
    ]


HANDLERS: dict[str, Handler] = dict.fromkeys(GATES, _recurrent)
