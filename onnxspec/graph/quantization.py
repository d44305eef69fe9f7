"""Codes, scales and zero points: what a weight in few bits stands for, and what its steps cost.

Every dequantising operator is brought to one form, `Coded`; its values, and the
facts that the report states, come from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph.nodes import attribute, operator
from onnxspec.reading import Node, dtype_name, numpy_dtype
from onnxspec.results import Quantization

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.graph.constants import Constant

    Array = NDArray[Any]

__all__ = [
    "CODE_BITS",
    "DECODERS",
    "OWN",
    "Coded",
    "Watcher",
    "decoded_dtype",
    "describe",
    "parameter_inputs",
    "unpack_bits",
]

OWN = "onnxspec"
"""Domain of the nodes that stand in no file but describe how a weight is decoded."""

CODE_BITS: Mapping[str, int] = MappingProxyType(
    {f"{sign}int{bits}": bits for sign in ("", "u") for bits in (2, 4, 8, 16)}
)
"""Element types that codes have, with their bits."""

_FLOAT_CODES: Mapping[str, int] = MappingProxyType(
    {"float8e4m3fn": 8, "float8e4m3fnuz": 8, "float8e5m2": 8, "float8e5m2fnuz": 8, "float4e2m1": 4}
)
_QUANT_DOMAINS = ("onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general")
_COUNTED_CODES = 2**16
_CHUNK = 2**20
_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Coded:
    """A tensor of codes: the value is ``(code - zero) * scale``.

    Attributes
    ----------
    codes : ndarray
        The codes, in any dtype that holds them exactly.
    scale : ndarray
        Broadcasts against `codes`, or has one entry for each block along `axis`.
    zero : ndarray or None
        Zero points, likewise.
    low, high : int or None
        Least and largest code that the format has; None where codes are no integers in steps of one.
    axis, block : int
        Axis and elements that share a scale, where `block` is not 0.
    dtype : str or None
        Element type of the values, where it is not that of the scales.
    """

    codes: Array
    scale: Array
    zero: Array | None = None
    low: int | None = None
    high: int | None = None
    axis: int = 0
    block: int = 0
    dtype: str | None = None

    def values(self) -> Array:
        """Decode: in float32, rounded to the scale's dtype, as onnxruntime does.

        Raises
        ------
        TensorError
            The scale or the zero point does not fit (``invalid_scale``).
        """
        shape = self.codes.shape
        integers = self.codes.dtype.kind in "iu"
        codes = self.codes.astype(np.float64 if integers and self.codes.itemsize >= 4 else np.float32)
        if self.zero is not None:
            zero = self.zero.astype(codes.dtype)
            codes = np.subtract(codes, zero if not self.block else _by_blocks(zero, shape, self.axis, self.block))
        scale = self.checked_scale()
        decoded = codes.astype(np.float32, copy=False)
        dtype = self.scale.dtype if self.dtype is None else numpy_dtype(self.dtype)
        with np.errstate(all="ignore"):  # what overflows is not finite, which is noticed later
            decoded *= scale if not self.block else _by_blocks(scale, shape, self.axis, self.block)
            result: Array = decoded.astype(dtype, copy=False)
        return result

    def checked_scale(self) -> Array:
        """Give the scales as float32.

        Raises
        ------
        TensorError
            One is zero, negative or not finite (``invalid_scale``).
        """
        with np.errstate(all="ignore"):
            wide: Array = self.scale.astype(np.float32)
        if not np.all(np.isfinite(wide)) or np.any(wide <= 0):
            raise TensorError("invalid_scale", "a scale is zero, negative or not finite")
        return wide

    def mean_square_scale(self) -> float:
        """Give the mean over all elements of their scale squared."""
        squares = self.checked_scale().astype(np.float64) ** 2
        if self.block:
            length = self.codes.shape[self.axis]
            covered = np.clip(length - np.arange(squares.shape[self.axis]) * self.block, 0, self.block)
            squares = squares * covered.reshape([-1 if i == self.axis else 1 for i in range(squares.ndim)])
            return float(squares.sum() / covered.sum() * squares.shape[self.axis] / squares.size)
        return float(squares.mean())

    def counts(self) -> Array | None:
        """Count how often each code occurs, from `low` to `high`; None where they cannot be counted."""
        if self.low is None or self.high is None or self.high - self.low >= _COUNTED_CODES:
            return None
        total = np.zeros(self.high - self.low + 1, np.int64)
        flat = self.codes.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                return None
            part = part.astype(np.int64) - self.low
            if part.min() < 0 or part.max() >= total.size:
                return None
            total += np.bincount(part, minlength=total.size)
        return total


def _by_blocks(values: Array, shape: tuple[int, ...], axis: int, block: int) -> Array:
    """Stretch one entry for each block to one for each element."""
    return np.repeat(values, min(block, shape[axis]), axis=axis)[tuple(slice(n) for n in shape)]


def _fitted(values: Array, shape: tuple[int, ...], axis: int, block: int) -> Array:
    """Shape scales or zero points so that they broadcast against codes of this shape.

    Raises
    ------
    TensorError
        They do not fit.
    """
    if not values.size:
        raise TensorError("invalid_scale", "there is no scale")
    if values.size == 1:
        return values.reshape(()) if not block else np.broadcast_to(values, _blocks(shape, axis, block))
    if not -len(shape) <= axis < len(shape):
        raise TensorError("invalid_scale", "the quantisation axis lies outside the tensor")
    axis %= len(shape)
    if block:
        if values.shape != _blocks(shape, axis, block):
            raise TensorError("invalid_scale", "the scales do not fit the blocks")
        return values
    if values.ndim == len(shape) and all(n in (1, m) for n, m in zip(values.shape, shape)):
        return values
    if values.size != shape[axis]:
        raise TensorError("invalid_scale", "there is not one scale for each channel")
    return values.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def _blocks(shape: tuple[int, ...], axis: int, block: int) -> tuple[int, ...]:
    """Give the shape of the scales where each covers `block` elements along `axis`."""
    return tuple(-(-n // block) if i == axis % len(shape) else n for i, n in enumerate(shape))


# --- operators that decode ---------------------------------------------------------


def _dequantize_linear(node: Node, x: Array, scale: Array, zero: Array | None = None) -> Coded:
    axis, block = attribute(node, "axis", 1), attribute(node, "block_size", 0)
    if block < 0:
        raise TensorError("invalid_scale", "the block size is negative")
    if node.domain != OWN and zero is not None:
        if zero.shape != scale.shape:
            raise TensorError("invalid_scale", "scale and zero point have different shapes")
        if zero.dtype != x.dtype:
            raise TensorError("invalid_scale", "codes and zero point have different types")
    if zero is None and attribute(node, "default_zero"):
        zero = np.asarray(attribute(node, "default_zero"), np.float32)
    low, high = _code_range(x.dtype, attribute(node, "bits"))
    output = attribute(node, "output_dtype", 0)
    return Coded(
        x,
        _fitted(scale, x.shape, axis, block),
        None if zero is None else _fitted(zero, x.shape, axis, block),
        low,
        high,
        axis % max(1, x.ndim),
        block,
        dtype_name(output) if output else None,
    )


def _code_range(dtype: np.dtype[Any], bits: int | None) -> tuple[int | None, int | None]:
    """Give the least and the largest code of an element type, or of so many unsigned bits."""
    if bits:
        return 0, 2**bits - 1
    name = dtype.name
    if name not in CODE_BITS:
        return None, None
    width = CODE_BITS[name]
    return (0, 2**width - 1) if name.startswith("u") else (-(2 ** (width - 1)), 2 ** (width - 1) - 1)


_ROUNDING: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {
        "ROUND": np.round,
        "HALF_EVEN": np.round,
        "CEIL": np.ceil,
        "FLOOR": np.floor,
        "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
        "DOWN": np.trunc,
        "ROUND_TO_ZERO": np.trunc,
        "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    }
)


def _quant(node: Node, x: Array, scale: Array, zero: Array, bits: Array) -> Coded:
    """Quantise and decode as QONNX defines ``Quant``: clip ``x / scale + zero``, then round it."""
    width = float(bits.reshape(-1)[0]) if bits.size == 1 else math.nan
    if not 1 <= width <= 32:
        raise TensorError("invalid_scale", "the bit width of a Quant is not one number from 1 to 32")
    signed, narrow = bool(attribute(node, "signed", 1)), bool(attribute(node, "narrow", 0))
    mode = str(attribute(node, "rounding_mode", "ROUND")).upper()
    if mode not in _ROUNDING:
        raise TensorError("not_folded", f"the rounding mode {mode!r} of a Quant is not known")
    scale = _fitted(scale, x.shape, 0, 0)
    zero = _fitted(zero, x.shape, 0, 0)
    with np.errstate(all="ignore"):
        codes = x / scale + zero
    if width == 1 and signed:
        return Coded(np.where(codes >= 0, np.float32(1), np.float32(-1)), scale, zero)
    high = 2.0 ** (width - 1) - 1 if signed else 2.0**width - (2 if narrow else 1)
    low = narrow - 2.0 ** (width - 1) if signed else 0.0
    codes = _ROUNDING[mode](np.clip(codes, low, high))
    whole = width.is_integer()
    return Coded(codes, scale, zero, int(low) if whole else None, int(high) if whole else None)


def _bipolar_quant(_: Node, x: Array, scale: Array) -> Coded:
    return Coded(np.where(x >= 0, np.float32(1), np.float32(-1)), _fitted(scale, x.shape, 0, 0))


DECODERS: Mapping[str, Callable[..., Coded]] = MappingProxyType(
    {
        "DequantizeLinear": _dequantize_linear,
        "com.microsoft.DequantizeLinear": _dequantize_linear,
        f"{OWN}.DequantizeLinear": _dequantize_linear,
        **{f"{domain}.{name}": _quant for domain in _QUANT_DOMAINS for name in ("Quant", "IntQuant")},
        **{f"{domain}.BipolarQuant": _bipolar_quant for domain in _QUANT_DOMAINS},
    }
)
"""Operators that give `Coded`, by name with domain."""


def decoded_dtype(node: Node, codes: str, scale: str) -> str:
    """Give the element type of what a decoder gives, from those of its first two inputs."""
    output = attribute(node, "output_dtype", 0)
    if node.op_type == "DequantizeLinear":
        return dtype_name(output) if output else scale
    return codes


def unpack_bits(node: Node, packed: Array) -> Array:
    """Spread codes of 1, 2, 4 or 8 bits, lowest bits first, to one byte each.

    The last `axes` axes hold one row; it is cut to `length` codes.
    """
    bits, axes, length = (int(attribute(node, name, 1)) for name in ("bits", "axes", "length"))
    if packed.dtype.name not in ("uint8", "int8"):
        raise TensorError("invalid_graph", "packed codes are not stored in bytes")
    rows = packed.view(np.uint8).reshape(*packed.shape[: packed.ndim - axes], -1)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = (rows[..., None] >> shifts) & np.uint8(2**bits - 1)
    return np.ascontiguousarray(codes.reshape(*rows.shape[:-1], -1)[..., :length])


# --- facts --------------------------------------------------------------------------


def parameter_inputs(constant: Constant) -> frozenset[int]:
    """Give the inputs of a folded constant that are scales, zero points and the like."""
    node = constant.node
    if node is None:
        return frozenset()
    if operator(node) in DECODERS:
        return frozenset(range(1, len(constant.inputs)))
    position = _codes_input(constant)
    return frozenset() if position is None else frozenset({1 - position})


def _codes_input(constant: Constant) -> int | None:
    """Say which input of ``Mul(Cast(codes), scale)`` or of ``Sub(Cast(codes), zero)`` holds the codes."""
    node = constant.node
    if node is None or node.domain or len(constant.inputs) != 2:
        return None
    for position in (0, 1) if node.op_type == "Mul" else (0,) if node.op_type == "Sub" else ():
        codes, other = constant.inputs[position], constant.inputs[1 - position]
        if codes is None or other is None or codes.size != constant.size:
            continue
        smaller = other.size < codes.size and other.dtype == codes.dtype
        if smaller and _cast_codes(codes) is not None:
            return position
    return None


def _cast_codes(constant: Constant) -> Constant | None:
    """Find the integer codes that a constant was cast from, through zero points and changes of shape."""
    current: Constant | None = constant
    cast = False
    for _ in range(_DEPTH):
        if current is None:
            return None
        if current.dtype in CODE_BITS:
            return current if cast else None
        node = current.node
        if node is None or not current.inputs:
            return None
        cast = cast or node.op_type == "Cast"
        if node.op_type not in ("Cast", "Sub", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"):
            return None
        current = current.inputs[0]
    return None


def _decoders(constant: Constant) -> Iterator[Constant]:
    """Give the constants below in which codes become values."""
    stack = [constant]
    seen: set[int] = set()
    while stack:
        current = stack.pop()
        if id(current) in seen or current.node is None:
            continue
        seen.add(id(current))
        made_by_hand = current.node.op_type == "Mul" and _codes_input(current) is not None
        if operator(current.node) in DECODERS or made_by_hand:
            yield current
        elif current.node.op_type in ("Concat", "Add", "Where", "Sum"):
            stack.extend(i for i in current.inputs if i is not None)
        else:
            stack.extend(i for i in current.inputs[:1] if i is not None)


def describe(constant: Constant, scheme: str | None = None) -> Quantization | None:
    """Say how a weight is quantised, as far as known without reading it; None where it is not."""
    for decoder in _decoders(constant):
        return _describe(decoder, scheme)
    return None


def _describe(decoder: Constant, scheme: str | None) -> Quantization:
    """Describe one decoding step."""
    node = decoder.node
    assert node is not None  # noqa: S101 - `_decoders` gives no other
    by_hand = _codes_input(decoder) if node.op_type == "Mul" else None
    codes = decoder.inputs[by_hand or 0]
    scale = decoder.inputs[1 if by_hand is None else 1 - by_hand] if len(decoder.inputs) > 1 else None
    block = attribute(node, "block_size", 0) or attribute(node, "grouped", 0)
    granularity = "block" if block else "tensor" if scale is None or scale.size == 1 else "channel"
    return Quantization(
        scheme=scheme or ("Mul" if by_hand is not None else node.op_type),
        bits=_bits(decoder, codes),
        granularity=granularity,
        block=int(block) or None,
    )


def _bits(decoder: Constant, codes: Constant | None) -> int:
    """Give the bits of one code."""
    node = decoder.node
    if node is not None and node.op_type == "BipolarQuant":
        return 1
    if node is not None and node.op_type in ("Quant", "IntQuant"):
        width = decoder.inputs[3] if len(decoder.inputs) > 3 else None
        return math.ceil(_number(width) or 0)
    if node is not None and attribute(node, "bits"):
        return int(attribute(node, "bits"))
    found = _cast_codes(codes) if codes is not None and codes.dtype not in CODE_BITS else codes
    dtype = found.dtype if found is not None else ""
    return CODE_BITS.get(dtype, _FLOAT_CODES.get(dtype, 32))


class Watcher:
    """Takes the facts of a weight's codes while they are folded, so that they are read once.

    Parameters
    ----------
    constant : Constant
        The weight.
    scheme : str, optional
        How it is quantised, where its operator says so.
    """

    def __init__(self, constant: Constant, scheme: str | None = None) -> None:
        self._steps = {id(step): step for step in _decoders(constant)}
        self._scheme = scheme
        self._found: list[tuple[Coded, int]] = []
        self._facts: list[tuple[int, Array | None, int | None, float, float]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, step: Constant, arrays: Sequence[Array | None]) -> None:
        """Look at the inputs of one step while they are in memory."""
        if id(step) not in self._steps or step.node is None:
            return
        decoder = DECODERS.get(operator(step.node))
        coded = decoder(step.node, *arrays) if decoder is not None else _coded_by_hand(step, arrays)
        uniform = coded.low is not None or coded.codes.dtype.kind in "iu"
        largest = float(coded.checked_scale().max())
        square = coded.mean_square_scale() if uniform else math.nan
        self._facts.append((coded.codes.size, coded.counts(), coded.low, largest, square))

    def quantization(self) -> Quantization | None:
        """Give the facts, after the weight was read."""
        described = [_describe(step, self._scheme) for step in self._steps.values()]
        if not described or len(self._facts) != len(described):
            return described[0] if described else None
        counts = [_ends_and_unused(found, low) for _, found, low, _, _ in self._facts if found is not None]
        total = sum(size for size, *_ in self._facts)
        square = sum(size * square for size, _, _, _, square in self._facts) / max(1, total)
        whole = len(counts) == len(described)
        return replace(
            described[0],
            clipped=sum(ends for ends, _ in counts) if whole else None,
            unused=counts[0][1] if whole and len(counts) == 1 else None,
            step=max(largest for _, _, _, largest, _ in self._facts),
            noise_floor=None if math.isnan(square) else math.sqrt(square / 12.0),
        )


def _ends_and_unused(counts: Array, low: int | None) -> tuple[int, int]:
    """Give how many codes stand at the ends of the range, and how many of the range are never used.

    Symmetric quantisers leave out the least code, ``-128``; then ``-127`` is the end.
    """
    symmetric = low is not None and low < 0 and not counts[0]
    first = 1 if symmetric and counts.size > 2 else 0
    return int(counts[first] + counts[-1]), int(np.count_nonzero(counts == 0))


def _coded_by_hand(step: Constant, arrays: Sequence[Array | None]) -> Coded:
    """Give the codes and scales of ``Mul(Cast(codes), scale)``."""
    position = _codes_input(step) or 0
    codes, scale, holder = arrays[position], arrays[1 - position], step.inputs[position]
    if codes is None or scale is None or holder is None:
        raise TensorError("invalid_graph", "a Mul lacks an input")
    original = _cast_codes(holder)
    low, high = _code_range(numpy_dtype(original.dtype), None) if original is not None else (None, None)
    shift = _zero_point(holder)
    if low is None or high is None or shift is None:
        return Coded(codes, scale)
    return Coded(codes, scale, None, low - shift, high - shift)


def _zero_point(codes: Constant) -> int | None:
    """Give what ``Sub`` takes off the codes; None where that is not one whole number."""
    total = 0
    current: Constant | None = codes
    for _ in range(_DEPTH):
        if current is None or current.node is None:
            break
        if current.node.op_type == "Sub":
            value = _number(current.inputs[1])
            if value is None or not value.is_integer():
                return None
            total += int(value)
        current = current.inputs[0] if current.inputs else None
    return total


def _number(constant: Constant | None) -> float | None:
    """Read the one finite number of a constant; None where it holds no such thing."""
    if constant is None or constant.size != 1:
        return None
    try:
        value = float(constant.load().reshape(-1)[0])
    except TensorError:
        return None
    return value if math.isfinite(value) else None
