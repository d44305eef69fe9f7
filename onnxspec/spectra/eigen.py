"""Eigenvalues of the correlation matrix ``X = W^T W / N`` of a layer.

They come from the Gram matrix in float64, which costs a fraction of an SVD and is
accurate far below the precision of float32 weights (docs/decisions/001). Where the
weights are precise enough to need more, a singular value decomposition is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.results import Spectrum
from onnxspec.spectra.lapack import symmetric_eigenvalues
from onnxspec.spectra.slabs import Mapper, Slabs, Stack, gram

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["rank_tolerance", "spectrum"]

_CHUNK_BYTES = 8 * 2**20  # float64 copy of one part of a stack; its Gram matrices are no larger
_EXACT_POWER = 1000  # 2.0 ** it and its inverse are normal numbers
_EPS64 = float(np.finfo(np.float64).eps)

# spacing of the numbers just above 1: 2 ** -(bits of the stored significand)
_EPS: dict[str, float] = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "float8_e4m3fn": 2.0**-3,
    "float8_e4m3fnuz": 2.0**-3,
    "float8_e5m2": 2.0**-2,
    "float8_e5m2fnuz": 2.0**-2,
    "float4_e2m1fn": 2.0**-1,
}


def spectrum(
    array: NDArray[Any] | Slabs | Stack,
    *,
    dtype: str | None = None,
    noise_floor: float | None = None,
    exact: bool = False,
    largest: float | None = None,
    mapper: Mapper | None = None,
) -> Spectrum:
    """Compute the singular values of W and the eigenvalues of ``X = W^T W / N``.

    Parameters
    ----------
    array : ndarray of shape (n, m) or (k, n, m) and any real dtype, or Slabs, or Stack
        One matrix, or a stack of matrices whose eigenvalues are pooled, or one of both
        that is read in parts. Transposed where needed, so that ``N >= M``.
    dtype : str, optional
        Type in which the weights are stored, which bounds what their small singular
        values mean (`rank_tolerance`). Default: the dtype of `array`. Integers stand
        for dequantised weights and count as float32.
    noise_floor : float, optional
        Standard deviation of the error of one element, from quantisation.
    exact : bool
        Singular values by SVD instead of the eigenvalues of the Gram matrix.
    largest : float, optional
        The largest absolute value, where it is known.
    mapper : Mapper, optional
        Computes the parts of the Gram matrix of one tall matrix; changes no bit. Default: that of the Slabs.

    Returns
    -------
    Spectrum
        Singular values and evals in float64, descending. Those of the Gram matrix are
        within a few 1e-15 lambda_max.

    Raises
    ------
    ValueError
        `array` is empty, not real, not finite, or has other than 2 or 3 axes.

    Notes
    -----
    Multiplying W by a power of two multiplies the singular values by it and changes
    no other bit, as long as nothing overflows. Beyond 1e154 evals become infinite and
    below 1e-162 zero; the singular values stay valid, and `metrics` works from them.

    W is divided by the power of two next to its largest element, the Gram matrix is
    formed and solved in float64, and its negative rounding errors are set to zero.
    It resolves singular values down to ``sqrt(M eps)`` of the largest; where the
    tolerance of the weights lies below that and a singular value too, the SVD is used.
    """
    source = array if isinstance(array, Slabs | Stack) else _in_memory(_oriented(array))
    if isinstance(source, Slabs):
        source = source if mapper is None else replace(source, mapper=mapper)
        k, N, M, kept = 1, source.N, source.M, source.source.dtype
    else:
        k, N, M, kept = source.shape[0], max(source.shape[1:]), min(source.shape[1:]), source.dtype
    stored = dtype or np.dtype(kept).name
    top = _largest(source) if largest is None else largest
    if not math.isfinite(top):
        raise ValueError("array has elements that are not finite")
    exponent = math.frexp(top)[1]
    if top == 0.0:
        scaled = np.zeros(k * M)
    elif exact:
        scaled = _singular_values(source, exponent)
    else:
        scaled = _roots(gram(source, exponent)) if isinstance(source, Slabs) else _from_grams(source, exponent)
        resolution = math.sqrt(M * _EPS64)
        fine = _eps(stored) * max(N, M) < resolution
        if fine and top > 0.0 and float(scaled.min()) < resolution * float(scaled.max()):
            scaled = _singular_values(source, exponent)
    scaled = np.ascontiguousarray(np.sort(scaled)[::-1])
    floor = None if noise_floor is None else math.ldexp(noise_floor, -exponent)
    tolerance = rank_tolerance(scaled, N, M, stored, noise_floor=floor)
    with np.errstate(over="ignore", under="ignore"):
        singular_values = np.ldexp(scaled, exponent)
        evals = np.ldexp(scaled * scaled / N, 2 * exponent)
        unscaled = float(np.ldexp(tolerance, exponent))
    return Spectrum(
        singular_values=singular_values,
        evals=evals,
        N=N,
        M=M,
        num_matrices=k,
        rank=int(np.count_nonzero(scaled > tolerance)),
        tolerance=unscaled,
    )


def rank_tolerance(
    singular_values: NDArray[np.float64], N: int, M: int, dtype: str, *, noise_floor: float | None = None
) -> float:
    """Give the singular value at and below which the weights are only rounding errors.

    ``sv_max * max(N, M) * eps`` (THEORY.md section 0; the rule of numpy.linalg.matrix_rank
    with the precision of the stored weights). For types narrower than float32 that bound
    on the worst case can exceed sv_max itself, so there it is at most the spectral norm
    of independent rounding errors, ``u * rms(W) * (sqrt(N) + sqrt(M))`` with ``u = eps / 2``.
    With a noise floor s it is at least ``s * (sqrt(N) + sqrt(M))``, the spectral norm of
    iid noise (Geman 1980, Ann. Probab. 8, 252; Vershynin, High-Dimensional Probability,
    theorem 4.4.5).

    Parameters
    ----------
    singular_values : ndarray of float64, shape (num_matrices * M,)
        Of all matrices together, in any order.
    N, M : int
        Rows and columns of one matrix.
    dtype : str
        Type in which the weights are stored.
    noise_floor : float, optional
        Standard deviation of the error of one element.

    Returns
    -------
    float
        In the unit of the singular values.
    """
    largest = float(np.max(singular_values))
    eps = _eps(dtype)
    spread = math.sqrt(N) + math.sqrt(M)
    tolerance = largest * max(N, M) * eps
    if eps > _EPS["float32"] and largest > 0.0:
        relative = singular_values / largest
        matrices = singular_values.size / M
        rms = largest * math.sqrt(float(np.sum(relative * relative)) / (matrices * N * M))
        tolerance = min(tolerance, 0.5 * eps * rms * spread)
    if noise_floor is not None:
        tolerance = max(tolerance, noise_floor * spread)
    return tolerance


def _eps(dtype: str) -> float:
    """Give the precision of a stored type; that of float32 for scaled integers."""
    return _EPS.get(dtype, _EPS["float32"])


def _oriented(array: NDArray[Any]) -> NDArray[Any]:
    """Give a stack (k, N, M) with N >= M, without copying."""
    if array.ndim not in (2, 3):
        raise ValueError(f"array has {array.ndim} axes; it must have 2, or 3 for a stack of matrices")
    if array.size == 0:
        raise ValueError("array is empty")
    if array.dtype.kind == "c":
        raise ValueError("array is complex; weights are real")
    stack = array[np.newaxis] if array.ndim == 2 else array
    return stack.swapaxes(1, 2) if stack.shape[1] < stack.shape[2] else stack


@dataclass(frozen=True)
class _Matrix:
    """One matrix in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        return self.array.shape[0], self.array.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def lines(self, axis: int, start: int, stop: int) -> NDArray[Any]:
        return self.array[start:stop] if axis == 0 else self.array[:, start:stop].T


