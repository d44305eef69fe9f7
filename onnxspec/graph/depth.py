"""Depth of the nodes: how many weight-bearing nodes lie on the longest path that ends there."""

from __future__ import annotations

from onnxspec.graph.nodes import operator
from onnxspec.graph.roles import HANDLERS
from onnxspec.graph.view import GraphView

__all__ = ["depths"]


def depths(view: GraphView) -> dict[tuple[int, int], int]:
    """Give the depth of every node, by scope and position; those that are left out have no weight before them.

    Nodes of a nested graph start at the depth of the node that holds it.
    """
    of_value: dict[int, dict[str, int]] = {scope.index: {} for scope in view.scopes}
    of_node: dict[tuple[int, int], int] = {}
    for scope, index, node in view.nodes():
        before = of_node.get((scope.owner[0].index, scope.owner[1]), 0) if scope.owner else 0
        for name in node.inputs:
            value = view.resolve(scope, name) if name else None
            if value is not None:
                before = max(before, of_value[value[0].index].get(value[1], 0))
        if before:
            of_node[scope.index, index] = before
        if before or operator(node) in HANDLERS:
            after = before + (operator(node) in HANDLERS and view.reads_constant(scope, node))
            for output in node.outputs if after else ():
                of_value[scope.index][output] = after
    return of_node
