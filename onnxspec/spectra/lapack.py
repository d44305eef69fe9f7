"""Eigenvalues of symmetric matrices by LAPACK itself, where it is the OpenBLAS of NumPy's wheels.

For one matrix there are two reasons not to ask NumPy. It keeps the GIL during the call
for sides up to 500, so that layers in threads wait for each other (docs/decisions/015).
And the usual reduction to tridiagonal form reads the whole matrix once for each column,
where the two-stage one (to a band first; Haidar, Ltaief & Dongarra, SC 2011), which NumPy
does not offer, works on blocks.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["SIDE", "TWO_STAGE", "symmetric_eigenvalues"]

TWO_STAGE = 1536
"""Side from which the two-stage reduction is taken (docs/decisions/015): below, it gains nothing."""

SIDE = 128
"""Side from which LAPACK is called here: below, the call costs more than a millisecond of the GIL."""

# of the OpenBLAS in NumPy's wheels, with 64-bit integers
_USUAL, _IN_TWO_STAGES = "scipy_dsyevd_64_", "scipy_dsyevd_2stage_64_"


def symmetric_eigenvalues(matrices: Array) -> Array:
    """Give the eigenvalues of symmetric matrices, ascending.

    Parameters
    ----------
    matrices : ndarray of float64, shape (n, n) or (k, n, n), C-contiguous
        Finite; a single one may be overwritten.

    Returns
    -------
    ndarray of float64, shape (n,) or (k, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        LAPACK found no solution.
    """
    solve = None
    if matrices.ndim == 2 and len(matrices) >= SIDE and matrices.flags.c_contiguous and matrices.flags.writeable:
        solve = (_routine(_IN_TWO_STAGES) if len(matrices) >= TWO_STAGE else None) or _routine(_USUAL)
    if solve is None:
        evals: Array = np.linalg.eigvalsh(matrices).astype(np.float64, copy=False)
        return evals
    return _solved(solve, matrices)


def _solved(solve: Any, matrix: Array) -> Array:
    """Call LAPACK, first for the sizes of its work arrays; a symmetric matrix may be read in either order."""
    evals = np.empty(len(matrix))
    work, integers = np.empty(1), np.empty(1, np.int64)
    _call(solve, matrix, evals, work, integers, -1, -1)
    sizes = int(work[0]), int(integers[0])
    _call(solve, matrix, evals, np.empty(sizes[0]), np.empty(sizes[1], np.int64), *sizes)
    return evals


def _call(
    solve: Any, matrix: Array, evals: Array, work: Array, integers: NDArray[np.int64], lwork: int, liwork: int
) -> None:
    """Make one call by LAPACK's calling convention."""
    order, info = ctypes.c_int64(len(matrix)), ctypes.c_int64(0)
    solve(
        b"N",
        b"L",
        ctypes.byref(order),
        matrix.ctypes.data_as(ctypes.c_void_p),
        ctypes.byref(order),
        evals.ctypes.data_as(ctypes.c_void_p),
        work.ctypes.data_as(ctypes.c_void_p),
        ctypes.byref(ctypes.c_int64(lwork)),
        integers.ctypes.data_as(ctypes.c_void_p),
        ctypes.byref(ctypes.c_int64(liwork)),
        ctypes.byref(info),
        ctypes.c_size_t(1),
        ctypes.c_size_t(1),
    )
    if info.value:
        raise np.linalg.LinAlgError(f"LAPACK's dsyevd ended with {info.value}")


@cache
def _routine(symbol: str) -> Any:
    """Find a routine in the library that NumPy has loaded; None where there is no such. Calls release the GIL."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().select(internal_api="openblas").lib_controllers:
        try:
            routine = getattr(ctypes.CDLL(library.filepath), symbol)
        except (OSError, AttributeError):
            continue
        routine.restype = None
        return routine
    return None
