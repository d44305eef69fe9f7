"""Part of a spectrum from products with the matrix alone: what a matrix too large for its Gram matrix gives.

Block Lanczos on ``X = W^T W / N`` from a random orthonormal block (Golub and Underwood, in
Mathematical Software III (1977) 361), with full reorthogonalisation. Its Ritz values give
the largest eigenvalues, with the residual as bound of their error; the components of the
Ritz vectors in the first block give the spectral density by stochastic Lanczos quadrature
(Golub and Meurant, Matrices, Moments and Quadrature (2010); Ubaru, Chen and Saad,
SIAM J. Matrix Anal. Appl. 38 (2017) 1075), with the spread over the block's vectors as
its error. The Gram matrix is never formed; one step reads the weights once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnxspec.spectra.slabs import Slabs

__all__ = ["BLOCK", "STEPS", "Estimate", "Share", "estimate_spectrum"]

Array = NDArray[np.float64]

BLOCK = 16
"""Vectors of one block: as many samples of the density, and the most equal eigenvalues that are told apart."""

STEPS = 24
"""Products with the matrix, at most."""

PART_ELEMENTS = 2**21
"""Elements of the matrix that are in memory at a time: 16 MiB of float64."""

TOP = 32
"""Largest eigenvalues that are given."""

POINTS = 24
"""Points of the distribution of the eigenvalues."""

SMALLEST = 1e-6
"""The points end so far below the largest eigenvalue."""

CONVERGED = 1e-13
_LOST = 1e-12  # below that share of the largest, a direction of the residual is a rounding error


@dataclass(frozen=True)
class Share:
    """One point of the distribution of the eigenvalues.

    Attributes
    ----------
    at : float
        An eigenvalue of X.
    below : float
        Estimated share of the eigenvalues that are smaller.
    stderr : float
        Standard error of that over the random vectors.
    resolution : float
        Weight of a block of Ritz values beside it: what the quadrature cannot tell apart.
    """

    at: float
    below: float
    stderr: float
    resolution: float


@dataclass(frozen=True)
class Estimate:
    """What products with a matrix tell of its spectrum.

    Attributes
    ----------
    products : int
        How often the matrix was multiplied by a block, and its transpose by the result.
    block : int
        Vectors of a block.
    trace : float
        Sum of all eigenvalues of X, exact to rounding.
    evals : tuple of float
        The largest Ritz values of X, descending: lower bounds of its largest eigenvalues.
    errors : tuple of float
        For each, the residual: X has an eigenvalue no further away.
    shares : tuple of Share
        Distribution of all eigenvalues, ascending.
    """

    products: int
    block: int
    trace: float
    evals: tuple[float, ...]
    errors: tuple[float, ...]
    shares: tuple[Share, ...]

    def scaled(self, unit: float) -> Estimate:
        """Give the estimate with every eigenvalue multiplied by a number."""
        return replace(
            self,
            trace=self.trace * unit,
            evals=tuple(value * unit for value in self.evals),
            errors=tuple(value * unit for value in self.errors),
            shares=tuple(replace(share, at=share.at * unit) for share in self.shares),
        )


def estimate_spectrum(
    slabs: Slabs, exponent: int, *, block: int = BLOCK, steps: int = STEPS, top: int = TOP
) -> Estimate:
    """Estimate the spectrum of ``X = W^T W / N`` from products with W.

    Parameters
    ----------
    slabs : Slabs
        The matrix, finite; read `steps` + 1 times.
    exponent : int
        Its values are divided by ``2 ** exponent``, so that no square overflows.
    block : int
        Random vectors.
    steps : int
        Products at most; fewer where the largest eigenvalues stand still.
    top : int
        Eigenvalues to give.

    Returns
    -------
    Estimate
        Of ``X / 4 ** exponent``. The random vectors depend on the shape alone.

    Raises
    ------
    numpy.linalg.LinAlgError
        LAPACK found no solution.

    Notes
    -----
    That no eigenvalue above those given was missed is certain only with probability 1
    over the random vectors, for eigenvalues of multiplicity up to `block`.
    """
    M = slabs.M
    block = min(block, M)
    steps = max(1, min(steps, M // block))
    random = np.random.default_rng([M, slabs.N])
    current = np.linalg.qr(random.standard_normal((M, block)))[0]
    basis = np.empty((M, block * steps))
    T = np.zeros((block * steps, block * steps))
    products = 0
    trace = _squares(slabs, exponent)
    ritz, vectors, residuals = np.zeros(0), np.zeros((0, 0)), np.zeros(0)
    for step in range(steps):
        here = slice(step * block, (step + 1) * block)
        basis[:, here] = current
        image = _product(slabs, exponent, current)
        products += 1
        known = basis[:, : here.stop]
        # twice is enough (Giraud et al. 2005); the diagonal block is what the first pass takes out
        taken = known.T @ image
        image -= known @ taken
        image -= known @ (known.T @ image)
        diagonal = taken[here]
        T[here, here] = 0.5 * (diagonal + diagonal.T)
        ritz, vectors = np.linalg.eigh(T[: here.stop, : here.stop])
        scale = max(float(ritz[-1]), 0.0)
        current, coupling = _next_block(image, known, _LOST * scale, random)
        residuals = np.sqrt(np.sum((coupling @ vectors[here]) ** 2, axis=0))
        largest = residuals[::-1][:top]
        if scale == 0.0 or here.stop == M or (len(ritz) >= top and float(largest.max()) <= CONVERGED * scale):
            break
        if step + 1 < steps:
            after = slice(here.stop, here.stop + block)
            T[after, here], T[here, after] = coupling, coupling.T
    unit = 1.0 / slabs.N
    ritz = np.maximum(ritz, 0.0)
    # rounding of the products: a few units of the largest
    errors = residuals[::-1][:top] + 1e-14 * float(ritz[-1])
    return Estimate(
        products=products,
        block=block,
        trace=trace * unit,
        evals=tuple((ritz[::-1][:top] * unit).tolist()),
        errors=tuple((errors * unit).tolist()),
        shares=_shares(ritz, vectors[:block], unit),
    )


def _parts(slabs: Slabs, exponent: int) -> Iterator[Array]:
    """Give the oriented matrix, divided by ``2 ** exponent``, some lines at a time."""
    lines = max(1, PART_ELEMENTS // slabs.M)
    for start in range(0, slabs.N, lines):
        yield slabs.lines(start, min(start + lines, slabs.N), exponent)


def _squares(slabs: Slabs, exponent: int) -> float:
    """Add up the squares of all values."""
    return math.fsum(float(np.vdot(part, part)) for part in _parts(slabs, exponent))


def _product(slabs: Slabs, exponent: int, block: Array) -> Array:
    """Give ``W^T W V`` for a block V."""
    result = np.zeros_like(block)
    for part in _parts(slabs, exponent):
        result += part.T @ (part @ block)
    return result


def _next_block(image: Array, known: Array, lost: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Split what is new in a product into orthonormal directions and the coupling to them.

    A direction that is a rounding error is replaced by a random one without coupling.
    """
    directions, coupling = np.linalg.qr(image)
    gone = np.abs(np.diag(coupling)) <= lost
    if gone.any():
        coupling[gone] = 0.0
        directions[:, gone] = random.standard_normal((len(image), int(gone.sum())))
        for _ in range(2):
            directions[:, gone] -= known @ (known.T @ directions[:, gone])
            kept = directions[:, ~gone]
            directions[:, gone] -= kept @ (kept.T @ directions[:, gone])
            directions[:, gone] = np.linalg.qr(directions[:, gone])[0]
    return directions, coupling


