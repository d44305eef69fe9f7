"""What became of every stored tensor: part of a weight, or set aside for a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from onnxspec.graph.costs import FEW
from onnxspec.graph.folding import MOVING, constant_of
from onnxspec.graph.names import display
from onnxspec.graph.quantization import parameter_inputs
from onnxspec.reading import Graph, Model, Node, SparseTensor, StoredTensor
from onnxspec.results import Diagnostic

if TYPE_CHECKING:
    from onnxspec.graph.constants import Constant
    from onnxspec.graph.weights import WeightMatrix

__all__ = ["Account", "Accounts", "stored_tensors"]

SHOWN = 20
"""Diagnostics of one code; the rest would say the same."""

LOOKED_AT = 2**19
"""Steps of long constant graphs that are looked at, over all their uses."""

NO_NUMBERS = frozenset({"string", "complex64", "complex128"})
"""Element types that sound models hold, and that no weight has."""

_RANK = ("unused", "structural", "vector", "small_constant", "quantization_parameters")
_SELECTING = frozenset({"Gather", "GatherElements", "GatherND", "Tile", "Pad", "Resize", "UnpackBits", "Compress"})


@dataclass(slots=True)
class Account:
    """One stored tensor and its uses."""

    tensor: StoredTensor
    reason: str = "unused"
    weights: list[WeightMatrix] = field(default_factory=list)


class Accounts:
    """An entry for each stored tensor of a model.

    Parameters
    ----------
    model : Model
        The model; its nested graphs and functions count too.
    """

    def __init__(self, model: Model) -> None:
        self._entries: dict[int, Account] = {id(tensor): Account(tensor) for tensor in stored_tensors(model)}
        self._room = LOOKED_AT

    def __iter__(self) -> Iterator[Account]:
        return iter(self._entries.values())

    def use(self, constant: Constant, weight: WeightMatrix) -> None:
        """Enter that the values of `constant` are a weight."""
        for tensor, reason in self._below(constant):
            entry = self._entry(tensor)
            if reason is None:
                entry.weights.append(weight)
            else:
                self._improve(entry, reason)

    def set_aside(self, constant: Constant, reason: str) -> None:
        """Enter that the values of `constant` are no weight."""
        for tensor, structural in self._below(constant):
            self._improve(self._entry(tensor), structural or reason)

    def add(self, tensor: StoredTensor, reason: str) -> None:
        """Enter a tensor that is no weight, such as the numbers of an attribute."""
        self._improve(self._entry(tensor), reason)

    def holds_weight(self, constant: Constant) -> bool:
        """Say whether any tensor below a constant is part of a weight."""
        return any(self._entry(tensor).weights for tensor, _ in self._below(constant))

    def drop(self, reasons: Mapping[int, str]) -> None:
        """Enter that some weights, given by their identities, are none, and why."""
        for entry in self._entries.values() if reasons else ():
            kept = [weight for weight in entry.weights if id(weight.merged_into or weight) not in reasons]
            if entry.weights and not kept:
                first = entry.weights[0]
                self._improve(entry, reasons[id(first.merged_into or first)])
            entry.weights = kept

    def unreadable(self) -> Iterator[Diagnostic]:
        """Tell the problems of tensors that are no weights; those of weights are their layers'."""
        told: Counter[str] = Counter()
        for entry in self._entries.values():
            problem = entry.tensor.problem
            if problem is None or entry.weights or told[problem.code] >= SHOWN:
                continue
            told[problem.code] += 1
            severity: Literal["info", "error"] = "info" if entry.tensor.dtype in NO_NUMBERS else "error"
            yield Diagnostic(problem.code, severity, problem.message, display(entry.tensor.name))

    def _below(self, constant: Constant) -> list[tuple[StoredTensor, str | None]]:
        """Give the stored tensors below a constant; where graphs of many steps were looked at enough, the largest."""
        if constant.steps <= FEW:
            return _parts(constant)[0]
        if self._room <= 0:
            constant = constant.data
        parts, looked_at = _parts(constant)
        self._room -= looked_at
        return parts

    def _entry(self, tensor: StoredTensor) -> Account:
        return self._entries.setdefault(id(tensor), Account(tensor))

    @staticmethod
    def _improve(entry: Account, reason: str) -> None:
        """Keep the reason that says most."""
        rank = {name: position for position, name in enumerate(_RANK)}
        if rank.get(reason, len(_RANK)) > rank.get(entry.reason, len(_RANK)) or entry.reason == "unused":
            entry.reason = reason


def _parts(constant: Constant) -> tuple[list[tuple[StoredTensor, str | None]], int]:
    """Give the stored tensors below a constant, and the steps: None for values, else what they are there for."""
    found: list[tuple[StoredTensor, str | None]] = []
    stack: list[tuple[Constant, str | None]] = [(constant, None)]
    seen: set[tuple[int, str | None]] = set()
    while stack:
        current, role = stack.pop()
        if (id(current), role) in seen:
            continue
        seen.add((id(current), role))
        if isinstance(current.stored, SparseTensor):
            found += [(current.stored.values, role), (current.stored.indices, role or "structural")]
        elif current.stored is not None:
            found.append((current.stored, role))
        for position, part in enumerate(current.inputs):
            if part is not None:
                stack.append((part, role or _purpose(current, position)))
    return found, len(seen)


def _purpose(constant: Constant, position: int) -> str | None:
    """Say what an input of a folded constant is there for: None for its values."""
    if position in parameter_inputs(constant):
        return "quantization_parameters"
    node = constant.node
    if node is None or position == 0 or not (node.op_type in MOVING or node.op_type in _SELECTING):
        return None
    return "structural"


def stored_tensors(model: Model) -> Iterator[StoredTensor]:
    """Give every stored tensor of a model, in nested graphs and functions too."""
    stack: list[Graph | list[Node]] = [model.graph, *(function.nodes for function in model.functions)]
    while stack:
        item = stack.pop()
        if isinstance(item, Graph):
            yield from item.initializers
            for sparse in item.sparse_initializers:
                yield from (sparse.values, sparse.indices)
        for node in item.nodes if isinstance(item, Graph) else item:
            if node.op_type == "Constant":
                found = constant_of(node)
                if isinstance(found, SparseTensor):
                    yield from (found.values, found.indices)
                elif found is not None:
                    yield found
            for attribute in node.attributes.values() if node.nested else ():
                values = attribute.value if isinstance(attribute.value, list) else [attribute.value]
                stack.extend(value for value in values if isinstance(value, Graph))
