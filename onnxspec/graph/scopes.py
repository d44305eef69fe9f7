"""A scope: one graph, with who makes and who reads its values."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxspec.reading import Node, SparseTensor, StoredTensor

__all__ = ["Scope", "Value"]

Value = tuple["Scope", str]
"""A value: the scope that defines it and its name there."""

FEW_READERS = 64
"""Readers of one value that are looked at for each layer that gives it."""

FEW_OUTPUTS = 16
"""Outputs of one node among which a name is found by looking at each."""


@dataclass(slots=True, eq=False)
class Scope:
    """One graph: the main graph, the body of a node, or a function at its call sites.

    Attributes
    ----------
    index : int
        Position in `GraphView.scopes`.
    place : str
        Where it stands, such as ``main/If_3.then_branch``.
    parent : Scope or None
        The scope whose names are visible too.
    owner : tuple of Scope and int, or None
        The scope and the position of the node that holds this one.
    function : str or None
        The local function whose body this is.
    bindings : dict
        Formal inputs that are known to be a value of another scope.
    slices : dict
        Inputs of a Scan's body that are one slice each time of a value of another
        scope: that value, and the axis along which it is cut.
    constant : dict
        Whether stored tensors alone decide a value, as far as it was asked.
    outputs_of : dict
        Names of the outputs of nodes with many, each with its position.
    formal : frozenset of str
        The inputs, which may be many.
    """

    index: int
    place: str
    nodes: list[Node]
    inputs: list[str]
    outputs: list[str]
    parent: Scope | None = None
    owner: tuple[Scope, int] | None = None
    function: str | None = None
    bindings: dict[str, Value] = field(default_factory=dict)
    slices: dict[str, tuple[Value, int]] = field(default_factory=dict)
    initializers: dict[str, StoredTensor | SparseTensor] = field(default_factory=dict)
    producers: dict[str, int] = field(default_factory=dict)
    consumers: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    children: dict[int, list[Scope]] = field(default_factory=dict)
    constant: dict[str, bool] = field(default_factory=dict)
    outputs_of: dict[int, dict[str, int]] = field(default_factory=dict)
    formal: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.formal = frozenset(self.inputs)

    def output_of(self, index: int, name: str) -> int:
        """Say which output of a node a value is, in a time that does not grow with the number of them."""
        outputs = self.nodes[index].outputs
        if len(outputs) <= FEW_OUTPUTS:
            return outputs.index(name)
        if index not in self.outputs_of:
            self.outputs_of[index] = {output: i for i, output in reversed(list(enumerate(outputs)))}
        return self.outputs_of[index][name]

    def few_readers(self, name: str) -> list[tuple[int, int]]:
        """Give the first nodes and inputs that read a value: what a layer is part of shows in few of them."""
        return self.consumers.get(name, [])[:FEW_READERS]

    def defines(self, name: str) -> bool:
        """Say whether `name` is defined here rather than in a scope around this one."""
        return name in self.producers or name in self.initializers or name in self.bindings or name in self.formal
