"""Eigenvalues of symmetric matrices by LAPACK itself, where it is the OpenBLAS of NumPy's wheels.

For one matrix there are three reasons not to ask NumPy. It keeps the GIL during the call
for sides up to 500, so that layers in threads wait for each other. Matrices that fit the
processor's cache are reduced faster in narrower panels than LAPACK's own. And the usual
reduction to tridiagonal form reads the whole matrix once for each column, where the
two-stage one (to a band first; Haidar, Ltaief & Dongarra, SC 2011), which NumPy does not
offer, works on blocks. What each gives is measured in docs/decisions/015.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["SIDE", "TWO_STAGE", "symmetric_eigenvalues"]


class _Routine(Protocol):
    """A routine of a loaded library."""

    __name__: str
    restype: Any

    def __call__(self, *arguments: Any) -> None: ...


TWO_STAGE = 1536
"""Side from which the two-stage reduction is taken: below, it gains nothing."""

SIDE = 128
"""Side from which LAPACK is called here: below, the call costs more than a millisecond of the GIL."""

WIDE = 1024
"""Side from which the usual reduction works on panels as wide as LAPACK's own."""

PANEL, WIDE_PANEL = 16, 32
"""Columns of a panel."""

# of the OpenBLAS in NumPy's wheels, with 64-bit integers; a symmetric matrix may be read in either order
_REDUCE, _SOLVE = "scipy_dsytrd_64_", "scipy_dsterf_64_"
_IN_TWO_STAGES = "scipy_dsyevd_2stage_64_"


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
    n = matrices.shape[-1]
    if matrices.ndim == 2 and n >= SIDE and matrices.flags.c_contiguous and matrices.flags.writeable:
        if n >= TWO_STAGE and (both := _routine(_IN_TWO_STAGES)) is not None:
            return _solved_in_two_stages(both, matrices)
        if (reduce := _routine(_REDUCE)) is not None and (solve := _routine(_SOLVE)) is not None:
            return _solved(reduce, solve, matrices)
    evals: Array = np.linalg.eigvalsh(matrices).astype(np.float64, copy=False)
    return evals


def _solved(reduce: _Routine, solve: _Routine, matrix: Array) -> Array:
    """Reduce to tridiagonal form, in panels of as many columns as the work array has room for, and solve that."""
    n = len(matrix)
    diagonal, beside, scales = np.empty((3, n))
    work = np.empty(n * (PANEL if n < WIDE else WIDE_PANEL))
    _call(reduce, b"L", n, matrix, n, diagonal, beside, scales, work, work.size)
    _call(solve, n, diagonal, beside)
    return diagonal


def _solved_in_two_stages(solve: _Routine, matrix: Array) -> Array:
    """Solve by way of a band; a first call asks for the sizes of the work arrays."""
    n = len(matrix)
    evals, best, integers = np.empty(n), np.empty(1), np.empty(1, np.int64)
    _call(solve, b"N", b"L", n, matrix, n, evals, best, -1, integers, -1)
    work, integers = np.empty(int(best[0])), np.empty(int(integers[0]), np.int64)
    _call(solve, b"N", b"L", n, matrix, n, evals, work, work.size, integers, integers.size)
    return evals


def _call(routine: _Routine, *arguments: bytes | int | NDArray[Any]) -> None:
    """Make one call by LAPACK's convention: what it ended with, and the lengths of texts, follow the arguments."""
    info = ctypes.c_int64(0)
    lengths = [ctypes.c_size_t(1) for argument in arguments if isinstance(argument, bytes)]
    routine(*map(_passed, arguments), ctypes.byref(info), *lengths)
    if info.value:
        raise np.linalg.LinAlgError(f"LAPACK's {routine.__name__.split('_')[1]} ended with {info.value}")


def _passed(argument: bytes | int | NDArray[Any]) -> Any:
    """Give what is passed for an argument: where it stands."""
    if isinstance(argument, np.ndarray):
        return argument.ctypes.data_as(ctypes.c_void_p)
    return argument if isinstance(argument, bytes) else ctypes.byref(ctypes.c_int64(argument))


@cache
def _routine(symbol: str) -> _Routine | None:
    """Find a routine in the library that NumPy has loaded; None where there is no such. Calls release the GIL."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().select(internal_api="openblas").lib_controllers:
        try:
            routine: _Routine = getattr(ctypes.CDLL(library.filepath), symbol)
        except (OSError, AttributeError):
            continue
        routine.restype = None
        return routine
    return None
