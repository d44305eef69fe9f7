"""ONNX element types: names, bits, where their payload may stand, and how to decode it."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DTYPES",
    "DType",
    "decode_floats",
    "decode_native",
    "dtype_name",
    "dtype_of_array",
    "encode",
    "numpy_dtype",
]


@dataclass(frozen=True, slots=True)
class DType:
    """One element type of ``TensorProto.DataType``.

    Attributes
    ----------
    code : int
        Its number in the file.
    name : str
        Its ONNX name in lower case (``float`` and ``double`` as float32 and float64).
    bits : int
        Stored bits of one element; 0 for types without a fixed width.
    field : str
        Field of ``TensorProto`` that may hold it instead of ``raw_data``.
    supported : bool
        Whether its values can be read as real numbers.
    """

    code: int
    name: str
    bits: int
    field: str
    supported: bool = True

    @property
    def fits_float32(self) -> bool:
        """Whether float32 holds every value of the type exactly."""
        return self.bits <= 16 or self.name == "float32"


DTYPES: dict[int, DType] = {
    d.code: d
    for d in (
        DType(1, "float32", 32, "float_data"),
        DType(2, "uint8", 8, "int32_data"),
        DType(3, "int8", 8, "int32_data"),
        DType(4, "uint16", 16, "int32_data"),
        DType(5, "int16", 16, "int32_data"),
        DType(6, "int32", 32, "int32_data"),
        DType(7, "int64", 64, "int64_data"),
        DType(8, "string", 0, "string_data", supported=False),
        DType(9, "bool", 8, "int32_data"),
        DType(10, "float16", 16, "int32_data"),
        DType(11, "float64", 64, "double_data"),
        DType(12, "uint32", 32, "uint64_data"),
        DType(13, "uint64", 64, "uint64_data"),
        DType(14, "complex64", 64, "float_data", supported=False),
        DType(15, "complex128", 128, "double_data", supported=False),
        DType(16, "bfloat16", 16, "int32_data"),
        DType(17, "float8e4m3fn", 8, "int32_data"),
        DType(18, "float8e4m3fnuz", 8, "int32_data"),
        DType(19, "float8e5m2", 8, "int32_data"),
        DType(20, "float8e5m2fnuz", 8, "int32_data"),
        DType(21, "uint4", 4, "int32_data"),
        DType(22, "int4", 4, "int32_data"),
        DType(23, "float4e2m1", 4, "int32_data"),
        DType(24, "float8e8m0", 8, "int32_data"),
        DType(25, "uint2", 2, "int32_data"),
        DType(26, "int2", 2, "int32_data"),
        DType(27, "float6e2m3", 6, "int32_data", supported=False),
        DType(28, "float6e3m2", 6, "int32_data", supported=False),
    )
}

_ML_NAMES = {
    "bfloat16": "bfloat16",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "float4e2m1": "float4_e2m1fn",
    "uint4": "uint4",
    "int4": "int4",
    "uint2": "uint2",
    "int2": "int2",
}


def dtype_name(code: int) -> str:
    """Give the name of an element type by its number in the file.

    Raises
    ------
    KeyError
        There is no such type.
    """
    return DTYPES[code].name


@functools.cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """Give the NumPy (or ml_dtypes) type of an element type by its name.

    Raises
    ------
    TypeError
        NumPy has no such type.
    """
    if name in _ML_NAMES:
        import ml_dtypes

        name = getattr(ml_dtypes, _ML_NAMES[name])
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype


@functools.cache
def _names_by_dtype() -> dict[np.dtype[Any], DType]:
    """Map every NumPy type that can be read to its element type."""
    return {numpy_dtype(d.name): d for d in DTYPES.values() if d.supported}


def dtype_of_array(array: NDArray[Any]) -> DType | None:
    """Give the element type of an array, None where ONNX has none that can be read."""
    return _names_by_dtype().get(array.dtype.newbyteorder("="))


@functools.cache
def _native_table(name: str, bits: int) -> NDArray[Any]:
    """Give the value of every code of a type narrower than a byte."""
    codes = np.arange(2**bits, dtype=np.int16)
    if name.startswith("int"):
        codes = np.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes)
        return codes.astype(np.int8).astype(numpy_dtype(name))
    if name.startswith("uint"):
        return codes.astype(np.uint8).astype(numpy_dtype(name))
    return codes.astype(np.uint8).view(numpy_dtype(name))


@functools.cache
def _table(name: str, bits: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Give the value of every code of a type of at most one byte."""
    codes = np.arange(2**bits, dtype=np.uint8)
    native: NDArray[Any]
    if bits < 8:
        native = _native_table(name, bits)
    elif name == "bool":
        native = codes != 0
    else:
        native = codes.view(numpy_dtype(name))
    values: NDArray[Any] = native.astype(dtype)
    return values


