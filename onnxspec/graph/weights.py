"""One weight of a model: where it stands, which matrices it holds, and how its values are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph import layouts, quantization
from onnxspec.graph.constants import Constant, Watch
from onnxspec.graph.names import display
from onnxspec.graph.nodes import product
from onnxspec.graph.parts import Decoded
from onnxspec.graph.roles import NOT_AVERAGED
from onnxspec.graph.slots import SlotRole
from onnxspec.graph.values import InFile, Values, constant_values, in_file
from onnxspec.results import Quantization

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WeightMatrix"]


@dataclass(slots=True, eq=False)
class WeightMatrix:
    """One distinct weight of the model; its values are read on demand.

    Attributes
    ----------
    id, name : str
        Unique and stable; readable.
    role, op_type, tensor : str
        What it does, in which operator, from which stored tensor.
    used_by : list of str
        Its slots.
    shape, dtype : tuple of int, str
        Of the constant, and of the stored tensor.
    kernel_shape : tuple of int
        ``(groups, outputs, inputs, positions)``, see `onnxspec.graph.layouts`.
    bias : str
        Name of the bias that is added after it, empty where there is none.
    module : str
        Path of the module that it belongs to, where the file says it.
    problem : TensorError or None
        Why it cannot be read, as far as known without reading.
    merged_into : WeightMatrix or None
        The weight with the same bytes that stands for this one too.
    copies : list of str
        Names of the other stored tensors with the same bytes.
    """

    constant: Constant
    slot: SlotRole
    op_type: str
    node: str
    place: str
    index: int
    depth: int
    used_by: list[str]
    slots: int
    small_slots: int = 0
    kernel_shape: tuple[int, int, int, int] = (0, 0, 0, 0)
    batch_norm: bool | None = None
    bias: str = ""
    module: str = ""
    problem: TensorError | None = None
    merged_into: WeightMatrix | None = None
    copies: list[str] = field(default_factory=list)
    id: str = ""
    name: str = ""

    @property
    def role(self) -> str:
        """Role of the layer."""
        return self.slot.role

    @property
    def tensor(self) -> str:
        """Name of the stored tensor."""
        return display(self.constant.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the constant."""
        return self.constant.shape

    @property
    def dtype(self) -> str:
        """Element type in which the values are stored."""
        return self.constant.data.dtype

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return product(self.kernel_shape)

    @property
    def N(self) -> int:
        """Rows of one matrix: the larger side."""
        return max(self.kernel_shape[1:3])

    @property
    def M(self) -> int:
        """Columns of one matrix: the smaller side."""
        return min(self.kernel_shape[1:3])

    @property
    def Q(self) -> float:
        """Aspect ratio ``N / M``."""
        return self.N / self.M if self.M else 0.0

    @property
    def num_matrices(self) -> int:
        """Number of matrices: groups times kernel positions."""
        return self.kernel_shape[0] * self.kernel_shape[3]

    @property
    def quantization(self) -> Quantization | None:
        """How the weight is quantised, as far as known without reading it."""
        return quantization.describe(self.constant, self.slot.scheme)

    @property
    def averaged(self) -> bool:
        """Whether its metrics enter the means of the model."""
        return self.role not in NOT_AVERAGED

    def canonical(self) -> NDArray[np.float64]:
        """Read the weight as float64, shape `kernel_shape`.

        Raises
        ------
        TensorError
            The payload cannot be read or folded.
        """
        return self.slot.layout(self._values(None)).astype(np.float64)

    def read(self) -> tuple[Values, Quantization | None]:
        """Read the weight in its own precision, and how it is quantised, in one pass.

        A large matrix that is stored as it is stays in the file.

        Raises
        ------
        TensorError
            The payload cannot be read or folded.
        """
        watcher = quantization.Watcher(self.constant, self.slot.scheme)
        if self.problem is None and (file := self.in_file()) is not None:
            if isinstance(file.tensor, Decoded):
                watcher.look_in_parts(file.tensor.axis)
            return Values(self.kernel_shape, None, file), watcher.quantization()
        canonical = self.slot.layout(self._values(watcher if watcher else None))
        return Values(canonical.shape, canonical), watcher.quantization()

    def in_file(self) -> InFile | None:
        """Give the matrix in the file, where it is so large that it is left there."""
        return in_file(self.constant, self.slot.layout)

    def _values(self, watch: Watch | None) -> NDArray[Any]:
        """Read the constant as float32 or float64, whichever holds it exactly."""
        if self.problem is not None:
            raise self.problem
        return constant_values(self.constant, watch)

    def load(self) -> NDArray[np.float64]:
        """Read the matrices as float64: ``(N, M)``, or ``(num_matrices, N, M)`` where there are several.

        Raises
        ------
        TensorError
            The payload cannot be read or folded.
        """
        stack = layouts.matrices(self.canonical())
        if stack.shape[1] < stack.shape[2]:
            stack = stack.swapaxes(1, 2)
        return stack[0] if len(stack) == 1 else stack

    def content_hash(self) -> str:
        """Hash the stored bytes with their dtype and shape.

        Raises
        ------
        TensorError
            The payload cannot be read.
        """
        leaf = self.constant.data.stored
        if leaf is not None:
            return leaf.content_hash()
        raise TensorError("unreadable_payload", "the weight has no stored tensor of its own")
