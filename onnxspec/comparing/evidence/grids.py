"""Evenly spaced values, as quantisation leaves them: their step, granularity and bits, from the values alone.

Every value of a group that shares one step s is a whole multiple of s, and so s is the
largest value over a whole number of at most 255 (8 bits). That leaves 255 candidates a
group, and values that lie on one of them by chance are improbable: each does with
probability 2t at tolerance t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.comparing.evidence.precision import spacing_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["BLOCKS", "Grid", "Groups", "find_grid", "groups_of"]

BLOCKS = (256, 128, 64, 32, 16)
"""Elements that may share a step within a row or column."""

MAX_CODE = 255
"""Largest multiple of the step: codes of 8 bits, less their zero point."""

SURE = 30.0
"""Nats by which the values must speak for the grid: chance e^-30."""

_PROBES = 8
_SAMPLED_GROUPS = 16
_SAMPLED_ELEMENTS = 4096
_BATCH = 256


@dataclass(frozen=True)
class Groups:
    """A way to cut a matrix into groups that share one step.

    Attributes
    ----------
    granularity : {"tensor", "channel", "block"}
        As in `onnxspec.results.Quantization`.
    axis : {"outputs", "inputs"} or None
        The axis along which the step changes from channel to channel, or along which blocks run.
    block : int or None
        Elements of a block.
    """

    granularity: str
    axis: str | None = None
    block: int | None = None

    def cut(self, matrix: Array, positions: int) -> Array:
        """Give the groups as rows; short blocks are filled up with zeros."""
        if self.granularity == "tensor":
            return matrix.reshape(1, -1)
        turned = matrix
        if self.axis == "inputs" and self.granularity == "channel":
            rows, columns = matrix.shape
            turned = matrix.reshape(rows, columns // positions, positions).swapaxes(0, 1).reshape(-1, rows * positions)
        elif self.axis == "outputs" and self.granularity == "block":
            turned = matrix.T
        if self.block is None:
            return turned
        rows, columns = turned.shape
        padded = np.zeros((rows, -(-columns // self.block) * self.block))
        padded[:, :columns] = turned
        return padded.reshape(-1, self.block)

    def spread(self, values: Array, shape: tuple[int, int], positions: int) -> Array:
        """Give one value a group as a matrix that broadcasts against the whole."""
        rows, columns = shape
        if self.granularity == "tensor":
            return values.reshape(1, 1)
        if self.granularity == "channel":
            return values[:, None] if self.axis == "outputs" else np.repeat(values, positions)[None, :]
        block = self.block or 1
        if self.axis == "outputs":
            return np.repeat(values.reshape(columns, -1), block, axis=1)[:, :rows].T
        return np.repeat(values.reshape(rows, -1), block, axis=1)[:, :columns]


@dataclass(frozen=True, eq=False)
class Grid:
    """Evenly spaced values.

    Attributes
    ----------
    groups : Groups
        What shares a step.
    steps : ndarray of float64, broadcasts against the matrix
        The step of each element; 0 in groups of zeros.
    bits : int
        Bits that the codes need.
    low, high : ndarray of float64, likewise
        Least and largest value of each group.
    evidence : float
        Nats by which the values speak for it.
    """

    groups: Groups
    steps: Array
    bits: int
    low: Array
    high: Array
    evidence: float


def groups_of(shape: tuple[int, int], positions: int) -> list[Groups]:
    """Give the ways to cut a matrix, the coarsest first; those of fewer than four elements are left out."""
    rows, columns = shape
    found = [Groups("tensor")]
    if columns > 3:
        found.append(Groups("channel", "outputs"))
    if rows * positions > 3:
        found.append(Groups("channel", "inputs"))
    found += [Groups("block", "inputs", size) for size in BLOCKS if size < columns]
    found += [Groups("block", "outputs", size) for size in BLOCKS if size < rows and positions == 1]
    return found


def find_grid(matrix: Array, positions: int = 1, *, stored: str = "float32") -> Grid | None:
    """Find evenly spaced values.

    Parameters
    ----------
    matrix : ndarray of float64, shape (outputs, inputs * positions)
        Finite values.
    positions : int
        Kernel positions of one input.
    stored : str
        Type that holds the values exactly, which bounds how even they can be.

    Returns
    -------
    Grid or None
        The coarsest one; None where the values are not evenly spaced.
    """
    spacing = spacing_of(stored)
    for groups in groups_of((matrix.shape[0], matrix.shape[1]), positions):
        sample = groups.cut(_some(matrix, groups, positions), positions)
        if sample.shape[1] > _SAMPLED_ELEMENTS:
            sample = sample[:, :: sample.shape[1] // (_SAMPLED_ELEMENTS // 2)]
        cut = None if np.any(sample) else groups.cut(matrix, positions)
        if cut is None and _codes(sample, spacing, sure=-math.inf) is None:
            continue
        cut = groups.cut(matrix, positions) if cut is None else cut
        found = _codes(cut, spacing)
        if found is None:
            continue
        steps, bits, evidence = found
        return Grid(
            groups,
            groups.spread(steps, (matrix.shape[0], matrix.shape[1]), positions),
            bits,
            groups.spread(cut.min(axis=1), (matrix.shape[0], matrix.shape[1]), positions),
            groups.spread(cut.max(axis=1), (matrix.shape[0], matrix.shape[1]), positions),
            evidence,
        )
    return None


def _some(matrix: Array, groups: Groups, positions: int) -> Array:
    """Give a few whole groups."""
    rows, columns = matrix.shape
    if groups.axis == ("inputs" if groups.granularity == "channel" else "outputs"):
        chosen = np.arange(0, columns // positions, max(1, columns // positions // _SAMPLED_GROUPS))
        return matrix.reshape(rows, -1, positions)[:, chosen].reshape(rows, -1)
    return matrix[:: max(1, rows // _SAMPLED_GROUPS)]


def _tolerance(codes: Array | float, spacing: float) -> Array:
    """Give how far a value may lie from a multiple of the step, in steps: the product was rounded once, as was s."""
    bound: Array = 1e-6 + 1.5 * spacing * np.maximum(np.abs(codes), 1.0)
    return bound


def _codes(groups: Array, spacing: float, sure: float = SURE) -> tuple[Array, int, float] | None:
    """Give steps, bits and evidence of groups (rows) that all lie on a grid; None where one does not."""
    largest = np.abs(groups).max(axis=1)
    filled = np.flatnonzero(largest)
    if not filled.size:
        return None
    most = int(min(MAX_CODE, 0.25 / (1.5 * spacing)))
    steps = np.zeros(len(groups))
    evidence, levels, held, total, guess = 0.0, 1, 0, 0, 0
    for start, stop in _batches(filled.size):
        rows = filled[start:stop]
        ratio = groups[rows] / largest[rows, None]
        k = _multiples(ratio, most, spacing, guess)
        if k is None:
            return None
        guess = int(np.bincount(k.astype(np.int64)).argmax())
        steps[rows] = largest[rows] / k
        span = (ratio.max(axis=1) - ratio.min(axis=1)) * k
        levels = max(levels, int(np.rint(span.max())) + 1)
        count = np.count_nonzero(ratio, axis=1)
        nats = (count - 1) * -np.log(2.0 * _tolerance(k, spacing)) - math.log(MAX_CODE)
        evidence += float(np.maximum(nats, 0.0).sum())
        held += int(count[nats > 8.0].sum())
        total += int(count.sum())
    if evidence < sure or (held < 0.5 * total and sure > 0.0):
        return None
    return steps, max(1, math.ceil(math.log2(levels))), evidence


def _batches(count: int) -> Iterator[tuple[int, int]]:
    """Give ranges of groups: two first, which settle whether there is a grid at all."""
    yield 0, min(2, count)
    for start in range(2, count, _BATCH):
        yield start, min(start + _BATCH, count)


def _multiples(ratio: Array, most: int, spacing: float, guess: int) -> Array | None:
    """Give for each row the least k for which all its elements times k are whole; None where a row has none.

    Most rows have the k of the rows before, which is tried first; a smaller one could only divide it.
    """
    if not 1 < guess <= most:
        return _least_multiples(ratio, most, spacing)
    x = ratio * guess
    x -= np.rint(x)
    np.abs(x, out=x)
    tried = x.max(axis=1) <= _tolerance(float(guess), spacing)
    k = np.full(len(ratio), float(guess))
    for divisor in [d for d in range(1, guess // 2 + 1) if guess % d == 0]:
        open_rows = np.flatnonzero(tried & (k == guess))
        y = ratio[open_rows] * divisor
        y = np.abs(y - np.rint(y)).max(axis=1, initial=0.0)
        k[open_rows[y <= _tolerance(float(divisor), spacing)]] = divisor
    if not tried.all():
        rest = _least_multiples(ratio[~tried], most, spacing)
        if rest is None:
            return None
        k[~tried] = rest
    return k


def _least_multiples(ratio: Array, most: int, spacing: float) -> Array | None:
    """Give the same by trying all of them."""
    candidates = np.arange(1, most + 1, dtype=np.float64)
    probes = ratio[:, :: max(1, ratio.shape[1] // _PROBES)][:, :_PROBES]
    alive = np.ones((len(ratio), most), dtype=bool)
    for column in range(probes.shape[1]):
        x = probes[:, column, None] * candidates
        alive &= np.abs(x - np.rint(x)) <= _tolerance(candidates, spacing)
        if not alive.any(axis=1).all():
            return None
    k = np.zeros(len(ratio))
    pending = np.arange(len(ratio))
    while pending.size:
        if not alive[pending].any(axis=1).all():
            return None
        first = alive[pending].argmax(axis=1)
        x = ratio[pending] * candidates[first, None]
        x -= np.rint(x)
        fits = np.abs(x, out=x).max(axis=1) <= _tolerance(candidates[first], spacing)
        k[pending[fits]] = candidates[first[fits]]
        alive[pending, first] = False
        pending = pending[~fits]
    return k
