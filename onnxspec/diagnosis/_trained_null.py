"""Finite-size null of the trained verdict, from the table of tools/make_trained_null.py."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["combined_p", "null_row"]

Array = NDArray[np.float64]

P_FLOOR = 1e-300


@cache
def _table() -> dict[str, Array]:
    """Load the table."""
    with np.load(Path(__file__).with_name("trained_null.npz"), allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def _cell(grid: Array, x: float) -> tuple[int, float]:
    """Give the cell of an ascending grid and the position in it, held at both ends."""
    i = min(max(int(np.searchsorted(grid, x)) - 1, 0), grid.size - 2)
    return i, min(max(float((x - grid[i]) / (grid[i + 1] - grid[i])), 0.0), 1.0)


def null_row(N: int, M: int) -> Array:
    """Interpolate the six moments for one shape, linearly in log M and 1/sqrt(Q).

    Parameters
    ----------
    N, M : int
        Rows and columns, ``N >= M``.

    Returns
    -------
    ndarray of float64, shape (6,)
        See `exchangeability.edge_p`.
    """
    table = _table()
    i, u = _cell(table["log_M"], math.log(M))
    j, v = _cell(table["root"], math.sqrt(M / N))
    values = table["values"]
    low = (1.0 - v) * values[i, j] + v * values[i, j + 1]
    high = (1.0 - v) * values[i + 1, j] + v * values[i + 1, j + 1]
    row: Array = (1.0 - u) * low + u * high
    return row


def combined_p(least: float) -> float:
    """Give the chance that the smallest p-value of the parts of noise is as small as that.

    Parameters
    ----------
    least : float
        Smallest p-value of the parts.

    Returns
    -------
    float
        At least `P_FLOOR`. Beyond the last simulated level it falls in proportion.
    """
    table = _table()
    x = -math.log(max(least, P_FLOOR))
    quantiles, logs = table["least"], np.log(table["levels"])
    if x >= quantiles[-1]:
        return max(P_FLOOR, math.exp(float(logs[-1] - (x - quantiles[-1]))))
    return math.exp(float(np.interp(x, [0.0, *quantiles.tolist()], [0.0, *logs.tolist()])))
