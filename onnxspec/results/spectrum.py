"""Results of the numerical core: the spectrum of a matrix, and the power law of its tail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PowerLawFit", "Spectrum"]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of the correlation matrices ``X = W^T W / N`` of one layer.

    Attributes
    ----------
    singular_values : ndarray of float64, shape (num_matrices * M,)
        Singular values of W, descending (of all matrices together).
    evals : ndarray of float64, shape (num_matrices * M,)
        Eigenvalues of X, ``singular_values ** 2 / N``, descending.
    N, M : int
        Rows and columns of one matrix, oriented so that ``N >= M``.
    num_matrices : int
        Matrices whose eigenvalues are pooled here.
    rank : int
        Singular values above `tolerance`.
    tolerance : float
        Singular values at or below it are zero at the weights' precision.
    """

    singular_values: NDArray[np.float64]
    evals: NDArray[np.float64]
    N: int
    M: int
    num_matrices: int
    rank: int
    tolerance: float

    @property
    def Q(self) -> float:
        """Aspect ratio ``N / M``."""
        return self.N / self.M

    @property
    def positive_evals(self) -> NDArray[np.float64]:
        """Eigenvalues above the rank tolerance, descending."""
        return self.evals[: self.rank]


@dataclass(frozen=True)
class PowerLawFit:
    """Power law ``p(x) ~ x^-alpha`` for ``x >= xmin``, xmin chosen by the KS distance.

    Where no fit exists, `alpha` and all other numbers are ``None`` and `reason`
    says why.

    Attributes
    ----------
    alpha : float or None
        Exponent by maximum likelihood, ``1 + n_tail / sum log(x / xmin)``.
    alpha_stderr : float or None
        ``(alpha - 1) / sqrt(n_tail)``, valid at a fixed xmin.
    xmin, xmax : float or None
        Start of the tail, and the largest eigenvalue.
    D : float or None
        KS distance between the tail and the fitted law.
    n_tail : int or None
        Eigenvalues in the tail.
    num_evals : int
        Eigenvalues given to the fit.
    reason : str or None
        ``too_small``, ``flat_spectrum``, ``zero_matrix``, ``non_finite``, ...
    """

    alpha: float | None
    alpha_stderr: float | None
    xmin: float | None
    xmax: float | None
    D: float | None
    n_tail: int | None
    num_evals: int
    reason: str | None = None
