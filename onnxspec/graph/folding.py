"""Evaluation of the common operators on constants, in NumPy, in the operators' own dtypes.

Each operator has one function that maps arrays to an array. Operators that only
move values are run on arrays of stride zero to learn the shape of their result
without reading or allocating anything; the others state their shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph.coded import DECODERS, OWN, decoded_dtype, unpack_bits
from onnxspec.graph.nodes import MISFITS, attribute, operator, product
from onnxspec.reading import Attribute, Node, SparseTensor, StoredTensor, dtype_name, numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["MOVING", "Argument", "UnknownOperatorError", "constant_of", "densify", "evaluate", "infer"]


class UnknownOperatorError(Exception):
    """The operator is not one of those evaluated here."""


@dataclass(slots=True)
class Argument:
    """What shape inference may know of one input: its value only where that is small."""

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Array] | None = None

    def value(self) -> Array:
        """Read the value of a small argument such as axes or a new shape."""
        if self.load is None:
            raise TensorError("over_limit", "an argument that decides a shape is too large to be read")
        return self.load()

    def dummy(self) -> Array:
        """Give an array of this shape that takes no memory."""
        return np.broadcast_to(np.zeros((), np.int8), self.shape)


def constant_of(node: Node) -> StoredTensor | SparseTensor | None:
    """Give the tensor of a Constant node, whichever attribute holds it."""
    for name in ("value", "sparse_value"):
        value = attribute(node, name)
        if isinstance(value, (StoredTensor, SparseTensor)):
            return value
    for name, kind, dtype in (
        ("value_float", float, np.float32),
        ("value_floats", float, np.float32),
        ("value_int", int, np.int64),
        ("value_ints", int, np.int64),
    ):
        value = attribute(node, name)
        items = value if isinstance(value, list) else [value]
        if value is not None and all(isinstance(item, kind) for item in items):
            tensor = StoredTensor.from_array(node.outputs[0] if node.outputs else "", np.asarray(value, dtype=dtype))
            node.attributes["value"] = Attribute("value", tensor)
            return tensor
    return None


def densify(sparse: SparseTensor) -> Array:
    """Make a sparse tensor dense.

    Raises
    ------
    TensorError
        The indices do not fit the shape.
    """
    values, indices = sparse.values.load(), sparse.indices.load()
    if indices.dtype.kind not in "iu":
        raise TensorError("invalid_sparse", "the indices of the sparse tensor are no integers")
    indices = indices.astype(np.int64)
    if indices.ndim == 2 and indices.shape == (values.size, len(sparse.shape)):
        if np.any(indices < 0) or np.any(indices >= np.asarray(sparse.shape)):
            raise TensorError("invalid_sparse", "the indices of the sparse tensor lie outside its shape")
        flat = np.ravel_multi_index(tuple(indices.T), sparse.shape) if values.size else indices[:, 0]
    else:
        flat = indices.reshape(-1)
    size = product(sparse.shape)
    if flat.size != values.size or np.any(flat < 0) or np.any(flat >= size):
        raise TensorError("invalid_sparse", "the indices of the sparse tensor do not fit its values and shape")
    if np.unique(flat).size != flat.size:
        raise TensorError("invalid_sparse", "an index of the sparse tensor stands twice")
    dense = np.zeros(size, values.dtype)
    dense[flat] = values.reshape(-1)
    return dense.reshape(sparse.shape)


# --- operators that move values ------------------------------------------------


def _identity(_: Node, x: Array) -> Array:
    return x


def _transpose(node: Node, x: Array) -> Array:
    return np.transpose(x, attribute(node, "perm"))


def _reshape(node: Node, x: Array, shape: Array | None = None) -> Array:
    wanted = [int(n) for n in (attribute(node, "shape", []) if shape is None else shape.reshape(-1))]
    if not attribute(node, "allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return np.reshape(x, wanted)


def _axes(node: Node, axes: Array | None) -> list[int] | None:
    """Give axes from the input of newer opsets or the attribute of older ones."""
    found = attribute(node, "axes") if axes is None else axes.reshape(-1)
    return None if found is None else [int(axis) for axis in found]


def _squeeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    chosen = _axes(node, axes)
    return np.squeeze(x, None if chosen is None else tuple(chosen))


def _unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(x, tuple(_axes(node, axes) or ()))


def _flatten(node: Node, x: Array) -> Array:
    axis = attribute(node, "axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return np.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


def _slice(
    node: Node,
    x: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    first = attribute(node, "starts", []) if starts is None else starts.reshape(-1)
    last = attribute(node, "ends", []) if ends is None else ends.reshape(-1)
    chosen = _axes(node, axes) or list(range(len(first)))
    strides = [1] * len(first) if steps is None else [int(step) for step in steps.reshape(-1)]
    index: list[slice] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(first, last, chosen, strides):
        index[axis] = _slice_of(int(start), int(end), step, x.shape[axis])
    return x[tuple(index)]


def _slice_of(start: int, end: int, step: int, length: int) -> slice:
    """Give ONNX's slice of one axis as Python's, whose end cannot pass below index 0."""
    start = start + length if start < 0 else start
    end = end + length if end < 0 else end
    if step > 0:
        return slice(min(max(start, 0), length), min(max(end, 0), length), step)
    start, end = min(max(start, -1), length - 1), min(max(end, -1), length - 1)
    return slice(start, None if end < 0 else end, step) if start >= 0 else slice(0, 0, 1)


def _expand(_: Node, x: Array, shape: Array) -> Array:
    wanted = tuple(int(n) for n in shape.reshape(-1))
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, wanted))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a Split gives, each part cut when it is asked for: a file may ask for any number of them."""

    x: Array
    axis: int
    ends: NDArray[np.int64] | None
    each: int

    def __getitem__(self, output: int) -> Array:
        if self.ends is None:
            begin, end = self.each * output, self.each * (output + 1)
        else:
            begin, end = int(self.ends[output - 1]) if output else 0, int(self.ends[output])
        index: list[slice] = [slice(None)] * self.x.ndim
        index[self.axis] = slice(begin, end)
        return self.x[tuple(index)]


