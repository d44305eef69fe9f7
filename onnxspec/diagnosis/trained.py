"""Was this layer trained at all? Whether a matrix can be told from noise of its own entries.

The null hypothesis is that the entries are exchangeable: any arrangement of them is as
likely as the one seen, whatever law they follow. Every random initialisation with iid
entries is of that kind. Seven statistics look at means and norms of rows and columns, at
correlations, and at edge and shape of the spectrum; the smallest of their p-values,
corrected for looking seven times, is the p-value of the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnxspec.diagnosis import exchangeability as ex
from onnxspec.diagnosis._trained_null import combined_p
from onnxspec.diagnosis.multiple_tests import LEVEL
from onnxspec.diagnosis.noise_parts import HEAVY_KURTOSIS, Part, eigenvalues, least_p, spectral_parts, sum_parts
from onnxspec.diagnosis.permutations import permutation_p
from onnxspec.spectra.slabs import Slabs

__all__ = ["MIN_SIDE", "P_FLOOR", "Part", "Trained", "trained_verdict"]

Array = NDArray[np.float64]
Verdict = Literal["noise", "structured", "isometric"]

MIN_SIDE = 10
"""Fewest columns for a verdict: the null table starts there."""

P_FLOOR = 1e-12
"""Smallest p-value given: farther out no law of the statistics is known well enough."""

FLAT_SPREAD = 0.1
"""Isometric: the eigenvalues vary less than this times what those of noise do, ``1/sqrt(Q)``."""

DECIDED = 1e-8
"""Below this p-value of the sums no further eigenvalues are computed for the spectral parts."""


@dataclass(frozen=True)
class Trained:
    """Whether one matrix can be told from exchangeable noise of its own entries.

    Attributes
    ----------
    verdict : {"noise", "structured", "isometric"} or None
        ``noise`` says "not told from noise", never "untrained". ``isometric``: all
        singular values are equal, as in an orthogonal initialisation.
    p_value : float or None
        Chance that noise of the same entries looks at least as structured; `P_FLOOR` or more.
    method : {"table", "permutation"} or None
        Where the p-value comes from.
    permutations : int
        Permutations of the entries that were drawn.
    parts : tuple of Part
        The statistics, each with its own p-value (of the table).
    excess_kurtosis : float or None
        Of the entries as given.
    clipped : bool
        The entries were clipped before anything else, as they have heavy tails.
    row_norm_cv, row_norm_cv_noise, col_norm_cv, col_norm_cv_noise : float or None
        Coefficient of variation of the norms of rows (axis 0) and columns, and that of noise.
    reason : str or None
        ``too_small``, ``zero_matrix``, ``rank_one`` (all entries equal), ``non_finite``.
    """

    verdict: Verdict | None
    p_value: float | None
    method: Literal["table", "permutation"] | None = None
    permutations: int = 0
    parts: tuple[Part, ...] = ()
    excess_kurtosis: float | None = None
    clipped: bool = False
    row_norm_cv: float | None = None
    row_norm_cv_noise: float | None = None
    col_norm_cv: float | None = None
    col_norm_cv_noise: float | None = None
    reason: str | None = None


def trained_verdict(
    matrix: ArrayLike | Slabs,
    evals: ArrayLike | None = None,
    *,
    effort: Literal["standard", "full"] = "standard",
    seed: int = 0,
    level: float = LEVEL,
) -> Trained:
    """Test whether the entries of one matrix are exchangeable noise.

    Parameters
    ----------
    matrix : array_like of float64, shape (n, m), or Slabs
        The weights; a convolution unfolded to C_out x C_in*k.
    evals : array_like of float64, shape (min(n, m),), optional
        Eigenvalues of ``X = W^T W / N``, descending; computed where absent.
    effort : {"standard", "full"}
        ``standard`` takes p from the null table, ``full`` from permutations of the entries.
    seed : int
        Names the random stream of the permutations.
    level : float
        Verdict ``structured`` where p is below it.

    Returns
    -------
    Trained

    Raises
    ------
    ValueError
        `matrix` has other than two axes, or `evals` does not belong to it.
    """
    W = matrix if isinstance(matrix, Slabs) else np.ascontiguousarray(matrix, dtype=np.float64)
    if len(W.shape) != 2:
        raise ValueError(f"matrix has {len(W.shape)} axes; it must have 2.")
    if min(W.shape) < MIN_SIDE:
        return Trained(None, None, reason="too_small")
    lam = None if evals is None else np.asarray(evals, dtype=np.float64)
    if lam is not None and lam.shape != (min(W.shape),):
        raise ValueError(f"{lam.shape} eigenvalues do not belong to a matrix of {W.shape}.")
    largest = W.largest() if isinstance(W, Slabs) else max(float(W.max()), -float(W.min()))
    if not math.isfinite(largest):
        return Trained(None, None, reason="non_finite")
    if largest == 0.0:
        return Trained(None, None, reason="zero_matrix")
    exponent = math.frexp(largest)[1]
    if abs(exponent) > 60:  # eighth powers must neither overflow nor vanish
        W, lam = replace(W, exponent=exponent) if isinstance(W, Slabs) else np.ldexp(W, -exponent), None
    return _verdict(W, lam, effort, seed, level)


def _verdict(W: ex.Matrix, lam: Array | None, effort: str, seed: int, level: float) -> Trained:
    """Compute all parts, the p-value and the verdict."""
    entries = ex.entry_sums(W)
    if entries is None:
        return Trained(None, None, reason="rank_one")
    kurtosis = entries.excess_kurtosis
    row_cv, row_noise = entries.norm_cv(0)
    col_cv, col_noise = entries.norm_cv(1)
    lam = eigenvalues(W) if lam is None else lam
    spread = float(lam.std()) / float(lam.mean())
    isometric = spread < FLAT_SPREAD * math.sqrt(min(W.shape) / max(W.shape))
    clipped = kurtosis > HEAVY_KURTOSIS
    if clipped:
        mean, entries = entries.mean, None  # of a tall matrix they are long
        whole, W = W, ex.clip_tails(W, mean)
        entries = ex.entry_sums(W) or ex.entry_sums(whole)
    assert entries is not None  # noqa: S101 - the entries differ
    sums = sum_parts(entries)
    if clipped and least_p(sums) < DECIDED:
        parts = (*sums, *(Part(name, None, None, "decided") for name in ("correlation", "edge", "bulk")))
    else:
        parts = (*sums, *spectral_parts(W, entries, None if clipped else lam))
    p = combined_p(least_p(parts))
    permuted = None
    if effort == "full" and not isometric and not isinstance(W, Slabs):  # slabs are beyond the size for permutations
        permuted = permutation_p(W, parts, seed)
    if permuted is not None:
        p = permuted.p_value
    return Trained(
        verdict="isometric" if isometric else "structured" if p < level else "noise",
        p_value=max(p, P_FLOOR),
        method="table" if permuted is None else "permutation",
        permutations=0 if permuted is None else permuted.drawn,
        parts=parts,
        excess_kurtosis=kurtosis,
        clipped=clipped,
        row_norm_cv=row_cv,
        row_norm_cv_noise=row_noise,
        col_norm_cv=col_cv,
        col_norm_cv_noise=col_noise,
    )
