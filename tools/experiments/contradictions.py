"""Where the seeds contradict theory, their own data or each other: each point with a number that shows it.

python tools/experiments/contradictions.py [--quick]      (needs no torch)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lab as common
import numpy as np
import numpy.typing as npt

import onnxspec
from onnxspec import theory
from onnxspec.laws import marchenko_pastur, spiked

Array = npt.NDArray[np.float64]
Fact = dict[str, Any]


def largest(W: Array) -> float:
    """Give the largest eigenvalue of X = W^T W / N."""
    return float(np.linalg.norm(W, 2) ** 2 / max(W.shape))


def fact(point: str, what: str, value: float | str, expected: float | str | None = None) -> Fact:
    return {"point": point, "what": what, "value": value, "beside": expected}


def spike_condition(_: int) -> list[Fact]:
    """Plant one direction of the printed size, and one of that size times sqrt(N)."""
    N, M = 1000, 500
    rng = np.random.default_rng(1)
    threshold, plus = spiked.bbp_threshold(N / M), marchenko_pastur.edges(N / M)[1]
    found = []
    for name, strength in (("2 Q^-1/4", 2 * threshold), ("2 Q^-1/4 sqrt(N)", 2 * threshold * math.sqrt(N))):
        u, v = spiked.haar(rng, N, 1), spiked.haar(rng, M, 1)
        value = largest(rng.standard_normal((N, M)) + strength * (u @ v.T))
        formula = (1 / (N / M) + strength**2 / N) * (1 + N / strength**2)
        expected = f"formula {formula:.4g}; edge of the bulk {plus:.4g}"
        found.append(fact("spike condition", f"lambda_max with |Delta| = {name}", value, expected))
    return found


def density_sum(_: int) -> list[Fact]:
    """Integrate the density, whose eigenvalues are printed with the weight 1/N each."""
    Q = 3.0
    low, high = marchenko_pastur.edges(Q)
    x = low + (high - low) * np.sin(np.linspace(0.0, 0.5 * math.pi, 20001)) ** 2
    rho = marchenko_pastur.density(x, Q)
    mass = float(np.sum(0.5 * (rho[1:] + rho[:-1]) * np.diff(x)))
    return [
        fact("density", "integral of the printed law, Q = 3", mass, "1"),
        fact("density", "its M eigenvalues at 1/N each, as printed", 1.0 / Q, "1; the sum needs 1/M"),
    ]


def edge_scale(draws: int) -> list[Fact]:
    """Measure how the largest eigenvalue scatters: the printed scale has the wrong power of sigma."""
    N, M, tracy_widom_sd = 300, 150, 1.268
    rng = np.random.default_rng(2)
    found = []
    for sigma in (1.0, 2.0):
        measured = float(np.std([largest(sigma * rng.standard_normal((N, M))) for _ in range(draws)]))
        plus = marchenko_pastur.edges(N / M, sigma)[1]
        printed = tracy_widom_sd * (M / N) ** 0.5 * plus ** (2 / 3) * M ** (-2 / 3)
        found.append(
            fact("edge scale", f"scatter of lambda_max, sigma = {sigma:g}", measured, f"printed scale {printed:.3g}")
        )
    return found


def slide_code(_: int) -> list[Fact]:
    """Run the two lines of the slide."""
    W = np.random.default_rng(3).standard_normal((300, 100))
    zeros = int(np.count_nonzero(np.linalg.eigvalsh(W @ W.T) < 1e-9))
    try:
        np.linalg.eig(W, W.T)  # type: ignore[call-overload]
        said = "runs"
    except TypeError as error:
        said = f"TypeError: {error}"
    return [
        fact("slide code", "zero eigenvalues of W W^T, W 300 x 100", float(zeros), "0 of W^T W"),
        fact("slide code", "np.linalg.eig(W, W.T)", said),
    ]


def saturation(draws: int) -> list[Fact]:
    """Fit alpha at mu = 5 with the entries of the published figure, and with signs."""
    found = []
    for entries, told in (("lomax", "one-sided entries, as published"), ("sym", "the same with random signs")):
        points = theory.alpha_of_mu([5.0], entries=entries, draws=max(1, draws // 40), seed=4)  # type: ignore[arg-type]
        middle = float(np.median([p.alpha for p in points if p.alpha is not None]))
        found.append(fact("saturation of alpha", f"alpha at mu = 5, 600 x 300, {told}", middle, "published: about 4.4"))
    return found


def ignored_maximum(_: int) -> list[Fact]:
    """Fit a power law cut off at 10: the published mode measures D with the cut, but not alpha."""
    from scipy.optimize import brentq

    u = (np.arange(2000) + 0.5) / 2000
    alpha, top = 2.5, 10.0
    x = (1 - u * (1 - top ** (1 - alpha))) ** (1 / (1 - alpha))
    fit = onnxspec.fit_power_law(x, ks="seed2018", min_tail=1900)
    logs = float(np.log(x).mean())

    def slope(a: float) -> float:
        tail = top ** (1 - a)
        return float(1 / (a - 1) - logs - math.log(top) * tail / (1 - tail))

    assert fit.alpha is not None
    return [
        fact("xmax", "alpha of the published mode, true exponent 2.5, cut at 10", fit.alpha, "2.5"),
        fact("xmax", "alpha of the likelihood that knows the cut", float(brentq(slope, 1.01, 6.0)), "2.5"),
    ]


def log_stable_rank(_: int) -> list[Fact]:
    """Scale one heavy-tailed matrix: alpha stays, seed 002's equation 6 does not."""
    W = theory.draw_entries(np.random.default_rng(5), "pareto", 1.2, (400, 400))
    fit = onnxspec.fit_power_law(onnxspec.spectrum(W).evals)
    assert fit.alpha is not None
    found = []
    for scale in (1.0, 0.01, 0.5 / math.sqrt(largest(W))):
        rank = math.log10((scale * scale) * float((W * W).sum())) / math.log10(scale * scale * largest(W))
        found.append(fact("equation 6", f"log norm / log lambda_max of {scale:.3g} W", rank, f"alpha {fit.alpha:.4g}"))
    return found


POINTS: tuple[Callable[[int], list[Fact]], ...] = (
    spike_condition, density_sum, edge_scale, slide_code, saturation, ignored_maximum, log_stable_rank,
)  # fmt: skip


def compute(_: Path, draws: int) -> dict[str, Any]:
    return {"rows": [one for point in POINTS for one in point(draws)]}


def main() -> None:
    lab = common.Lab("contradictions", __doc__ or "")
    draws = 40 if lab.quick else 400
    run = lab.once("numbers", {"draws": draws}, lambda place: compute(place, draws))
    if run is None:
        return
    lab.csv(run["rows"])
    lab.markdown("## Contradictions inside the seeds, in numbers\n\n" + common.table(run["rows"]))


if __name__ == "__main__":
    main()
