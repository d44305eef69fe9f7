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


# --- codes ------------------------------------------------------------------------------------


def small_float(code: int, exponent_bits: int, mantissa_bits: int, bias: int) -> float:
    """Read the bits of a small float by its formula; codes of infinities and NaN come out as numbers."""
    sign = -1.0 if code >> (exponent_bits + mantissa_bits) else 1.0
    exponent = (code >> mantissa_bits) & (2**exponent_bits - 1)
    mantissa = (code & (2**mantissa_bits - 1)) / 2**mantissa_bits
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias)
    return sign * (1 + mantissa) * 2.0 ** (exponent - bias)


def pack_low_bits_first(codes: np.ndarray, bits: int) -> np.ndarray:
    """Pack unsigned codes along the last axis, the first in the lowest bits of a byte."""
    per_byte = 8 // bits
    rows = codes.reshape(-1, codes.shape[-1])
    packed = np.zeros((rows.shape[0], -(-rows.shape[1] // per_byte)), np.uint8)
    for i, row in enumerate(rows):
        for j, code in enumerate(row):
            packed[i, j // per_byte] |= np.uint8(int(code) << (bits * (j % per_byte)))
    return packed.reshape(*codes.shape[:-1], -1)


def quant(
    x: np.ndarray, scale: float, zero: float, bits: int, signed: bool, narrow: bool, mode: str
) -> list[list[float]]:
    """Quantise and decode number by number, as the definition of QONNX's Quant reads."""
    low = (-(2 ** (bits - 1)) + (1 if narrow else 0)) if signed else 0
    high = (2 ** (bits - 1) - 1) if signed else 2**bits - (2 if narrow else 1)
    result = []
    for row in x:
        out = []
        for value in row:
            v = float(value) / scale + zero
            if signed and bits == 1:
                out.append((1.0 if v >= 0 else -1.0) * scale)
                continue
            v = min(max(v, low), high)
            away = math.copysign(1.0, v)
            r = {
                "ROUND": round,
                "CEIL": math.ceil,
                "FLOOR": math.floor,
                "UP": lambda t: away * math.ceil(abs(t)),  # noqa: B023
                "DOWN": math.trunc,
                "HALF_UP": lambda t: away * math.floor(abs(t) + 0.5),  # noqa: B023
                "HALF_DOWN": lambda t: away * math.ceil(abs(t) - 0.5),  # noqa: B023
            }[mode](v)
            out.append((r - zero) * scale)
        result.append(out)
    return result


def matmul_nbits(
    packed: np.ndarray, scales: np.ndarray, zeros: np.ndarray, bits: int, block: int, columns: int
) -> np.ndarray:
    """Decode MatMulNBits with one float zero point a block, code by code."""
    rows = packed.shape[0]
    result = np.zeros((rows, columns), np.float32)
    for n in range(rows):
        stream = "".join(f"{byte:08b}"[::-1] for byte in packed[n].reshape(-1))
        for k in range(columns):
            code = int(stream[k * bits : (k + 1) * bits][::-1], 2)
            result[n, k] = (np.float32(code) - zeros[n, k // block]) * scales[n, k // block]
    return result


# --- exchangeable noise ---------------------------------------------------------------------------


def between_groups(rows: Sequence[Sequence[float]]) -> float:
    """Sum over the rows of the squared sum of the values, centred by the mean of all."""
    values = [value for row in rows for value in row]
    mean = math.fsum(values) / len(values)
    return math.fsum(math.fsum(value - mean for value in row) ** 2 for row in rows)


def rectangles(rows: Sequence[Sequence[float]]) -> float:
    """Sum of a_ij a_ik a_lj a_lk over pairs of rows and pairs of columns, each pair once; a is centred."""
    values = [value for row in rows for value in row]
    mean = math.fsum(values) / len(values)
    a = [[value - mean for value in row] for row in rows]
    return math.fsum(
        a[i][j] * a[i][k] * a[el][j] * a[el][k]
        for i in range(len(a))
        for el in range(i)
        for j in range(len(a[0]))
        for k in range(j)
    )


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-value: the smallest level at which the step-up procedure rejects the hypothesis."""
    ordered = sorted(p)
    m = len(p)
    return [min([1.0, *(ordered[k] * m / (k + 1) for k in range(m) if ordered[k] >= value)]) for value in p]


def rank_sum_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p-value of the rank-sum test by trying all assignments; no ties."""
    from itertools import combinations

    pooled = [*a, *b]
    centre = len(a) * len(b) / 2

    def distance(chosen: Sequence[int]) -> float:
        rest = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        return abs(sum(pooled[i] > y for i in chosen for y in rest) - centre)

    seen = distance(range(len(a)))
    every = [distance(chosen) for chosen in combinations(range(len(pooled)), len(a))]
    return sum(value >= seen for value in every) / len(every)


# --- bootstrap of the power-law fit, replica by replica from given uniform numbers --------------


def resampled_alpha(values: Sequence[float], uniforms: Sequence[float], ks: str, min_tail: int) -> float:
    """Give alpha of the sample drawn with replacement, 0 where it has no fit."""
    x = sorted(values)
    found = power_law([x[int(u * len(x))] for u in uniforms], ks, min_tail)
    return found[1] if found else 0.0


def replica_distance(
    values: Sequence[float], uniforms: Sequence[float], xmin: float, alpha: float, ks: str, min_tail: int
) -> float:
    """Give D of one semi-parametric replica; the second half of the numbers makes its tail by order statistics."""
    x = sorted(values)
    n = len(x)
    drawn = [x[int(u * n)] for u in uniforms[:n]]
    sample = sorted(v for v in drawn if v < xmin)
    log = math.log(xmin)
    for i in range(len(sample), n):
        log += -math.log(1.0 - uniforms[n + i]) / ((n - i) * (alpha - 1.0))
        sample.append(math.exp(log))
    found = power_law(sample, ks, min_tail)
    return found[2] if found else math.inf
