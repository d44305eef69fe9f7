"""A view of the graph with producers and consumers, over all nested graphs and functions.

Graphs in attributes and local functions are scopes. A scope sees the names of
the scopes around it, except that a function body sees only its own. A function
is entered once per distinct way of handing it constants and attributes, never
textually inlined, so that functions that call each other twice cost no more
than they are long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from onnxspec.graph.carried import bind_body
from onnxspec.graph.functions import attribute_key, body_of, given_attributes
from onnxspec.graph.names import display
from onnxspec.graph.scopes import Scope, Value
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.reading import Function, Graph, Model, Node, SparseTensor, StoredTensor
from onnxspec.results import Diagnostic

__all__ = ["GraphView", "Scope", "Value"]

MAX_CALLS = 5_000
"""Distinct calls of local functions; real files have none to a few hundred."""

MAX_CALLED_NODES = 50_000
"""Nodes in the bodies of all distinct calls: 60 kB of functions can stand for a million, which takes minutes."""

TOO_MANY = "functions are nested too deep or called in too many ways"

NEVER_FOLDED = frozenset(
    [
        "If",
        "Loop",
        "Scan",
        "SequenceMap",
        "Optional",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
        "Dropout",
    ]
)
"""Operators that are not evaluated: they run graphs, or their result is not fixed."""


Severity = Literal["info", "warning", "error"]


class GraphView:
    """All scopes of a model, built without recursion.

    Attributes
    ----------
    scopes : list of Scope
        The main graph first; a scope always after its parent.
    diagnostics : list of Diagnostic
        Duplicate names, recursive functions, limits that were hit.
    cache : dict
        What was found out about the whole graph, so that it is found out once.
    """

    def __init__(self, model: Model, limits: Limits = DEFAULT_LIMITS) -> None:
        self.model = model
        self.limits = limits
        self.scopes: list[Scope] = []
        self.diagnostics: list[Diagnostic] = []
        self.cache: dict[str, Any] = {}
        self._noted: set[Diagnostic] = set()
        self._pending: set[tuple[int, str]] = set()
        self._functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self._instances: dict[tuple[object, ...], Scope] = {}
        self._called_nodes = 0
        self._build()

    @property
    def has_slices(self) -> bool:
        """Whether a Scan hands constants to its body slice by slice."""
        if "slices" not in self.cache:
            self.cache["slices"] = any(scope.slices for scope in self.scopes)
        return bool(self.cache["slices"])

    def resolve(self, scope: Scope, name: str) -> Value | None:
        """Find the scope that defines `name` as seen from `scope`.

        Bindings are followed, and so are the constant results of local functions
        into the body that makes them.
        """
        if name in scope.producers and not self._functions and name not in scope.bindings:
            return scope, name
        seen = 0
        current: Scope | None = scope
        while current is not None:
            if name in current.bindings:
                current, name = current.bindings[name]
            elif name in current.producers:
                inner = self._result(current, name) if self._functions else None
                if inner is None:
                    return current, name
                current, name = inner
            elif name in current.initializers or name in current.formal:
                return current, name
            else:
                current = current.parent
                continue
            seen += 1
            if seen > self.limits.nodes:
                return None
        return None

    def _result(self, scope: Scope, name: str) -> Value | None:
        """Give the value in a function's body that a call gives under `name`, where it is constant."""
        index = scope.producers[name]
        node = scope.nodes[index]
        if self.function_of(node) is None:
            return None
        body = next((child for child in scope.children.get(index, ()) if child.function is not None), None)
        position = scope.output_of(index, name)
        if body is None or position >= len(body.outputs):
            return None
        inner = self.resolve(body, body.outputs[position])
        return inner if inner is not None and self.is_constant(*inner) else None

    def nodes(self) -> Iterator[tuple[Scope, int, Node]]:
        """Give every node once for each scope that it stands in, in graph order."""
        stack = [iter(enumerate(self.scopes[0].nodes))]
        scopes = [self.scopes[0]]
        entered = {self.scopes[0].index}
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
                scopes.pop()
                continue
            index, node = item
            scope = scopes[-1]
            yield scope, index, node
            children = [child for child in scope.children.get(index, ()) if child.index not in entered]
            for child in reversed(children):
                entered.add(child.index)
                stack.append(iter(enumerate(child.nodes)))
                scopes.append(child)

    def readers(self, scope: Scope, name: str) -> list[tuple[Scope, int, int]]:
        """Give the nodes of the same scope that read a value: (scope, node, input)."""
        return [(scope, node, slot) for node, slot in scope.consumers.get(name, ())]

    def followed_by(self, scope: Scope, name: str, op_type: str) -> bool:
        """Say whether a node of this operator reads a value, through Identity nodes."""
        known: dict[tuple[int, str, str], bool] = self.cache.setdefault("followed_by", {})
        key = (scope.index, name, op_type)
        if key not in known:
            known[key] = self._reads(scope, name, op_type)
        return known[key]

    @staticmethod
    def _reads(scope: Scope, name: str, op_type: str) -> bool:
        stack, seen = [name], {name}
        while stack:
            for index, slot in scope.consumers.get(stack.pop(), ()):
                node = scope.nodes[index]
                if node.op_type == op_type and slot == 0:
                    return True
                if node.op_type == "Identity" and node.outputs and node.outputs[0] not in seen:
                    seen.add(node.outputs[0])
                    stack.append(node.outputs[0])
        return False

    def bias_of(self, scope: Scope, node: Node) -> str:
        """Name the stored tensor that a layer adds to its product: its third input, or that of an Add after it."""
        names = list(node.inputs[2:3])
        for index, slot in scope.few_readers(node.outputs[0]) if node.outputs else ():
            after = scope.nodes[index]
            if after.op_type == "Add" and len(after.inputs) == 2:
                names.append(after.inputs[1 - slot])
        for name in names:
            value = self.resolve(scope, name) if name else None
            tensor = value[0].initializers.get(value[1]) if value is not None else None
            if tensor is not None and sum(axis > 1 for axis in tensor.shape) <= 1:
                return tensor.name
        return ""

    def function_of(self, node: Node) -> Function | None:
        """Give the local function that a node calls."""
        return self._functions.get((node.domain, node.op_type, node.overload)) if self._functions else None

    def _build(self) -> None:
        """Open all scopes, depth first: what a function gives is known when its call is passed."""
        work = [self._open(self._add_graph(self.model.graph, "main", None, None))]
        while work:
            child = next(work[-1], None)
            if child is None:
                work.pop()
            else:
                work.append(self._open(child))

    def _open(self, scope: Scope) -> Iterator[Scope]:
        """Give the new scopes that hang on the nodes of one, in their order."""
        for index, node in enumerate(scope.nodes):
            if node.nested or self._functions:
                yield from self._children(scope, index, node)

    def _children(self, scope: Scope, index: int, node: Node) -> Iterator[Scope]:
        """Open the scopes that hang on one node; give those that are new."""
        label = node.name or f"{node.op_type}_{index}"
        called = bool(self._functions) and bool(self._callers(scope))
        for attribute in node.attributes.values():
            if not isinstance(attribute.value, (Graph, list)):
                continue
            graphs = attribute.value if isinstance(attribute.value, list) else [attribute.value]
            for number, graph in enumerate(graphs):
                if not isinstance(graph, Graph):
                    continue
                if not called or self._charge(len(graph.nodes) + len(graph.initializers), label):
                    suffix = f"[{number}]" if isinstance(attribute.value, list) else ""
                    place = f"{scope.place}/{label}.{attribute.name}{suffix}"
                    child = self._add_graph(graph, place, scope, (scope, index))
                    if attribute.name == "body":
                        bind_body(child, scope, node, self._index)
                    scope.children.setdefault(index, []).append(child)
                    yield child
        function = self.function_of(node)
        if function is not None:
            yield from self._call(scope, index, node, function, label)

    def _add_graph(self, graph: Graph, place: str, parent: Scope | None, owner: tuple[Scope, int] | None) -> Scope:
        scope = Scope(len(self.scopes), place, graph.nodes, list(graph.inputs), list(graph.outputs), parent, owner)
        stored: list[StoredTensor | SparseTensor] = [*graph.initializers, *graph.sparse_initializers]
        for tensor in stored:
            if not tensor.name or tensor.name in scope.initializers:
                self._note("duplicate_name", "warning", "an initializer has a duplicate or empty name", tensor.name)
                continue
            scope.initializers[tensor.name] = tensor
        self._index(scope)
        return scope

    def _index(self, scope: Scope) -> None:
        """Give a scope its number, and note who makes and who reads its values."""
        scope.index = len(self.scopes)
        for index, node in enumerate(scope.nodes):
            for output in node.outputs:
                if not output:
                    continue
                if output in scope.producers:
                    self._note("duplicate_name", "warning", "two nodes of one graph produce this value", output)
                    continue
                scope.producers[output] = index
            for slot, name in enumerate(node.inputs):
                if name:
                    scope.consumers.setdefault(name, []).append((index, slot))
        self.scopes.append(scope)
        if not self._functions:
            self._decide(scope)

    def _decide(self, scope: Scope) -> None:
        """Decide in one pass what is constant, as far as values of this graph alone decide it.

        What names of other scopes or nodes out of order decide is left to `is_constant`.
        """
        known, producers = scope.constant, scope.producers
        known.update(dict.fromkeys(scope.initializers, True))
        for name in scope.inputs:
            if scope.parent is not None:
                known.pop(name, None)  # it may be bound later
            elif name not in producers:
                known.setdefault(name, False)
        for index, node in enumerate(scope.nodes):
            verdict: bool | None = None if node.op_type in ("Loop", "Scan") else False  # they may hand a value through
            if not self.is_unfoldable(node):
                states = [known.get(name) for name in node.inputs if name]
                verdict = None if None in states else bool(states) or node.op_type == "Constant"
                if False in states:
                    verdict = False
            if verdict is not None:
                for output in node.outputs:
                    if output not in known and producers.get(output) == index:
                        known[output] = verdict

    def _call(self, scope: Scope, index: int, node: Node, function: Function, label: str) -> Iterator[Scope]:
        """Enter a function, once per distinct choice of constants among its arguments."""
        name = f"{function.domain}.{function.name}"
        callers = self._callers(scope)
        if name in callers:
            self._note("recursive_function", "error", "a function calls itself; it is not entered again", name)
            return
        if len(callers) >= self.limits.depth or len(self._instances) >= MAX_CALLS:
            self._note("too_many_calls", "error", TOO_MANY, name)
            return
        bindings = {}
        for formal, actual in zip(function.inputs, node.inputs):
            value = self.resolve(scope, actual) if actual else None
            if value is not None and self.is_constant(*value):
                bindings[formal] = value
        given = given_attributes(function, node)
        bound = tuple((formal, s.index, n) for formal, (s, n) in bindings.items())
        key = (name, function.overload, bound, attribute_key(given))
        body = self._instances.get(key)
        if body is not None:
            scope.children.setdefault(index, []).append(body)
        elif self._charge(len(function.nodes), name):
            body = Scope(
                len(self.scopes),
                f"{scope.place}/{label}",
                body_of(function, given),
                list(function.inputs),
                list(function.outputs),
                owner=(scope, index),
                function=name,
                bindings=bindings,
            )
            self._instances[key] = body
            self._index(body)
            scope.children.setdefault(index, []).append(body)
            yield body

    def _charge(self, nodes: int, name: str) -> bool:
        """Count nodes that a call brings in; say False, and note it, where they are too many."""
        if self._called_nodes + nodes > min(self.limits.nodes, MAX_CALLED_NODES):
            self._note("too_many_calls", "error", TOO_MANY, name)
            return False
        self._called_nodes += nodes
        return True

    @staticmethod
    def _callers(scope: Scope) -> set[str]:
        """Give the functions that are being called where `scope` stands."""
        names = set()
        current: Scope | None = scope
        while current is not None:
            if current.function is not None:
                names.add(current.function)
            current = current.owner[0] if current.owner else None
        return names

    def reads_constant(self, scope: Scope, node: Node) -> bool:
        """Say whether any input of a node is constant."""
        known = scope.constant
        for name in node.inputs:
            state = known.get(name)
            if state is None or name in scope.bindings:
                value = self.resolve(scope, name) if name else None
                state = value is not None and self.is_constant(*value)
            if state:
                return True
        return False

    def is_constant(self, scope: Scope, name: str) -> bool:
        """Say whether a defined value depends on stored tensors alone."""
        found = scope.constant.get(name)
        if found is not None:
            return found
        stack = [(scope, name)]
        while stack:
            scope_now, name_now = value = stack[-1]
            known = scope_now.constant
            if name_now in known:
                stack.pop()
                continue
            node = self._foldable(scope_now, name_now)
            if node is None:
                known[name_now] = name_now in scope_now.initializers
                stack.pop()
                continue
            key = (scope_now.index, name_now)
            verdict, unseen = self._by_inputs(scope_now, node)
            if verdict is not None:
                known[name_now] = verdict
            elif key in self._pending:
                known[name_now] = False
                self._note("cyclic_graph", "error", "the graph has a cycle through this value", name_now)
            else:
                self._pending.add(key)
                stack.extend(unseen)
                continue
            self._pending.discard(key)
            if stack and stack[-1] == value:
                stack.pop()
        return scope.constant[name]

    def _by_inputs(self, scope: Scope, node: Node) -> tuple[bool | None, list[Value]]:
        """Say whether a node's result is constant, or give the inputs of which that must be known first."""
        unseen: list[Value] = []
        for source in node.inputs:
            if not source:
                continue
            value = self.resolve(scope, source)
            if value is None:
                return False, []
            state = value[0].constant.get(value[1])
            if state is False:
                return False, []
            if state is None:
                unseen.append(value)
        if unseen:
            return None, unseen
        return any(node.inputs) or node.op_type == "Constant", []

    def _foldable(self, scope: Scope, name: str) -> Node | None:
        """Give the node that makes a value, where folding it is allowed."""
        if name in scope.initializers or name not in scope.producers:
            return None
        node = scope.nodes[scope.producers[name]]
        return None if self.is_unfoldable(node) else node

    def is_unfoldable(self, node: Node) -> bool:
        """Say whether a node must not be folded: it calls a function, holds a graph, or gives no fixed result."""
        if node.op_type in NEVER_FOLDED or (self._functions and self.function_of(node) is not None):
            return True
        return node.nested and any(isinstance(held.value, Graph) for held in node.attributes.values())

    def _note(self, code: str, severity: Severity, message: str, subject: str) -> None:
        diagnostic = Diagnostic(code, severity, message, display(subject))
        if diagnostic not in self._noted:
            self._noted.add(diagnostic)
            self.diagnostics.append(diagnostic)
