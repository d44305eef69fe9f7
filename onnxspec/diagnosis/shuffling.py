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
def _swap(values: Array, u: Array, done: int) -> None:
    """Go on with a shuffle in place (Fisher and Yates), one uniform number a step."""
    last = values.size - 1 - done
    for k in range(u.size):
        i = last - k
        j = int(u[k] * (i + 1))
        values[i], values[j] = values[j], values[i]


def shuffled(W: NDArray[np.float64], seed: int, replica: int) -> Array:
    """Permute all entries of a matrix.

    Parameters
    ----------
    W : ndarray of float64, shape (n, m)
        Left as it is.
    seed : int
        Names the random stream; its lowest 64 bits count.
    replica : int
        Which permutation of the stream.

    Returns
    -------
    ndarray of float64, shape (n, m)
    """
    values = np.array(W, dtype=np.float64, order="C").ravel()
    for done in range(0, values.size - 1, _CHUNK):
        count = min(_CHUNK, values.size - 1 - done)
        _swap(values, uniforms(seed, replica * values.size + done, count), done)
    return values.reshape(W.shape)
