"""Random permutations of the entries of a matrix, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxspec._jit import jit
from onnxspec.fits.random_stream import uniforms

__all__ = ["shuffled"]

Array = NDArray[np.float64]
_CHUNK = 65536


@jit
def _shuffle(values: Array, seed: np.uint64, start: int) -> None:
    """Permute values in place (Fisher and Yates), from one stretch of a random stream."""
    n = values.size
    done = 0
    while done < n - 1:
        count = min(_CHUNK, n - 1 - done)
        u = uniforms(seed, start + done, count)
        for k in range(count):
            i = n - 1 - done - k
            j = int(u[k] * (i + 1))
            values[i], values[j] = values[j], values[i]
        done += count


def shuffled(W: NDArray[np.float64], seed: int, replica: int) -> Array:
    """Permute all entries of a matrix.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m)
        Left as it is.
    seed : int
        Names the random stream, 0 to ``2**64 - 1``.
    replica : int
        Which permutation of the stream.

    Returns
    -------
    ndarray of float64, shape (n, m)
    """
    values = np.array(W, dtype=np.float64, order="C").ravel()
    _shuffle(values, np.uint64(seed % 2**64), replica * values.size)
    return values.reshape(W.shape)
