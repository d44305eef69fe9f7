"""Values that are one constant or another, by which branch of an If runs.

A weight may leave a branch as its output and be multiplied outside of the If, after
a Transpose or a decoder. Then the operand is as many constants as there are ways
through the branches; where all of them are the same bytes it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant, Constants
    from onnxspec.graph.scopes import Scope
    from onnxspec.graph.view import GraphView
    from onnxspec.reading import Node

__all__ = ["Choices", "Way"]

MAX_STEPS = 32
"""Nodes and branches between the constant and its use."""

MAX_WAYS = 64
"""Constants that one operand may be."""

Way = tuple[tuple[int, int, int], ...]
"""For each If that decides: its scope, its position, and the branch."""


class Choices:
    """Finds the constants that a value may be.

    Parameters
    ----------
    view : GraphView
        The graph.
    constants : Constants
        Finds what is constant whatever branch runs.
    """

    def __init__(self, view: GraphView, constants: Constants) -> None:
        self._view = view
        self._constants = constants
        self._known: dict[tuple[int, str], dict[Way, Constant] | None] = {}
        self.possible = any(
            node.op_type == "If" and not node.domain and node.nested for scope in view.scopes for node in scope.nodes
        )

    def find(self, scope: Scope, name: str) -> dict[Way, Constant] | None:
        """Give the constants that a value may be, by the way on which it is each.

        None where a branch does not decide it, or decides more than that; equal
        constants stand under one way.
        """
        ways = self._ways(scope, name, MAX_STEPS) if self.possible and name else None
        if not ways or () in ways:
            return None
        different: dict[int, Way] = {}
        for way, constant in ways.items():
            different.setdefault(constant.key, way)
        return {way: ways[way] for way in different.values()}

    def _ways(self, scope: Scope, name: str, steps: int) -> dict[Way, Constant] | None:
        """Give a value by each way; the empty way stands for a constant. `steps` bounds the recursion."""
        value = self._view.resolve(scope, name)
        if value is None or not steps:
            return None
        key = (value[0].index, value[1])
        if key not in self._known:
            found = self._made(*value, steps - 1)
            if found is None and steps < MAX_STEPS // 2:
                return None  # perhaps for want of steps: not the last word
            self._known[key] = found
        return self._known[key]

    def _made(self, scope: Scope, name: str, steps: int) -> dict[Way, Constant] | None:
        """Look at the node that makes a value."""
        if self._view.is_constant(scope, name):
            constant = self._constants.find(scope, name)
            return None if constant is None else {(): constant}
        index = scope.producers.get(name)
        if index is None:
            return None
        node = scope.nodes[index]
        output = scope.output_of(index, name)
        bodies = scope.children.get(index, [])
        if node.op_type == "If" and not node.domain:
            return self._branches(scope, index, output, bodies, steps)
        if self._view.function_of(node) is not None:
            body = next((child for child in bodies if child.function is not None), None)
            inner = body.outputs[output] if body is not None and output < len(body.outputs) else ""
            return self._ways(body, inner, steps) if body is not None and inner else None
        return self._folded(scope, node, output, steps)

    def _branches(
        self, scope: Scope, index: int, output: int, bodies: list[Scope], steps: int
    ) -> dict[Way, Constant] | None:
        """Give the outputs of both branches of an If."""
        result: dict[Way, Constant] = {}
        for number, body in enumerate(bodies):
            ways = self._ways(body, body.outputs[output], steps) if output < len(body.outputs) else None
            if ways is None:
                return None
            result |= {((scope.index, index, number), *way): constant for way, constant in ways.items()}
        return result if 0 < len(result) <= MAX_WAYS else None

    def _folded(self, scope: Scope, node: Node, output: int, steps: int) -> dict[Way, Constant] | None:
        """Fold a node once for each way of its inputs, which must be decided by the same branches."""
        if self._view.is_unfoldable(node) or not any(node.inputs):
            return None
        inputs: list[dict[Way, Constant] | None] = []
        for source in node.inputs:
            ways = self._ways(scope, source, steps) if source else None
            if source and ways is None:
                return None
            inputs.append(ways)
        sets = {frozenset(ways) for ways in inputs if ways is not None and () not in ways}
        if len(sets) != 1:
            return None
        return {
            way: self._constants.derive(
                node, tuple(None if ways is None else ways.get(way, ways.get(())) for ways in inputs), output
            )
            for way in sorted(sets.pop())
        }