def _in_memory(stack: NDArray[Any]) -> Slabs | Stack:
    """Give matrices in memory as what is worked through in parts."""
    if len(stack) == 1:
        return Slabs(_Matrix(stack[0]))
    k, N, M = stack.shape
    return Stack((k, N, M), stack.dtype, lambda first, last: stack[first:last], k)


def _largest(parts: Iterable[NDArray[Any]]) -> float:
    """Give the largest absolute value; NaN where there is one."""
    with np.errstate(invalid="ignore"):
        return float(np.max([np.abs(np.array([part.min(), part.max()], np.float64)).max() for part in parts]))


def _parts(stack: Iterable[NDArray[Any]], exponent: int) -> Iterator[NDArray[np.float64]]:
    """Give a stack in parts of bounded size, as float64 divided by ``2 ** exponent``."""
    for read in stack:
        size = max(1, _CHUNK_BYTES // (8 * read.shape[1] * read.shape[2]))
        for first in range(0, len(read), size):
            part = np.array(read[first : first + size], dtype=np.float64, order="C")
            with np.errstate(under="ignore"):
                if abs(exponent) < _EXACT_POWER:
                    part *= 2.0**-exponent  # the same bits as ldexp, several times faster
                else:
                    np.ldexp(part, -exponent, out=part)
            yield part


def _from_grams(stack: Stack, exponent: int) -> NDArray[np.float64]:
    """Give the singular values of all matrices of a stack as roots of the Gram matrices' eigenvalues."""
    with np.errstate(under="ignore"):
        return np.concatenate([_roots(part.swapaxes(1, 2) @ part) for part in _parts(stack, exponent)])


def _roots(grams: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the roots of the eigenvalues of one or several Gram matrices; rounding errors below zero become zero."""
    with np.errstate(under="ignore"):
        roots: NDArray[np.float64] = np.sqrt(np.maximum(symmetric_eigenvalues(grams), 0.0)).ravel()
    return roots


def _singular_values(source: Slabs | Stack, exponent: int) -> NDArray[np.float64]:
    """Give the singular values of all matrices by SVD."""
    stack = [_oriented(source.whole())] if isinstance(source, Slabs) else source
    parts = [np.linalg.svd(part, compute_uv=False).ravel() for part in _parts(stack, exponent)]
    return np.concatenate(parts)
