"""The distinct values of a vector in ascending order, for what runs in every analysis.

`numpy.unique` loads the whole of `numpy.ma` to ask whether its argument is masked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["distinct"]

Scalar = TypeVar("Scalar", bound=np.generic)


def distinct(ascending: NDArray[Scalar]) -> NDArray[Scalar]:
    """Give each value of an ascending vector once.

    Parameters
    ----------
    ascending : ndarray of shape (n,)
        Sorted, without NaN. Not checked.

    Returns
    -------
    ndarray of shape (m,), m <= n
    """
    new = np.ones(ascending.size, dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    values: NDArray[Scalar] = ascending[new]
    return values
