"""A random stream that depends on a seed and a position alone.

Every random step of a fit draws from here, so its result depends neither on
threads, nor on the order of the layers, nor on a library's version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxspec._jit import jit

__all__ = ["splitmix", "stream_key", "uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1 = np.uint64(30)
_SHIFT_2 = np.uint64(27)
_SHIFT_3 = np.uint64(31)
_TO_53_BITS = np.uint64(11)


@jit
def splitmix(seed: np.uint64, start: int, count: int) -> NDArray[np.uint64]:
    """Give 64-bit words number `start` to ``start + count - 1`` of the stream of `seed`.

    Whole arrays, because they wrap around silently with and without numba.
    """
    words = np.arange(start + 1, start + count + 1).astype(np.uint64) * _GOLDEN + seed
    words = (words ^ (words >> _SHIFT_1)) * _MIX_1
    words = (words ^ (words >> _SHIFT_2)) * _MIX_2
    return words ^ (words >> _SHIFT_3)


@jit
def uniforms(seed: np.uint64, start: int, count: int) -> NDArray[np.float64]:
    """Give uniform numbers in ``[0, 1)`` from one stretch of a stream.

    Parameters
    ----------
    seed : uint64
        Names the stream.
    start, count : int
        Position of the first number in the stream, and how many.

    Returns
    -------
    ndarray of float64, shape (count,)
        Multiples of ``2**-53``. The words behind them are those of splitmix64
        (Steele, Lea and Flood, OOPSLA 2014).
    """
    return (splitmix(seed, start, count) >> _TO_53_BITS).astype(np.float64) * 2.0**-53


def stream_key(seed: int, purpose: int) -> np.uint64:
    """Give the seed of one of the streams that belong to a layer.

    Parameters
    ----------
    seed : int
        Any integer; its lowest 64 bits count.
    purpose : int
        Number of the random step, at least 0.

    Returns
    -------
    uint64
        Word number `purpose` of the stream of `seed`.
    """
    return np.uint64(splitmix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF), purpose, 1)[0])
