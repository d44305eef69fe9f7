"""One pass over the values of two matrices: what can be said without an eigenvalue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["FORMATS", "PUSHED", "Elements", "elements", "number_type"]

FORMATS = ("float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2")
"""Types to which weights are cast."""

PUSHED = 2.0**-23
"""Converters to float16 push values this close to 0 away from it, to 1e-7, instead of rounding them."""

_PROBE = 512  # elements that settle most casts
_CHUNK = 2**17  # elements: the temporaries stay in the cache


@dataclass(frozen=True)
class Elements:
    """Sums and counts over the elements of two matrices of one shape.

    Attributes
    ----------
    size, equal : int
        Elements, and those that are the same in both.
    zeros_a, zeros_b, zeroed : int
        Zeros of each, and those of b that are none in a.
    bad_a, bad_b : int
        Elements that are NaN or infinite; they enter no sum.
    square_a, square_b, product, square_d : float
        Sums of ``a^2``, ``b^2``, ``a b`` and ``(b - a)^2``.
    max_change : float
        Largest ``|b - a|``.
    casts, casts_back : tuple of str
        Types to which a cast gives b, and the other way round.
    """

    size: int
    equal: int
    zeros_a: int
    zeros_b: int
    zeroed: int
    bad_a: int
    bad_b: int
    square_a: float
    square_b: float
    product: float
    square_d: float
    max_change: float
    casts: tuple[str, ...]
    casts_back: tuple[str, ...]

    @property
    def cosine(self) -> float | None:
        """Cosine of the angle between the two, as vectors."""
        scale = math.sqrt(self.square_a) * math.sqrt(self.square_b)
        return self.product / scale if scale > 0.0 else None

    @property
    def relative_change(self) -> float | None:
        """``||B - A|| / ||A||`` in the Frobenius norm."""
        return math.sqrt(self.square_d / self.square_a) if self.square_a > 0.0 else None


@cache
def number_type(name: str) -> np.dtype[Any]:
    """Give NumPy's type of a name; those of ml_dtypes are loaded on demand."""
    if name in ("float16", "float32", "float64"):
        return np.dtype(name)
    import ml_dtypes

    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found


def elements(a: Array, b: Array, *, casts: bool = True) -> Elements:
    """Compare two matrices element by element.

    Parameters
    ----------
    a, b : ndarray of float64, of one shape
        The values before and after.
    casts : bool
        Whether casts are tried.

    Returns
    -------
    Elements
    """
    flat_a, flat_b = a.reshape(-1), b.reshape(-1)
    counts = np.zeros(6, np.int64)
    sums = np.zeros(4)
    largest = 0.0
    few = slice(None, None, max(1, flat_a.size // _PROBE))
    forth = [name for name in FORMATS if casts and _is_cast(flat_a[few], flat_b[few], name)]
    back = [name for name in FORMATS if casts and _is_cast(flat_b[few], flat_a[few], name)]
    for start in range(0, flat_a.size, _CHUNK):
        x, y = flat_a[start : start + _CHUNK], flat_b[start : start + _CHUNK]
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            total = float(np.sum(x)) + float(np.sum(y))
            equal = x == y
            counts[0] += np.count_nonzero(equal)
            forth = [name for name in forth if _is_cast(x, y, name)]
            back = [name for name in back if _is_cast(y, x, name)]
            if not math.isfinite(total):
                fine_x, fine_y = np.isfinite(x), np.isfinite(y)
                counts[4] += x.size - np.count_nonzero(fine_x)
                counts[5] += y.size - np.count_nonzero(fine_y)
                x, y = x[fine_x & fine_y], y[fine_x & fine_y]
            zero_y = y == 0.0
            zeros = (np.count_nonzero(x == 0.0), np.count_nonzero(zero_y), np.count_nonzero(zero_y & (x != 0.0)))
            counts[1:4] += zeros
            d = y - x
            sums += (np.vdot(x, x), np.vdot(y, y), np.vdot(x, y), np.vdot(d, d))
            largest = max(largest, float(np.max(np.abs(d), initial=0.0)))
    same = int(counts[0]) == flat_a.size
    equal_count, zeros_a, zeros_b, zeroed, bad_a, bad_b = (int(n) for n in counts)
    square_a, square_b, product, square_d = (float(value) for value in sums)
    return Elements(
        size=flat_a.size,
        equal=equal_count,
        zeros_a=zeros_a,
        zeros_b=zeros_b,
        zeroed=zeroed,
        bad_a=bad_a,
        bad_b=bad_b,
        square_a=square_a,
        square_b=square_b,
        product=product,
        square_d=square_d,
        max_change=largest,
        casts=() if same else tuple(forth),
        casts_back=() if same else tuple(back),
    )


def _is_cast(x: Array, y: Array, name: str) -> bool:
    """Say whether y is x cast to a type, by rounding to nearest or by cutting bits off."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return _casts(x, y, name)


def _casts(x: Array, y: Array, name: str) -> bool:
    dtype = number_type(name)
    single = x.astype(np.float32)
    rounded = single.astype(dtype)
    wide = rounded.astype(np.float64)
    if np.array_equal(wide, y, equal_nan=True):
        return True
    if name == "float16":
        other = ~(wide == y)
        return bool(np.all((np.abs(x[other]) < PUSHED) & (np.abs(y[other]) <= PUSHED)))
    if name != "bfloat16":
        return False
    cut = (single.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    return bool(np.array_equal(cut.astype(np.float64), y, equal_nan=True))
