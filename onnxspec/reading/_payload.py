"""Readers that give any part of a payload as the bytes that ``raw_data`` would hold."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from onnxspec.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "MAX_VARINT",
    "ByteFile",
    "FixedReader",
    "MemoryReader",
    "PayloadReader",
    "Segment",
    "VarintReader",
    "decode_varints",
    "reader_for",
]

VARINT_CHUNK = 2**18
MAX_VARINT = 10


class Segment(NamedTuple):
    """One run of payload bytes in a file.

    `tagged` says that every element has its field tag in front: the unpacked
    form of a repeated field.
    """

    offset: int
    length: int
    tagged: bool = False


class ByteFile(Protocol):
    """A regular file that payloads are read from."""

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer, or raise ``TensorError("file_changed")``."""

    def unchanged(self) -> bool:
        """Say whether the file is still as it was when it was opened."""


class PayloadReader(Protocol):
    """Random access to a payload in its stored form."""

    def read(self, first: int, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the stored bytes from byte `first` on."""


class MemoryReader:
    """A payload that is an array."""

    __slots__ = ("_stored",)

    def __init__(self, stored: NDArray[np.uint8]) -> None:
        self._stored = stored

    def read(self, first: int, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the stored bytes from byte `first` on."""
        out[:] = self._stored[first : first + out.size]


class FixedReader:
    """A payload of fixed-width elements: raw_data, external data, float_data, double_data.

    Parameters
    ----------
    file : ByteFile
        Where the bytes are.
    segments : sequence of Segment
        Their places, in order.
    width : int
        Bytes of one element, used in tagged segments alone.
    """

    __slots__ = ("_file", "_segments", "_width")

    def __init__(self, file: ByteFile, segments: Sequence[Segment], width: int) -> None:
        self._file = file
        self._segments = segments
        self._width = width

    def read(self, first: int, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the stored bytes from byte `first` on."""
        done = 0
        start = 0
        for segment in self._segments:
            length = segment.length
            if segment.tagged:
                length = length // (self._width + 1) * self._width
            skip = first + done - start
            if done < out.size and 0 <= skip < length:
                take = min(length - skip, out.size - done)
                self._read_part(segment, skip, out[done : done + take])
                done += take
            start += length
        if done != out.size:
            raise TensorError("payload_length", "The payload ends before its last element.")

    def _read_part(self, segment: Segment, skip: int, out: NDArray[np.uint8]) -> None:
        """Read one stretch of one segment."""
        if not segment.tagged:
            self._file.readinto(segment.offset + skip, out.data)
            return
        width = self._width
        first = skip // width
        last = -(-(skip + out.size) // width)
        raw = np.empty((last - first, width + 1), dtype=np.uint8)
        self._file.readinto(segment.offset + first * (width + 1), raw.reshape(-1).data)
        plain = raw[:, 1:].reshape(-1)
        lead = skip - first * width
        out[:] = plain[lead : lead + out.size]


def decode_varints(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], int]:
    """Decode the protobuf varints of a buffer.

    Parameters
    ----------
    data : ndarray of uint8
        Varints back to back; the last may be cut off.

    Returns
    -------
    values : ndarray of uint64
        Modulo 2^64, so that negative numbers come as their two's complement.
    used : int
        Bytes that the whole varints take.

    Raises
    ------
    TensorError
        A varint is longer than ten bytes (``payload_malformed``).
    """
    ends = np.flatnonzero(data < 0x80)
    used = int(ends[-1]) + 1 if ends.size else 0
    if data.size - used >= MAX_VARINT:
        raise TensorError("payload_malformed", "A number in the payload is longer than ten bytes.")
    if ends.size == used:
        return data[:used].astype(np.uint64), used
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest > MAX_VARINT:
        raise TensorError("payload_malformed", "A number in the payload is longer than ten bytes.")
    values = (data[starts] & 0x7F).astype(np.uint64)
    for k in range(1, longest):
        longer = np.flatnonzero(lengths > k)
        part = (data[starts[longer] + k] & 0x7F).astype(np.uint64)
        values[longer] |= part << np.uint64(7 * k)
    return values, used


class VarintReader:
    """A payload of varints: int32_data, int64_data, uint64_data.

    Reading on from where the last call ended costs nothing extra; going back
    decodes from the start again. Safe to share between threads.

    Parameters
    ----------
    file : ByteFile
        Where the bytes are.
    segments : sequence of Segment
        Their places, in order.
    width : int
        Stored bytes that one varint stands for.
    count : int
        Varints there must be, no more and no less.
    """

    __slots__ = ("_block", "_block_start", "_blocks", "_count", "_file", "_lock", "_segments", "_width")

    def __init__(self, file: ByteFile, segments: Sequence[Segment], width: int, count: int) -> None:
        self._file = file
        self._segments = segments
        self._width = width
        self._count = count
        self._lock = threading.Lock()
        self._rewind()

    def read(self, first: int, out: NDArray[np.uint8]) -> None:
        """Fill `out` with the stored bytes from byte `first` on."""
        with self._lock:
            try:
                self._read(first, out)
            except TensorError:
                self._rewind()
                raise

    def _read(self, first: int, out: NDArray[np.uint8]) -> None:
        """Decode on from the last block, or from the start."""
        if first < self._block_start:
            self._rewind()
        done = 0
        while done < out.size:
            skip = first + done - self._block_start
            if skip >= self._block.size:
                self._advance()
                continue
            take = min(self._block.size - skip, out.size - done)
            out[done : done + take] = self._block[skip : skip + take]
            done += take
        if first + out.size == self._count * self._width:
            self._check_end()

    def _rewind(self) -> None:
        """Start again at the first varint."""
        self._blocks = self._decode()
        self._block_start = 0
        self._block: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)

    def _advance(self) -> None:
        """Decode the next block."""
        start = self._block_start + self._block.size
        block = next(self._blocks, None)
        if block is None:
            raise TensorError("payload_length", "The payload has fewer elements than its dims say.")
        self._block_start = start
        self._block = block

    def _check_end(self) -> None:
        """Refuse a payload that goes on after its last element."""
        end = self._count * self._width
        while self._block_start + self._block.size <= end:
            block = next(self._blocks, None)
            if block is None:
                return
            self._block_start += self._block.size
            self._block = block
        raise TensorError("payload_length", "The payload has more elements than its dims say.")

    def _decode(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the payload's stored bytes block by block."""
        target = np.dtype(f"<u{self._width}")
        for segment in self._segments:
            at = segment.offset
            end = segment.offset + segment.length
            odd = 0
            while at < end:
                buffer = np.empty(min(VARINT_CHUNK, end - at), dtype=np.uint8)
                self._file.readinto(at, buffer.data)
                values, used = decode_varints(buffer)
                if used == 0:
                    raise TensorError("payload_malformed", "The last number in the payload is cut off.")
                at += used
                if segment.tagged:
                    values, odd = values[1 - odd :: 2], (odd + values.size) % 2
                yield values.astype(target).view(np.uint8)


def reader_for(kind: str, file: ByteFile, segments: Sequence[Segment], width: int, count: int) -> PayloadReader:
    """Give the reader of one field's payload (`count` elements of `width` stored bytes)."""
    if kind in {"int32_data", "int64_data", "uint64_data"}:
        return VarintReader(file, segments, width, count)
    return FixedReader(file, segments, width)
