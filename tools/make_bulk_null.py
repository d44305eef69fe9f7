"""Simulate the null table of onnxspec.fits.bulk: bias and error of sigma^2, and the law of D_bulk.

For Gaussian matrices of M columns and Q M rows: mean and variance of the median's
estimate of sigma^2, and upper-tail quantiles of M times the KS distance between the
eigenvalues and the law at that estimate. Each is smoothed over log M and 1/sqrt(Q)
by a polynomial, so that the noise of the simulation does not show.

Usage: python tools/make_bulk_null.py [OUTPUT.npz]      (about 2 minutes)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxspec.laws import marchenko_pastur

OUTPUT = Path(__file__).resolve().parent.parent / "onnxspec" / "fits" / "bulk_null.npz"
DRAWS = {10: 2500, 16: 2500, 24: 2500, 32: 2500, 48: 2000, 64: 2000, 96: 1500, 128: 1500, 192: 800, 256: 800, 512: 300}
ASPECTS = (1.0, 1.1, 1.5, 2.0, 4.0, 10.0, 100.0)
GRID_M = (10, 16, 24, 32, 48, 64, 128, 256, 512, 1024)
LEVELS = (0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.025, 0.01, 0.005)


def cell(rng: np.random.Generator, M: int, Q: float, draws: int) -> tuple[float, list[float]]:
    """Simulate one shape; give its aspect ratio and its row of values."""
    N = round(M * Q)
    q = N / M
    evals = np.array([marchenko_pastur.sample(rng, N, M)[::-1] for _ in range(draws)])
    variance = np.median(evals, axis=1) / marchenko_pastur.median(q)
    mean = variance.mean()
    excess = M * marchenko_pastur.cdf(evals * (mean / variance)[:, None], q) - np.arange(M)
    distance = np.maximum(excess.max(axis=1), (1.0 - excess).max(axis=1))
    quantiles = np.quantile(distance, 1.0 - np.array(LEVELS))
    return q, [float((mean - 1.0) * M), float(variance.var() * M * M * q), *quantiles.tolist()]


def features(log_m: NDArray[np.float64], root: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the terms of the smoothing polynomial."""
    columns = [log_m**i * root**j for i in range(3) for j in range(4) if i * j <= 3]
    return np.stack(columns, axis=-1)


def main(output: Path) -> None:
    rng = np.random.default_rng(20240611)
    rows, points, weights = [], [], []
    for M, draws in DRAWS.items():
        for Q in ASPECTS:
            q, row = cell(rng, M, Q, draws)
            rows.append(row)
            points.append((np.log(M), q**-0.5))
            weights.append(np.sqrt(draws))
    at = np.array(points)
    values = np.array(rows)
    weight = np.array(weights)[:, None]
    design = features(at[:, 0], at[:, 1])
    coefficients, *_ = np.linalg.lstsq(design * weight, values * weight, rcond=None)
    residual = values - design @ coefficients
    print("rms residual of each column:", np.sqrt((residual**2).mean(axis=0)).round(3).tolist())
    log_m = np.log(np.array(GRID_M, dtype=np.float64))
    root = np.linspace(0.1, 1.0, 10)
    smooth = features(*np.meshgrid(log_m, root, indexing="ij")) @ coefficients
    smooth[..., 2:] = np.sort(smooth[..., 2:], axis=-1)
    np.savez(output, log_M=log_m, root=root, levels=np.array(LEVELS), values=smooth)
    for M in (10, 32, 64, 128, 256, 512, 1024):
        i = GRID_M.index(M)
        print(M, [smooth[i, j].round(2).tolist() for j in (9, 0)])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
