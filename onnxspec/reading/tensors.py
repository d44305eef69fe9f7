"""One stored constant: its facts without touching the payload, its values on demand.

Codes of the problems that a tensor may have
    ``unsupported_dtype``, ``negative_dim``, ``rank_too_high``, ``dims_overflow``,
    ``tensor_too_large``, ``payload_missing``, ``payload_ambiguous``, ``payload_field``,
    ``payload_length``, ``payload_malformed``, ``segmented_tensor``, ``file_changed``,
    ``out_of_memory``, and those of `onnxspec.reading.external`.
"""

from __future__ import annotations

import functools
import itertools
import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from onnxspec._digest import TensorDigest
from onnxspec.errors import TensorError
from onnxspec.limits import DEFAULT_LIMITS, Limits
from onnxspec.reading._dtypes import DTYPES, DType, decode_floats, decode_native, dtype_of_array, encode, numpy_dtype
from onnxspec.reading._payload import MAX_VARINT, ByteFile, MemoryReader, PayloadReader, Segment, reader_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Payload", "Segment", "StoredTensor", "element_count", "stored_bytes"]

CHUNK = 2**20

SHORT_ROW = 2**15
"""Bytes of a row below which columns are read with all that stands beside them: a read of its own costs as much."""

TURNED = 2**18
"""Elements that are read together for columns."""

MAX_BYTES = 2**62

_MEMORY = itertools.count()

_T = TypeVar("_T")


