"""Constants of a graph: stored tensors, and sub-graphs whose leaves are all stored.

A `Constant` knows its shape and dtype without reading a payload; `load` reads
and folds. Folding is by evaluation, never by matching lists of operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph import folding, parts
from onnxspec.graph.costs import FEW, Budget
from onnxspec.graph.growing import GROWING
from onnxspec.graph.nodes import MISFITS, attribute, product
from onnxspec.graph.view import GraphView, Scope
from onnxspec.reading import Node, SparseTensor, StoredTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.runtime import Runtime

__all__ = ["Constant", "Constants", "Watch"]

MANY = 2**62

SMALL = 4096
"""Elements of an argument (axes, starts, a new shape) that may be read to learn a shape."""


Watch = Callable[["Constant", "Sequence[NDArray[np.generic] | None]"], None]
"""Looks at the inputs of a step of folding while they are in memory."""


@dataclass(slots=True, eq=False)
class Constant:
    """A value that stored tensors alone decide.

    Attributes
    ----------
    key : int
        Equal for constants that are the same expression over the same bytes.
    shape : tuple of int
        Shape, known without reading the payload.
    dtype : str
        ONNX element type in lower case.
    stored : StoredTensor or None
        The stored tensor itself, where nothing lies between it and the use.
    node : Node or None
        The node to evaluate otherwise.
    inputs : tuple of Constant or None
        Its inputs; ``None`` for an omitted one.
    output : int
        Which of its outputs.
    problem : TensorError or None
        Why it cannot be had, as far as known without reading.
    small_value : ndarray or None
        The value once it was read, of a constant with few elements.
    pinned : bool
        Whether `small_value` is the only way to have the value: another process computed it.
    steps : int
        Steps below, those that several others share counted as often.
    fills : bool
        Whether ``ConstantOfShape`` makes all its values.
    grows : bool
        Whether an operator at or below it makes sizes, where that could not be evaluated.
    budget : Budget or None
        Counts what is loaded.
    too_large : TensorError or None
        Why it can be had in parts alone.
    """

    key: int
    shape: tuple[int, ...]
    dtype: str
    stored: StoredTensor | SparseTensor | None = None
    node: Node | None = None
    inputs: tuple[Constant | None, ...] = ()
    output: int = 0
    problem: TensorError | None = None
    small_value: NDArray[np.generic] | None = None
    pinned: bool = False
    steps: int = 0
    fills: bool = False
    grows: bool = False
    budget: Budget | None = None
    _data: Constant | None = None
    too_large: TensorError | None = None

    @property
    def unknown(self) -> bool:
        """Whether an operator below is not evaluated here."""
        return self.problem is not None and self.problem.code == "not_folded"

    @property
    def unsized(self) -> bool:
        """Whether `shape` is a guess: an operator below that could not be evaluated makes sizes."""
        return self.problem is not None and self.grows

    @property
    def size(self) -> int:
        """Number of elements."""
        return product(self.shape)

    @property
    def data(self) -> Constant:
        """The input that carries the values, followed down to a leaf: the largest each time."""
        path: list[Constant] = []
        current = self
        while current._data is None:
            path.append(current)
            present = [i for i in current.inputs if i is not None]
            if not present:
                break
            current = max(present, key=_carries)
        leaf = current._data or current
        for passed in path:
            passed._data = leaf
        return leaf

    @property
    def name(self) -> str:
        """Name of the stored tensor that carries the values."""
        leaf = self.data.stored
        return leaf.name if leaf is not None else ""

    def chain(self) -> tuple[str, ...]:
        """Give the operators between the stored tensor and the use, in the order of the data; the last ones of many."""
        names: list[str] = []
        current = self
        while current.node is not None:
            if len(names) == MAX_CHAIN:
                names.append("...")
                break
            names.append(current.node.op_type)
            present = [i for i in current.inputs if i is not None]
            if not present:
                break
            current = max(present, key=_carries)
        return tuple(reversed(names))

    def leaves(self) -> list[StoredTensor]:
        """Give every stored tensor below, each once, the one that carries the values first."""
        found: dict[int, StoredTensor] = {}
        stack: list[Constant] = [self, self.data]
        seen: set[int] = set()
        while stack:
            current = stack.pop()
            if id(current) in seen:
                continue
            seen.add(id(current))
            for tensor in _tensors(current.stored):
                found.setdefault(id(tensor), tensor)
            stack.extend(i for i in current.inputs if i is not None)
        return list(found.values())

    def broken(self, problem: TensorError) -> Constant:
        """Give a constant over the same bytes that cannot be had, and why."""
        return Constant(self.key, self.shape, "undefined", inputs=(self,), problem=problem)

    def load(self, watch: Watch | None = None) -> NDArray[np.generic]:
        """Read and fold the value, in its own dtype.

        Parameters
        ----------
        watch : callable, optional
            Called with each step and the values of its inputs.

        Raises
        ------
        TensorError
            A payload cannot be read, or an operator cannot be evaluated.
        """
        order = self.order(cached=watch is None)
        if self.budget is not None:
            self.budget.charge(order, keeping=SMALL)
        uses: dict[int, int] = {}
        for current in order:
            for i in current.inputs:
                if i is not None:
                    uses[id(i)] = uses.get(id(i), 0) + 1
        values: dict[int, NDArray[np.generic]] = {}
        for current in order:
            value = current.small_value
            if watch is not None and current.inputs and not current.pinned:
                watch(current, [None if i is None else _value_of(i, values) for i in current.inputs])
            if value is None:
                value = current._value(values)
            values[id(current)] = value
            if value.size <= SMALL:
                current.small_value = value
            for i in current.inputs:
                if i is not None:
                    uses[id(i)] -= 1
                    if uses[id(i)] == 0:
                        values.pop(id(i), None)
        return values[id(self)]

    def order(self, *, cached: bool) -> list[Constant]:
        """Give the constants to evaluate, each after its inputs; with `cached`, values at hand need no step.

        Raises
        ------
        TensorError
            They are too many (``over_limit``).
        """
        most = self.budget.steps if self.budget is not None else self.steps + 1
        order: list[Constant] = []
        stack: list[tuple[Constant, bool]] = [(self, False)]
        seen: set[int] = set()
        while stack:
            current, done = stack.pop()
            if done:
                order.append(current)
            elif id(current) not in seen:
                seen.add(id(current))
                if len(seen) > most:
                    if self.budget is not None:
                        self.budget.spend(len(seen))
                    raise TensorError("over_limit", f"folding it would take more than {most:,} steps")
                if current.small_value is None or not (cached or current.pinned):
                    stack.append((current, True))
                    stack.extend((i, False) for i in current.inputs if i is not None)
        return order or [self]

    def _value(self, values: dict[int, NDArray[np.generic]]) -> NDArray[np.generic]:
        """Evaluate this one step, its inputs being in `values`."""
        problem = self.problem or self.too_large
        if problem is not None:
            raise problem
        if self.stored is not None:
            return folding.densify(self.stored) if isinstance(self.stored, SparseTensor) else self.stored.load()
        if self.node is None:
            raise TensorError("unreadable_payload", "the constant has neither a payload nor an operator")
        arrays = [None if i is None else _value_of(i, values) for i in self.inputs]
        return folding.evaluate(self.node, arrays, self.output, self.shape, self.dtype)


def _carries(constant: Constant) -> tuple[int, bool]:
    """Rank the inputs of a step by how surely they carry the values: of two as large, the one that is no mask."""
    return constant.size, constant.dtype != "bool"


MAX_CHAIN = 64
"""Operators of a chain that are named."""


def _value_of(constant: Constant, values: dict[int, NDArray[np.generic]]) -> NDArray[np.generic]:
    """Give the value of an input that was computed before."""
    return constant.small_value if constant.small_value is not None else values[id(constant)]


def _tensors(stored: StoredTensor | SparseTensor | None) -> tuple[StoredTensor, ...]:
    """Give the stored tensors that a leaf is made of."""
    if stored is None:
        return ()
    return (stored.values, stored.indices) if isinstance(stored, SparseTensor) else (stored,)


class Constants:
    """Finds the constant behind a name, once for each value of the graph.

    Parameters
    ----------
    view : GraphView
        The graph.
    runtime : Runtime, optional
        Evaluates the nodes that `folding` does not know, where `realise` asks for it.
    budget : Budget, optional
        Counts what is folded.
    """

    def __init__(self, view: GraphView, runtime: Runtime | None = None, budget: Budget | None = None) -> None:
        self._view = view
        self._limits = view.limits
        self._runtime = runtime
        self._realised: dict[int, Constant] = {}
        self._room = view.limits.fold_elements
        self.budget = Budget() if budget is None else budget
        self._known: dict[tuple[int, str], Constant] = {}
        self._keys: dict[tuple[object, ...], int] = {}

    def find(self, scope: Scope, name: str) -> Constant | None:
        """Give the constant that `name` stands for as seen from `scope`, or None."""
        value = self._view.resolve(scope, name) if name else None
        if value is None or not self._view.is_constant(*value):
            return None
        stack = [value]
        while stack:
            scope_now, name_now = stack[-1]
            key = (scope_now.index, name_now)
            if key in self._known:
                stack.pop()
                continue
            leaf = scope_now.initializers.get(name_now)
            if leaf is not None:
                self._known[key] = self._leaf(leaf)
                continue
            node = scope_now.nodes[scope_now.producers[name_now]]
            sources = [self._view.resolve(scope_now, source) if source else None for source in node.inputs]
            missing = [s for s in sources if s is not None and (s[0].index, s[1]) not in self._known]
            if missing:
                stack.extend(missing)
                continue
            inputs = tuple(None if s is None else self._known[(s[0].index, s[1])] for s in sources)
            self._known[key] = self._fold(node, inputs, scope_now.output_of(scope_now.producers[name_now], name_now))
        scope_found, name_found = value
        return self._known[(scope_found.index, name_found)]

    def derive(self, node: Node, inputs: tuple[Constant | None, ...], output: int = 0) -> Constant:
        """Describe what a node would give on constants that it is not fed as such; see `Operands.derive`."""
        return self._fold(node, inputs, output)

    def _intern(self, key: tuple[object, ...]) -> int:
        """Give an expression a number, so that keys stay small however deep it is."""
        return self._keys.setdefault(key, len(self._keys))

    def _leaf(self, stored: StoredTensor | SparseTensor) -> Constant:
        """Wrap a stored tensor."""
        if isinstance(stored, SparseTensor):
            values = stored.values
            key = self._intern(("sparse", values.location, stored.indices.location, stored.shape))
            constant = Constant(key, stored.shape, values.dtype, stored=stored, problem=values.problem)
            if constant.size > self._limits.fold_elements:
                constant.problem = TensorError("over_limit", "the sparse tensor is too large to be made dense")
            return constant
        key = self._intern(("stored", stored.location, stored.dtype, stored.shape))
        return Constant(key, stored.shape, stored.dtype, stored=stored, problem=stored.problem)

    def _shape_of(self, node: Node, shape: tuple[int, ...]) -> Constant:
        """Give the result of a Shape node, which needs no payload."""
        start, end = attribute(node, "start", 0), attribute(node, "end", len(shape))
        value = np.asarray(shape[start:end], dtype=np.int64)
        key = self._intern(("shape", tuple(value.tolist())))
        return Constant(key, value.shape, "int64", small_value=value)

    def _fold(self, node: Node, inputs: tuple[Constant | None, ...], output: int) -> Constant:
        """Describe the result of one node: shape and dtype now, the values on demand."""
        tensor = folding.constant_of(node) if node.op_type == "Constant" and not inputs else None
        if tensor is not None:
            return self._leaf(tensor)
        if node.op_type == "Identity" and inputs and inputs[0] is not None:
            return inputs[0]
        element = _element(inputs) if node.op_type == "SequenceAt" and not node.domain else None
        if element is not None:
            return element
        first = inputs[0] if inputs else None
        keys = tuple(None if i is None else i.key for i in inputs)
        key = self._intern((node.domain, node.op_type, output, _attributes_key(node), keys))
        folded = Constant(key, (), "undefined", node=node, inputs=inputs, output=output, budget=self.budget)
        present = [i for i in inputs if i is not None]
        folded.steps = min(1 + sum(i.steps for i in present), MANY)
        folded.fills = _makes_fills(node, present)
        folded.grows = node.op_type in GROWING or any(i.unsized for i in present)
        folded.shape = max((i.shape for i in inputs if i is not None), key=product, default=())  # a guess, at first
        folded.problem = next((i.problem for i in inputs if i is not None and i.problem is not None), None)
        shape_only = node.op_type == "Shape" and first is not None and (first.problem is None or first.node is None)
        if folded.problem is not None and not shape_only:
            return folded
        try:
            if shape_only and first is not None:
                return self._shape_of(node, first.shape)
            folded.shape, folded.dtype = folding.infer(node, [_argument(i) for i in inputs], output)
            if folded.size > self._limits.fold_elements:
                too_large = TensorError("over_limit", f"folding {node.op_type} would give {folded.size:,} elements")
                if parts.decoded(folded) is None:
                    raise too_large
                folded.too_large = too_large
        except folding.UnknownOperatorError as unknown:
            folded.problem = TensorError("not_folded", f"the operator {unknown} is not evaluated")
        except TensorError as error:
            folded.problem = folded.problem or error
        except MISFITS as error:
            message = f"{node.op_type} does not fit its inputs: {error}"
            folded.problem = folded.problem or TensorError("invalid_graph", message)
        return folded

    def realise(self, constant: Constant) -> Constant:
        """Evaluate what `folding` does not know below a constant, in onnxruntime's process.

        Gives the constant itself where there is nothing of the kind, or no runtime.
        """
        if self._runtime is None or not constant.unknown or self._too_many(constant):
            return constant
        stack = [(constant, False)]
        while stack:
            current, done = stack.pop()
            if id(current) in self._realised:
                continue
            if not done:
                stack.append((current, True))
                stack.extend((i, False) for i in current.inputs if i is not None and i.unknown)
            elif len(self._realised) > self._limits.fold_nodes:
                return constant
            else:
                self._realised[id(current)] = self._evaluated(current)
        return self._realised[id(constant)]

    def _too_many(self, constant: Constant) -> bool:
        """Say whether so many steps lie below a constant that not all of them would be evaluated."""
        if constant.steps <= FEW:
            return False
        try:
            steps = len(constant.order(cached=False))
        except TensorError:
            return True
        self.budget.spend(steps)
        return steps + len(self._realised) > self._limits.fold_nodes

    def _evaluated(self, constant: Constant) -> Constant:
        """Fold a constant again over inputs that were evaluated, in onnxruntime where it must be."""
        if constant.node is None:
            return constant
        inputs = tuple(i if i is None else self._realised.get(id(i), i) for i in constant.inputs)
        folded = self._fold(constant.node, inputs, constant.output)
        if self._runtime is None or not folded.unknown or any(i.problem for i in inputs if i is not None):
            return folded
        try:
            total = sum(i.size for i in inputs if i is not None)
            if total > self._limits.fold_elements:
                raise TensorError("over_limit", f"the inputs of {constant.node.op_type} have {total:,} elements")
            arrays = [None if i is None else i.load() for i in inputs]
            value = self._runtime.run(constant.node, arrays, constant.output)
            self._room -= value.size
            if self._room < 0:
                raise TensorError("over_limit", "constants that onnxruntime folds take too much memory")
        except TensorError as error:
            folded.problem = error
            return folded
        folded.problem, folded.shape, folded.dtype = None, value.shape, _stored_name(value)
        folded.small_value, folded.pinned = value, True
        return folded


def _stored_name(value: NDArray[np.generic]) -> str:
    """Give ONNX's name of an array's element type."""
    return StoredTensor.from_array("", value).dtype


def _argument(constant: Constant | None) -> folding.Argument | None:
    """Give what shape inference may know of an input."""
    if constant is None:
        return None
    return folding.Argument(constant.shape, constant.dtype, constant.load if constant.size <= SMALL else None)


def _attributes_key(node: Node) -> tuple[object, ...]:
    """Give the attributes of a node as something hashable."""
    items: list[object] = []
    for name in sorted(node.attributes):
        value = node.attributes[name].value
        items.append((name, value.location if isinstance(value, StoredTensor) else repr(value)))
    return tuple(items)


def _element(inputs: Sequence[Constant | None]) -> Constant | None:
    """Give the tensor that a SequenceAt takes from a sequence of constants, where its place is constant too."""
    sequence, place = [*inputs, None, None][:2]
    if sequence is None or place is None or sequence.node is None or sequence.node.op_type != "SequenceConstruct":
        return None
    if place.problem is not None or place.size != 1 or place.dtype not in ("int32", "int64"):
        return None
    try:
        position = int(place.load().reshape(-1)[0])
    except TensorError:
        return None
    count = len(sequence.inputs)
    return sequence.inputs[position] if -count <= position < count else None


def _makes_fills(node: Node, inputs: Sequence[Constant]) -> bool:
    """Say whether ``ConstantOfShape`` makes all the values that a node gives."""
    if node.op_type == "ConstantOfShape":
        return True
    if node.op_type in ("Concat", "Mul"):
        return bool(inputs) and all(i.fills for i in inputs)
    return (node.op_type in folding.MOVING or node.op_type == "Cast") and bool(inputs) and inputs[0].fills
