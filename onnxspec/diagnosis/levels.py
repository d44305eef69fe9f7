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
    for granularity, block, groups in _groupings(canonical):
        count = None if groups.first_varies() else _levels(groups.rows())
        if count is None:
            continue
        if found is None or found.count is None or found.count >= OWN_GRID * count:
            found = Levels(count, math.ceil(math.log2(count)), granularity, block)
    return found or Levels(None, reason="continuous")


def _groupings(canonical: Array) -> Iterator[tuple[Granularity, int | None, _Groups]]:
    """Cut a weight into groups, from the whole tensor down to small blocks."""
    groups, outputs, inputs, positions = canonical.shape
    yield "tensor", None, _Groups(canonical, None, canonical.size)
    by_output, by_input = (groups * outputs, inputs * positions), (groups * inputs, outputs * positions)
    yield "output", None, _Groups(canonical, 1, by_output[1])
    yield "input", None, _Groups(canonical, 2, by_input[1])
    for block in BLOCKS:
        for axis, (_, length) in ((1, by_output), (2, by_input)):
            if length >= 2 * block:
                yield "block", block, _Groups(canonical, axis, block)


@dataclass(frozen=True)
class _Groups:
    """The values of a weight in groups of one length: of each output (axis 1), of each input (axis 2), or all."""

    canonical: Array
    axis: int | None
    length: int

    def first_varies(self) -> bool:
        """Say whether the first group alone has too many levels; some of its values mostly tell."""
        if self.length <= MOST_LEVELS:
            return False
        return any(np.unique(self.rows(1, most)).size > MOST_LEVELS for most in (4 * MOST_LEVELS, ELEMENTS))

    def rows(self, count: int = GROUPS, most: int = ELEMENTS) -> Array:
        """Take the first groups of an evenly spaced sample, one in a row, and the first values of each."""
        shape, step = self.canonical.shape, -(-self.length // ELEMENTS)
        if self.axis is None:
            places = np.arange(0, self.length, step)[:most]
            return self.canonical[np.unravel_index(places, shape)][np.newaxis]
        lines = shape[self.axis]
        each = self.canonical.size // (shape[0] * lines) // self.length
        total = shape[0] * lines * each
        chosen = np.linspace(0, total - 1, min(total, GROUPS)).round().astype(int)[:count]
        line, part = np.divmod(chosen, each)
        if self.canonical.size == shape[1] * shape[2] and self.length <= MOST_LEVELS:
            matrix = self.canonical[0, :, :, 0] if self.axis == 1 else self.canonical[0, :, :, 0].T
            return matrix[line[:, np.newaxis], part[:, np.newaxis] * self.length + np.arange(self.length)]
        return np.array([self._row(*pair, step)[:most] for pair in zip(line.tolist(), part.tolist())])

    def _row(self, line: int, part: int, step: int) -> Array:
        """Give one group, thinned where it is long."""
        group, place = divmod(line, self.canonical.shape[self.axis or 0])
        values = self.canonical[group, place] if self.axis == 1 else self.canonical[group, :, place]
        return values.reshape(-1)[part * self.length : (part + 1) * self.length : step]


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
