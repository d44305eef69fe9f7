"""The p-value of the trained verdict by permuting the entries (effort full).

Two families are tested, each at half the level: the sums, cheap to compute, and the
spectral parts, which cost eigenvalues and are left out where the sums decide. Each
family is drawn until its p-value is known well enough: after `EXCEEDANCES`
permutations that look more structured (Besag and Clifford, Biometrika 78 (1991) 301),
or when the tail, an exponential law fitted to the permutations drawn so far, puts the
layer beyond `RESOLUTION`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxspec.diagnosis import exchangeability as ex
from onnxspec.diagnosis.noise_parts import Part, least_p, spectral_parts, sum_parts
from onnxspec.diagnosis.shuffling import shuffled

__all__ = ["MAX_DRAWS", "PermutationP", "permutation_p"]

Array = NDArray[np.float64]

FIRST_DRAWS = 4
"""Permutations before the tail is fitted for the first time: they give its mean to a factor of 2, which is allowed."""

EXCEEDANCES = 10
"""Permutations at least as structured as the layer that end the drawing."""

RESOLUTION = 1e-5
"""Drawing ends where the fitted tail puts p below this: ten times finer than what is promised."""

MAX_DRAWS = 400
"""Permutations at most; the tail fit takes p from there down to 1e-4 and below."""

MAX_ENTRIES = 4_000_000
MAX_SIDE = 1024
"""Beyond these sizes the table stands for the permutations of a family, which would take minutes."""

P_FLOOR = 1e-300


@dataclass(frozen=True)
class PermutationP:
    """A p-value from permutations.

    Attributes
    ----------
    p_value : float
        Chance that permuted entries look at least as structured.
    drawn : int
        Permutations drawn.
    """

    p_value: float
    drawn: int


def permutation_p(W: Array, parts: tuple[Part, ...], seed: int) -> PermutationP | None:
    """Find the p-value of one matrix under permutation of its entries.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m)
        The matrix, clipped where its entries have heavy tails.
    parts : tuple of Part
        Its parts.
    seed : int
        Names the random stream.

    Returns
    -------
    PermutationP or None
        ``None`` where the matrix is too large.
    """
    if W.size > MAX_ENTRIES:
        return None
    sums = _family(W, parts[:4], _sums_of, seed)
    if 2.0 * sums.p_value < RESOLUTION or min(W.shape) > MAX_SIDE:
        other = PermutationP(math.exp(-_score(parts[4:])), 0)
    else:
        other = _family(W, parts[4:], _spectrum_of, seed + 1)
    return PermutationP(min(1.0, 2.0 * min(sums.p_value, other.p_value)), sums.drawn + other.drawn)


def _sums_of(W: Array) -> tuple[Part, ...]:
    """Give the parts of a permuted matrix that need no eigenvalue."""
    entries = ex.entry_sums(W)
    return () if entries is None else sum_parts(entries)


def _spectrum_of(W: Array) -> tuple[Part, ...]:
    """Give the spectral parts of a permuted matrix."""
    entries = ex.entry_sums(W)
    return () if entries is None else spectral_parts(W, entries, None)


def _score(parts: tuple[Part, ...]) -> float:
    """Give -log p of a family, close to an exponential variable for noise."""
    least = least_p(parts)
    count = max(sum(part.p_value is not None for part in parts), 1)
    return -math.log(max(-math.expm1(count * math.log1p(-least)) if least < 1.0 else 1.0, P_FLOOR))


def _family(W: Array, parts: tuple[Part, ...], measure: Callable[[Array], tuple[Part, ...]], seed: int) -> PermutationP:
    """Draw permutations until the p-value of a family is known well enough."""
    observed = _score(parts)
    total = 0.0
    exceeded = drawn = 0
    tail = 1.0
    while drawn < MAX_DRAWS:
        score = _score(measure(shuffled(W, seed, drawn)))
        drawn += 1
        total += score
        exceeded += score >= observed
        if exceeded == EXCEEDANCES:
            return PermutationP(exceeded / drawn, drawn)
        if drawn >= FIRST_DRAWS and not exceeded:
            tail = _tail_p(observed, total, drawn)
            if tail < RESOLUTION:
                return PermutationP(tail, drawn)
    return PermutationP((exceeded + 1) / (drawn + 1) if exceeded else tail, drawn)


def _tail_p(observed: float, total: float, drawn: int) -> float:
    """Continue the law of the drawn scores as an exponential one, its mean two standard errors high."""
    mean = total / drawn * (1.0 + 2.0 / math.sqrt(drawn))
    return max(math.exp(-observed / max(mean, 1.0)), P_FLOOR)
