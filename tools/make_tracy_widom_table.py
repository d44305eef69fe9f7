"""Compute the table of the Tracy-Widom law (beta = 1) that onnxspec.laws.tracy_widom interpolates.

``F(s) = det(I - K)`` with ``K(x, y) = Ai((x + y) / 2 + s) / 2`` on the half line
(Ferrari and Spohn, J. Phys. A 38 (2005) L557), by Gauss-Legendre quadrature
(Bornemann, Math. Comp. 79 (2010) 871). The survival function comes from the
eigenvalues of K, so that it keeps its relative precision far out.

Usage: python tools/make_tracy_widom_table.py [OUTPUT.npy]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import airy

START, STOP, STEP = -8.0, 12.0, 0.1
OUTPUT = Path(__file__).resolve().parent.parent / "onnxspec" / "laws" / "tracy_widom.npy"


def row(s: float, nodes: int = 240) -> tuple[float, float, float]:
    """Give log F, log(1 - F) and the density at s."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    length = 2.0 * (16.0 - min(s, 10.0))
    x = 0.5 * length * (points + 1.0)
    root = np.sqrt(0.5 * length * weights)
    argument = 0.5 * (x[:, None] + x[None, :]) + s
    value, derivative, _, _ = airy(argument)
    kernel = 0.5 * root[:, None] * value * root[None, :]
    slope = 0.5 * root[:, None] * derivative * root[None, :]
    log_cdf = float(np.sum(np.log1p(-np.linalg.eigvalsh(kernel))))
    log_slope = -float(np.trace(np.linalg.solve(np.eye(nodes) - kernel, slope)))
    return log_cdf, float(np.log(-np.expm1(log_cdf))), float(np.exp(log_cdf)) * log_slope


def table() -> NDArray[np.float64]:
    """Give rows s, log F, log(1 - F), density; one column a grid point."""
    grid = START + STEP * np.arange(round((STOP - START) / STEP) + 1)
    grid = np.round(grid, 10)
    return np.vstack([grid, np.array([row(float(s)) for s in grid]).T])


if __name__ == "__main__":
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    values = table()
    np.save(output, values)
    print(f"{output.name}: {values.shape[1]} points, s from {values[0, 0]} to {values[0, -1]}")
