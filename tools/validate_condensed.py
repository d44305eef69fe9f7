"""Compare alpha's interval from units of neighbours with that from all values, on the same samples.

python tools/validate_condensed.py VALUES SETS > rows.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from validate_power_law import Sampler, pareto, smooth_body, with_body

from onnxspec.fits import bootstrap
from onnxspec.fits.power_law import fit_power_law

SIDE = 64


def pool(n: int, freedom: float | None) -> Sampler:
    """Give a sampler of pooled spectra of 128 x 64 matrices with Gaussian or Student t entries."""

    def draw(rng: np.random.Generator) -> NDArray[np.float64]:
        parts = []
        for first in range(0, n // SIDE, 500):
            shape = (min(500, n // SIDE - first), 2 * SIDE, SIDE)
            W = rng.standard_normal(shape) if freedom is None else rng.standard_t(freedom, shape)
            parts.append(np.linalg.eigvalsh(W.swapaxes(1, 2) @ W / shape[1]).ravel())
        return np.concatenate(parts)

    return draw


def cells(n: int) -> Iterator[tuple[str, float | None, Sampler]]:
    """Give samples with their true alpha, None where it is the mean over redraws."""
    yield "Pareto 2.5", 2.5, pareto(n, 2.5)
    yield "Pareto 2.0 over a 70 % body", 2.0, with_body(n, 2.0)
    yield "Pareto 3.5 over a 70 % body", 3.5, with_body(n, 3.5)
    yield "smooth body, 2.5", 2.5, smooth_body(n, 2.5)
    yield "Gaussian pool", None, pool(n, None)
    yield "Student t 2.5 pool", None, pool(n, 2.5)


def row(name: str, truth: float | None, sampler: Sampler, n: int, sets: int) -> str:
    """Give one row: all values / units."""
    rng = np.random.default_rng(n + sum(map(ord, name)))
    rows: list[list[float]] = []
    cost = [0.0, 0.0]
    for seed in range(sets):
        x = sampler(rng)
        fit = fit_power_law(x)
        ends: list[float] = []
        for way, threshold in enumerate((10**9, 0)):
            before = time.process_time()
            with mock.patch.object(bootstrap, "CONDENSED_ABOVE", threshold):
                ends += bootstrap.alpha_interval(x, fit, seed=seed) or (np.nan, np.nan)
            cost[way] += (time.process_time() - before) / sets
        rows.append([fit.alpha or np.nan, 1.96 * (fit.alpha_stderr or np.nan), *ends])
    alpha, nominal, *bounds = np.array(rows).T
    target = float(alpha.mean()) if truth is None else truth
    lows, highs = bounds[::2], bounds[1::2]
    covers = " / ".join(f"{((low <= target) & (target <= high)).mean():.3f}" for low, high in zip(lows, highs))
    width = " / ".join(f"{np.median((high - low) / (2 * nominal)):.2f}" for low, high in zip(lows, highs))
    ratio = float(np.median((highs[1] - lows[1]) / (highs[0] - lows[0])))
    return f"| {name}, n = {n:,} | {covers} | {width} | {ratio:.2f} | {cost[0]:.2f} / {cost[1]:.2f} |"


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("values", type=int)
    parser.add_argument("sets", type=int)
    options = parser.parse_args()
    print("| sample | covers | width | median ratio of widths | CPU, s |\n|---|---|---|---|---|")
    for name, truth, sampler in cells(options.values):
        print(row(name, truth, sampler, options.values, options.sets), flush=True)


if __name__ == "__main__":
    main()
