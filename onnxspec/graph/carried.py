"""What the bodies of Loop and Scan are handed: values that never change, and slices of values.

A carried input is constant where the body hands it on untouched: its output for
that state is the input itself. (Keras LSTMs through tf2onnx carry their weights so.)
"""

from __future__ import annotations

from collections.abc import Callable

from onnxspec.graph.nodes import attribute
from onnxspec.graph.scopes import Scope, Value
from onnxspec.reading import Attribute, Graph, Node

__all__ = ["bind_body"]

MAX_HANDS = 64
"""Identity nodes and branches through which a carried value is followed."""


def bind_body(body: Scope, outer: Scope, node: Node, index: Callable[[Scope], None]) -> None:
    """Tie the inputs of a Loop's or Scan's body to what they start as, or are slices of.

    Parameters
    ----------
    body : Scope
        The body; its bindings and slices are filled in.
    outer : Scope
        Where the node stands.
    node : Node
        The Loop or Scan.
    index : callable
        Enters one more scope in the view.
    """
    if node.domain:
        return
    if node.op_type == "Loop":
        for position in range(2, min(len(body.inputs), len(node.inputs))):
            if _bind_state(body, position, position - 1, (outer, node.inputs[position])):
                _bind_result(outer, node, position - 2, position)
    elif node.op_type == "Scan":
        _bind_scan(body, outer, node, index)


def _bind_state(body: Scope, position: int, output: int, start: Value) -> bool:
    """Tie one carried input, where the body hands it on."""
    name = body.inputs[position]
    if start[1] and output < len(body.outputs) and _hands_on(body, body.outputs[output], name):
        body.bindings[name] = start
        return True
    return False


def _bind_result(outer: Scope, node: Node, output: int, position: int) -> None:
    """Tie a result that is the carried input itself; never to what a later node makes, which would be a circle."""
    name = node.outputs[output] if output < len(node.outputs) else ""
    made, start = outer.producers.get(name), outer.producers.get(node.inputs[position], -1)
    if made is not None and start < made and outer.nodes[made] is node:
        outer.bindings[name] = (outer, node.inputs[position])


def _bind_scan(body: Scope, outer: Scope, node: Node, index: Callable[[Scope], None]) -> None:
    """Tie the states and scanned inputs of a Scan.

    Before opset 9 its first input is the lengths of the sequences, and every other
    one has a batch axis in front, which the body does not see.
    """
    batched = len(node.inputs) == len(body.inputs) + 1
    actual = node.inputs[1:] if batched else node.inputs
    scans, axes = attribute(node, "num_scan_inputs", 0), attribute(node, "scan_input_axes", [])
    states = len(actual) - (scans if isinstance(scans, int) else 0)
    for position, (name, source) in enumerate(zip(body.inputs, actual)):
        if not source:
            continue
        value = _without_batch((outer, source), index) if batched else (outer, source)
        if position < states:
            if _bind_state(body, position, position, value) and not batched:
                _bind_result(outer, node, position, position)
        else:
            number = position - states
            axis = axes[number] if isinstance(axes, list) and number < len(axes) else 0
            body.slices[name] = (value, axis if isinstance(axis, int) else 0)


def _without_batch(value: Value, index: Callable[[Scope], None]) -> Value:
    """Give a value without its first axis, by a node in a scope of its own."""
    outer, name = value
    result = f"{name} without batch"
    squeeze = Node("", "Squeeze", "", [name], [result], {"axes": Attribute("axes", [0])})
    scope = Scope(-1, outer.place, [squeeze], [], [result], outer)
    index(scope)
    return scope, result


def _hands_on(body: Scope, output: str, name: str) -> bool:
    """Say whether `output` is `name`, through Identity nodes, both branches of an If, and inner Loops."""
    stack = [(body, output)]
    for _ in range(MAX_HANDS):
        if not stack:
            return True
        scope, wanted = stack.pop()
        while scope is not body and scope.parent is not None and not scope.defines(wanted):
            scope = scope.parent
        if scope is body and wanted == name:
            continue
        node = scope.nodes[scope.producers[wanted]] if wanted in scope.producers else None
        if node is None:
            return False
        if node.op_type == "Identity" and node.inputs:
            stack.append((scope, node.inputs[0]))
            continue
        if node.op_type == "Loop" and not node.domain:
            source = _handed_through(scope, node, wanted)
            if source is None:
                return False
            stack.append((scope, source))
            continue
        branches = [_branch(held.value, scope) for held in node.attributes.values()] if node.op_type == "If" else []
        position = scope.output_of(scope.producers[wanted], wanted)
        chosen = [branch for branch in branches if branch is not None and position < len(branch.outputs)]
        if len(chosen) != 2:
            return False
        stack.extend((branch, branch.outputs[position]) for branch in chosen)
    return False


def _handed_through(scope: Scope, node: Node, wanted: str) -> str | None:
    """Name the input of a Loop that is its output `wanted` too. Graphs nest as deep as the reader allows."""
    body = _branch(attribute(node, "body"), scope)
    position = scope.output_of(scope.producers[wanted], wanted) + 2
    if body is None or position >= min(len(node.inputs), len(body.inputs)) or position > len(body.outputs):
        return None
    formal = body.inputs[position]
    return node.inputs[position] if _hands_on(body, body.outputs[position - 1], formal) else None


def _branch(graph: object, parent: Scope) -> Scope | None:
    """Give a branch of an If as a scope that is looked at but not entered."""
    if not isinstance(graph, Graph):
        return None
    names = [*graph.inputs, *(tensor.name for tensor in graph.initializers)]
    scope = Scope(-1, parent.place, graph.nodes, names, list(graph.outputs), parent)
    for index, node in enumerate(graph.nodes):
        for name in node.outputs:
            scope.producers.setdefault(name, index)
    return scope