class Payload(NamedTuple):
    """Where the bytes of one tensor are.

    Attributes
    ----------
    kind : str
        ``raw``, ``external``, ``memory``, ``none``, or the name of the typed
        field (``float_data``, ``int32_data``, ...).
    segments : tuple of Segment
        Offset and length of each run of bytes, in order.
    """

    kind: str
    segments: tuple[Segment, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes in the file, over all segments."""
        if len(self.segments) == 1:
            return self.segments[0].length
        return sum(segment.length for segment in self.segments)


def stored_bytes(dtype: DType, size: int) -> int:
    """Give the bytes that `size` elements take in ``raw_data``."""
    return (size * dtype.bits + 7) // 8


def element_count(dims: Sequence[int]) -> int:
    """Give the elements of a tensor; 0 where a dim is negative."""
    return 0 if dims and min(dims) < 0 else math.prod(dims)


def _guarded(function: Callable[..., _T]) -> Callable[..., _T]:
    """Turn an allocation that fails into a problem of this tensor."""

    @functools.wraps(function)
    def call(self: StoredTensor, *args: Any, **kwargs: Any) -> _T:
        if self.problem is not None:
            raise TensorError(self.problem.code, self.problem.message)
        try:
            return function(self, *args, **kwargs)
        except MemoryError:
            raise TensorError("out_of_memory", f"Its {self.nbytes:,} stored bytes do not fit in memory.") from None

    return call


class StoredTensor:
    """One stored constant of the file. Its payload is read only when asked for.

    Parameters
    ----------
    name : str
        As in the file, whole.
    data_type : int
        ``TensorProto.DataType`` as in the file, known or not.
    dims : sequence of int
        As in the file.
    payload : Payload
        Where the bytes are.
    file : ByteFile, optional
        The file they are in.
    file_identity : tuple
        What tells that file from every other.
    problem : TensorError, optional
        A problem that was found before.
    limits : Limits
        Caps on rank and stored bytes.

    Attributes
    ----------
    dtype : str
        ONNX element type in lower case (``float32``, ``bfloat16``, ``int4``, ...);
        ``unknown`` where the number stands for none.
    shape : tuple of int
        The dims.
    size : int
        Elements; 0 where a dim is negative.
    nbytes : int
        Stored bytes that dims and dtype ask for.
    problem : TensorError or None
        Why the values cannot be read, as far as known without reading them.
    location : tuple
        Identity of the bytes: equal for tensors over one range of one file.
    """

    __slots__ = (
        "_content_hash",
        "_dtype",
        "_file",
        "_reader",
        "data_type",
        "dtype",
        "location",
        "name",
        "nbytes",
        "payload",
        "problem",
        "shape",
        "size",
    )

    def __init__(
        self,
        name: str,
        data_type: int,
        dims: Sequence[int],
        payload: Payload,
        *,
        file: ByteFile | None = None,
        file_identity: tuple[Any, ...] = (),
        problem: TensorError | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        dtype = DTYPES.get(data_type)
        self.name = name
        self.data_type = data_type
        self.dtype = dtype.name if dtype else "unknown"
        self.shape = tuple(dims)
        self.size = element_count(self.shape)
        self.nbytes = stored_bytes(dtype, self.size) if dtype else 0
        self.payload = payload
        self._dtype = dtype
        self._file = file
        self._reader: PayloadReader | None = None
        self._content_hash: str | None = None
        if payload.segments:
            self.location: tuple[Any, ...] = (file_identity, payload.segments[0].offset, payload.nbytes)
        else:
            self.location = ("memory", next(_MEMORY))
        self.problem = self._check_dims(limits) or problem or self._check_payload()

    @classmethod
    def from_array(cls, name: str, array: NDArray[Any]) -> StoredTensor:
        """Make a tensor from an array in memory, which it keeps.

        Parameters
        ----------
        name : str
            Its name.
        array : ndarray
            Of any dtype that ONNX and NumPy or ml_dtypes share.

        Raises
        ------
        TensorError
            ONNX has no such element type, or its values are no real numbers
            (``unsupported_dtype``).
        """
        array = np.asarray(array)
        dtype = dtype_of_array(array)
        if dtype is None:
            raise TensorError("unsupported_dtype", f"Arrays of dtype {array.dtype} cannot be read as real numbers.")
        tensor = cls(name, dtype.code, array.shape, Payload("memory"))
        tensor._reader = MemoryReader(encode(dtype, array))
        return tensor

    def __repr__(self) -> str:
        return f"StoredTensor({self.name!r}, {self.dtype}, {self.shape}, {self.payload.kind})"

    @_guarded
    def load(self) -> NDArray[Any]:
        """Read all values in their own dtype.

        Returns
        -------
        ndarray of shape `shape`, C-contiguous
            In NumPy's dtype of the element type, or ml_dtypes' one.

        Raises
        ------
        TensorError
            `problem`, or what reading brought to light.
        """
        values = self._elements(0, self.size, native=True)
        self._check_unchanged()
        return values.reshape(self.shape)

    @_guarded
    def load_float64(self) -> NDArray[np.float64]:
        """Read all values as float64, shape `shape`; holds them and one chunk of stored bytes.

        Raises
        ------
        TensorError
            `problem`, or what reading brought to light.
        """
        out = np.empty(self.size, dtype=np.float64)
        self._read_elements(0, out)
        return out.reshape(self.shape)

    @property
    def precision(self) -> type[np.float32 | np.float64]:
        """The narrowest of float32 and float64 that holds every value exactly."""
        return np.float32 if self._dtype is not None and self._dtype.fits_float32 else np.float64

    @property
    def sliceable(self) -> bool:
        """Whether any part can be read without what stands before it."""
        return self.payload.kind in ("raw", "external", "float_data", "double_data")

    @_guarded
    def load_exact(self) -> NDArray[Any]:
        """Read all values in `precision`, and hash them on the way where that needs no second reading.

        Returns
        -------
        ndarray of float32 or float64, shape `shape`, C-contiguous

        Raises
        ------
        TensorError
            `problem`, or what reading brought to light.
        """
        out = np.empty(self.size, dtype=self.precision)
        self._read_elements(0, out)
        if self._content_hash is None and self._as_stored(out):
            digest = self._new_digest()
            digest.update(out)
            self._content_hash = digest.name()
        return out.reshape(self.shape)

    @_guarded
    def read_lines(
        self, axis: int, start: int, stop: int, *, columns: int | None = None, native: bool = False
    ) -> NDArray[Any]:
        """Read rows (axis 0) or columns (axis 1) ``start:stop`` of a matrix.

        Parameters
        ----------
        axis : int
            0 or 1.
        start, stop : int
            ``0 <= start <= stop``, and no more than the axis has. Not checked.
        columns : int, optional
            Columns of the matrix that the values stand for in their order; a divisor of
            their number. Not checked. Default: what the axes after the first have.
        native : bool
            In the tensor's own dtype instead of `precision`.

        Returns
        -------
        ndarray
            Of shape ``(stop - start, columns)``, or ``(rows, stop - start)``.

        Raises
        ------
        TensorError
            `problem`, or what reading brought to light.
        """
        columns = math.prod(self.shape[1:]) if columns is None else columns
        rows, width = self.size // max(columns, 1), stop - start
        if axis == 0:
            read = self._elements(start * columns, width * columns, native=native)
            self._check_unchanged()
            return read.reshape(width, columns)
        dtype = np.dtype(numpy_dtype(self.dtype) if native else self.precision)
        if width < columns and columns * self._known_dtype().bits < 8 * SHORT_ROW:
            out = np.empty((width, rows), dtype=dtype).T
            step = max(1, TURNED // columns)
            for first in range(0, rows, step):
                part = self._elements(first * columns, min(step, rows - first) * columns, native=native)
                out[first : first + step] = part.reshape(-1, columns)[:, start:stop]
        elif self._as_stored(out := np.empty((rows, width), dtype=dtype)):
            reader, stored = self._open_reader(), out.view(np.uint8)
            for row in range(rows):
                reader.read((row * columns + start) * out.itemsize, stored[row])
        else:
            for row in range(rows):
                out[row] = self._elements(row * columns + start, width, native=native)
        self._check_unchanged()
        return out

    @_guarded
    def read_rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Read rows ``start:stop`` of the first axis as float64, shape ``(stop - start, *shape[1:])``.

        Raises
        ------
        IndexError
            The tensor has no such rows.
        TensorError
            `problem`, or what reading brought to light.
        """
        if not self.shape or not 0 <= start <= stop <= self.shape[0]:
            raise IndexError(f"rows {start}:{stop} of a tensor of shape {self.shape}")
        rows = self.read_lines(0, start, stop).astype(np.float64, copy=False)
        return rows.reshape(stop - start, *self.shape[1:])

    @_guarded
    def content_hash(self) -> str:
        """Hash dtype, shape and stored little-endian bytes.

        The same for one content, however it is stored (raw_data, a typed field,
        external data, memory).

        Returns
        -------
        str
            ``"blake3:"`` and 64 hexadecimal digits.

        Raises
        ------
        TensorError
            `problem`, or what reading brought to light.
        """
        if self._content_hash is None:
            self._content_hash = self._compute_hash()
        return self._content_hash

    def _compute_hash(self) -> str:
        """Hash the content chunk by chunk."""
        dtype = self._known_dtype()
        digest = self._new_digest()
        for _, chunk in self._chunks(0, self.nbytes):
            if dtype.name == "bool":
                np.not_equal(chunk, 0, out=chunk.view(np.bool_))
            digest.update(chunk)
        self._check_unchanged()
        return digest.name()

    def _new_digest(self) -> TensorDigest:
        """Start the hash of the content with element type and dims."""
        return TensorDigest(f"{self.dtype}{list(self.shape)}\n")

    def _elements(self, first: int, count: int, *, native: bool) -> NDArray[Any]:
        """Read `count` elements from `first` on, without a look at the file's time of change."""
        if not native:
            self._fill(first, out := np.empty(count, dtype=self.precision))
            return out
        dtype = self._known_dtype()
        begin, end = first * dtype.bits // 8, stored_bytes(dtype, first + count)
        stored = np.empty(end - begin, dtype=np.uint8)
        for start, length in self._parts(begin, end):
            self._open_reader().read(start, stored[start - begin :][:length])
        lead = first - begin * 8 // dtype.bits
        return decode_native(dtype, stored, lead + count)[lead:]

    def _read_elements(self, first: int, out: NDArray[Any]) -> None:
        """Fill `out` with the elements from `first` on."""
        self._fill(first, out)
        self._check_unchanged()

    def _fill(self, first: int, out: NDArray[Any]) -> None:
        """Fill `out` with the elements from `first` on, without a look at the file's time of change."""
        dtype = self._known_dtype()
        begin = first * dtype.bits // 8
        end = stored_bytes(dtype, first + out.size)
        if self._as_stored(out):
            stored = out.view(np.uint8)
            for start, length in self._parts(begin, end):
                self._open_reader().read(start, stored[start - begin : start - begin + length])
            return
        done = 0
        for start, chunk in self._chunks(begin, end):
            lead = first + done - start * 8 // dtype.bits
            count = min(chunk.size * 8 // dtype.bits - lead, out.size - done)
            decode_floats(dtype, chunk, lead, out[done : done + count])
            done += count

    def _as_stored(self, out: NDArray[Any]) -> bool:
        """Say whether an array has the stored bytes."""
        return sys.byteorder == "little" and out.dtype.name == self.dtype

    def _parts(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Cut a range of stored bytes into chunks: start and length of each."""
        for start in range(begin, end, CHUNK):
            yield start, min(CHUNK, end - start)

    def _chunks(self, begin: int, end: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Read a range of stored bytes chunk by chunk; unused bits of the last byte are 0."""
        dtype = self._known_dtype()
        reader = self._open_reader()
        unused = self.nbytes * 8 - self.size * dtype.bits
        buffer = np.empty(min(CHUNK, end - begin), dtype=np.uint8)
        for start, length in self._parts(begin, end):
            chunk = buffer[:length]
            reader.read(start, chunk)
            if unused and start + length == self.nbytes:
                chunk[-1] &= np.uint8(0xFF >> unused)
            yield start, chunk

    def _open_reader(self) -> PayloadReader:
        """Give the reader of the payload."""
        if self._reader is None:
            dtype = self._known_dtype()
            if self._file is None:
                return MemoryReader(np.empty(0, dtype=np.uint8))
            width = max(dtype.bits // 8, 1)
            reader: PayloadReader = reader_for(
                self.payload.kind, self._file, self.payload.segments, width, -(-self.nbytes // width)
            )
            self._reader = reader
        return self._reader

    def _check_unchanged(self) -> None:
        """Refuse what was read from a file that changed meanwhile."""
        if self._file is not None and not self._file.unchanged():
            raise TensorError("file_changed", "The file changed while it was read; analyse it when it is complete.")

    def _known_dtype(self) -> DType:
        """Give the element type of a tensor without problems."""
        if self._dtype is None:
            raise TensorError("unsupported_dtype", f"Its element type {self.data_type} is unknown.")
        return self._dtype

    def _check_dims(self, limits: Limits) -> TensorError | None:
        """Find what is wrong with element type and dims."""
        if self._dtype is None:
            return TensorError("unsupported_dtype", f"Its element type {self.data_type} is unknown.")
        if not self._dtype.supported:
            return TensorError("unsupported_dtype", f"Values of type {self.dtype} cannot be read as real numbers.")
        if len(self.shape) > limits.rank:
            return TensorError("rank_too_high", f"It has {len(self.shape)} dims; at most {limits.rank} are accepted.")
        if self.shape and min(self.shape) < 0:
            return TensorError("negative_dim", f"It has a negative dim: {list(self.shape)}.")
        extent = self.size or math.prod(dim for dim in self.shape if dim)
        if extent * 8 > MAX_BYTES:
            return TensorError("dims_overflow", f"Its dims {list(self.shape)} ask for more than a computer can hold.")
        if self.nbytes > limits.tensor_bytes:
            sizes = f"{self.nbytes:,} stored bytes; at most {limits.tensor_bytes:,} are accepted"
            return TensorError("tensor_too_large", f"Its dims {list(self.shape)} ask for {sizes}.")
        return None

    def _check_payload(self) -> TensorError | None:
        """Find what is wrong with the payload's place and length."""
        kind = self.payload.kind
        if kind == "memory" or (kind == "none" and self.size == 0):
            return None
        if kind == "none":
            return TensorError("payload_missing", f"It has no data; its dims ask for {self.nbytes:,} bytes.")
        dtype = self._known_dtype()
        if kind not in {"raw", "external", dtype.field}:
            return TensorError("payload_field", f"Its data are in {kind}, where {self.dtype} cannot be.")
        if kind in {"int32_data", "int64_data", "uint64_data"}:
            count = -(-self.nbytes // max(dtype.bits // 8, 1))  # each takes one to ten bytes
            if not count <= self.payload.nbytes <= 2 * MAX_VARINT * count:
                given_bytes = f"{self.payload.nbytes:,} bytes of data for {count:,} numbers of its dims"
                return TensorError("payload_length", f"It has {given_bytes}.")
            return None
        given = 0
        for segment in self.payload.segments:
            tags = segment.length // (dtype.bits // 8 + 1) if segment.tagged else 0
            given += segment.length - tags
        if given != self.nbytes:
            return TensorError(
                "payload_length", f"It has {given:,} bytes of data; its dims ask for {self.nbytes:,} bytes."
            )
        return None
