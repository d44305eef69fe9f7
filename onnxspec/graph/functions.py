"""Bodies of local functions with the attributes of one call put in.

A node of a function's body may name an attribute of the function instead of a
value (`ref_attr_name`). The call gives the value, else the function's default;
without either the attribute is absent, and the operator's own default counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from onnxspec.reading import Attribute, Graph, SparseTensor, StoredTensor

if TYPE_CHECKING:
    from onnxspec.reading import Function, Node

__all__ = ["attribute_key", "body_of", "given_attributes"]


def given_attributes(function: Function, call: Node) -> dict[str, Attribute]:
    """Give the function's attributes at one call: what the call says, else the defaults."""
    names = dict.fromkeys([*function.attributes, *function.attribute_defaults])
    found = {name: call.attributes.get(name) or function.attribute_defaults.get(name) for name in names}
    return {name: held for name, held in found.items() if held is not None}


def attribute_key(given: dict[str, Attribute]) -> tuple[object, ...]:
    """Give the attributes of a call as something hashable: equal keys, equal bodies."""
    return tuple((name, _key(given[name].value)) for name in sorted(given))


def _key(value: object) -> object:
    """Give one value; tensors by where their bytes lie, graphs by identity."""
    if isinstance(value, StoredTensor):
        return ("tensor", value.location, value.dtype, value.shape)
    if isinstance(value, SparseTensor):
        return ("sparse", value.values.location, value.indices.location, value.shape)
    if isinstance(value, Graph):
        return ("graph", id(value))
    if isinstance(value, list):
        return tuple(_key(item) for item in value)
    return (type(value).__name__, value)


def body_of(function: Function, given: dict[str, Attribute]) -> list[Node]:
    """Give the nodes of a function's body with the attributes of a call in their places.

    Nodes that name no attribute of the function are not copied.
    """
    return _nodes(function.nodes, given)


def _nodes(nodes: list[Node], given: dict[str, Attribute]) -> list[Node]:
    return [_node(node, given) if _refers(node) else node for node in nodes]


def _refers(node: Node) -> bool:
    """Say whether a node, or a graph that it holds, names an attribute of its function.

    Graphs nest as deep as the reader allows, so the recursion is bounded.
    """
    for held in node.attributes.values():
        if held.ref_attr_name:
            return True
        values = held.value if isinstance(held.value, list) else [held.value]
        if any(isinstance(value, Graph) and any(_refers(inner) for inner in value.nodes) for value in values):
            return True
    return False


def _node(node: Node, given: dict[str, Attribute]) -> Node:
    attributes: dict[str, Attribute] = {}
    for name, held in node.attributes.items():
        if held.ref_attr_name:
            source = given.get(held.ref_attr_name)
            if source is not None:
                attributes[name] = Attribute(name, source.value)
        elif isinstance(held.value, Graph):
            attributes[name] = Attribute(name, _graph(held.value, given))
        elif isinstance(held.value, list) and any(isinstance(value, Graph) for value in held.value):
            inner = [_graph(value, given) if isinstance(value, Graph) else value for value in held.value]
            attributes[name] = Attribute(name, inner)
        else:
            attributes[name] = held
    return replace(node, attributes=attributes, nested=True)


def _graph(graph: Graph, given: dict[str, Attribute]) -> Graph:
    return replace(graph, nodes=_nodes(graph.nodes, given))
