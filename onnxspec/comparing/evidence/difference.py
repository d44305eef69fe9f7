"""Spectrum of the difference of two matrices, and the directions that they share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.fits.bulk import fit_bulk
from onnxspec.fits.power_law import fit_power_law
from onnxspec.spectra.eigen import spectrum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.results import Spectrum

    Array = NDArray[np.float64]

__all__ = ["LARGEST_SHARE", "LowRank", "difference_facts", "low_rank", "spectrum_of", "subspace_overlap"]

EDGE_MARGIN = 1.15
"""Over the edge ``sigma (sqrt N + sqrt M)`` of rounding noise: beyond it a singular value is none of the noise."""

FLOOR_MARGIN = 4.0
"""Times the energy of rounding noise that what is left over may have."""

RESOLUTION = 3e-7
"""Of the largest singular value: what the Gram matrix resolves."""

LARGEST_SHARE = 0.75
"""Of the full rank: a difference of more is not called low-rank."""

LEADING = 8
"""Leading singular vectors that are compared."""

_ITERATIONS = 12


@dataclass(frozen=True)
class LowRank:
    """How many directions of a difference stand above rounding noise, and what is left without them.

    Attributes
    ----------
    rank, full_rank : int
        Singular values above the edge of the noise, and all of them.
    gap : float or None
        The smallest of them over the largest of the rest.
    energy : float
        Their share of the squared norm.
    edge : float
        The edge of the noise.
    rest : float
        Root mean square of the rest, over that of rounding noise.
    is_floor : bool
        Whether the rest is no more than rounding noise.
    """

    rank: int
    full_rank: int
    gap: float | None
    energy: float
    edge: float
    rest: float
    is_floor: bool

    @property
    def holds(self) -> bool:
        """Whether the difference is of low rank, and nothing else."""
        return self.is_floor and 0 < self.rank <= LARGEST_SHARE * self.full_rank


def low_rank(found: Spectrum, noise_rms: float) -> LowRank:
    """Count the singular values of a difference above the noise that storing it leaves.

    Parameters
    ----------
    found : Spectrum
        Of B - A.
    noise_rms : float
        Root mean square of the rounding error of an element.

    Notes
    -----
    The largest singular value of iid noise of standard deviation s is near
    ``s (sqrt N + sqrt M)`` (Geman, Ann. Probab. 8 (1980) 252).
    """
    sv, N, M = found.singular_values, found.N, found.M
    top = float(sv[0])
    edge = max(EDGE_MARGIN * noise_rms * (math.sqrt(N) + math.sqrt(M)), RESOLUTION * top)
    rank = int(np.count_nonzero(sv > edge))
    rest = float(np.sum(sv[rank:] ** 2))
    total = float(np.sum(sv**2))
    left = max(1, (N - rank) * (M - rank))
    noise = max(noise_rms**2 * left, (RESOLUTION * top) ** 2 * max(1, M - rank))
    gap = float(sv[rank - 1] / sv[rank]) if 0 < rank < sv.size and sv[rank] > 0.0 else None
    return LowRank(
        rank=rank,
        full_rank=int(sv.size),
        gap=gap,
        energy=1.0 - rest / total if total > 0.0 else 0.0,
        edge=edge,
        rest=math.sqrt(rest / noise) if noise > 0.0 else 0.0,
        is_floor=rest <= FLOOR_MARGIN * noise,
    )


def difference_facts(d: Array, found: Spectrum, *, min_evals: int = 50) -> dict[str, Any]:
    """Describe the difference as a matrix of its own: norms, bulk, spikes, tail.

    Parameters
    ----------
    d : ndarray of float64, shape (outputs, inputs * positions)
        B - A.
    found : Spectrum
        Of `d`.
    min_evals : int
        Fewest eigenvalues for a power-law fit.

    Returns
    -------
    dict
        ``sv_max``, ``norm``, ``stable_rank``, ``alpha`` with its error, ``spikes``, ``sigma_mp``, ``D_bulk_p`` and
        ``edge_ratio``: sv_max over the edge that iid elements of this size would have. None with a ``reason``
        where a number does not exist.
    """
    top = float(found.singular_values[0])
    norm = float(np.sum(found.singular_values**2))
    facts: dict[str, Any] = {"N": found.N, "M": found.M, "sv_max": top, "norm": norm}
    if top == 0.0:
        return facts | {"reason": "zero_matrix"}
    iid = math.sqrt(norm / (found.N * found.M)) * (math.sqrt(found.N) + math.sqrt(found.M))
    facts |= {"stable_rank": norm / top**2, "edge_ratio": top / iid}
    fit = fit_power_law(found.positive_evals, min_evals=min_evals)
    facts |= {"alpha": fit.alpha, "alpha_stderr": fit.alpha_stderr, "D": fit.D, "alpha_reason": fit.reason}
    scale = norm / d.size
    squares = d * d
    kurtosis = float(np.vdot(squares, squares)) / d.size / scale**2 - 3.0 if scale**2 > 1e-300 else 0.0
    bulk = fit_bulk(found.evals, found.N, found.M, kurtosis=kurtosis)
    facts |= {"spikes": bulk.spikes, "sigma_mp": bulk.sigma_mp, "D_bulk_p": bulk.D_bulk_p, "bulk_reason": bulk.reason}
    return facts


def subspace_overlap(a: Array, b: Array, vectors: int = LEADING) -> dict[str, Any] | None:
    """Compare the leading singular vectors of two matrices of one shape.

    Parameters
    ----------
    a, b : ndarray of float64, shape (outputs, columns)
        The values before and after.
    vectors : int
        How many are compared.

    Returns
    -------
    dict or None
        ``overlap``: mean squared cosine of the principal angles, ``||U_a^T U_b||_F^2 / k``, 1 for equal spaces;
        ``background``: ``k / n``, its mean for random spaces; ``vectors`` and ``side``. None for zero matrices.

    Notes
    -----
    Vectors of the shorter side, by subspace iteration on the Gram matrix.
    """
    rows, columns = a.shape
    n = min(rows, columns)
    k = min(vectors, n)
    if not np.any(a) or not np.any(b):
        return None
    spaces = [_leading(m if rows >= columns else m.T, k) for m in (a, b)]
    overlap = float(np.sum((spaces[0].T @ spaces[1]) ** 2)) / k
    return {
        "overlap": min(overlap, 1.0),
        "background": k / n,
        "vectors": k,
        "side": "outputs" if rows < columns else "inputs",
    }


def _leading(tall: Array, k: int) -> Array:
    """Give an orthonormal basis of the k leading right singular vectors."""
    gram = tall.T @ tall
    gram /= np.trace(gram)
    if len(gram) <= 64:
        return np.ascontiguousarray(np.linalg.eigh(gram)[1][:, ::-1][:, :k])
    rng = np.random.default_rng(0)
    width = min(len(gram), 2 * k + 4)
    basis = np.linalg.qr(rng.standard_normal((len(gram), width)))[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(gram @ (gram @ basis))[0]
    _, turned = np.linalg.eigh(basis.T @ gram @ basis)
    return np.asarray(basis @ turned[:, ::-1][:, :k])


def spectrum_of(d: Array) -> Spectrum:
    """Compute the spectrum of a difference."""
    return spectrum(d, dtype="float32")
