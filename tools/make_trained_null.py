"""Simulate the null table of onnxspec.diagnosis.trained.

For Gaussian, uniform and logistic noise of many shapes: mean and standard deviation of
the largest eigenvalue on the Tracy-Widom scale and of the log of M times the KS
distance, and how much both means move with the excess kurtosis of the entries. Each is
smoothed over M and 1/sqrt(Q) by a polynomial. Then, over all those matrices, the law
of the smallest of the seven p-values gives the combination.

Usage: python tools/make_trained_null.py [OUTPUT.npz]      (about 3 minutes)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.diagnosis import exchangeability as ex
from onnxspec.laws import tracy_widom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

OUTPUT = Path(__file__).resolve().parent.parent / "onnxspec" / "diagnosis" / "trained_null.npz"
DRAWS = {10: 1500, 14: 1500, 20: 1200, 32: 1000, 48: 800, 64: 600, 96: 400, 128: 250, 200: 120, 320: 50}
ASPECTS = (1.0, 1.5, 3.0, 10.0)
GRID_M = (10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
GRID_ROOT = np.linspace(0.1, 1.0, 10)
LEVELS = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
KINDS = ("gaussian", "uniform", "logistic")


def noise(rng: np.random.Generator, kind: str, N: int, M: int) -> Array:
    """Draw one matrix of iid entries."""
    if kind == "gaussian":
        return rng.standard_normal((N, M))
    return rng.uniform(-1.0, 1.0, (N, M)) if kind == "uniform" else rng.logistic(size=(N, M))


def scores(W: Array) -> list[float]:
    """Give the five normal scores, the edge, the log of the distance, and the excess kurtosis."""
    N = W.shape[0]
    evals = np.maximum(np.linalg.eigvalsh(W.T @ W)[::-1], 0.0) / N
    entries = ex.entry_sums(W)
    assert entries is not None
    dispersion = [s for s in ex.dispersion_scores(entries).values() if s is not None]
    correlation = ex.correlation_score(entries, W, float(evals @ evals) * N * N)
    edge, distance = ex.edge_and_distance(evals, entries.scale, N)
    return [*dispersion, correlation, edge, float(np.log(distance)), entries.excess_kurtosis]


def moments(rows: dict[str, Array]) -> list[float]:
    """Give mean, sd and slope by the kurtosis of the edge and of the log distance."""
    result = []
    for column in (5, 6):
        means = {kind: rows[kind][:, column].mean() for kind in KINDS}
        kurtosis = {kind: rows[kind][:, 7].mean() for kind in KINDS}
        slope = (means["logistic"] - means["uniform"]) / (kurtosis["logistic"] - kurtosis["uniform"])
        result += [means["gaussian"], rows["gaussian"][:, column].std(), slope]
    return result


def features(M: Array, root: Array, column: int) -> Array:
    """Give the terms of the smoothing polynomial; those of the edge's moments vanish for large M."""
    if column < 2:
        x = M ** (-1.0 / 3.0)
        return np.stack([x**i * root**j for i in (1, 2, 3) for j in (0, 1)], axis=-1)
    x = np.log(M)
    return np.stack([x**i * root**j for i in (0, 1, 2) for j in (0, 1)], axis=-1)


def limit(column: int) -> float:
    """Give what a moment tends to for large M, where that is known."""
    return (tracy_widom.MEAN, tracy_widom.VARIANCE**0.5)[column] if column < 2 else 0.0


def main(output: Path) -> None:
    rng = np.random.default_rng(20240817)
    cells: list[tuple[int, float, int, dict[str, Array]]] = []
    for M, draws in DRAWS.items():
        for Q in ASPECTS:
            N = round(M * Q)
            rows = {kind: np.array([scores(noise(rng, kind, N, M)) for _ in range(draws)]) for kind in KINDS}
            cells.append((M, N / M, draws, rows))
        print(M, flush=True)
    at_m = np.array([c[0] for c in cells], dtype=np.float64)
    at_root = np.array([c[1] ** -0.5 for c in cells])
    weight = np.sqrt(np.array([c[2] for c in cells], dtype=np.float64))
    values = np.array([moments(c[3]) for c in cells])
    grid_m, grid_root = np.meshgrid(np.array(GRID_M, dtype=np.float64), GRID_ROOT, indexing="ij")
    table = np.empty((*grid_m.shape, 6))
    smooth = np.empty_like(values)
    for column in range(6):
        design = features(at_m, at_root, column)
        target = values[:, column] - limit(column)
        coefficients, *_ = np.linalg.lstsq(design * weight[:, None], target * weight, rcond=None)
        # beyond the simulated sizes the corrections keep the values that they have there
        capped = grid_m if column < 2 else np.minimum(grid_m, 512.0 if column == 3 else 256.0)
        table[..., column] = features(capped, grid_root, column) @ coefficients + limit(column)
        smooth[:, column] = design @ coefficients + limit(column)
    print("rms residual:", np.sqrt((((values - smooth) * weight[:, None]) ** 2).mean(axis=0)).round(3).tolist())
    print("largest residual:", np.abs(values - smooth).max(axis=0).round(3).tolist())
    least = combine(cells, smooth)
    quantiles = np.quantile(least, 1.0 - np.array(LEVELS))
    np.savez(
        output, log_M=np.log(np.array(GRID_M, dtype=np.float64)), root=GRID_ROOT, values=table,
        levels=np.array(LEVELS), least=quantiles,
    )  # fmt: skip
    for level, q in zip(LEVELS, quantiles, strict=True):
        parts = float(np.log1p(-level) / np.log1p(-np.exp(-q)))
        print(level, round(float(q), 3), "independent parts:", round(parts, 2))


def combine(cells: list[tuple[int, float, int, dict[str, Array]]], smooth: Array) -> Array:
    """Give the smallest p-value of each matrix, as -log p; print its levels by size."""
    pooled = []
    for (M, Q, _, rows), row in zip(cells, smooth, strict=True):
        for kind in KINDS:
            data = rows[kind]
            p = [np.array([ex.two_sided_p(s) for s in data[:, i]]) for i in range(5)]
            p.append(ex.edge_p(data[:, 5], data[:, 7], row))
            p.append(ex.distance_p(np.exp(data[:, 6]), data[:, 7], row))
            least = -np.log(np.minimum.reduce(p))
            pooled.append(least)
            rates = [round(100.0 * float((x < 0.01).mean()), 2) for x in p]
            print(M, round(Q, 2), kind, "parts below 0.01, in %:", rates,
                  "99 % of -log p:", round(float(np.quantile(least, 0.99)), 2))  # fmt: skip
    return np.concatenate(pooled)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
