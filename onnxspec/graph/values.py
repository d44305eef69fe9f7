"""The values of one weight in their own precision: in memory, or in the file and read in parts.

A weight above `LARGE` elements never has to be in memory as a whole, if it is one matrix
or many small ones (a convolution of many kernel positions). Whether it is read in parts
depends on how it is stored; what is computed from it depends on its shape alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec._distinct import distinct
from onnxspec.errors import TensorError
from onnxspec.graph.layouts import canonical_shape
from onnxspec.graph.parts import Decoded, decoded
from onnxspec.reading import StoredTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constant, Watch
    from onnxspec.graph.layouts import Layout

__all__ = [
    "LARGE",
    "SAMPLED_ELEMENTS",
    "SAMPLES",
    "STACK_ELEMENTS",
    "Held",
    "InFile",
    "Values",
    "constant_values",
    "in_file",
]

LARGE = 2**23
"""Elements above which a matrix is worked through in parts."""

IN_FILE = 2**24
"""Elements above which a matrix is left in the file, where it is stored as it is."""

SHORT = 256
"""Fewest kernel positions of a stack, and of one part of it: shorter reads cost more than the memory that they save."""

STACK_ELEMENTS = 2**22
"""Elements of a stack of small matrices that are read together: 16 MiB of float32."""

SAMPLED_RUNS = 2
"""Runs of `SHORT` kernel positions in a sample of a stack."""

SAMPLES = 64
"""Runs of lines in a sample, and lines in each; the longer side of a large matrix has more than 2,000."""

SAMPLED_ELEMENTS = 2**24
"""Elements of a sample: very long lines get fewer runs."""


@dataclass(frozen=True)
class Held:
    """One matrix in memory.

    Attributes
    ----------
    array : ndarray of float32 or float64, shape (outputs, inputs)
    """

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.array.dtype

    def lines(self, axis: int, start: int, stop: int) -> NDArray[Any]:
        """Give lines ``start:stop`` of an axis, one in a row."""
        return self.array[start:stop] if axis == 0 else self.array[:, start:stop].T


@dataclass(frozen=True)
class InFile:
    """One matrix in the file.

    Attributes
    ----------
    tensor : StoredTensor or Decoded
        Its values are those of the matrix in their order.
    turned : bool
        Whether its first axis is the inputs.
    """

    tensor: StoredTensor | Decoded
    turned: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs; of a convolution, inputs at each kernel position."""
        first = self.tensor.shape[0]
        second = self.tensor.size // max(first, 1)
        return (second, first) if self.turned else (first, second)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return np.dtype(self.tensor.precision)

    def lines(self, axis: int, start: int, stop: int) -> NDArray[Any]:
        """Read lines ``start:stop`` of an axis, one in a row.

        Raises
        ------
        TensorError
            The payload cannot be read.
        """
        stored_axis = 1 - axis if self.turned else axis
        read = self.tensor.read_lines(stored_axis, start, stop, columns=self.shape[0 if self.turned else 1])
        return read if stored_axis == 0 else read.T


