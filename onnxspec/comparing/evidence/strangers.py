"""Whether two matrices have anything to do with each other, and whether one of them is noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Kinship", "is_noise", "kinship"]

DRAWS = 16
SIGMAS = 5.0
"""Beyond so many standard deviations of the background, a cosine is none of chance."""

NOISE_P = 1e-4
"""A stranger is a random initialisation unless its p-value of being noise is below this."""

_SAMPLE = 2**21


@dataclass(frozen=True)
class Kinship:
    """The cosine of two matrices against that of shuffled ones.

    Attributes
    ----------
    cosine : float
        Of the two as they are.
    background, spread : float
        Mean and standard deviation after rows and inputs of one of them were shuffled.
    related : bool
        Whether the cosine lies beyond the background.
    """

    cosine: float
    background: float
    spread: float

    @property
    def related(self) -> bool:
        """Say whether the cosine lies beyond what shuffling leaves."""
        return abs(self.cosine - self.background) > SIGMAS * self.spread


def kinship(a: Array, b: Array, positions: int, seed: int = 0) -> Kinship:
    """Measure whether two matrices of one shape, (outputs, inputs * positions), are related.

    Shuffling whole rows and whole inputs keeps the laws of the values, row norms and
    means, which two unrelated layers may have in common.
    """
    if a.size > _SAMPLE:
        keep = np.arange(0, len(a), -(-a.size // _SAMPLE))
        a, b = a[keep], b[keep]
    scale = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    if scale == 0.0:
        return Kinship(0.0, 0.0, 0.0)
    rng = np.random.default_rng(seed)
    by_input = b.reshape(len(b), -1, positions)
    draws = []
    for _ in range(DRAWS):
        shuffled = by_input[rng.permutation(len(b))][:, rng.permutation(by_input.shape[1])]
        draws.append(float(np.vdot(a, shuffled.reshape(a.shape))) / scale)
    least = 1.0 / math.sqrt(a.size)
    return Kinship(float(np.vdot(a, b)) / scale, float(np.mean(draws)), max(float(np.std(draws)), least))


def is_noise(matrix: Array) -> tuple[bool | None, float | None, str | None]:
    """Say whether a matrix cannot be told from a random initialisation, with the p-value, or why that is unknown."""
    from onnxspec.diagnosis.trained import trained_verdict  # loads numba, which most comparisons do without

    found = trained_verdict(matrix)
    if found.verdict is None:
        return None, None, found.reason
    return found.verdict == "isometric" or (found.p_value or 0.0) >= NOISE_P, found.p_value, None
