"""How well one number ranks a few others: correlations, a line, permutations and resamples.

A series has few models, so no p-value here comes from a large-sample formula: up to eight
models all permutations are counted, above that 9,999 drawn ones. Every random step is seeded
by the numbers themselves, in sorted order: names and order change no digit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import exp, isfinite, lgamma, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from onnxspec.fits.random_stream import stream_key, uniforms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]

__all__ = ["FEWEST", "LARGEST", "LEVEL", "Correlations", "Line", "correlate", "drawn", "kendall_tau", "tidy"]

FEWEST = 3
"""Fewest models for a correlation or a line: any two are ordered perfectly."""
FEWEST_RESAMPLED = 5
"""Fewest models for a bootstrap interval: four give 35 distinct resamples."""
LARGEST, SMALLEST = 1e100, 1e-100
"""Largest size of a number, and smallest that is not taken as 0: squares and quotients stay finite."""
ALL_PERMUTATIONS = 8
DRAWN_PERMUTATIONS = 9999
RESAMPLES = 1999
LEAST_DRAWN = 199
BUDGET = 100_000_000  # pairs that one statistic may look at: bounds the time of a long series
CHUNK = 2_000_000  # pairs held in memory at a time
DIGITS = 12
SHARE_USABLE = 0.9
LEVEL = 0.05


@dataclass(frozen=True)
class Line:
    """The least-squares line ``y = intercept + slope * x``; `rmse` divides by n.

    `slope_stderr` has n - 2 degrees of freedom. `loo_rmse` predicts each point from the
    line through the others; it does not exist where one point alone fixes the slope.
    """

    slope: float
    slope_stderr: float
    intercept: float
    r2: float
    rmse: float
    loo_rmse: float | None


@dataclass(frozen=True)
class Correlations:
    """Everything about one metric and the accuracies of some models.

    `values`, `p_values` and `intervals` have the keys kendall_tau, spearman, pearson, r2, rmse and
    slope; an interval or all intervals may be missing. `reason` says why there are no values at all.
    """

    values: dict[str, float]
    p_values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    line: Line | None
    min_p: float | None
    permutations: int
    exact: bool
    reason: str | None = None
    interval_reason: str | None = None


def tidy(value: float) -> float:
    """Round to twelve digits: differences of rounding are no order of models."""
    return 0.0 if abs(value) < SMALLEST else float(f"{value:.{DIGITS}g}")


def kendall_tau(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Give Kendall's tau-b, or ``None`` where either side is constant.

    Parameters
    ----------
    x, y : sequence of float, length n
        Paired numbers.

    Returns
    -------
    float or None
        ``(concordant - discordant) / sqrt((pairs - ties of x) (pairs - ties of y))``.
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    i, j = np.triu_indices(a.size, 1)
    sa, sb = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    scale = sqrt(float(np.dot(sa, sa)) * float(np.dot(sb, sb)))
    return float(np.dot(sa, sb)) / scale if scale else None


def correlate(x: Sequence[float], y: Sequence[float]) -> Correlations:
    """Measure how a metric goes with accuracy, with p-values and intervals.

    Parameters
    ----------
    x : sequence of float, length n
        The metric, in any unit.
    y : sequence of float, length n
        The accuracies.

    Returns
    -------
    Correlations
        With a reason instead of numbers for fewer than three models (``too_few_models``), a
        constant metric (``constant_metric``) or a constant accuracy (``constant_accuracy``).

    Raises
    ------
    ValueError
        A number is not finite, or larger than 1e100.
    """
    points = sorted((tidy(a), tidy(b)) for a, b in zip(x, y, strict=True))
    if any(not isfinite(v) or abs(v) > LARGEST for pair in points for v in pair):
        raise ValueError("the numbers must be finite and at most 1e100 in size")
    if len(points) < FEWEST:
        return _nothing("too_few_models")
    if points[0][0] == points[-1][0]:
        return _nothing("constant_metric")
    if len({b for _, b in points}) == 1:
        return _nothing("constant_accuracy")
    a, b = np.array(points).T
    line = _line(a, b)
    # all that is random sees scaled numbers: a product of tiny ones would vanish
    u, v = (a - a.mean()) / np.ptp(a), (b - b.mean()) / np.ptp(b)
    seed = int.from_bytes(hashlib.blake2b(np.ascontiguousarray([a, b]).tobytes(), digest_size=8).digest(), "little")
    values, p_values, min_p, count, exact = _permuted(u, v, stream_key(seed, 0))
    values |= {"r2": line.r2, "rmse": line.rmse, "slope": line.slope}
    p_values |= dict.fromkeys(("r2", "rmse", "slope"), p_values["pearson"])
    intervals, interval_reason = _resampled(u, v, stream_key(seed, 1))
    scale = {"rmse": float(np.ptp(b)), "slope": float(np.ptp(b) / np.ptp(a))}
    scaled = {
        name: (low * scale.get(name, 1.0), high * scale.get(name, 1.0)) for name, (low, high) in intervals.items()
    }
    return Correlations(values, p_values, scaled, line, min_p, count, exact, None, interval_reason)


def _nothing(reason: str) -> Correlations:
    return Correlations({}, {}, {}, None, None, 0, False, reason)


def _line(x: Array, y: Array) -> Line:
    """Fit the least-squares line, with its leave-one-out error by the leverages."""
    n, scale = x.size, float(np.ptp(x))
    u = (x - x.mean()) / scale
    v = y - y.mean()
    sxx, syy = float(u @ u), float(v @ v)
    slope = float(u @ v) / sxx
    residuals = v - slope * u
    sse = float(residuals @ residuals)
    freedom = 1.0 - 1.0 / n - u * u / sxx  # one minus the leverage of each point
    loo = None
    if float(freedom.min()) > 1e-9:
        loo = sqrt(float(np.mean((residuals / freedom) ** 2)))
    return Line(
        slope=slope / scale,
        slope_stderr=sqrt(sse / (n - 2) / sxx) / scale,
        intercept=float(y.mean()) - slope * float(x.mean()) / scale,
        r2=max(0.0, 1.0 - sse / syy),
        rmse=sqrt(sse / n),
        loo_rmse=loo,
    )


def _ranks(values: Array) -> Array:
    """Give midranks along the last axis."""
    from scipy.stats import rankdata

    ranks: Array = rankdata(values, axis=-1)
    return ranks


def _unit(values: Array) -> Array:
    """Centre and scale to length one."""
    centred: Array = values - values.mean()
    scaled: Array = centred / np.sqrt(centred @ centred)
    return scaled


@lru_cache(maxsize=ALL_PERMUTATIONS)
def _every_order(n: int) -> Places:
    return np.array(list(permutations(range(n))), np.intp)


def drawn(pairs: int, wanted: int) -> int:
    """Give how many permutations or resamples fit into the budget, each looking at so many pairs."""
    return max(LEAST_DRAWN, min(wanted, BUDGET // max(1, pairs)))


def _orders(key: int, n: int) -> tuple[int, bool, Iterator[Places]]:
    """Give the number of permutations, whether they are all, and the permutations in blocks."""
    step = max(1, CHUNK // (n * (n - 1) // 2))
    if n <= ALL_PERMUTATIONS:
        every = _every_order(n)
        return len(every), True, (every[k : k + step] for k in range(0, len(every), step))
    count = drawn(n * (n - 1) // 2, DRAWN_PERMUTATIONS)

    def blocks() -> Iterator[Places]:
        for start in range(0, count, step):
            rows = min(step, count - start)
            yield np.argsort(uniforms(key, start * n, rows * n).reshape(rows, n), axis=1, kind="stable")

    return count, False, blocks()


def _permuted(x: Array, y: Array, key: int) -> tuple[dict[str, float], dict[str, float], float, int, bool]:
    """Give the three correlations, and how often permuted accuracies do as well.

    A drawn set counts the order that was seen as one more permutation (Phipson and Smyth 2010).
    """
    n = x.size
    i, j = np.triu_indices(n, 1)
    sx, sy = np.sign(x[i] - x[j]), np.sign(np.subtract.outer(y, y))
    tau_scale = sqrt(float(sx @ sx) * float(np.sum(sy[i, j] ** 2)))
    pairs = {"spearman": (_unit(_ranks(x)), _unit(_ranks(y))), "pearson": (_unit(x), _unit(y))}
    values = {"kendall_tau": float(sx @ sy[i, j]) / tau_scale}
    values |= {name: float(np.clip(a @ b, -1.0, 1.0)) for name, (a, b) in pairs.items()}
    count, exact, blocks = _orders(key, n)
    reached = dict.fromkeys(values, 0)
    largest, best = abs(values["kendall_tau"]), 0
    for order in blocks:
        tau = np.abs((sy[order[:, i], order[:, j]] @ sx) / tau_scale)
        found = {"kendall_tau": tau}
        found |= {name: np.abs(b[order] @ a) for name, (a, b) in pairs.items()}
        for name, sizes in found.items():
            reached[name] += int(np.count_nonzero(sizes >= abs(values[name]) - 1e-12))
        top = float(tau.max())
        if top > largest + 1e-12:
            largest, best = top, 0
        best += int(np.count_nonzero(tau >= largest - 1e-12))
    extra = 0 if exact else 1
    p_values = {name: (hits + extra) / (count + extra) for name, hits in reached.items()}
    min_p = best / count if exact else max(1.0 / (count + 1), _least(x, y))
    return values, p_values, min_p, count, exact


def _least(x: Array, y: Array) -> float:
    """Bound the share of permutations that order the models as well as their ties allow.

    The best order and its reverse, each as often as equal numbers can be exchanged.
    """
    alike = [int(size) for side in (x, y) for size in np.unique(side, return_counts=True)[1]]
    logs = sum(lgamma(size + 1) for size in alike) + log(2.0) - lgamma(x.size + 1)
    return min(1.0, exp(logs))


def _resampled(x: Array, y: Array, key: int) -> tuple[dict[str, tuple[float, float]], str | None]:
    """Give 95 % percentile intervals over resamples of the models, where they mean something."""
    n = x.size
    if n < FEWEST_RESAMPLED:
        reason = "too_few_models"
        return {}, reason
    count = drawn(n * (n - 1) // 2, RESAMPLES)
    step = max(1, CHUNK // (n * (n - 1) // 2))
    parts: dict[str, list[Array]] = {}
    for start in range(0, count, step):
        rows = min(step, count - start)
        places = (uniforms(key, start * n, rows * n) * n).astype(np.intp).reshape(rows, n)
        for name, found in _of_resamples(x[places], y[places]).items():
            parts.setdefault(name, []).append(found)
    intervals = {}
    for name, blocks in parts.items():
        found = np.concatenate(blocks)
        if found.size >= SHARE_USABLE * count:
            low, high = np.quantile(found, (LEVEL / 2.0, 1.0 - LEVEL / 2.0)).tolist()
            if high - low > 1e-12:  # resamples of a perfect order are perfect too: that says nothing
                intervals[name] = (low, high)
    return intervals, None


def _of_resamples(x: Array, y: Array) -> dict[str, Array]:
    """Give every statistic of each row whose numbers are not all the same."""
    usable = (np.ptp(x, axis=1) > 0.0) & (np.ptp(y, axis=1) > 0.0)
    x, y = x[usable], y[usable]
    n = x.shape[1]
    i, j = np.triu_indices(n, 1)
    sx, sy = np.sign(x[:, i] - x[:, j]), np.sign(y[:, i] - y[:, j])
    tau = (sx * sy).sum(axis=1) / np.sqrt((sx * sx).sum(axis=1) * (sy * sy).sum(axis=1))
    a, b = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    sxx, sxy, syy = (a * a).sum(axis=1), (a * b).sum(axis=1), (b * b).sum(axis=1)
    r = np.clip(sxy / np.sqrt(sxx * syy), -1.0, 1.0)
    return {
        "kendall_tau": tau,
        "spearman": _row_pearson(_ranks(x), _ranks(y)),
        "pearson": r,
        "r2": r * r,
        "rmse": np.sqrt(np.maximum(syy * (1.0 - r * r), 0.0) / n),
        "slope": sxy / sxx,
    }


def _row_pearson(x: Array, y: Array) -> Array:
    a, b = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    r: Array = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.clip(r, -1.0, 1.0)
