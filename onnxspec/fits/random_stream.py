"""A random stream that depends on a seed and a position alone.

Every random step of a fit draws from here, so its result depends neither on
threads, nor on the order of the layers, nor on a library's version.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["splitmix", "stream_key", "uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def splitmix(key: int, start: int, count: int) -> NDArray[np.uint64]:
    """Give a stretch of the splitmix64 sequence (Steele, Lea and Flood, OOPSLA 2014).

    Parameters
    ----------
    key : int
        Seed of the sequence; its lowest 64 bits count.
    start, count : int
        Position of the first word, and how many.

    Returns
    -------
    ndarray of uint64, shape (count,)
        Any stretch can be had without those before it.
    """
    words = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    words *= _GOLDEN
    words += np.uint64(key & 0xFFFFFFFFFFFFFFFF)
    words ^= words >> np.uint64(30)
    words *= _MIX_1
    words ^= words >> np.uint64(27)
    words *= _MIX_2
    words ^= words >> np.uint64(31)
    return words


def uniforms(key: int, start: int, count: int) -> NDArray[np.float64]:
    """Give uniform numbers in ``[0, 1)``, multiples of ``2**-53``.

    Parameters
    ----------
    key, start, count
        As for `splitmix`.

    Returns
    -------
    ndarray of float64, shape (count,)
        The upper 53 bits of each word.
    """
    return (splitmix(key, start, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def stream_key(seed: int, purpose: int) -> int:
    """Give the key of one of the streams that belong to a layer.

    Parameters
    ----------
    seed : int
        Any integer; its lowest 64 bits count.
    purpose : int
        Number of the random step, at least 0.

    Returns
    -------
    int
        Word number `purpose` of the sequence of `seed`.
    """
    return int(splitmix(seed, purpose, 1)[0])
