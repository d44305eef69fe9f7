"""Weights in few bits, decoded some lines at a time: a large one never has to be in memory as a whole.

A constant can be had in parts along an axis where each step between it and the stored
codes works line by line: scales, zero points and sums by broadcasting, casts, codes that
are unpacked row by row, a change of shape that keeps the rows. Each step is evaluated by
`folding`, on lines of its inputs, so that a part holds what the whole would hold there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph import folding
from onnxspec.graph.coded import DECODERS
from onnxspec.graph.nodes import MISFITS, attribute, operator, product
from onnxspec.reading import StoredTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.reading import Node, SparseTensor

    Array = NDArray[Any]

__all__ = ["Decoded", "block_of", "decoded", "divisible", "line_blocks", "lines_of_inputs"]

Share = Literal["lines", "vector", "blocks", "whole"]
"""What lines of a step need of an input: the same lines, entries of a vector, blocks of lines, or everything."""

DEPTH = 32
"""Steps between a weight and its codes; quantisers write three or four."""

LONGEST = 4096
"""Lines that may share a scale: they are decoded together."""

SMALL = 2**20
"""Elements of an input that is kept: scales of channels, say."""

BLOCK = 2**18
"""Elements that are decoded together."""

COLUMNS = 4096
"""Fewest columns that are decoded together, of however many rows: each row of each part is a read of its own."""

_SHAPED = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


class Expression(Protocol):
    """What is asked of a constant here."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape, known without reading."""

    @property
    def size(self) -> int:
        """Number of elements."""

    @property
    def dtype(self) -> str:
        """ONNX element type."""

    @property
    def stored(self) -> StoredTensor | SparseTensor | None:
        """What is stored of it."""

    @property
    def node(self) -> Node | None:
        """What makes it."""

    @property
    def inputs(self) -> tuple[Expression | None, ...]:
        """What it is made of."""

    @property
    def output(self) -> int:
        """Which output of the node."""

    @property
    def problem(self) -> TensorError | None:
        """Why it cannot be had."""

    @property
    def too_large(self) -> TensorError | None:
        """Why it can be had in parts alone."""

    def load(self) -> Array:
        """Give the whole value."""


class Decoded:
    """A matrix that is decoded in parts, to be read like a stored tensor.

    Parameters
    ----------
    constant : Expression
        `divisible` along `axis`.
    axis : int
        Along which it is decoded.
    """

    def __init__(self, constant: Expression, axis: int) -> None:
        self._constant = constant
        self.axis = axis
        self._kept: dict[int, Array] = {}
        self.shape = constant.shape
        self.size = constant.size
        self.precision = np.float64 if constant.dtype in ("float64", "int32", "uint32") else np.float32

    def read_lines(self, axis: int, start: int, stop: int, *, columns: int | None = None) -> Array:
        """Decode rows (axis 0) or columns (axis 1) ``start:stop``, as `StoredTensor.read_lines` gives them.

        `columns` can be those of its shape alone.

        Raises
        ------
        TensorError
            The payload cannot be read or decoded.
        """
        del columns
        try:
            return self._read(axis, start, stop)
        except MemoryError:
            raise TensorError("out_of_memory", f"{stop - start:,} of its lines do not fit in memory") from None
        except MISFITS as error:
            raise TensorError("invalid_graph", f"what it is decoded from does not fit together: {error}") from None

    def _read(self, axis: int, start: int, stop: int) -> Array:
        """Decode lines along the axis itself, or as much of all others as they need."""
        along = axis if axis == self.axis or divisible(self._constant, axis) else self.axis
        length = stop - start if along == axis else self.shape[along]
        lines = np.empty((stop - start, self.shape[1 - axis]), self.precision)  # one in a row
        offset = start if along == axis else 0
        for first, last in line_blocks(self.shape, along, offset, offset + length):
            part = self._decode(along, first, last)
            if along == axis:
                lines[first - start : last - start] = part if axis == 0 else part.T
            else:
                lines[:, first:last] = part[:, start:stop].T if axis == 1 else part[start:stop]
        return lines if axis == 0 else lines.T

    def load_exact(self) -> Array:
        """Decode everything.

        Raises
        ------
        TensorError
            It cannot be decoded, or would take more than the limit.
        """
        with np.errstate(invalid="ignore"):
            return self._constant.load().astype(self.precision, copy=False)

    def _decode(self, axis: int, start: int, stop: int) -> Array:
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            return _lines(self._constant, axis, start, stop, self._kept).astype(self.precision, copy=False)