@dataclass(frozen=True)
class Values:
    """The values of one weight.

    Attributes
    ----------
    shape : tuple of int
        ``(groups, outputs, inputs, positions)``.
    array : ndarray of float32 or float64, or None
        Canonical form, where it is in memory.
    file : InFile or None
        Where it is not.
    """

    shape: tuple[int, int, int, int]
    array: NDArray[Any] | None
    file: InFile | None = None

    @property
    def large(self) -> bool:
        """Whether it is worked through in parts as one matrix, a convolution unfolded."""
        return self.shape[0] == 1 and math.prod(self.shape) > LARGE

    @property
    def stacked(self) -> bool:
        """Whether it is worked through in parts as a stack of one small matrix for each kernel position."""
        return is_stack(self.shape)

    @property
    def lengthwise(self) -> bool:
        """Whether it is one matrix so large that it may be in the file, and is hashed along its longer side."""
        return self.shape[0] == self.shape[3] == 1 and math.prod(self.shape) > IN_FILE

    def canonical(self) -> NDArray[Any]:
        """Give the canonical form, from the file where it is not in memory.

        Raises
        ------
        TensorError
            The payload cannot be read.
        """
        if self.array is not None:
            return self.array
        whole = self._in_file().tensor.load_exact()
        return (whole.T if self._in_file().turned else whole).reshape(self.shape)

    def sample(self) -> NDArray[Any]:
        """Take some of the values of a large weight, in canonical form.

        Of a stack, `SAMPLED_RUNS` runs of `SHORT` kernel positions, the first and the last; of one
        matrix, up to `SAMPLES` evenly spaced runs of as many lines of the longer side; of
        any other, all.

        Raises
        ------
        TensorError
            The payload cannot be read.
        """
        if self.stacked:
            _, outputs, inputs, positions = self.shape
            starts = distinct(np.linspace(0, positions - SHORT, SAMPLED_RUNS).astype(int))
            found = np.concatenate([self.positions(int(start), int(start) + SHORT) for start in starts])
            return np.moveaxis(found, 0, 2)[np.newaxis]
        if self.shape[3] > 1:
            return self.canonical()
        matrix = self.matrix()
        outputs, inputs = matrix.shape
        axis = 0 if outputs >= inputs else 1
        last = max(outputs, inputs) - SAMPLES
        # multiples of a power of two: whole blocks of quantised values, none of them twice
        count = max(1, min(SAMPLES, SAMPLED_ELEMENTS // (SAMPLES * min(outputs, inputs))))
        starts = distinct(np.linspace(0, last, count).astype(int) // SAMPLES * SAMPLES)
        runs = np.concatenate([matrix.lines(axis, int(start), int(start) + SAMPLES) for start in starts])
        return (runs if axis == 0 else runs.T)[np.newaxis, :, :, np.newaxis]

    def matrix(self) -> Held | InFile:
        """Give a large weight as one matrix; a convolution unfolded."""
        return self._in_file() if self.array is None else Held(self.array[0].reshape(self.shape[1], -1))

    def positions(self, start: int, stop: int) -> NDArray[Any]:
        """Give the matrices of kernel positions ``start:stop``, shape ``(stop - start, outputs, inputs)``.

        Raises
        ------
        TensorError
            The payload cannot be read.
        """
        if self.array is not None:
            return np.moveaxis(self.array[0, :, :, start:stop], 2, 0)
        _, outputs, inputs, positions = self.shape
        read = self._in_file().tensor.read_lines(1, start, stop, columns=positions)
        return np.moveaxis(read.reshape(outputs, inputs, -1), 2, 0)

    def _in_file(self) -> InFile:
        if self.file is None:
            raise ValueError("values are in memory or in the file")
        return self.file


def constant_values(constant: Constant, watch: Watch | None = None) -> NDArray[Any]:
    """Read a constant as float32 where that holds its type exactly, as float64 otherwise.

    Raises
    ------
    TensorError
        The payload cannot be read or folded.
    """
    if isinstance(constant.stored, StoredTensor):
        return constant.stored.load_exact()
    try:
        array = constant.load(watch)
        if array.dtype in (np.float32, np.float64):
            return array
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    except MemoryError:
        raise TensorError("out_of_memory", f"its {constant.size:,} folded values do not fit") from None


def is_stack(shape: tuple[int, int, int, int]) -> bool:
    """Say whether a canonical shape is a stack of so many and so small matrices that it is worked through in parts."""
    groups, outputs, inputs, positions = shape
    small = outputs * inputs * SHORT <= STACK_ELEMENTS
    return groups == 1 and positions >= SHORT and small and math.prod(shape) > LARGE


def in_file(constant: Constant, layout: Layout) -> InFile | None:
    """Say how a large matrix or stack can be read in parts, or give None where it must be read whole."""
    tensor = constant.stored
    if constant.size <= IN_FILE or (isinstance(tensor, StoredTensor) and not tensor.sliceable):
        return None
    if isinstance(tensor, StoredTensor) and len(tensor.shape) != 2:
        return InFile(tensor, False) if _in_order(layout, tensor.shape) else None
    turned = _turned(layout)
    if turned is None:
        return None
    if isinstance(tensor, StoredTensor):
        return InFile(tensor, turned)
    found = decoded(constant)
    return None if found is None else InFile(found[0], turned != found[1])


def _in_order(layout: Layout, shape: tuple[int, ...]) -> bool:
    """Say whether a layout makes a stack of an array and leaves its values in their order."""
    few = tuple(range(2, 2 + len(shape)))
    probe = np.arange(math.prod(few)).reshape(few)
    try:
        view = layout(probe)
        canonical = canonical_shape(layout, shape)
    except (ValueError, IndexError):
        return False
    kept = view.shape == (1, *few[:2], math.prod(few[2:])) and np.array_equal(view.ravel(), probe.ravel())
    return kept and is_stack(canonical)


def _turned(layout: Layout) -> bool | None:
    """Say whether a layout makes the first axis of a matrix the inputs; None where it does something else."""
    probe = np.arange(6).reshape(2, 3)
    try:
        view = layout(probe)
    except (ValueError, IndexError):
        return None
    for turned, expected in ((False, probe), (True, probe.T)):
        if view.shape == (1, *expected.shape, 1) and np.array_equal(view[0, :, :, 0], expected):
            return turned
    return None
