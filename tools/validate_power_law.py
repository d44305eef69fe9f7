"""Measure the honesty of the power-law statistics and print the tables of docs/validation.md.

Coverage and width of alpha's interval, rejection rates of the goodness-of-fit test,
and their cost, on samples whose truth is known. Everything is seeded.

    python tools/validate_power_law.py [--quick] > tables.md
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from onnxspec.fits.bootstrap import alpha_interval, goodness_of_fit
from onnxspec.fits.power_law import fit_power_law

Array = NDArray[np.float64]
Sampler = Callable[[np.random.Generator], Array]

SIZES = (200, 1000)
ALPHAS = (2.0, 2.5, 3.5)


def pareto(n: int, alpha: float) -> Sampler:
    """Give a sampler of pure Pareto values from 1."""
    return lambda rng: (1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0))


def with_body(n: int, alpha: float) -> Sampler:
    """Give a sampler of 70 % body, density 2x on (0, 1), and a Pareto tail from 1."""
    body = math.ceil(0.7 * n)

    def draw(rng: np.random.Generator) -> Array:
        return np.concatenate([np.sqrt(rng.random(body)), pareto(n - body, alpha)(rng)])

    return draw


def smooth_body(n: int, alpha: float) -> Sampler:
    """Give a sampler whose body joins the tail smoothly (Clauset et al. 2009, eqn 3.10, xmin = 1)."""
    mass = math.expm1(alpha) / alpha
    share = mass / (mass + 1.0 / (alpha - 1.0))

    def draw(rng: np.random.Generator) -> Array:
        body = int(rng.binomial(n, share))
        below = 1.0 - np.log1p(rng.random(body) * math.expm1(alpha)) / alpha
        return np.concatenate([below, pareto(n - body, alpha)(rng)])

    return draw


def heavy_matrix(mu: float, M: int = 300, Q: int = 2) -> Sampler:
    """Give a sampler of the spectra of matrices with symmetric Pareto entries."""

    def draw(rng: np.random.Generator) -> Array:
        shape = (Q * M, M)
        W = (1.0 - rng.random(shape)) ** (-1.0 / mu) * rng.choice((-1.0, 1.0), shape)
        return np.asarray(np.linalg.eigvalsh(W.T @ W / shape[0]))

    return draw


def student_matrix(freedom: float, M: int = 300, Q: int = 2) -> Sampler:
    """Give a sampler of the spectra of matrices with Student t entries."""

    def draw(rng: np.random.Generator) -> Array:
        W = rng.standard_t(freedom, (Q * M, M))
        return np.asarray(np.linalg.eigvalsh(W.T @ W / (Q * M)))

    return draw


def spiked_matrix(spikes: int, N: int = 600, M: int = 300) -> Sampler:
    """Give a sampler of Gaussian bulks with Haar spikes of 1.5 to 4.5 times the BBP threshold."""

    def draw(rng: np.random.Generator) -> Array:
        left = np.linalg.qr(rng.standard_normal((N, spikes)))[0]
        right = np.linalg.qr(rng.standard_normal((M, spikes)))[0]
        strength = rng.uniform(1.5, 4.5, spikes) * (M / N) ** 0.25
        W = rng.standard_normal((N, M)) + math.sqrt(N) * (left * strength) @ right.T
        return np.asarray(np.linalg.eigvalsh(W.T @ W / N))

    return draw


def cells() -> Iterator[tuple[str, float, Sampler]]:
    """Give the samples that the bars are set for."""
    for name, sampler in (("Pareto", pareto), ("Pareto tail over a 70 % body", with_body)):
        for n in SIZES:
            for alpha in ALPHAS:
                yield f"{name}, n = {n}, alpha = {alpha}", alpha, sampler(n, alpha)


def hard_cells() -> Iterator[tuple[str, float | None, Sampler]]:
    """Give the samples that are measured without a bar; no truth means the mean over redraws."""
    for n in SIZES:
        for alpha in ALPHAS:
            yield f"smooth body (CSN 3.10), n = {n}, alpha = {alpha}", alpha, smooth_body(n, alpha)
    for mu in (0.8, 1.2, 2.0):
        yield f"redraws of 600 x 300, symmetric Pareto mu = {mu}", None, heavy_matrix(mu)
    yield "redraws of 600 x 300, Student t 2.5", None, student_matrix(2.5)


def coverage(name: str, truth: float | None, sampler: Sampler, sets: int, replicas: int) -> str:
    """Give one row of the coverage table."""
    rng = np.random.default_rng(20240 + sum(map(ord, name)))
    rows = []
    for index in range(sets):
        x = sampler(rng)
        fit = fit_power_law(x)
        interval = alpha_interval(x, fit, seed=index, replicas=replicas)
        if interval is None or fit.alpha is None or fit.alpha_stderr is None:
            continue
        rows.append((fit.alpha, 1.96 * fit.alpha_stderr, *interval))
    alpha, nominal, low, high = np.array(rows).T
    target = float(alpha.mean()) if truth is None else truth
    covers = float(((low <= target) & (target <= high)).mean())
    plain = float((np.abs(alpha - target) <= nominal).mean())
    width = float(np.median((high - low) / (2.0 * nominal)))
    return f"| {name} | {alpha.mean():.3f} | {alpha.std():.3f} | {plain:.3f} | {covers:.3f} | {width:.2f} |"


def rejection(name: str, sampler: Sampler, sets: int, replicas: int) -> str:
    """Give one row of the goodness-of-fit table."""
    rng = np.random.default_rng(50240 + sum(map(ord, name)))
    found = []
    for index in range(sets):
        x = sampler(rng)
        p = goodness_of_fit(x, fit_power_law(x), seed=index, replicas=replicas)
        if p is not None:
            found.append(p)
    values = np.array(found)
    return f"| {name} | {(values <= 0.1).mean():.3f} | {(values <= 0.05).mean():.3f} | {np.median(values):.3f} |"


def cost(replicas: int) -> Iterator[str]:
    """Give the rows of the cost table."""
    for M in (384, 1024):
        x = heavy_matrix(1.2, M)(np.random.default_rng(M))
        fit = fit_power_law(x)
        alpha_interval(x, fit, seed=0, replicas=40)
        goodness_of_fit(x, fit, seed=0, replicas=1)
        start = time.process_time()
        alpha_interval(x, fit, seed=0, replicas=replicas)
        middle = time.process_time()
        goodness_of_fit(x, fit, seed=0, replicas=replicas)
        end = time.process_time()
        yield f"| {M} | {(middle - start) / replicas * 1e6:.0f} | {(end - middle) / replicas * 1e6:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sets")
    quick = parser.parse_args().quick
    sets, hard_sets, gof_sets = (60, 20, 30) if quick else (600, 200, 300)
    replicas, gof_replicas = 200, 100 if quick else 400

    print(f"## Interval of alpha: {sets} sets a row, {replicas} replicas\n")
    print("Coverage of alpha +- 1.96 (alpha - 1)/sqrt(n_tail) (plain), of the interval, and its width over plain's.\n")
    header = "| sample | mean alpha | sd | plain | covers | width |\n|---|---|---|---|---|---|"
    print(header)
    for name, truth, sampler in cells():
        print(coverage(name, truth, sampler, sets, replicas), flush=True)
    print(f"\nWithout a bar, {hard_sets} sets a row; over redraws the truth is the mean alpha.\n\n{header}")
    for hard_name, hard_truth, hard_sampler in hard_cells():
        print(coverage(hard_name, hard_truth, hard_sampler, hard_sets, replicas), flush=True)

    print(f"\n## Goodness of fit: {gof_sets} sets a row, {gof_replicas} replicas\n")
    print("| sample | P(p <= 0.1) | P(p <= 0.05) | median p |\n|---|---|---|---|")
    for name, _, sampler in cells():
        print(rejection(name, sampler, gof_sets, gof_replicas), flush=True)
    for spikes in (3, 5, 8):
        label = f"600 x 300 Gaussian bulk + {spikes} spikes"
        print(rejection(label, spiked_matrix(spikes), gof_sets // 6, gof_replicas), flush=True)
    print(rejection("600 x 300, symmetric Pareto mu = 1.2", heavy_matrix(1.2), gof_sets // 6, gof_replicas))

    print("\n## Cost: microseconds of CPU a replica\n\n| eigenvalues | interval | goodness of fit |\n|---|---|---|")
    for row in cost(200 if quick else 1000):
        print(row, flush=True)


if __name__ == "__main__":
    main()
