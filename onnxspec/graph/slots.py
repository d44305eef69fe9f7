"""What a handler of an operator is given, and what it gives: the slots of one node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxspec.graph import layouts
from onnxspec.reading import Attribute, Node

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant, Constants
    from onnxspec.graph.view import GraphView, Scope

__all__ = ["Handler", "Operands", "Shape", "SlotRole", "dense"]

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
    constant : Constant or None
        The weight, where it is not the input itself but made from several
        inputs (codes, scales, zero points); see `Operands.derive`.
    scheme : str or None
        How the weight is quantised, where the operator says so.
    """

    input: int
    role: str
    layout: layouts.Layout
    form: str
    part: str | None = None
    constant: Constant | None = None
    scheme: str | None = None


SMALL_ARGUMENT = 16
"""Elements of an argument that `Operands.numbers` reads."""


@dataclass(frozen=True, slots=True)
class Operands:
    """One node with the constants that it is fed.

    Attributes
    ----------
    node, scope, index : Node, Scope, int
        The node and where it stands.
    constants : Mapping of int to Constant
        Its constant inputs by position.
    view : GraphView
        The graph.
    store : Constants
        Finds the constants behind other names.
    gates : bool
        Whether recurrent weights are to be cut into their gates.
    """

    node: Node
    scope: Scope
    index: int
    constants: Mapping[int, Constant]
    view: GraphView
    store: Constants
    gates: bool = False

    def shape(self, position: int) -> Shape:
        """Give the shape of a constant input, ``()`` where the input is no constant."""
        constant = self.constants.get(position)
        return () if constant is None else constant.shape

    def get(self, position: int) -> Constant | None:
        """Give a constant input; None where the input is none, or left out."""
        return self.constants.get(position)

    def given(self, position: int) -> bool:
        """Say whether an input is there at all, constant or not."""
        return position < len(self.node.inputs) and bool(self.node.inputs[position])

    def find(self, name: str) -> Constant | None:
        """Give the constant behind a name of the node's scope."""
        return self.store.find(self.scope, name) if name else None

    def numbers(self, name: str) -> list[int] | None:
        """Read a small constant of whole numbers, such as axes or a shape; None where it is none or not small."""
        constant = self.find(name)
        if constant is None or constant.problem is not None or constant.size > SMALL_ARGUMENT:
            return None
        return [int(number) for number in constant.load().reshape(-1)]

    def derive(
        self, op_type: str, *inputs: Constant | None, domain: str = "", attributes: Mapping[str, Any] | None = None
    ) -> Constant:
        """Make the constant that an operator would give on these inputs; nothing is computed yet.

        The operator must be one that `onnxspec.graph.folding` evaluates.
        """
        held = {name: Attribute(name, value) for name, value in (attributes or {}).items()}
        node = Node("", op_type, domain, [""] * len(inputs), [""], held)
        return self.store.derive(node, inputs)


Handler = Callable[[Operands], list[SlotRole]]
"""Gives the slots of one node."""


def dense(
    position: int, *, outputs_first: bool, constant: Constant | None = None, scheme: str | None = None
) -> SlotRole:
    """Describe a matrix product's constant operand."""
    layout = layouts.outputs_first if outputs_first else layouts.inputs_first
    return SlotRole(position, "dense", layout, layout.__name__, constant=constant, scheme=scheme)
