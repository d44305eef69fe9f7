"""Pruning and its patterns; updates that touch few elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Pruning", "Touched", "pruning", "touched"]

PATTERNS = ((1, 4), (2, 4), (1, 2), (4, 8))
"""N of M consecutive inputs are kept; (2, 4) is what NVIDIA's sparse tensor cores compute with."""


@dataclass(frozen=True)
class Pruning:
    """What was set to zero.

    Attributes
    ----------
    share : float
        Share of the elements that are zero now and were not.
    pattern : str
        ``unstructured``, ``outputs``, ``inputs``, ``channels`` (both) or ``N:M``.
    outputs, inputs : int
        Channels that are all zero now and were not.
    pattern_chance : float or None
        For ``N:M``: share of the groups that would keep to it if as many zeros lay anywhere.
    """

    share: float
    pattern: str
    outputs: int
    inputs: int
    pattern_chance: float | None


@dataclass(frozen=True, eq=False)
class Touched:
    """Where a matrix changed.

    Attributes
    ----------
    share : float
        Share of the elements that changed.
    outputs, inputs : ndarray of bool
        Rows, and inputs, in which anything changed.
    filled : float
        Share of changed elements among the rows and inputs that changed.
    """

    share: float
    outputs: NDArray[np.bool_]
    inputs: NDArray[np.bool_]
    filled: float


def pruning(a: Array, b: Array, positions: int) -> Pruning:
    """Say what b lost against a, shape (outputs, inputs * positions)."""
    zeroed = (b == 0.0) & (a != 0.0)
    gone = b == 0.0
    per_input = gone.reshape(len(gone), -1, positions).all(axis=(0, 2))
    had_input = (a != 0.0).reshape(len(gone), -1, positions).any(axis=(0, 2))
    outputs = gone.all(axis=1) & (a != 0.0).any(axis=1)
    inputs = per_input & had_input
    rest = zeroed[~outputs]
    outside = rest[:, ~np.repeat(inputs, positions)]
    if outside.size == 0 or np.count_nonzero(outside) <= 0.001 * np.count_nonzero(zeroed):
        both = bool(outputs.any()) and bool(inputs.any())
        pattern, chance = "channels" if both else "outputs" if outputs.any() else "inputs", None
    else:
        pattern, chance = _pattern(gone, positions)
    return Pruning(float(zeroed.mean()), pattern, int(outputs.sum()), int(inputs.sum()), chance)


def _pattern(gone: NDArray[np.bool_], positions: int) -> tuple[str, float | None]:
    """Find N of M among consecutive inputs."""
    by_input = gone.reshape(len(gone), -1, positions).swapaxes(1, 2).reshape(len(gone) * positions, -1)
    density = 1.0 - float(gone.mean())
    for keep, group in PATTERNS:
        width = by_input.shape[1] // group * group
        if not width or density > keep / group + 0.02 or density < 0.5 * keep / group:
            continue
        kept = group - by_input[:, :width].reshape(-1, group).sum(axis=1)
        chance = _at_most(keep, group, density)
        if np.all(kept <= keep) and kept.size * (1.0 - chance) > 20.0:
            return f"{keep}:{group}", chance
    return "unstructured", None


def _at_most(keep: int, group: int, density: float) -> float:
    """Give the chance that at most so many of a group are kept where each is by itself."""
    from scipy.stats import binom

    return float(binom.cdf(keep, group, density))


def touched(a: Array, b: Array, positions: int) -> Touched:
    """Say where a matrix of shape (outputs, inputs * positions) changed."""
    changed = a != b
    outputs = changed.any(axis=1)
    inputs = changed.reshape(len(a), -1, positions).any(axis=(0, 2))
    block = int(outputs.sum()) * int(inputs.sum()) * positions
    count = int(np.count_nonzero(changed))
    return Touched(count / a.size, outputs, inputs, count / block if block else 0.0)
