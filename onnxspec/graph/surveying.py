"""Every weight matrix of a model, and an account of everything else that is stored in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnxspec.errors import TensorError
from onnxspec.graph import classical, layouts
from onnxspec.graph.accounts import Accounts, stored_tensors
from onnxspec.graph.bases import Evidence
from onnxspec.graph.choices import Choices, Way
from onnxspec.graph.constants import Constant, Constants
from onnxspec.graph.costs import PER_ELEMENT, SHARED_WORK, Budget
from onnxspec.graph.depth import depths
from onnxspec.graph.identity import merge_equal
from onnxspec.graph.names import display, layer_name, module_of, unique
from onnxspec.graph.nodes import MISFITS, operator
from onnxspec.graph.options import DEFAULT_OPTIONS, SurveyOptions
from onnxspec.graph.quantized import PARAMETERS
from onnxspec.graph.roles import BIASES, NO_WEIGHT, slot_roles
from onnxspec.graph.runtime import Runtime
from onnxspec.graph.slices import Slice, slice_of, stacked
from onnxspec.graph.slots import Operands, SlotRole
from onnxspec.graph.sorting import LOOKS, evidence_of, sort_out
from onnxspec.graph.soundness import check
from onnxspec.graph.view import GraphView, Scope
from onnxspec.graph.weights import WeightMatrix
from onnxspec.reading import Model, Node
from onnxspec.results import Diagnostic, Skip

if TYPE_CHECKING:
    from onnxspec.limits import Limits

__all__ = ["MIN_ELEMENTS", "Survey", "survey"]

MIN_ELEMENTS = 64
"""Fewest elements of a constant that makes its input a slot."""


@dataclass(slots=True)
class Survey:
    """What one model holds.

    Attributes
    ----------
    weights : list of WeightMatrix
        In graph order.
    skipped : list of Skip
        Slots that hold no weight or are not supported.
    accounts : Accounts
        What became of every stored tensor.
    small_slots : int
        Slots of weights with fewer than 64 elements: analysed, but not in the coverage.
    """

    weights: list[WeightMatrix]
    skipped: list[Skip]
    accounts: Accounts
    small_slots: int
    diagnostics: list[Diagnostic] = field(default_factory=list)


def survey(
    model: Model, limits: Limits, options: SurveyOptions = DEFAULT_OPTIONS, *, runtime_folding: bool = True
) -> Survey:
    """Find every weight matrix of a model without reading more than small arguments.

    Parameters
    ----------
    model : Model
        The model.
    limits : Limits
        Caps on untrusted input.
    options : SurveyOptions
        Which matrices are wanted.
    runtime_folding : bool
        Whether constants that a weight needs, made by operators that are not
        evaluated here, are computed by onnxruntime in a process of its own.
    """
    view = GraphView(model, limits)
    stored = {tensor.location: tensor.size for tensor in stored_tensors(model) if tensor.problem is None}
    budget = Budget(SHARED_WORK + PER_ELEMENT * sum(stored.values()))
    with Runtime(model.opset_import, limits) as runtime:
        constants = Constants(view, runtime if runtime_folding else None, budget)
        return _Surveyor(view, constants, options).run()


class _Surveyor:
    """Walks the nodes once, and sorts what they are fed."""

    def __init__(self, view: GraphView, constants: Constants, options: SurveyOptions) -> None:
        self._view = view
        self._options = options
        self._constants = constants
        self._choices = Choices(view, constants)
        self._accounts = Accounts(view.model)
        self._weights: dict[tuple[object, ...], WeightMatrix] = {}
        self._skipped: list[Skip] = []
        self._listed: set[tuple[str, int]] = set()
        self._uses: set[tuple[int, str]] = set()
        self._slots: dict[tuple[int, int, int], tuple[str, WeightMatrix]] = {}
        self._seen: dict[int, Evidence | None] = {}
        self._carried: list[tuple[Node, str, Constant]] = []
        self._places: list[tuple[WeightMatrix, tuple[int, int]]] = []
        self._diagnostics: list[Diagnostic] = []

    def run(self) -> Survey:
        for scope, index, node in self._view.nodes():
            if node.domain == classical.DOMAIN:
                self._attributes(scope, index, node)
            if node.inputs and node.outputs and self._view.function_of(node) is None:
                try:
                    self._node(scope, index, node)
                except (TensorError, *MISFITS) as error:  # type: ignore[misc]
                    self._misfit(scope, index, node, error)
        before = depths(self._view)
        for weight, place in self._places:
            weight.depth = before.get(place, 0)
        for node, slot, constant in self._carried:
            if not self._accounts.holds_weight(constant):
                self._no_weight(node, slot, constant, known=node.op_type == "Loop")
        weights = list(self._weights.values())
        folded = [weight for weight in weights if weight.problem is None and weight.constant.inputs]
        problems = self._constants.budget.reserve(weight.constant for weight in folded)
        for weight in folded:
            weight.problem = problems.get(id(weight.constant))
        weights = merge_equal(weights)
        for weight in weights:
            tensor, op_type, role = weight.constant.name, weight.op_type, weight.role
            weight.name = layer_name(tensor, weight.node, op_type, weight.index, role, weight.bias, weight.module)
            if weight.slot.part:
                weight.name = f"{weight.name}.{weight.slot.part}"
        for weight, identifier in zip(weights, unique([weight.name for weight in weights])):
            weight.id = identifier
        result = sort_out(weights, self._options)
        self._drop(result.dropped)
        self._accounts.drop({id(weight): reason for weight, reason, _ in result.dropped})
        small = sum(weight.small_slots for weight in result.kept)
        diagnostics = [*self._view.model.diagnostics, *self._view.diagnostics, *check(self._view), *self._diagnostics]
        diagnostics += [*result.diagnostics, *self._accounts.unreadable()]
        return Survey(result.kept, self._skipped, self._accounts, small, diagnostics)

    def _misfit(self, scope: Scope, index: int, node: Node, error: Exception) -> None:
        """Enter a node that does not fit its inputs, and set aside what it is fed."""
        path = self._path(scope, index, node)
        message = error.message if isinstance(error, TensorError) else f"{operator(node)} does not fit its inputs"
        self._diagnostics.append(Diagnostic("invalid_graph", "error", message, path))
        for position, name in enumerate(node.inputs):
            constant = self._constants.find(scope, name) if name else None
            if constant is not None:
                self._accounts.set_aside(constant, "invalid_graph")
                if _is_matrix(constant.shape) and constant.size >= MIN_ELEMENTS:
                    self._skip(node, f"{path}:{position}", constant, "invalid_graph", message)

    def _drop(self, dropped: list[tuple[WeightMatrix, str, str]]) -> None:
        """List the slots of matrices that are no weights after all."""
        slots: dict[int, list[str]] = {}
        for slot, owner in self._slots.values() if dropped else ():
            slots.setdefault(id(owner.merged_into or owner), []).append(slot)
        for weight, reason, detail in dropped:
            name, dtype, size = weight.tensor, weight.dtype, weight.constant.size
            for slot in slots.get(id(weight), ()) if size >= MIN_ELEMENTS else ():
                self._skipped.append(Skip(slot, weight.op_type, name, weight.shape, dtype, size, reason, detail))

    def _attributes(self, scope: Scope, index: int, node: Node) -> None:
        """Enter the parameters that a node keeps in its attributes."""
        path = self._path(scope, index, node)
        for tensor, reason, detail in classical.parameters_of(node, path):
            enough = tensor.size >= MIN_ELEMENTS
            self._accounts.add(tensor, reason if enough or reason == "vector" else "small_constant")
            if enough and reason != "vector":
                shape, dtype = tuple(tensor.shape), tensor.dtype
                slot = f"{path}:{tensor.name.rpartition('.')[2]}"
                name = display(tensor.name)
                self._skipped.append(Skip(slot, operator(node), name, shape, dtype, tensor.size, reason, detail))

    def _is_folded(self, scope: Scope, node: Node) -> bool:
        """Say whether a node is itself part of a constant sub-graph."""
        return any(output and self._view.is_constant(scope, output) for output in node.outputs)

    def _node(self, scope: Scope, index: int, node: Node) -> None:
        """Sort the constant inputs of one node."""
        view, possible = self._view, self._choices.possible
        if not (view.reads_constant(scope, node) or view.has_slices or possible) or self._is_folded(scope, node):
            return
        constants, slices = self._operands(scope, node)
        chosen = self._chosen(scope, node, constants) if possible else {}
        if not chosen:
            self._sort(scope, index, node, constants, slices)
        elif all(self._choices.find(scope, output) is None for output in node.outputs if output):
            for ways in chosen.values():
                self._sort(scope, index, node, constants | ways, slices)

    def _sort(
        self, scope: Scope, index: int, node: Node, constants: dict[int, Constant], slices: dict[int, Slice]
    ) -> None:
        """Enter the constants that a node is fed as weights or as something else."""
        if not constants:
            return
        operands = Operands(node, scope, index, constants, self._view, self._constants, self._options.gates)
        roles = slot_roles(operands)
        if roles is not None and self._realise(constants, {role.input for role in roles}):
            roles = slot_roles(operands)
        path = self._path(scope, index, node)
        taken = set(slices)
        for role in roles or ():
            if role.input not in slices:
                whole = role
            elif role.constant is None:
                whole = stacked(role, slices[role.input])
            else:
                continue
            constant = whole.constant or constants[role.input]
            undecoded = whole.constant is not None and constant.problem is not None  # of whatever shape its codes are
            if (_is_matrix(constant.shape) or undecoded) and self._weight(scope, index, node, path, whole, constant):
                taken.add(role.input)
        for position, constant in constants.items():
            if position not in taken and not (operator(node) in _SUMS and self._fixed_rows(scope, constant)):
                self._left_over(node, path, position, constant, known=roles is not None)

    def _fixed_rows(self, scope: Scope, constant: Constant) -> bool:
        """Enter the table whose rows at fixed places are added: positions and segments of an export of one length."""
        for _ in range(_MOST_RESHAPING):  # all nodes of a long chain may be added to something
            if constant.node is None or constant.node.op_type not in _RESHAPING or constant.inputs[0] is None:
                break
            constant = constant.inputs[0]
        node = constant.node
        if node is None or operator(node) != "Gather" or len(constant.inputs) != 2:
            return False
        table, rows = constant.inputs
        place = scope.producers.get(node.outputs[0])
        if table is None or rows is None or place is None or len(table.shape) != 2:
            return False
        roles = slot_roles(Operands(node, scope, place, {0: table}, self._view, self._constants, self._options.gates))
        path = self._path(scope, place, node)
        if not roles or not self._weight(scope, place, node, path, roles[0], roles[0].constant or table):
            return False
        self._accounts.set_aside(rows, "structural")
        return True

    def _operands(self, scope: Scope, node: Node) -> tuple[dict[int, Constant], dict[int, Slice]]:
        """Give the constant inputs of a node, and which of them are slices of constants."""
        constants: dict[int, Constant] = {}
        slices: dict[int, Slice] = {}
        for position, name in enumerate(node.inputs):
            constant = self._constants.find(scope, name) if name else None
            if constant is not None:
                constants[position] = constant
            elif name and self._view.has_slices:
                held = slice_of(self._view, self._constants, scope, name)
                if held is not None:
                    constants[position], slices[position] = held.slice, held
        return constants, slices

    def _chosen(self, scope: Scope, node: Node, constants: dict[int, Constant]) -> dict[Way, dict[int, Constant]]:
        """Give the inputs that are one constant or another by the branch of an If, for each way."""
        chosen: dict[Way, dict[int, Constant]] = {}
        for position, name in enumerate(node.inputs):
            for way, constant in (self._choices.find(scope, name) or {}).items() if position not in constants else ():
                chosen.setdefault(way, {})[position] = constant
        return chosen

    def _left_over(self, node: Node, path: str, position: int, constant: Constant, *, known: bool) -> None:
        """Enter a constant input that no slot of the node takes."""
        if node.op_type in ("Loop", "Scan") and not node.domain:
            self._carried.append((node, f"{path}:{position}", constant))
        elif position in PARAMETERS.get(operator(node), ()):
            self._accounts.set_aside(constant, "quantization_parameters")
        elif position in BIASES.get(operator(node), ()):
            self._accounts.set_aside(constant, "vector")
        else:
            self._no_weight(node, f"{path}:{position}", constant, known=known)

    def _realise(self, constants: dict[int, Constant], wanted: set[int]) -> bool:
        """Evaluate in onnxruntime what a weight needs; say whether anything changed."""
        changed = False
        for position, constant in constants.items():
            if constant.unknown and (position in wanted or constant.unsized):
                constants[position] = self._constants.realise(constant)
                changed = changed or constants[position] is not constant
        return changed

    def _weight(self, scope: Scope, index: int, node: Node, path: str, role: SlotRole, constant: Constant) -> bool:
        """Enter one slot of a weight; say False where it holds none."""
        if constant.problem is None and constant.dtype in _INTEGERS:
            return False
        if constant.fills:
            return False
        slot = f"{path}:{role.input}"
        key = (constant.key, role.role, role.form, role.part, operator(node) if constant.problem else "")
        weight = self._weights.get(key)
        first = (scope.index, index, role.input) not in self._slots
        if weight is None:
            weight = WeightMatrix(
                constant,
                role,
                operator(node),
                node.name,
                scope.place,
                index,
                0,
                [],
                0,
                problem=constant.problem,
                batch_norm=self._batch_norm(scope, node, role),
                bias=self._view.bias_of(scope, node),
                module=module_of(node.scopes),
            )
            try:
                weight.kernel_shape = layouts.canonical_shape(role.layout, constant.shape)
            except (ValueError, IndexError) as error:
                weight.problem = weight.problem or TensorError("invalid_graph", f"the weight does not fit: {error}")
            self._weights[key] = weight
            self._places.append((weight, (scope.index, index)))
        if (id(weight), slot) not in self._uses:
            self._uses.add((id(weight), slot))
            weight.used_by.append(slot)
            weight.slots += first and constant.size >= MIN_ELEMENTS
            weight.small_slots += first and constant.size < MIN_ELEMENTS
            self._slots.setdefault((scope.index, index, role.input), (slot, weight))
        self._accounts.use(constant, weight)
        return True

    def _no_weight(self, node: Node, slot: str, constant: Constant, *, known: bool) -> None:
        """Enter a constant operand that is no weight."""
        problem = constant.problem
        if known and problem is not None and (constant.unsized or problem.code == "invalid_graph"):
            self._accounts.set_aside(constant, problem.code)
            self._skip(node, slot, constant, problem.code, problem.message)
            return
        if node.op_type in _SIZED and not slot.endswith(":0"):
            self._accounts.set_aside(constant, "structural")
            return
        if not _is_matrix(constant.shape):
            self._accounts.set_aside(constant, "vector")
            return
        if constant.size < MIN_ELEMENTS:
            self._accounts.set_aside(constant, "small_constant")
            return
        if constant.fills:
            reason, detail = "constant_of_shape", "all its elements are one number: it is made by ConstantOfShape"
        elif constant.dtype == "bool":
            reason, detail = "mask", "its elements are true or false"
        elif constant.dtype in _INTEGERS:
            reason, detail = "index_table", f"a table of {constant.dtype}"
        elif node.op_type in _SIZED and slot.endswith(":0"):
            reason, detail = "semi_dynamic", f"{node.op_type} changes it by sizes that only a run knows"
        elif known or node.op_type in NO_WEIGHT:
            reason, detail = "not_a_weight", f"{node.op_type} multiplies no matrix with it"
            if constant.key not in self._seen and len(self._seen) < LOOKS:
                self._seen[constant.key] = evidence_of(constant)
            evidence = self._seen.get(constant.key)
            if evidence is not None:
                reason, detail = evidence.reason, evidence.detail
        else:
            reason, detail = "unsupported_op", f"{operator(node)} is not supported yet"
        self._accounts.set_aside(constant, reason)
        self._skip(node, slot, constant, reason, detail)

    def _skip(self, node: Node, slot: str, constant: Constant, reason: str, detail: str) -> None:
        """List a slot that is not analysed; a slot that an If decides is sorted once for each branch."""
        if (slot, constant.key) in self._listed:
            return
        self._listed.add((slot, constant.key))
        name, dtype = display(constant.name), constant.data.dtype
        self._skipped.append(Skip(slot, operator(node), name, constant.shape, dtype, constant.size, reason, detail))

    def _batch_norm(self, scope: Scope, node: Node, role: SlotRole) -> bool | None:
        """Say whether a BatchNormalization follows a convolution or dense layer."""
        if role.role not in ("conv", "depthwise_conv", "conv_transpose", "dense") or not node.outputs:
            return None
        return self._view.followed_by(scope, node.outputs[0], "BatchNormalization")

    @staticmethod
    def _path(scope: Scope, index: int, node: Node) -> str:
        """Name a node by its place, its own name where it has one, else its operator and position."""
        own = node.name or f"{node.op_type}_{index}"
        return display(own if scope.index == 0 else f"{scope.place.partition('/')[2]}/{own.strip('/')}")


_INTEGERS = frozenset({"bool", "string", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (2, 4, 8, 16, 32, 64))})


_SUMS = frozenset({"Add", "com.microsoft.QLinearAdd"})

_RESHAPING = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators that leave the values of their first input in their order."""

_MOST_RESHAPING = 16
"""Of them between a table and the sum that it is added in: a few for its shape, some more where it is quantised."""

_SIZED = frozenset({"CenterCropPad", "Expand", "Pad", "Reshape", "Resize", "Slice", "Split", "Tile", "Upsample"})
"""Operators of which sizes at run time decide what is left of their first input."""


def _is_matrix(shape: tuple[int, ...]) -> bool:
    """Say whether two or more axes are longer than 1."""
    return sum(axis > 1 for axis in shape) >= 2
