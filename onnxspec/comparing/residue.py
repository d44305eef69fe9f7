"""What a difference is that no order, factor or rounding explains: low-rank, dense, or no difference but a stranger."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.comparing import explain
from onnxspec.comparing.evidence.difference import LARGEST_SHARE, low_rank, spectrum_of
from onnxspec.comparing.evidence.strangers import is_noise, kinship

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.comparing.evidence.difference import LowRank
    from onnxspec.comparing.evidence.elements import Elements
    from onnxspec.comparing.evidence.stores import Store
    from onnxspec.results.comparison import Change

    Array = NDArray[np.float64]

__all__ = ["explain_residue"]

CLEARLY_RELATED = 0.3
"""Cosine from which a dense change is called a fine-tune; below it and beyond chance nobody can tell."""

SAME_SPECTRUM = 1e-4
"""Relative distance of the singular values below which two matrices differ by rotations alone."""


def explain_residue(
    a: Array, b: Array, found: Elements, positions: int, store_a: Store, store_b: Store
) -> list[Change]:
    """Say what became of a in b by the spectrum of the difference, and by what the two have in common.

    Parameters
    ----------
    a, b : ndarray of float64, shape (outputs, inputs * positions)
        Finite, of one shape, not equal.
    found : Elements
        Of the two.
    positions : int
        Kernel positions.
    store_a, store_b : Store
        How they are stored.
    """
    if found.square_a == 0.0 or found.square_b == 0.0:
        return [explain.undecided("One of the two is all zeros.", {"zeros_a": found.zeros_a, "zeros_b": found.zeros_b})]
    d = b - a
    spectrum = spectrum_of(d)
    noise = math.hypot(store_a.rms, store_b.rms)
    rank = low_rank(spectrum, noise)
    if rank.holds and _of_one_matrix(a, rank, found):
        return [explain.low_rank_update(rank, spectrum, _shuffled_energy(d, rank.rank))]
    if rank.is_floor and rank.rank == 0:
        return [explain.noise_like(rank, found)]
    kin = kinship(a, b, positions)
    if kin.related and abs(kin.cosine) >= CLEARLY_RELATED:
        return [explain.dense(spectrum, rank, found, kin, store_b)]
    if kin.related:
        text = f"cosine {kin.cosine:.3f}: beyond chance, but far from one matrix that changed."
        return [explain.undecided(text, explain.kin_evidence(kin), {"cosine": kin.background})]
    distance = _spectrum_distance(a, b)
    if distance < SAME_SPECTRUM:
        return [explain.same_spectrum(distance, kin)]
    return [explain.stranger(kin, is_noise(a), is_noise(b))]


def _of_one_matrix(a: Array, rank: LowRank, found: Elements) -> bool:
    """Say whether a low rank says something: two strangers of few directions differ in few directions as well."""
    if abs(found.cosine or 0.0) >= CLEARLY_RELATED:
        return True
    own = int(np.count_nonzero(spectrum_of(a).singular_values > rank.edge))
    return rank.rank <= LARGEST_SHARE * own


def _shuffled_energy(d: Array, rank: int) -> float:
    """Measure which share of the squared norm the leading directions hold once the elements are shuffled."""
    shuffled = np.random.default_rng(0).permutation(d.ravel()).reshape(d.shape)
    squares = spectrum_of(shuffled).singular_values ** 2
    return float(squares[:rank].sum() / squares.sum())


def _spectrum_distance(a: Array, b: Array) -> float:
    """Give the relative distance of the singular values."""
    x, y = spectrum_of(a).singular_values, spectrum_of(b).singular_values
    return float(np.linalg.norm(x - y) / np.linalg.norm(x))
