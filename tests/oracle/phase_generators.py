"""Random matrices of known phase, for the validation and the tests of the phase rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.diagnosis.phases import Phase, classify
from onnxspec.laws.spiked import haar
from onnxspec.spectra.eigen import spectrum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Rng = np.random.Generator

SHAPES = ((600, 300), (300, 300), (1000, 200), (256, 128))


def spiked(rng: Rng, N: int, M: int, theta: Array) -> Array:
    """Draw unit noise plus spikes of given strengths along Haar vectors."""
    return rng.standard_normal((N, M)) + math.sqrt(N) * (haar(rng, N, theta.size) * theta) @ haar(rng, M, theta.size).T


def _few(rng: Rng, M: int) -> int:
    """Draw 1 to 5 % of M, at least 2."""
    return max(2, round(M * rng.uniform(0.01, 0.05)))


def random_like(rng: Rng, N: int, M: int) -> Array:
    """Draw Gaussian, Laplace or uniform entries."""
    kind = rng.integers(3)
    if kind == 0:
        return rng.standard_normal((N, M))
    return rng.laplace(size=(N, M)) if kind == 1 else rng.uniform(-1.0, 1.0, (N, M))


def bleeding_out(rng: Rng, N: int, M: int) -> Array:
    """Draw a few spikes just above the threshold."""
    return spiked(rng, N, M, (M / N) ** 0.25 * rng.uniform(1.1, 1.45, _few(rng, M)))


def bulk_spikes(rng: Rng, N: int, M: int) -> Array:
    """Draw a few spikes of 2 to 6 times the threshold."""
    return spiked(rng, N, M, (M / N) ** 0.25 * rng.uniform(2.0, 6.0, _few(rng, M)))


def bulk_decay(rng: Rng, N: int, M: int) -> Array:
    """Draw many spikes whose strengths fall off exponentially."""
    k = round(M * rng.uniform(0.3, 0.5))
    return spiked(rng, N, M, (M / N) ** 0.25 * (0.9 + rng.exponential(rng.uniform(0.35, 0.7), k)))


def heavy_tailed(rng: Rng, N: int, M: int) -> Array:
    """Draw symmetric Pareto entries, or a Pareto spectrum with Haar vectors."""
    if rng.integers(2):
        mu = rng.uniform(0.8, 2.5)
        return rng.choice((-1.0, 1.0), (N, M)) * rng.uniform(size=(N, M)) ** (-1.0 / mu)
    alpha = rng.uniform(1.8, 3.5)
    sv = rng.uniform(size=M) ** (-0.5 / (alpha - 1.0))
    return math.sqrt(N) * (haar(rng, N, M) * sv) @ haar(rng, M, M).T


def rank_collapse(rng: Rng, N: int, M: int) -> Array:
    """Draw a product of two Gaussian matrices of low rank, and very little noise."""
    r = round(M * rng.uniform(0.3, 0.85))
    product: Array = rng.standard_normal((N, r)) @ rng.standard_normal((r, M)) / math.sqrt(r)
    level = float(10.0 ** rng.uniform(-6.0, math.log10(3e-3)))
    return product + level * rng.standard_normal((N, M))


GENERATORS: dict[str, Callable[[Rng, int, int], Array]] = {
    "random_like": random_like,
    "bleeding_out": bleeding_out,
    "bulk_spikes": bulk_spikes,
    "bulk_decay": bulk_decay,
    "heavy_tailed": heavy_tailed,
    "rank_collapse": rank_collapse,
}
"""The six generators on which the thresholds were chosen (with other seeds)."""


def _sparse(rng: Rng, n: int, k: int) -> Array:
    """Draw k unit vectors of length n, each on a block of n/8 elements of its own."""
    size = n // 8
    vectors = np.zeros((n, k))
    for column, block in enumerate(rng.choice(8, k, replace=False)):
        v = rng.standard_normal(size)
        vectors[block * size : (block + 1) * size, column] = v / np.linalg.norm(v)
    return vectors


def block_sparse(rng: Rng, N: int, M: int) -> Array:
    """Draw noise plus strong blocks of rank one on an eighth of rows and columns each."""
    k = int(rng.integers(1, 6))
    theta = (M / N) ** 0.25 * rng.uniform(2.0, 5.0, k)
    return rng.standard_normal((N, M)) + math.sqrt(N) * (_sparse(rng, N, k) * theta) @ _sparse(rng, M, k).T


def weak_blocks(rng: Rng, N: int, M: int) -> Array:
    """Draw noise plus blocks of rank one just above the threshold."""
    k = int(rng.integers(2, 6))
    theta = (M / N) ** 0.25 * rng.uniform(1.2, 1.45, k)
    return rng.standard_normal((N, M)) + math.sqrt(N) * (_sparse(rng, N, k) * theta) @ _sparse(rng, M, k).T


def shifted_mean(rng: Rng, N: int, M: int) -> Array:
    """Draw uniform noise whose mean is not zero."""
    noise = rng.uniform(-(3.0**0.5), 3.0**0.5, (N, M))
    return noise + (M / N) ** 0.25 * rng.uniform(2.0, 5.0) / math.sqrt(M)


def low_rank_update(rng: Rng, N: int, M: int) -> Array:
    """Draw noise plus a merged low-rank update B A with Gaussian factors."""
    r = int(rng.integers(4, 9))
    B, A = rng.standard_normal((N, r)), rng.standard_normal((r, M))
    return rng.standard_normal((N, M)) + (M / N) ** 0.25 * rng.uniform(2.5, 4.0) / math.sqrt(M) * B @ A


def below_threshold(rng: Rng, N: int, M: int) -> Array:
    """Draw noise plus spikes that are too weak to leave the bulk."""
    return spiked(rng, N, M, (M / N) ** 0.25 * rng.uniform(0.3, 0.7, 3))


def pruned(rng: Rng, N: int, M: int) -> Array:
    """Draw Gaussian noise of which 30 to 70 % were set to zero at random."""
    return rng.standard_normal((N, M)) * (rng.uniform(size=(N, M)) > rng.uniform(0.3, 0.7))


def int8_grid(rng: Rng, N: int, M: int) -> Array:
    """Draw Gaussian noise rounded to 255 levels."""
    W = rng.standard_normal((N, M))
    step = np.abs(W).max() / 127.0
    rounded: Array = np.rint(W / step) * step
    return rounded


def correlated_rows(rng: Rng, N: int, M: int) -> Array:
    """Draw Gaussian noise whose neighbouring columns are correlated."""
    rho = float(rng.uniform(0.35, 0.6))
    c: Array = rho ** np.abs(np.subtract.outer(np.arange(M), np.arange(M)))
    W: Array = rng.standard_normal((N, M)) @ np.linalg.cholesky(c).T
    return W


def row_scales(rng: Rng, N: int, M: int) -> Array:
    """Draw Gaussian noise whose columns have lognormal scales."""
    return rng.standard_normal((N, M)) * np.exp(rng.uniform(0.3, 0.45) * rng.standard_normal(M))


def student_entries(rng: Rng, N: int, M: int) -> Array:
    """Draw entries of Student's t law with 1 to 2.3 degrees of freedom."""
    return rng.standard_t(rng.uniform(1.0, 2.3), (N, M))


