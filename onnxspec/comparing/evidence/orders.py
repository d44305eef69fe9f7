"""Permuted neurons: rows and columns of a matrix in another order.

Exact permutations are found by sorting; those of weights that changed besides by
correlation, as long as each row finds its counterpart far better than chance would.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Order = NDArray[np.intp]

__all__ = ["Orders", "close_orders", "exact_orders", "order_digest"]

MAX_CHANNELS = 4096
"""Most rows and columns for which correlations are tried: their cost grows with the square."""

LEAST_COSINE = 0.8
"""Cosine from which an order that was found by correlation counts."""

FAR_BETTER = 0.2
"""Share of the background's distance from 1 that is left where the order is no chance."""

MOST_APART = 0.3
"""Relative distance of singular values up to which orders of rows and inputs together are tried."""

_QUANTILES = 48
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Orders:
    """The order of a's channels that gives b.

    Attributes
    ----------
    outputs, inputs : ndarray of int or None
        Index in a of each channel of b; None where they stand as they stood.
    """

    outputs: Order | None
    inputs: Order | None

    def apply(self, a: Array, positions: int) -> Array:
        """Bring a, shape (outputs, inputs * positions), into the order of b."""
        turned = a if self.outputs is None else a[self.outputs]
        if self.inputs is not None:
            turned = turned.reshape(len(a), -1, positions)[:, self.inputs].reshape(a.shape)
        return turned


def order_digest(order: Order | None) -> str | None:
    """Name an order, so that the same one is recognised in another layer."""
    return None if order is None else hashlib.blake2b(order.astype("<i8").tobytes(), digest_size=8).hexdigest()


def exact_orders(a: Array, b: Array, positions: int) -> Orders | None:
    """Find orders of rows and inputs that turn a into b exactly; None where there are none."""
    if not np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return None
    for outputs in (None, _same_rows(np.sort(a, axis=1), np.sort(b, axis=1))):
        turned = a if outputs is None else a[outputs]
        if outputs is not None and np.array_equal(turned, b):
            return Orders(outputs, None)
        inputs = _same_rows(_by_input(turned, positions), _by_input(b, positions))
        if inputs is not None:
            return Orders(outputs, inputs)
    return None


def _by_input(matrix: Array, positions: int) -> Array:
    """Give one row for each input: all its weights."""
    rows = len(matrix)
    return matrix.reshape(rows, -1, positions).swapaxes(0, 1).reshape(-1, rows * positions)


def _same_rows(a: Array, b: Array) -> Order | None:
    """Give for each row of b the equal row of a; None where one has none."""
    first, second = (np.lexsort(np.ascontiguousarray(m[:, :8]).T) for m in (a, b))
    if not np.array_equal(a[first], b[second]):
        first, second = (np.lexsort(m.T) for m in (a, b))
        if not np.array_equal(a[first], b[second]):
            return None
    order = np.empty(len(a), np.intp)
    order[second] = first
    return order


def close_orders(a: Array, b: Array, positions: int) -> Orders | None:
    """Find orders of rows and inputs that bring a near b, where the values have changed besides.

    Returns
    -------
    Orders or None
        None where no order explains b far better than it explains a rotated b, which has
        nothing in common with a but its singular values; or where the matrix is too large.
    """
    inputs = a.shape[1] // positions
    if max(len(a), inputs) > MAX_CHANNELS or min(len(a), inputs) < 2:
        return None
    rows = _by_correlation(a, b)
    if rows is not None and _cosine(a[rows], b) > LEAST_COSINE:
        return Orders(rows, None)
    columns = _by_correlation(_by_input(a, positions), _by_input(b, positions))
    if columns is not None:
        orders = Orders(None, columns)
        if _cosine(orders.apply(a, positions), b) > LEAST_COSINE:
            return orders
    if _spectra_differ(a, b):
        return None
    found = _both(a, b, positions)
    if found is None:
        return None
    cosine = _cosine(found.apply(a, positions), b)
    if cosine <= LEAST_COSINE:
        return None
    rotated = _rotated(b)
    by_chance = _both(a, rotated, positions)
    background = 0.0 if by_chance is None else _cosine(by_chance.apply(a, positions), rotated)
    return found if 1.0 - cosine < FAR_BETTER * (1.0 - background) else None


def _spectra_differ(a: Array, b: Array) -> bool:
    """Say whether the singular values are too different for one matrix in two orders."""
    x, y = (np.sqrt(np.maximum(np.linalg.eigvalsh(m.T @ m if len(m) > m.shape[1] else m @ m.T), 0.0)) for m in (a, b))
    return float(np.linalg.norm(x - y)) > MOST_APART * float(np.linalg.norm(x))


def _rotated(b: Array) -> Array:
    """Turn a matrix on both sides by a random rotation: signs and cosine transforms, which keep singular values."""
    from scipy.fft import dct

    rng = np.random.default_rng(0)
    turned = b
    for axis in (0, 1):
        for _ in range(2):
            signs = rng.choice([-1.0, 1.0], size=turned.shape[axis])
            turned = dct(turned * (signs[:, None] if axis == 0 else signs), axis=axis, norm="ortho")
    return np.asarray(turned)


def _both(a: Array, b: Array, positions: int) -> Orders | None:
    """Match rows by the law of their values first, which no order of the inputs changes; then refine in turns."""
    outputs: Order | None = _by_law(a, b)
    inputs: Order | None = None
    for _ in range(_ROUNDS):
        turned = Orders(outputs, None).apply(a, positions)
        inputs = _by_correlation(_by_input(turned, positions), _by_input(b, positions), least=0.0)
        outputs = _by_correlation(Orders(None, inputs).apply(a, positions), b, least=0.0)
    return Orders(outputs, inputs)


def _by_law(a: Array, b: Array) -> Order:
    """Assign rows by their quantiles."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    at = np.linspace(0, a.shape[1] - 1, min(_QUANTILES, a.shape[1])).round().astype(int)
    x, y = np.sort(a, axis=1)[:, at], np.sort(b, axis=1)[:, at]
    _, order = linear_sum_assignment(cdist(y, x))
    return np.asarray(order, np.intp)


def _by_correlation(a: Array, b: Array, least: float = 0.8) -> Order | None:
    """Assign rows by their cosines; None where too few rows are some other row's nearest."""
    from scipy.optimize import linear_sum_assignment

    cosines = _unit(b) @ _unit(a).T
    best = cosines.argmax(axis=1)
    distinct = np.unique(best).size
    if distinct == best.size:
        return np.asarray(best, np.intp)
    if distinct < least * best.size:
        return None
    _, order = linear_sum_assignment(cosines, maximize=True)
    return np.asarray(order, np.intp)


def _unit(rows: Array) -> Array:
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return rows / np.where(norms > 0.0, norms, 1.0)


def _cosine(a: Array, b: Array) -> float:
    scale = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    return float(np.vdot(a, b)) / scale if scale > 0.0 else 0.0