def _split(node: Node, x: Array, sizes: Array | None = None) -> _Parts:
    axis = attribute(node, "axis", 0)
    wanted = attribute(node, "split") if sizes is None else sizes.reshape(-1)
    if wanted is None:
        parts = attribute(node, "num_outputs", len(node.outputs))
        if parts != len(node.outputs):
            raise TensorError("invalid_graph", "the parts of a Split are not as many as its outputs")
        each = -(-x.shape[axis] // parts)
        if each * (parts - 1) > x.shape[axis]:
            raise TensorError("invalid_graph", "a Split has more outputs than its axis has elements")
        return _Parts(x, axis, None, each)
    lengths = np.asarray(wanted, np.int64)
    if lengths.min(initial=0) < 0 or int(lengths.sum()) != x.shape[axis]:
        raise TensorError("invalid_graph", "the parts of a Split do not add up to its axis")
    return _Parts(x, axis, np.cumsum(lengths), 0)


def _concat(node: Node, *xs: Array) -> Array:
    return np.concatenate(xs, axis=attribute(node, "axis", _OLD_CONCAT_AXIS))


def _gather(node: Node, x: Array, indices: Array) -> Array:
    axis = attribute(node, "axis", 0)
    if np.any(indices < -x.shape[axis]) or np.any(indices >= x.shape[axis]):
        raise TensorError("invalid_graph", "the indices of a Gather lie outside its axis")
    return np.take(x, indices.astype(np.int64), axis=axis)


def _cast(node: Node, x: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(numpy_dtype(_target(node)))


def _target(node: Node) -> str:
    """Name the element type that a Cast gives; before opset 6 its attribute is the name."""
    to = attribute(node, "to")
    if not isinstance(to, str):
        return dtype_name(attribute(node, "to", 1))
    name = {"float": "float32", "double": "float64"}.get(to.lower(), to.lower())
    numpy_dtype(name)
    return name


_OLD_CONCAT_AXIS = 1
"""What opset 1 means where a Concat has no axis; later ones ask for it."""


# --- arithmetic ----------------------------------------------------------------


def _arithmetic(operation: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Make an elementwise operator of NumPy's, in the operands' own dtype."""

    def apply(node: Node, a: Array, b: Array) -> Array:
        aligned = np.reshape(b, _aligned(node, a.shape, b.shape))
        with np.errstate(all="ignore"):
            return operation(a, aligned).astype(a.dtype, copy=False)

    return apply


def _aligned(node: Node, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """Give the shape in which the second operand broadcasts; before opset 7 an axis says where it begins."""
    if not attribute(node, "broadcast", 0) or len(second) >= len(first):
        return second
    axis = attribute(node, "axis", len(first) - len(second))
    axis = axis + len(first) if axis < 0 else axis
    return (*second, *(1 for _ in range(len(first) - axis - len(second))))


def _divide(a: Array, b: Array) -> Array:
    """Divide as ONNX does: integers truncate towards zero."""
    if np.issubdtype(a.dtype, np.integer):
        quotient: Array = np.abs(a) // np.abs(b) * (np.sign(a) * np.sign(b))
        return quotient
    return np.divide(a, b)


def _decoder(function: Callable[..., Any]) -> Callable[..., Array]:
    """Make an operator that decodes codes."""

    def apply(node: Node, *arrays: Array | None) -> Array:
        decoded: Array = function(node, *arrays).values()
        return decoded

    return apply


def _filler(node: Node) -> StoredTensor | None:
    """Give the tensor that holds the value of a ConstantOfShape."""
    value = attribute(node, "value")
    if value is not None and not isinstance(value, StoredTensor):
        raise TensorError("invalid_graph", "the value of a ConstantOfShape is no tensor")
    return value


def _constant_of_shape(node: Node, shape: Array) -> Array:
    value = _filler(node)
    filler = value.load().reshape(-1)[0] if value is not None else np.float32(0)
    return np.full([int(n) for n in shape.reshape(-1)], filler)


# --- what shape inference needs --------------------------------------------------

MOVING: dict[str, Callable[..., Any]] = {
    "Identity": _identity,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Slice": _slice,
    "Expand": _expand,
    "Split": _split,
}
"""Operators that only move values; they run on arrays of any dtype and stride."""

_COMPUTING: dict[str, Callable[..., Any]] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "Gather": _gather,
    "Cast": _cast,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_divide),
    f"{OWN}.UnpackBits": unpack_bits,
    **{name: _decoder(function) for name, function in DECODERS.items()},
}


def _operator(node: Node) -> Callable[..., Any]:
    """Find the function of an operator."""
    if any(held.ref_attr_name for held in node.attributes.values()):
        raise UnknownOperatorError(f"{node.op_type} with an attribute of its function")
    function = MOVING.get(operator(node)) or _COMPUTING.get(operator(node))
    if function is None:
        raise UnknownOperatorError(operator(node))
    return function


def _shape_of_computing(node: Node, arguments: Sequence[Argument]) -> tuple[tuple[int, ...], str]:
    """State the shape and dtype of an operator that computes."""
    first = arguments[0]
    if node.op_type == "Concat":
        axis = attribute(node, "axis", _OLD_CONCAT_AXIS) % max(1, len(first.shape))
        total = sum(argument.shape[axis] for argument in arguments)
        return (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype
    if node.op_type == "Gather":
        axis = attribute(node, "axis", 0) % max(1, len(first.shape))
        return (*first.shape[:axis], *arguments[1].shape, *first.shape[axis + 1 :]), first.dtype
    if node.op_type == "Cast":
        return first.shape, _target(node)
    if node.op_type == "ConstantOfShape":
        value = _filler(node)
        return tuple(int(n) for n in first.value().reshape(-1)), value.dtype if value is not None else "float32"
    if node.op_type == "UnpackBits":
        kept = len(first.shape) - attribute(node, "axes")
        return (*first.shape[:kept], attribute(node, "length")), "uint8"
    if operator(node) in DECODERS:
        shape = (attribute(node, "length"),) if node.op_type == "DecodeBnb4" else first.shape
        return shape, decoded_dtype(node, first.dtype, arguments[1].dtype)
    return np.broadcast_shapes(first.shape, *(_aligned(node, first.shape, a.shape) for a in arguments[1:])), first.dtype


def infer(node: Node, arguments: Sequence[Argument | None], output: int) -> tuple[tuple[int, ...], str]:
    """Give the shape and dtype of one output of a node with constant inputs.

    Raises
    ------
    UnknownOperatorError
        The operator is not evaluated here.
    TensorError, ValueError, IndexError, KeyError, TypeError
        The node does not fit its inputs.
    """
    function = _operator(node)
    if not arguments or arguments[0] is None:
        raise TensorError("invalid_graph", f"{node.op_type} lacks its first input")
    if operator(node) in _COMPUTING:
        return _shape_of_computing(node, [argument for argument in arguments if argument is not None])
    first = arguments[0]
    rest = [None if argument is None else argument.value() for argument in arguments[1:]]
    result = function(node, first.dummy(), *rest)
    chosen = result[output] if isinstance(result, _Parts) else result
    return chosen.shape, first.dtype


def evaluate(node: Node, arrays: Sequence[Array | None], output: int, shape: tuple[int, ...], dtype: str) -> Array:
    """Evaluate one output of a node; it must come out as `infer` said.

    Raises
    ------
    TensorError
        It cannot be evaluated.
    """
    try:
        result = _operator(node)(node, *arrays)
    except MISFITS as error:
        raise TensorError("invalid_graph", f"{node.op_type} does not fit its inputs: {error}") from None
    except UnknownOperatorError as unknown:
        raise TensorError("not_folded", f"the operator {unknown} is not evaluated") from None
    chosen: Array = result[output] if isinstance(result, _Parts) else result
    if chosen.shape != shape or chosen.dtype != numpy_dtype(dtype):
        raise TensorError("invalid_graph", f"{node.op_type} gives {chosen.shape} instead of {shape}")
    return chosen