def inverse_wishart(rng: Rng, N: int, M: int) -> Array:
    """Draw noise over a Wishart matrix: a tail of eigenvalues that falls as a power."""
    C = rng.standard_normal((M, round(M * rng.uniform(1.05, 1.4))))
    W: Array = np.linalg.solve(np.linalg.cholesky(C @ C.T / C.shape[1]), rng.standard_normal((M, N))).T
    return W


def lognormal_spectrum(rng: Rng, N: int, M: int) -> Array:
    """Draw a wide lognormal spectrum with Haar vectors."""
    sv = np.exp(0.5 * rng.uniform(1.2, 2.0) * rng.standard_normal(M))
    return math.sqrt(N) * (haar(rng, N, M) * sv) @ haar(rng, M, M).T


def dead_columns(rng: Rng, N: int, M: int) -> Array:
    """Draw Gaussian noise of which 10 to 60 % of the columns are zero or copies of others."""
    W = rng.standard_normal((N, M))
    dead = rng.choice(M, round(M * rng.uniform(0.1, 0.6)), replace=False)
    W[:, dead] = 0.0 if rng.integers(2) else W[:, [int(np.setdiff1d(np.arange(M), dead)[0])]]
    return W


def orthogonal(rng: Rng, N: int, M: int) -> Array:
    """Draw orthonormal columns."""
    return haar(rng, N, M)


UNSEEN: dict[str, tuple[str, Callable[[Rng, int, int], Array]]] = {
    "below_threshold": ("random_like", below_threshold),
    "pruned": ("random_like", pruned),
    "int8_grid": ("random_like", int8_grid),
    "weak_blocks": ("bleeding_out", weak_blocks),
    "block_sparse": ("bulk_spikes", block_sparse),
    "shifted_mean": ("bulk_spikes", shifted_mean),
    "low_rank_update": ("bulk_spikes", low_rank_update),
    "correlated_rows": ("bulk_decay", correlated_rows),
    "row_scales": ("bulk_decay", row_scales),
    "student_entries": ("heavy_tailed", student_entries),
    "inverse_wishart": ("heavy_tailed", inverse_wishart),
    "lognormal_spectrum": ("heavy_tailed", lognormal_spectrum),
    "dead_columns": ("rank_collapse", dead_columns),
    "orthogonal": ("isometric", orthogonal),
}
"""Generators on which no threshold was chosen, each with the phase it stands for."""


def phase_of(W: Array) -> Phase:
    """Classify one matrix as the engine does."""
    s = spectrum(W, dtype="float32")
    return classify(s.evals, s.N, s.M, zeros=s.M - s.rank)
