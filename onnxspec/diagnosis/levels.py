"""Do the values of a float weight lie on few levels? Then somebody rounded them and stored the result as floats.

Values that training leaves behind hardly ever repeat. Rounded to b bits they take 2^b
levels at most: in the whole tensor, for each output or input, or in each block that had
a scale of its own. Only repetition is looked at, so any kind of grid is found, also one
with levels at unequal distances.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_LEVELS", "Levels", "value_levels"]

Array = NDArray[np.floating]
Granularity = Literal["tensor", "output", "input", "block"]

MOST_LEVELS = 256
"""More levels than eight bits have count as none."""

REPEATS = 2
"""How often a level occurs on average, at least: fewer repetitions prove no grid."""

FEWEST = 64
"""Fewest values that are not zero for an answer."""

OWN_GRID = 1.8
"""Smaller groups have grids of their own where together they have so many times the levels of one: two grids share
hardly any level, and one grid loses only its rare levels in a smaller sample."""

GROUPS = 64
ELEMENTS = 2**14
BLOCKS = (256, 128, 64, 32)


@dataclass(frozen=True)
class Levels:
    """The grid on which a weight's values lie, from a sample of evenly spaced groups.

    Attributes
    ----------
    count : int or None
        Most levels in one group of values, zero included.
    bits : int or None
        Fewest bits that hold them, ``ceil(log2(count))``.
    granularity : {"tensor", "output", "input", "block"} or None
        The groups that have a grid of their own.
    block : int or None
        Values in one block.
    reason : str or None
        ``continuous``: there is no such grid. ``too_small``: too few values to tell.
    """

    count: int | None
    bits: int | None = None
    granularity: Granularity | None = None
    block: int | None = None
    reason: str | None = None


def value_levels(canonical: Array) -> Levels:
    """Find the coarsest groups of a weight whose values repeat on few levels.

    Parameters
    ----------
    canonical : ndarray of float32 or float64, shape (groups, outputs, inputs, positions)
        The values in canonical form.

    Returns
    -------
    Levels
        From 64 groups of at most 16,384 values of each granularity. Zeros, which pruning
        leaves, prove nothing and are not counted as repetitions.

    Raises
    ------
    ValueError
        `canonical` has other than four axes.
    """
    if canonical.ndim != 4:
        raise ValueError(f"canonical has {canonical.ndim} axes; it must have 4.")
    if np.count_nonzero(canonical) < FEWEST:
        return Levels(None, reason="too_small")
    found: Levels | None = None
    for granularity, block, rows in _groupings(canonical):
        first = next(rows)
        if np.unique(first).size > MOST_LEVELS:
            continue
        count = _levels(np.array([first, *rows]))
        if count is None:
            continue
        if found is None or found.count is None or found.count >= OWN_GRID * count:
            found = Levels(count, math.ceil(math.log2(count)), granularity, block)
    return found or Levels(None, reason="continuous")


def _groupings(canonical: Array) -> Iterator[tuple[Granularity, int | None, Iterator[Array]]]:
    """Give samples of groups, one in a row, from the whole tensor down to small blocks."""
    groups, outputs, inputs, positions = canonical.shape
    places = np.unravel_index(np.arange(0, canonical.size, -(-canonical.size // ELEMENTS)), canonical.shape)
    yield "tensor", None, iter([canonical[places]])
    by_output, by_input = (groups * outputs, inputs * positions), (groups * inputs, outputs * positions)
    yield "output", None, _spread(canonical, 1, by_output[1])
    yield "input", None, _spread(canonical, 2, by_input[1])
    for block in BLOCKS:
        for axis, (_, length) in ((1, by_output), (2, by_input)):
            if length >= 2 * block:
                yield "block", block, _spread(canonical, axis, block)


def _spread(canonical: Array, axis: int, length: int) -> Iterator[Array]:
    """Cut the values of each output (axis 1) or input (axis 2) into rows, and take evenly spaced ones of them.

    Of a long row evenly spaced values are taken.
    """
    groups, lines = canonical.shape[0], canonical.shape[axis]
    each = canonical.size // (groups * lines) // length
    step = -(-length // ELEMENTS)
    count = groups * lines * each
    if canonical.size == canonical.shape[1] * canonical.shape[2] and length <= MOST_LEVELS:
        matrix = canonical[0, :, :, 0] if axis == 1 else canonical[0, :, :, 0].T
        line, part = np.divmod(np.linspace(0, count - 1, min(count, GROUPS)).round().astype(int), each)
        yield from matrix[line[:, np.newaxis], part[:, np.newaxis] * length + np.arange(length)]
        return
    for row in np.linspace(0, count - 1, min(count, GROUPS)).round().astype(int).tolist():
        line, part = divmod(row, each)
        group, place = divmod(line, lines)
        values = canonical[group, place] if axis == 1 else canonical[group, :, place]
        yield values.reshape(-1)[part * length : (part + 1) * length : step]


def _levels(values: Array) -> int | None:
    """Count the levels of the group that has most, or give None where the values do not repeat."""
    ordered = np.sort(values, axis=1)
    used = np.count_nonzero(ordered, axis=1)
    distinct = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1)
    zeros = used < ordered.shape[1]
    beside_zero = distinct - zeros
    total = int(used.sum())
    if int(distinct.max()) > MOST_LEVELS or total < FEWEST or total < REPEATS * int(beside_zero.sum()):
        return None
    return int(distinct.max())
