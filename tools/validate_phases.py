"""Score the phase rules on random matrices of known phase; print the confusion matrices as Markdown.

The first matrix is over the six generators with which the thresholds were chosen, at
seeds drawn after they were frozen; the second over generators that no threshold has seen.

Usage: python tools/validate_phases.py [--quick] [--seed N]
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.oracle.phase_generators import GENERATORS, SHAPES, UNSEEN, phase_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS = (
    *("random_like", "bleeding_out", "bulk_spikes", "bulk_decay", "heavy_tailed", "rank_collapse"),
    *("isometric", "undecided"),
)


def score(
    generators: dict[str, tuple[str, Callable[..., NDArray[np.float64]]]], draws: int, seed: int
) -> tuple[dict[str, Counter[str]], list[tuple[float, bool]]]:
    """Classify `draws` matrices of each generator and shape."""
    counts: dict[str, Counter[str]] = {}
    confidence = []
    for name, (truth, generate) in generators.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        counts[name] = Counter()
        for N, M in SHAPES:
            for _ in range(draws):
                phase = phase_of(generate(rng, N, M))
                counts[name][phase.label] += 1
                if phase.confidence is not None:
                    confidence.append((phase.confidence, phase.label == truth))
    return counts, confidence


def table(counts: dict[str, Counter[str]], truths: dict[str, str]) -> float:
    """Print a confusion matrix; give the share of right answers."""
    print("| generator | stands for | " + " | ".join(LABELS) + " | right |\n" + "|---" * (len(LABELS) + 3) + "|")
    right = total = 0
    for name, row in counts.items():
        n, good = sum(row.values()), row[truths[name]]
        right, total = right + good, total + n
        cells = " | ".join(str(row[label]) for label in LABELS)
        print(f"| {name} | {truths[name]} | {cells} | {100.0 * good / n:.1f} % |")
    print(f"\nRight: {right} of {total}, {100.0 * right / total:.1f} %\n")
    return right / total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=20260119)
    options = parser.parse_args()
    draws = 4 if options.quick else 30
    shapes = ", ".join(f"{N}x{M}" for N, M in SHAPES)
    known = {name: (name, generate) for name, generate in GENERATORS.items()}
    everything = []
    for title, generators in (("Generators of the thresholds", known), ("Unseen generators", UNSEEN)):
        print(f"## {title}: {draws} matrices of each of {shapes}; seed {options.seed}\n")
        counts, confidence = score(generators, draws, options.seed)
        table(counts, {name: truth for name, (truth, _) in generators.items()})
        everything.append(confidence)
    print("| confidence | thresholds' generators: right | unseen: right |\n|---|---|---|")
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01)):
        cells = []
        for confidence in everything:
            hits = [good for value, good in confidence if low <= value < high]
            cells.append(f"{100.0 * float(np.mean(hits)):.1f} % of {len(hits)}" if hits else "-")
        print(f"| {low} to {min(high, 1.0)} | {cells[0]} | {cells[1]} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
