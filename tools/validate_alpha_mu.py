"""Measure alpha against mu of heavy-tailed matrices; print Markdown tables for docs/validation.md.

The entries are one-sided (Lomax) as in the published figure, the same with random signs
(sym), and Pareto with random signs. The published fits used the KS distance that is
called seed2018 here.

Usage: python tools/validate_alpha_mu.py [--reduced]      (about 2 minutes; reduced: 10 seconds)
"""

from __future__ import annotations

import sys
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from onnxspec.settings import KSMode
from onnxspec.theory import ENTRIES, Entries, alpha_of_mu

MUS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0)
LARGE_MUS = (0.5, 1.0, 2.0, 3.0, 5.0)


def alphas(mus: tuple[float, ...], entries: Entries, M: int, draws: int, ks: KSMode) -> NDArray[np.float64]:
    """Give alpha, shape (mus, draws)."""
    points = alpha_of_mu(mus, entries=entries, M=M, draws=draws, ks=ks)
    return np.array([point.alpha for point in points], dtype=np.float64).reshape(len(mus), draws)


def table(mus: tuple[float, ...], M: int, draws: int) -> None:
    print(f"\nM = {M}, Q = 2: median over {draws} matrices (mean ± standard deviation)\n")
    print("| entries | ks | " + " | ".join(f"mu {mu:g}" for mu in mus) + " |")
    print("|---|---|" + "---|" * len(mus))
    for entries in ENTRIES:
        for ks in get_args(KSMode):
            found = alphas(mus, entries, M, draws, ks)
            cells = [f"{np.median(row):.2f} ({row.mean():.2f} ± {row.std(ddof=1):.2f})" for row in found]
            print(f"| {entries} | {ks} | " + " | ".join(cells) + " |", flush=True)


def acceptance() -> None:
    print("\nSymmetric entries, M = 300, Q = 2, seed2018, mean of 5: |alpha - (1 + mu/2)|, at most 0.12\n")
    print("| entries | mu 0.5 | mu 1 | mu 1.5 |")
    print("|---|---|---|---|")
    light = (0.5, 1.0, 1.5)
    for entries in ("sym", "pareto"):
        found = alphas(light, entries, 300, 5, "seed2018").mean(axis=1)
        print(f"| {entries} | " + " | ".join(f"{abs(a - 1 - mu / 2):.3f}" for mu, a in zip(light, found)) + " |")
    print("\nmu = 5, M = 300, median of 5: one-sided below 5, with random signs above 6\n")
    for entries in ENTRIES:
        print(f"- {entries}: {np.median(alphas((5.0,), entries, 300, 5, 'seed2018')):.2f}")


if __name__ == "__main__":
    reduced = "--reduced" in sys.argv[1:]
    acceptance()
    table(MUS, 300, 3 if reduced else 20)
    if not reduced:
        table(LARGE_MUS, 1000, 3)
