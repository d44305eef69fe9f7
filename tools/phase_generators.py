"""Random matrices of known phase, for the validation and the tests of the phase rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.laws.spiked import haar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Rng = np.random.Generator

SHAPES = ((600, 300), (300, 300), (1000, 200), (256, 128))


def spiked(rng: Rng, N: int, M: int, theta: Array) -> Array:
    """Unit noise plus spikes of given strengths along Haar vectors."""
    return rng.standard_normal((N, M)) + math.sqrt(N) * (haar(rng, N, theta.size) * theta) @ haar(rng, M, theta.size).T


def _few(rng: Rng, M: int) -> int:
    """Draw 1 to 5 % of M, at least 2."""
    return max(2, round(M * rng.uniform(0.01, 0.05)))


def random_like(rng: Rng, N: int, M: int) -> Array:
    """Gaussian, Laplace or uniform entries."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.standard_normal((N, M))
    return rng.laplace(size=(N, M)) if kind == 1 else rng.uniform(-1.0, 1.0, (N, M))


def bleeding_out(rng: Rng, N: int, M: int) -> Array:
    """A few spikes just above the threshold."""
    return spiked(rng, N, M, (M / N) ** 0.25 * rng.uniform(1.1, 1.45, _few(rng, M)))


def bulk_spikes(rng: Rng, N: int, M: int) -> Array:
    """A few spikes of 2 to 6 times the threshold."""
    return spiked(rng, N, M, (M / N) ** 0.25 * rng.uniform(2.0, 6.0, _few(rng, M)))


def bulk_decay(rng: Rng, N: int, M: int) -> Array:
    """Many spikes whose strengths fall off exponentially."""
    k = round(M * rng.uniform(0.3, 0.5))
    return spiked(rng, N, M, (M / N) ** 0.25 * (0.9 + rng.exponential(rng.uniform(0.35, 0.7), k)))


def heavy_tailed(rng: Rng, N: int, M: int) -> Array:
    """Symmetric Pareto entries, or a Pareto spectrum with Haar vectors."""
    if rng.integers(2):
        mu = rng.uniform(0.8, 2.5)
        return rng.choice((-1.0, 1.0), (N, M)) * rng.uniform(size=(N, M)) ** (-1.0 / mu)
    alpha = rng.uniform(1.8, 3.5)
    sv = rng.uniform(size=M) ** (-0.5 / (alpha - 1.0))
    return math.sqrt(N) * (haar(rng, N, M) * sv) @ haar(rng, M, M).T


def rank_collapse(rng: Rng, N: int, M: int) -> Array:
    """A product of two Gaussian matrices of low rank, and very little noise."""
    r = round(M * rng.uniform(0.3, 0.85))
    product = rng.standard_normal((N, r)) @ rng.standard_normal((r, M)) / math.sqrt(r)
    return product + 10.0 ** rng.uniform(-6.0, math.log10(3e-3)) * rng.standard_normal((N, M))


GENERATORS: dict[str, Callable[[Rng, int, int], Array]] = {
    "random_like": random_like,
    "bleeding_out": bleeding_out,
    "bulk_spikes": bulk_spikes,
    "bulk_decay": bulk_decay,
    "heavy_tailed": heavy_tailed,
    "rank_collapse": rank_collapse,
}
"""THEORY: the six generators on which the thresholds were chosen (with other seeds)."""