def _shares(ritz: Array, first: Array, unit: float) -> tuple[Share, ...]:
    """Give the distribution at points evenly spread in the logarithm.

    `first` has the first block's components of the Ritz vectors, one row for each random
    vector: their squares are the weights of that vector's quadrature. Half of a Ritz
    value's weight lies below it, and the weight between two of them is spread evenly.
    """
    top = float(ritz[-1])
    if top <= 0.0:
        return ()
    low = max(float(ritz[0]), SMALLEST * top)
    at = top * np.geomspace(low / top, 1.0, POINTS) if low < top else np.array([top])
    weights = first * first
    weights /= weights.sum(axis=1, keepdims=True)
    middle = np.cumsum(weights, axis=1) - 0.5 * weights
    below = np.array([np.interp(at, ritz, row, left=0.0, right=1.0) for row in middle])
    spread = below.std(axis=0, ddof=1) / math.sqrt(len(below)) if len(below) > 1 else np.ones(at.size)
    # a block of b vectors resolves as much as b times fewer Ritz values of one vector would
    total = np.concatenate(([0.0], np.cumsum(weights.mean(axis=0))))
    first_above, past = np.searchsorted(ritz, at * (1.0 - 1e-9)), np.searchsorted(ritz, at * (1.0 + 1e-9))
    resolution = np.maximum(
        total[np.minimum(past + len(first), ritz.size)] - total[first_above],
        total[past] - total[np.maximum(first_above - len(first), 0)],
    )
    rows = zip((at * unit).tolist(), below.mean(axis=0).tolist(), spread.tolist(), resolution.tolist())
    return tuple(Share(*row) for row in rows)
