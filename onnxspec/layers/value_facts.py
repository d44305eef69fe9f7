"""What one pass over the values of a weight tells: whether all are finite, the largest, denormals, and their hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec._digest import TensorDigest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from onnxspec.graph.values import Values

__all__ = ["ValueFacts", "facts_of", "value_hash"]

PART = 2**16
"""Elements that are looked at together: they stay in the processor's cache."""

SLAB = 2**20
"""Elements that are read from the file together."""

SMALLEST_NORMAL = 2.0**-126


@dataclass(frozen=True)
class ValueFacts:
    """Facts about the values of one weight.

    Attributes
    ----------
    not_finite : int
        Values that are NaN or infinite.
    largest : float
        Largest absolute value of the finite ones.
    denormals : int
        Values that are not zero and below the smallest normal float32.
    value_hash : str or None
        See `value_hash`; None where a value is not finite.
    """

    not_finite: int
    largest: float
    denormals: int
    value_hash: str | None


def facts_of(values: Values) -> ValueFacts:
    """Look at all values once (twice where float64 may hold no more than float32).

    Raises
    ------
    TensorError
        The payload cannot be read.
    """
    single = values.array is not None and values.array.dtype == np.float32
    single = single or (values.file is not None and values.file.dtype == np.float32)
    exact = single or all(_fits_float32(part) for part in _rows(values))
    digest = TensorDigest(repr(("<f4" if exact else "<f8", values.shape)))
    not_finite = denormals = 0
    largest = 0.0
    for part in _rows(values):
        with np.errstate(over="ignore", invalid="ignore"):
            kept = np.ascontiguousarray(part, dtype="<f4" if exact else "<f8")
        digest.update(kept)
        flat = kept.reshape(-1)
        for start in range(0, flat.size, PART):
            bad, top, small = _look(flat[start : start + PART])
            not_finite, largest, denormals = not_finite + bad, max(largest, top), denormals + small
        del part, kept, flat  # before the next ones are read
    found = None if not_finite else digest.name()
    return ValueFacts(not_finite, largest, denormals, found)


def value_hash(canonical: NDArray[Any]) -> str:
    """Hash the decoded values in canonical form; equal for equal weights in any graph form.

    Values that float32 holds exactly are hashed as float32, which halves the work.

    Parameters
    ----------
    canonical : ndarray of float32 or float64, shape (groups, outputs, inputs, positions)
        Finite values.

    Returns
    -------
    str
        ``"blake3:"`` and 64 hexadecimal digits.

    Raises
    ------
    ValueError
        A value is not finite.
    """
    from onnxspec.graph.values import Values

    groups, outputs, inputs, positions = canonical.shape
    found = facts_of(Values((groups, outputs, inputs, positions), canonical)).value_hash
    if found is None:
        raise ValueError("a value is not finite")
    return found


def _rows(values: Values) -> Iterator[NDArray[Any]]:
    """Give the values some lines at a time: in canonical order, those of a very large matrix along its longer side.

    So its spectrum reads them too, and the file is read once, whichever side it is stored by.
    """
    _, outputs, inputs, positions = values.shape
    if values.lengthwise:
        matrix = values.matrix()
        axis = 0 if outputs >= inputs else 1
        yield from (matrix.lines(axis, *ends) for ends in _runs(matrix.shape[axis], matrix.shape[1 - axis]))
    elif values.file is not None:
        yield from (values.file.lines(0, *ends) for ends in _runs(outputs, inputs * positions))
    else:
        for group in values.canonical():
            yield from (group[start:stop] for start, stop in _runs(outputs, inputs * positions))


def _runs(lines: int, line: int) -> Iterator[tuple[int, int]]:
    """Cut lines of so many elements into runs: where each starts and stops."""
    step = max(1, SLAB // max(1, line))
    for start in range(0, lines, step):
        yield start, min(start + step, lines)


def _fits_float32(part: NDArray[Any]) -> bool:
    """Say whether float32 holds all values exactly."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.array_equal(part.astype(np.float32), part, equal_nan=True))


def _look(part: NDArray[Any]) -> tuple[int, float, int]:
    """Count values that are not finite, find the largest size, and count denormals."""
    if part.dtype.itemsize == 8:
        size = np.abs(part)
        finite = np.isfinite(size)
        bad = size.size - int(np.count_nonzero(finite))
        top = float(size.max(initial=0.0, where=finite))
        return bad, top, int(np.count_nonzero((size < SMALLEST_NORMAL) & (size > 0.0)))
    bits = part.view("<u4") & np.uint32(0x7FFFFFFF)
    highest = int(bits.max())
    bad = 0
    if highest >= 0x7F800000:
        beyond = bits >= 0x7F800000
        bad = int(np.count_nonzero(beyond))
        bits[beyond] = 0
        highest = int(bits.max())
    top = float(np.array(highest, "<u4").view("<f4"))
    bits -= np.uint32(1)  # zero becomes the largest number
    return bad, top, 0 if int(bits.min()) >= 0x7FFFFF else int(np.count_nonzero(bits < 0x7FFFFF))