def decoded(constant: Expression) -> tuple[Decoded, bool] | None:
    """Give a matrix in few bits as one that is decoded in parts, and whether its axes are swapped, where it can be.

    It is cut along its longer axis, along which a spectrum works.
    """
    turned, current = False, constant
    while current.node is not None and operator(current.node) == "Transpose" and len(current.shape) == 2:
        if attribute(current.node, "perm", [1, 0]) != [1, 0] or current.inputs[0] is None:
            return None
        turned, current = not turned, current.inputs[0]
    if current.stored is not None or len(current.shape) != 2:
        return None
    axis = 0 if current.shape[0] >= current.shape[1] else 1
    return (Decoded(current, axis), turned) if divisible(current, axis) else None


def divisible(constant: Expression, axis: int, depth: int = DEPTH) -> bool:
    """Say whether lines of an axis of a constant can be had without the rest of it."""
    if constant.problem is not None or not depth or len(constant.shape) <= axis:
        return False
    if isinstance(constant.stored, StoredTensor):
        return constant.stored.sliceable and (axis == 0 or len(constant.shape) == 2)
    try:
        shares = _shares(constant, axis)
    except (TensorError, *MISFITS):  # type: ignore[misc]
        return False
    return shares is not None and all(
        i is None
        or (i.too_large is None and i.size <= max(SMALL, constant.size // 8 if share == "whole" else 0))
        or (share != "whole" and divisible(i, _axis(share, axis), depth - 1))
        for i, share in zip(constant.inputs, shares)
    )


def line_blocks(
    shape: tuple[int, ...], axis: int, start: int, stop: int, multiple: int = 64
) -> Iterator[tuple[int, int]]:
    """Cut lines ``start:stop`` of an axis into runs of about `BLOCK` elements that end at multiples of a number."""
    line = max(1, product(shape) // max(1, shape[axis]))
    least = COLUMNS if axis else 1
    step = max(multiple, max(BLOCK // line, least) // multiple * multiple)
    while start < stop:
        last = min(stop, (start // step + 1) * step)
        yield start, last
        start = last


def lines_of_inputs(
    constant: Expression, axis: int, start: int, stop: int, kept: dict[int, Array]
) -> list[Array | None]:
    """Read what lines ``start:stop`` of a step are computed from.

    Parameters
    ----------
    constant : Expression
        `divisible` along `axis`.
    axis, start, stop : int
        Which lines; where it has blocks along the axis, `start` is a multiple of their length.
    kept : dict
        Small inputs that were read before.
    """
    shares = _shares(constant, axis) or []
    return [
        None if i is None else _taken(i, share, constant, axis, start, stop, kept)
        for i, share in zip(constant.inputs, shares)
    ]


def _lines(constant: Expression, axis: int, start: int, stop: int, kept: dict[int, Array]) -> Array:
    """Give lines of a constant, in its own dtype."""
    if isinstance(constant.stored, StoredTensor):
        read = constant.stored.read_lines(axis, start, stop, native=True)
        return read if axis else read.reshape(stop - start, *constant.shape[1:])
    node = constant.node
    if node is None:
        raise TensorError("unreadable_payload", "the constant has neither a payload nor an operator")
    first = start // block_of(constant, axis) * block_of(constant, axis)
    arrays = lines_of_inputs(constant, axis, first, stop, kept)
    shape = tuple(stop - first if i == axis else n for i, n in enumerate(constant.shape))
    if node.op_type in _SHAPED and arrays[0] is not None:
        return arrays[0].reshape(shape)
    if node.op_type == "UnpackBits":
        shape = (stop - first, *constant.shape[1:])
    result = folding.evaluate(node, arrays, constant.output, shape, constant.dtype)
    return result[start - first :] if axis == 0 else result[:, start - first :]


def _taken(
    source: Expression, share: Share, step: Expression, axis: int, start: int, stop: int, kept: dict[int, Array]
) -> Array:
    """Read a step's share of one input."""
    if share == "blocks":
        block = block_of(step, axis)
        start, stop = start // block, -(-stop // block)
    along = _axis(share, axis)
    if share != "whole" and (source.size > SMALL or source.too_large is not None):
        return _lines(source, along, start, stop, kept)
    if id(source) not in kept:
        kept[id(source)] = source.load()
    array = kept[id(source)]
    if share == "whole":
        return array
    return array[start:stop] if along == 0 else array[:, start:stop]


def _axis(share: Share, axis: int) -> int:
    """Give the axis along which an input is cut."""
    return 0 if share == "vector" else axis


def block_of(step: Expression, axis: int) -> int:
    """Give the lines that share a scale; 1 where that is not how scales are shared."""
    node = step.node
    if node is None or operator(node) not in DECODERS:
        return 1
    along = attribute(node, "axis", 1) % max(1, len(step.shape))
    return max(1, attribute(node, "block_size", 0)) if along == axis else 1


def _shares(constant: Expression, axis: int) -> list[Share] | None:
    """Say what lines of a step need of each input; None where they need more than lines of the first."""
    node, shape = constant.node, constant.shape
    first = constant.inputs[0] if constant.inputs else None
    if node is None or first is None or first.size > 8 * constant.size:
        return None
    if node.op_type in _SHAPED and not node.domain:
        kept = axis == 0 and bool(first.shape) and first.shape[0] == shape[0]
        rest: list[Share] = ["whole"] * (len(constant.inputs) - 1)
        return ["lines", *rest] if kept else None
    if node.op_type == "UnpackBits":
        return ["lines"] if axis == 0 and len(first.shape) > attribute(node, "axes", 1) else None
    if operator(node) in DECODERS:
        if node.op_type == "DecodeBnb4" or first.shape != shape or block_of(constant, axis) > LONGEST:
            return None
        return ["lines", *(_of_scale(constant, i, axis) for i in constant.inputs[1:])]
    if node.domain or node.op_type not in (*_ARITHMETIC, "Cast") or attribute(node, "broadcast", 0):
        return None
    shares = [_broadcast(i, shape, axis) for i in constant.inputs if i is not None]
    return shares if len(shares) == len(constant.inputs) and first.shape == shape else None


def _of_scale(step: Expression, scale: Expression | None, axis: int) -> Share:
    """Say which of the scales or zero points of a decoding step belong to some lines."""
    node, shape = step.node, step.shape
    if scale is None or node is None or scale.size == 1:
        return "whole"
    along = attribute(node, "axis", 1) % len(shape) if node.op_type == "DequantizeLinear" else 0
    if attribute(node, "block_size", 0):
        return "blocks" if along == axis else "lines"
    if len(scale.shape) == len(shape):
        return "lines" if scale.shape[axis] != 1 else "whole"
    return "vector" if along == axis and len(scale.shape) == 1 else "whole"


def _broadcast(source: Expression, shape: tuple[int, ...], axis: int) -> Share:
    """Say which part of an operand belongs to some lines of the result."""
    missing = len(shape) - len(source.shape)
    if axis < missing or source.shape[axis - missing] == 1:
        return "whole"
    return "vector" if missing else "lines"
