"""A matrix that is worked through in slabs: so many of its lines at a time, in float64.

A slab is a run of whole rows of the matrix as it is oriented for its spectrum
(N x M, N >= M). Its size depends on the shape alone, and slabs are added up in
their order, so that no result depends on where the values come from or on how many
workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Lines", "Mapper", "Slabs", "Stack", "gram", "one_by_one", "slab_rows"]

SLAB_ELEMENTS = 2**20
"""Elements of one slab: 8 MiB of float64."""

_EXACT_POWER = 1000  # 2.0 ** it and its inverse are normal numbers

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Applies a function to items and gives the results in their order, like `map`; may use several workers."""

one_by_one: Mapper = map
"""The mapper of one worker."""


class Lines(Protocol):
    """Something that gives the lines of a matrix."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""

    def lines(self, axis: int, start: int, stop: int) -> NDArray[Any]:
        """Give lines ``start:stop`` of an axis, one in a row of the result."""


@dataclass(frozen=True)
class Slabs:
    """One matrix, to be read slab by slab.

    Attributes
    ----------
    source : Lines
        Where the values come from.
    exponent : int
        The values are divided by ``2 ** exponent`` first.
    centre, bound, shift : float
        Then each is taken as ``clip(value - centre, -bound, bound) - shift``.
    mapper : Mapper
        Works on the slabs, in `each` and `gram`.
    """

    source: Lines
    exponent: int = 0
    centre: float = 0.0
    bound: float = float("inf")
    shift: float = 0.0
    mapper: Mapper = field(default=one_by_one, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as given."""
        return self.source.shape

    @property
    def axis(self) -> int:
        """The longer side, along which the slabs lie."""
        return 0 if self.shape[0] >= self.shape[1] else 1

    @property
    def N(self) -> int:
        """Length of the longer side."""
        return max(self.shape)

    @property
    def M(self) -> int:
        """Length of the shorter side."""
        return min(self.shape)

    def starts(self) -> range:
        """Give where each slab starts."""
        return range(0, self.N, slab_rows(self.M))

    def slab(self, start: int) -> Array:
        """Read the slab that starts at a line, as float64 of shape (lines, M), C-contiguous."""
        return self.lines(start, min(start + slab_rows(self.M), self.N))

    def lines(self, start: int, stop: int, exponent: int = 0) -> Array:
        """Read lines ``start:stop``, divided by ``2 ** exponent`` beside what the slabs are, as `slab` does."""
        part = np.array(self.source.lines(self.axis, start, stop), dtype=np.float64, order="C")
        if self.exponent:
            _divide(part, self.exponent)
        if self.centre:
            part -= self.centre
        if self.bound < np.inf:
            np.clip(part, -self.bound, self.bound, out=part)
        if self.shift:
            part -= self.shift
        if exponent:
            _divide(part, exponent)
        return part

    def __iter__(self) -> Iterator[Array]:
        return map(self.slab, self.starts())

    def each(self, function: Callable[[Array], Any]) -> Iterator[Any]:
        """Apply a function to every slab, and give what it gives in their order."""
        return self.mapper(lambda start: function(self.slab(start)), self.starts())

    def whole(self) -> Array:
        """Give the matrix as given, in memory."""
        lines = np.concatenate(list(self))
        return np.ascontiguousarray(lines if self.axis == 0 else lines.T)

    def largest(self) -> float:
        """Give the largest absolute value; NaN where there is one."""
        return float(np.max(list(self.each(lambda part: max(float(part.max()), -float(part.min()))))))

    def mean(self) -> float:
        """Give the mean of the values."""
        return float(sum(self.each(lambda part: float(part.sum()))) / (self.N * self.M))

    def dot(self, vector: Array) -> Array:
        """Give the product of the matrix as given with a vector of as many values as it has columns."""
        if self.axis == 0:
            return np.concatenate(list(self.each(lambda part: part @ vector)))
        result = np.zeros(self.M)
        for start, part in zip(self.starts(), self):
            result += vector[start : start + len(part)] @ part
        return result


@dataclass(frozen=True)
class Stack:
    """Several matrices of one shape, read some at a time.

    Attributes
    ----------
    shape : tuple of int
        Their number, rows and columns.
    dtype : dtype
        Of the values.
    read : callable
        Gives the matrices from one number to another, in an array of three axes.
    together : int
        How many are read at a time.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    read: Callable[[int, int], NDArray[Any]]
    together: int

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Give them in parts, of shape ``(number, N, M)`` with N >= M."""
        for first in range(0, self.shape[0], self.together):
            part = self.read(first, min(first + self.together, self.shape[0]))
            yield part if self.shape[1] >= self.shape[2] else part.swapaxes(1, 2)


def _divide(part: Array, exponent: int) -> None:
    """Divide by ``2 ** exponent`` in place."""
    with np.errstate(under="ignore"):
        if abs(exponent) < _EXACT_POWER:
            part *= 2.0**-exponent  # the same bits as ldexp, several times faster
        else:
            np.ldexp(part, -exponent, out=part)


def slab_rows(M: int) -> int:
    """Give the lines of one slab: of `SLAB_ELEMENTS`, and not fewer than M.

    Forming the Gram matrix of a slab then costs more than adding it to the sum.
    """
    return max(SLAB_ELEMENTS // max(M, 1), M, 1)


def gram(slabs: Slabs, exponent: int) -> Array:
    """Form ``W^T W / 4 ** exponent`` of the oriented matrix, slab by slab.

    Parameters
    ----------
    slabs : Slabs
        The matrix; its mapper computes the products, which are added in their order.
    exponent : int
        Its values are divided by ``2 ** exponent``, which changes no other bit.

    Returns
    -------
    ndarray of float64, shape (M, M)
    """
    # float64 holds the squares of what float32 can hold and their sums: one division at the end gives the same bits
    at_the_end = slabs.source.dtype == np.float32

    def product(start: int) -> Array:
        part = slabs.slab(start)
        if not at_the_end:
            _divide(part, exponent)
        with np.errstate(under="ignore"):
            result: Array = part.T @ part
        return result

    total: Array | None = None
    for term in slabs.mapper(product, slabs.starts()):
        if total is None:
            total = term
        else:
            total += term
        del term
    if total is None:
        raise ValueError("the matrix is empty")
    if at_the_end:
        _divide(total, 2 * exponent)
    return total
