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

from onnxspec._distinct import distinct

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

GLIMPSE = 2**10
"""Values that are looked at first: where they have too many levels, so has the group."""

GLIMPSED_GROUPS = 8
SELDOM = 1 / 8
"""Share of values that come again in the groups that are looked at first, below which none of the others are;
of a grid it is a half or more."""

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
    if np.count_nonzero(canonical[0, 0]) < FEWEST and np.count_nonzero(canonical) < FEWEST:
        return Levels(None, reason="too_small")
    found: Levels | None = None
    seldom: set[int] = set()  # axes along which blocks hardly repeat; then parts of them do so even less
    for granularity, block, groups in _groupings(canonical):
        if (block and groups.axis in seldom) or groups.hardly_repeat():
            seldom |= {groups.axis} if block else set()
            continue
        count = _levels(groups.sample())
        if count is None:
            continue
        if found is None or found.count is None or found.count >= OWN_GRID * count:
            found = Levels(count, math.ceil(math.log2(count)), granularity, block)
    return found or Levels(None, reason="continuous")


def _groupings(canonical: Array) -> Iterator[tuple[Granularity, int | None, _Groups]]:
    """Give the ways to part the values into groups, from the whole tensor down to small blocks."""
    groups, outputs, inputs, positions = canonical.shape
    by_output, by_input = inputs * positions, outputs * positions
    yield "tensor", None, _Groups(canonical, 1, canonical.size, 1)
    yield "output", None, _Groups(canonical, 1, by_output, groups * outputs)
    yield "input", None, _Groups(canonical, 2, by_input, groups * inputs)
    for block in BLOCKS:
        if by_output >= 2 * block:
            yield "block", block, _Groups(canonical, 1, block, groups * outputs * (by_output // block))
        if by_input >= 2 * block:
            yield "block", block, _Groups(canonical, 2, block, groups * inputs * (by_input // block))


@dataclass(frozen=True)
class _Groups:
    """Groups of so many values that follow each other by outputs (axis 1) or by inputs (axis 2).

    A group that is shorter than the values of one output or input does not go beyond it.
    """

    canonical: Array
    axis: Literal[1, 2]
    length: int
    count: int

    def sample(self, most: int = GROUPS) -> Array:
        """Take evenly spaced groups, one in a row; of a long group evenly spaced values."""
        return self._take(np.linspace(0, self.count - 1, min(self.count, most)).round().astype(int), self._step)

    def hardly_repeat(self) -> bool:
        """Say from some values of the sample that there is no grid: of its first group, of several short ones."""
        if self.length <= MOST_LEVELS:
            few = np.sort(self.sample(GLIMPSED_GROUPS), axis=1)
            return bool(np.count_nonzero(few[:, 1:] == few[:, :-1]) < SELDOM * few.size)
        sparser = -(-min(self.length, ELEMENTS) // GLIMPSE)
        return bool(distinct(np.sort(self._take(np.zeros(1, int), self._step * sparser)[0])).size > MOST_LEVELS)

    @property
    def _step(self) -> int:
        """Distance of the values that are taken from one group."""
        return -(-self.length // ELEMENTS)

    def _take(self, numbers: NDArray[np.intp], step: int) -> Array:
        """Take groups by their numbers, and of each every `step`-th value."""
        groups, lines = self.canonical.shape[0], self.canonical.shape[self.axis]
        line_length = self.canonical.size // (groups * lines)
        places = np.arange(0, self.length, step)
        if self.length > line_length:  # the whole tensor
            line, places = np.divmod(places[np.newaxis], line_length)
        else:
            line, part = np.divmod(numbers[:, np.newaxis], line_length // self.length)
            places = part * self.length + places
        group, line = np.divmod(line, lines)
        positions = self.canonical.shape[3]
        # several times faster than divmod
        other = places if positions == 1 else places // positions
        position = 0 if positions == 1 else places - other * positions
        first, second = (line, other) if self.axis == 1 else (other, line)
        values: Array = self.canonical[group, first, second, position]
        return values


def _levels(values: Array) -> int | None:
    """Count the levels of the group that has most, or give None where the values do not repeat."""
    ordered = np.sort(values, axis=1)
    repeated = np.count_nonzero(ordered[:, 1:] == ordered[:, :-1])
    if values.size < REPEATS * (values.size - repeated - len(values)):  # hardly any value comes twice: the usual case
        return None
    used = np.count_nonzero(ordered, axis=1)
    distinct = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1)
    zeros = used < ordered.shape[1]
    beside_zero = distinct - zeros
    total = int(used.sum())
    if int(distinct.max()) > MOST_LEVELS or total < FEWEST or total < REPEATS * int(beside_zero.sum()):
        return None
    return int(distinct.max())