def _unpack(packed: NDArray[np.uint8], bits: int, lead: int, count: int) -> NDArray[np.uint8]:
    """Spread codes of 2 or 4 bits, lowest bits first, to one byte each."""
    per_byte = 8 // bits
    mask = np.uint8(2**bits - 1)
    codes = np.empty((packed.size, per_byte), dtype=np.uint8)
    for i in range(per_byte):
        np.right_shift(packed, np.uint8(i * bits), out=codes[:, i])
    codes &= mask
    return codes.reshape(-1)[lead : lead + count]


def decode_native(dtype: DType, stored: NDArray[np.uint8], count: int) -> NDArray[Any]:
    """Read `count` elements from their stored bytes in the type's own NumPy dtype.

    Parameters
    ----------
    dtype : DType
        A supported element type.
    stored : ndarray of uint8
        Little-endian packed bytes, as in ``raw_data``; the result may share them.
    count : int
        Elements.

    Returns
    -------
    ndarray of shape (count,)
    """
    values: NDArray[Any]
    if dtype.bits < 8:
        values = np.take(_native_table(dtype.name, dtype.bits), _unpack(stored, dtype.bits, 0, count))
    elif dtype.name == "bool":
        values = stored != 0
    else:
        if sys.byteorder == "big":
            stored = stored.reshape(-1, dtype.bits // 8)[:, ::-1].reshape(-1)
        values = stored.view(numpy_dtype(dtype.name))
    return values


def decode_floats(dtype: DType, stored: NDArray[np.uint8], lead: int, out: NDArray[Any]) -> None:
    """Read elements from their stored bytes into an array of float32 or float64.

    Parameters
    ----------
    dtype : DType
        A supported element type.
    stored : ndarray of uint8
        Little-endian packed bytes, as in ``raw_data``.
    lead : int
        Elements of the first byte to leave out (types narrower than a byte).
    out : ndarray of float32 or float64, contiguous
        Receives ``out.size`` elements; float32 must hold them exactly (`DType.fits_float32`).
    """
    if dtype.bits <= 8:
        codes = _unpack(stored, dtype.bits, lead, out.size) if dtype.bits < 8 else stored
        np.take(_table(dtype.name, dtype.bits, out.dtype), codes, out=out, mode="clip")
    elif dtype.name == "bfloat16":
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            out[:] = (stored.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    else:
        with np.errstate(invalid="ignore"):
            out[:] = stored.view(np.dtype(dtype.name).newbyteorder("<"))


def encode(dtype: DType, array: NDArray[Any]) -> NDArray[np.uint8]:
    """Give an array's stored bytes as ``raw_data`` would hold them.

    Parameters
    ----------
    dtype : DType
        The array's element type.
    array : ndarray
        Any shape; C order counts.

    Returns
    -------
    ndarray of uint8
        Little-endian packed bytes; shares memory with `array` where it can.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    if dtype.bits < 8:
        per_byte = 8 // dtype.bits
        codes = np.zeros(-(-flat.size // per_byte) * per_byte, dtype=np.uint8)
        codes[: flat.size] = flat.view(np.uint8) & np.uint8(2**dtype.bits - 1)
        packed = np.zeros(codes.size // per_byte, dtype=np.uint8)
        for i in range(per_byte):
            packed |= codes[i::per_byte] << np.uint8(i * dtype.bits)
        return packed
    if flat.dtype.byteorder == ">" or (sys.byteorder == "big" and flat.dtype.byteorder == "="):
        flat = flat.byteswap()
    return flat.view(np.uint8)
