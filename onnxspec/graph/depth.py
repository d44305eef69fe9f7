"""Depth of the nodes: how many weight-bearing nodes lie on the longest path that ends there."""

from __future__ import annotations

from onnxspec.graph.nodes import operator
from onnxspec.graph.roles import HANDLERS
from onnxspec.graph.view import GraphView

__all__ = ["depths"]


def depths(view: GraphView) -> dict[tuple[int, int], int]:
    """Give the depth of every node, by scope and position (0: no weight before it).

    Nodes of a nested graph start at the depth of the node that holds it.
    """
    of_value: dict[tuple[int, str], int] = {}
    of_node: dict[tuple[int, int], int] = {}
    for scope, index, node in view.nodes():
        before = of_node.get((scope.owner[0].index, scope.owner[1]), 0) if scope.owner else 0
        weighted = operator(node) in HANDLERS
        constant = False
        for name in node.inputs:
            value = view.resolve(scope, name) if name else None
            if value is not None:
                before = max(before, of_value.get((value[0].index, value[1]), 0))
                constant = constant or (weighted and view.is_constant(*value))
        of_node[scope.index, index] = before
        for output in node.outputs:
            of_value[scope.index, output] = before + constant
    return of_node
