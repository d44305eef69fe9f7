"""Measure the bulk fit on noise and on planted spikes; print Markdown tables for docs/validation.md.

Gaussian spectra are drawn through a bidiagonal matrix with the same law
(onnxspec.laws.marchenko_pastur.sample); other entries and planted spikes as whole
matrices, fewer of the larger shapes.

Usage: python tools/validate_spikes.py [--reduced]      (about 3 minutes; reduced: 15 seconds)
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from onnxspec.fits.bulk import BulkFit, fit_bulk
from onnxspec.laws import marchenko_pastur, spiked

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], tuple[Array, float]]

SHAPES = ((64, 64), (256, 128), (300, 300), (600, 300), (512, 512), (4096, 384))
WHOLE_MATRICES = {(300, 300): 500, (600, 300): 500, (512, 512): 200, (4096, 384): 100}
PLANTED = (5, 30, 45, 61, 100)


def spectrum(weights: Array) -> Array:
    """Give the eigenvalues of W^T W / N, descending."""
    return np.asarray(np.maximum(np.linalg.eigvalsh(weights.T @ weights)[::-1], 0.0) / weights.shape[0])


def excess_kurtosis(weights: Array) -> float:
    """Give the excess kurtosis of the entries, as a caller of fit_bulk would measure it."""
    square = (weights - weights.mean()) ** 2
    return float((square * square).mean() / square.mean() ** 2 - 3.0)


def gaussian(rng: np.random.Generator, N: int, M: int) -> tuple[Array, float]:
    return marchenko_pastur.sample(rng, N, M), 0.0


def laplace(rng: np.random.Generator, N: int, M: int) -> tuple[Array, float]:
    weights = rng.laplace(size=(N, M))
    return spectrum(weights), excess_kurtosis(weights)


def uniform(rng: np.random.Generator, N: int, M: int) -> tuple[Array, float]:
    weights = rng.uniform(-1.0, 1.0, size=(N, M))
    return spectrum(weights), excess_kurtosis(weights)


def share(values: list[bool]) -> str:
    """Give a share in percent with its standard error."""
    p = float(np.mean(values))
    return f"{100 * p:.1f} ± {100 * np.sqrt(max(p * (1 - p), 0.25 / len(values) / 4) / len(values)):.1f}"


def noise_row(rng: np.random.Generator, name: str, draw: Draw, N: int, M: int, draws: int) -> None:
    fits: list[BulkFit] = []
    unaware: list[bool] = []
    for _ in range(draws):
        evals, kurtosis = draw(rng, N, M)
        fits.append(fit_bulk(evals, N, M, kurtosis=kurtosis))
        unaware.append(bool(fit_bulk(evals, N, M).spikes))
    cells = [
        f"{N}x{M}",
        name,
        str(draws),
        share([bool(fit.spikes) for fit in fits]),
        share(unaware),
        share([bool(fit.spikes_95) for fit in fits]),
        share([(fit.D_bulk_p or 0.0) < 0.01 for fit in fits]),
        share([(fit.D_bulk_p or 0.0) < 0.05 for fit in fits]),
        share([(fit.tracy_widom_p or 0.0) < 0.05 for fit in fits]),
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def planted_row(rng: np.random.Generator, planted: int, draws: int) -> None:
    found, deviation, strengths, p_values = [], [], [], []
    for _ in range(draws):
        M = int(rng.integers(300, 1001))
        N = int(M * rng.choice([1.0, 1.5, 2.0]))
        theta = np.sort(spiked.bbp_threshold(N / M) * rng.uniform(1.5, 4.5, planted))[::-1]
        weights = spiked.sample(rng, N, M, theta)
        fit = fit_bulk(spectrum(weights), N, M, kurtosis=excess_kurtosis(weights))
        assert fit.spikes is not None
        assert fit.sigma_mp is not None
        found.append(fit.spikes)
        deviation.append(fit.sigma_mp**2 - 1.0)
        p_values.append(fit.D_bulk_p or 0.0)
        if fit.spikes == planted:
            strengths.append(float(np.mean(np.array(fit.spike_thetas) / theta)))
    ratio = f"{np.mean(strengths):.3f}" if strengths else "-"
    print(
        f"| {planted} | {draws} | {np.mean(found):.2f} | {min(found)} to {max(found)} | {np.mean(deviation):+.4f}"
        f" ± {np.std(deviation):.4f} | {ratio} | {np.mean(np.array(p_values) < 0.05):.2f} |",
        flush=True,
    )


def main(*, reduced: bool) -> None:
    rng = np.random.default_rng(20240612)
    print("Noise, percent of draws at the 1 % level\n")
    print(
        "| shape | entries | draws | any spike (1 %) | same, kurtosis not given |"
        " any spike (5 %) | D_bulk_p < .01 | D_bulk_p < .05 | tracy_widom_p < .05 |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for N, M in SHAPES:
        for name, draw in (("Gaussian", gaussian), ("Laplace", laplace), ("uniform", uniform)):
            draws = 1000 if name == "Gaussian" else WHOLE_MATRICES.get((N, M), 1000)
            noise_row(rng, name, draw, N, M, 20 if reduced else draws)
    print("\nPlanted spikes, 1.5 to 4.5 times the threshold, Haar vectors, M from 300 to 1,000, Q of 1, 1.5 or 2\n")
    print("| planted | draws | mean found | range | sigma^2 - 1 | theta found / true | D_bulk_p < .05 |")
    print("|---|---|---|---|---|---|---|")
    for planted in PLANTED:
        planted_row(rng, planted, 2 if reduced else 20)


if __name__ == "__main__":
    with threadpoolctl.threadpool_limits(1):
        main(reduced="--reduced" in sys.argv[1:])
