"""Plain, slow implementations that the kernels are checked against."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# --- WeightWatcher 0.7.7 -------------------------------------------------------------------------


def weightwatcher_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """N and M that WeightWatcher prints for a convolution of four axes, one kernel position after the other."""
    n, m, height, width = shape
    if n + m < height + width:
        return n, m
    for _ in range(height * width):
        if shape[0] < shape[1]:
            n, m = m, n
    return n, m


def weightwatcher_fit(evals: list[float]) -> tuple[float, float, float, int]:
    """alpha, D, xmin and tail length by trying every eigenvalue above 1e-5 but the largest."""
    x = sorted(value for value in evals if value > 1e-5)
    best = None
    for start in range(len(x) - 1):
        tail = x[start:]
        alpha = 1.0 + len(tail) / math.fsum(math.log(value / tail[0]) for value in tail)
        distance = max(abs(1.0 - (v / tail[0]) ** (1.0 - alpha) - i / len(tail)) for i, v in enumerate(tail))
        if best is None or distance < best[1]:
            best = (alpha, distance, tail[0], len(tail))
    assert best is not None
    return best


def weightwatcher_entropy(evals: list[float], rank: int) -> float:
    """Entropy with 1e-10 added to every share and to the rank."""
    total = math.fsum(evals)
    shares = [value / total + 1e-10 for value in evals]
    return -math.fsum(share * math.log(share) for share in shares) / math.log(rank + 1e-10)


# ---- power law: plain scan over xmin (Clauset, Shalizi & Newman 2009) ----


def power_law_candidates(
    values: Iterable[float], ks: str = "grid", min_tail: int = 2
) -> list[tuple[float, float, float, int]]:
    """Give (xmin, alpha, D, n_tail) of every candidate, ascending in xmin."""
    x = sorted(float(v) for v in values if v > 0)
    rows = []
    for xmin in sorted(set(x))[:-1]:
        tail = [v for v in x if v >= xmin]
        n = len(tail)
        if n < min_tail:
            continue
        logs = [math.log1p((v - xmin) / xmin) if v < 2 * xmin else math.log(v) - math.log(xmin) for v in tail]
        slope = n / math.fsum(logs)
        law = [1.0 - math.exp(-slope * log) for log in logs]
        if ks == "grid":
            D = max(abs(F - i / n) for i, F in enumerate(law))
        elif ks == "two_sided":
            D = max(max((i + 1) / n - F, F - i / n) for i, F in enumerate(law))
        else:
            D = max(abs(F / law[-1] - i / n) for i, F in enumerate(law))
        rows.append((xmin, 1.0 + slope, D, n))
    return rows


def power_law(values: Iterable[float], ks: str = "grid", min_tail: int = 2) -> tuple[float, float, float, int] | None:
    """Give the candidate with the smallest D, the smallest xmin among equals; None without one."""
    rows = power_law_candidates(values, ks, min_tail)
    return min(rows, key=lambda row: row[2]) if rows else None


# ---- spectra: singular values by SVD, metrics by their definitions ----


def singular_values(array: np.ndarray) -> np.ndarray:
    """Give the singular values of a matrix, or of all matrices of a stack, descending."""
    matrices = np.asarray(array, dtype=np.float64)
    matrices = matrices[np.newaxis] if matrices.ndim == 2 else matrices
    return np.sort(np.concatenate([np.linalg.svd(W, compute_uv=False) for W in matrices]))[::-1]


def spectrum_metrics(sv: Sequence[float], shape: tuple[int, int, int], rank: int, alpha: float) -> dict[str, float]:
    """Give the metrics of THEORY.md section 1 for a stack of `shape` (matrices, N, M), one formula each."""
    matrices, N, M = shape
    lam = [s * s / N for s in sv]
    total = math.fsum(lam)
    shares = [value / math.fsum(lam[:rank]) for value in lam[:rank]]
    entropy = -math.fsum(p * math.log(p) for p in shares) / math.log(rank)
    Q, K = N / M, matrices * M
    return {
        "sv_max": sv[0],
        "sv_min": sv[-1],
        "lambda_max": lam[0],
        "norm": total * N,
        "spectral_norm": sv[0] ** 2,
        "log_norm": math.log10(total * N),
        "log_spectral_norm": math.log10(sv[0] ** 2),
        "log_alpha_norm": math.log10(math.fsum((s * s) ** alpha for s in sv)),
        "alpha_weighted": alpha * math.log10(sv[0] ** 2),
        "alpha_hat": alpha * math.log10(lam[0]),
        "stable_rank": total / lam[0],
        "stable_rank_ratio": total / lam[0] / (matrices * M / (1 + Q**-0.5) ** 2),
        "log_stable_rank": math.log10(total * N) / math.log10(lam[0]),
        "entropy": entropy,
        "entropy_deficit": (1 - entropy) * 2 * Q * math.log(K),
        "trace": total,
        "log_det": math.fsum(math.log(value) for value in lam[:rank]),
        "rank": rank,
        "rank_loss": K - rank,
    }


# --- random-matrix laws -------------------------------------------------------------------------------------------


def mp_cdf_by_quadrature(x: float, Q: float, nodes: int = 20001) -> float:
    """Integrate the density of singular values, which is bounded, by Simpson's rule in the angle of nu."""
    low, high = (1.0 - Q**-0.5), (1.0 + Q**-0.5)
    # nu = middle - radius cos(u): the square roots at both edges become smooth.
    middle, radius = 0.5 * (low + high), 0.5 * (high - low)
    top = np.arccos(np.clip((middle - np.sqrt(x)) / radius, -1.0, 1.0))
    u = np.linspace(0.0, top, nodes)
    nu = middle - radius * np.cos(u)
    root = np.sqrt(np.maximum((high**2 - nu**2) * (nu**2 - low**2), 0.0))
    rho = np.where(nu > 0.0, Q * root / (np.pi * np.where(nu > 0.0, nu, 1.0)), Q * high / np.pi)
    values = rho * radius * np.sin(u)
    h = u[1] - u[0]
    return float(h / 3.0 * (values[0] + values[-1] + 4.0 * values[1:-1:2].sum() + 2.0 * values[2:-1:2].sum()))


def iterated_median(evals_desc: np.ndarray, N: int, edge_quantile: float, error: float) -> tuple[float, int]:
    """Find sigma^2 and the spikes by the plain iterated median, no correction for the spikes' finite strength."""
    from onnxspec.laws import marchenko_pastur

    M, k = len(evals_desc), 0
    while True:
        m, n = M - k, N - k
        sigma2 = float(np.median(evals_desc[k:])) * (N / n) / marchenko_pastur.median(n / m)
        a, b = np.sqrt(n - 0.5), np.sqrt(m - 0.5)
        mu, s = (a + b) ** 2 / n, (a + b) * (1 / a + 1 / b) ** (1 / 3) / n
        edge = sigma2 * n / N * (mu + edge_quantile * np.hypot(s, mu * error))
        found = int(np.sum(np.asarray(evals_desc) > edge))
        if found <= k or found > M // 2:
            return sigma2, k
        k = found
