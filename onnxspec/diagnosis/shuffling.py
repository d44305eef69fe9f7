"""Random permutations of the entries of a matrix, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxspec._jit import jit
from onnxspec.fits.random_stream import splitmix

__all__ = ["shuffled"]

Array = NDArray[np.float64]
_CHUNK = 32768


@jit
def _swap(values: Array, words: NDArray[np.uint64], done: int) -> None:
    """Go on with a shuffle in place (Fisher and Yates): two steps a random word, 32 bits each."""
    last = values.size - 1
    for k in range(2 * words.size):
        i = last - done - k
        if i < 1:
            break
        half = words[k >> 1] >> np.uint64(32) if k & 1 else words[k >> 1] & np.uint64(0xFFFFFFFF)
        j = (np.int64(half) * np.int64(i + 1)) >> np.int64(32)
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

    Raises
    ------
    ValueError
        There are ``2**31`` elements or more.
    """
    if W.size >= 2**31:
        raise ValueError(f"{W.size} elements are too many for a shuffle with 32 bits a step.")
    values = np.array(W, dtype=np.float64, order="C").ravel()
    words = (values.size + 1) // 2
    for first in range(0, words, _CHUNK):
        count = min(_CHUNK, words - first)
        _swap(values, splitmix(seed, replica * words + first, count), 2 * first)
    return values.reshape(W.shape)
