"""Codes, scales and zero points, and the operators that turn them into values.

Every dequantising operator is brought to one form, `Coded`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.errors import TensorError
from onnxspec.graph.nodes import attribute
from onnxspec.reading import Node, dtype_name, numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["CODE_BITS", "DECODERS", "OWN", "Coded", "code_range", "decoded_dtype", "unpack_bits"]

OWN = "onnxspec"
"""Domain of the nodes that stand in no file but describe how a weight is decoded."""

CODE_BITS: Mapping[str, int] = MappingProxyType(
    {f"{sign}int{bits}": bits for sign in ("", "u") for bits in (2, 4, 8, 16)}
)
"""Element types that codes have, with their bits."""

_QUANT_DOMAINS = ("onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general")
_COUNTED_CODES = 2**16
_CHUNK = 2**20
_MANY_SCALES = 2**21


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
        if self.scale.size > _MANY_SCALES:
            return self._mean_square_of_many()
        squares = self.checked_scale().astype(np.float64) ** 2
        if self.block:
            length = self.codes.shape[self.axis]
            covered = np.clip(length - np.arange(squares.shape[self.axis]) * self.block, 0, self.block)
            squares = squares * covered.reshape([-1 if i == self.axis else 1 for i in range(squares.ndim)])
            return float(squares.sum() / covered.sum() * squares.shape[self.axis] / squares.size)
        return float(squares.mean())

    def _mean_square_of_many(self) -> float:
        """Add the squares line by line: in float64 the scales themselves would take much memory."""
        length, covered = self.codes.shape[self.axis], np.ones(1)
        if self.block:
            covered = np.clip(length - np.arange(self.scale.shape[self.axis]) * self.block, 0, self.block)
        weights = covered.reshape([-1 if i == self.axis % self.scale.ndim else 1 for i in range(self.scale.ndim)])
        lines = zip(self.scale, np.broadcast_to(weights, self.scale.shape))
        total = math.fsum(float((line.astype(np.float64) ** 2 * weight).sum()) for line, weight in lines)
        return total / (float(covered.sum()) * self.scale.size / covered.size)

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
    if zero is None and attribute(node, "default_zero", 0):
        zero = np.asarray(attribute(node, "default_zero"), np.float32)
    bits = attribute(node, "bits", 0)
    if not 0 <= bits <= MAX_BITS:
        raise TensorError("invalid_scale", f"codes of {bits:,} bits do not exist")
    low, high = code_range(x.dtype, bits)
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


MAX_BITS = 64
"""Of one code; the number is a file's, and a range is a power of it."""


def code_range(dtype: np.dtype[Any], bits: int | None) -> tuple[int | None, int | None]:
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


_BNB4: Mapping[int, tuple[float, ...]] = MappingProxyType(
    {
        0: tuple(
            sign * value for sign in (1.0, -1.0) for value in (0.0, 1 / 192, 2 / 3, 1.0, 1 / 3, 1 / 2, 1 / 6, 1 / 4)
        ),
        1: (
            *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
            *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
            *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
            *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
        ),
    }
)
"""What the codes of bitsandbytes stand for: its float of 4 bits, and NF4 (Dettmers et al. 2023, appendix E)."""


def _decode_bnb4(node: Node, packed: Array, scale: Array) -> Coded:
    """Decode codes of 4 bits, the first in the high bits of a byte, in blocks of the flattened weight."""
    block, length = int(attribute(node, "block_size", 0)), int(attribute(node, "length", 0))
    if packed.dtype != np.uint8:
        raise TensorError("invalid_graph", "packed codes are not stored in bytes")
    flat = packed.reshape(-1)
    numbers = np.stack([flat >> 4, flat & 15], axis=1).reshape(-1)[:length]
    values = np.asarray(_BNB4[attribute(node, "quant_type", 0)], np.float32)[numbers]
    return Coded(values, _fitted(scale.reshape(-1), values.shape, 0, block), axis=0, block=block)


DECODERS: Mapping[str, Callable[..., Coded]] = MappingProxyType(
    {
        "DequantizeLinear": _dequantize_linear,
        "com.microsoft.DequantizeLinear": _dequantize_linear,
        f"{OWN}.DecodeBnb4": _decode_bnb4,
        f"{OWN}.DequantizeLinear": _dequantize_linear,
        **{f"{domain}.{name}": _quant for domain in _QUANT_DOMAINS for name in ("Quant", "IntQuant")},
        **{f"{domain}.BipolarQuant": _bipolar_quant for domain in _QUANT_DOMAINS},
    }
)
"""Operators that give `Coded`, by name with domain."""


def decoded_dtype(node: Node, codes: str, scale: str) -> str:
    """Give the element type of what a decoder gives, from those of its first two inputs."""
    output = attribute(node, "output_dtype", 0)
    if node.op_type in ("DecodeBnb4", "DequantizeLinear"):
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
