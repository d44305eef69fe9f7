"""Compare what `track` says of trained checkpoints with the seeds: entropy and stable rank at the start and at the end.

    python tools/validate_tracking.py MLP3_DIR LENET5_DIR

The folders are those of --checkpoints of tools/train/mlp3_cifar10.py and lenet5.py.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from math import log, sqrt
from pathlib import Path

import onnxspec
from onnxspec.results.tracking import Course

PUBLISHED = {"mlp3 fc2": ("0.9196 to 0.9163", "129 to 98"), "mlp3 fc3": ("0.9196 to 0.9074", "128 to 62")}
"""The layers that the article calls FC1 and FC2, over 44 epochs (arXiv 1810.01075)."""
LEAST = 50


HEADER = (
    "layer",
    "N x M",
    "S of noise",
    "S",
    "published S",
    "R_s of noise",
    "R_s",
    "published R_s",
    "steps down: S, R_s",
    "phases",
)


def row(run: str, course: Course) -> tuple[str, ...]:
    """Give the cells of one layer."""
    N, M = course.N or 0, course.M or 0
    S, R_s = ([v for v in course.values[name] if v is not None] for name in ("entropy", "stable_rank"))
    noise = (1 - M / (2 * N * log(M)), M / (1 + sqrt(M / N)) ** 2)  # expectations for independent entries
    published = PUBLISHED.get(f"{run} {course.name}", ("", ""))
    down = (sum(b < a for a, b in pairwise(values)) for values in (S, R_s))
    return (
        f"{run} {course.name}",
        f"{N} x {M}",
        f"{noise[0]:.4f}",
        f"{S[0]:.4f} ({100 * (S[0] / noise[0] - 1):+.2f} %) to {S[-1]:.4f}",
        published[0],
        f"{noise[1]:.1f}",
        f"{R_s[0]:.1f} ({100 * (R_s[0] / noise[1] - 1):+.1f} %) to {R_s[-1]:.1f}",
        published[1],
        " and ".join(f"{count} of {len(S) - 1}" for count in down),
        ", ".join(dict.fromkeys(phase for phase in course.phases if phase)),
    )


def main() -> None:
    rows = [HEADER, (":--",) * len(HEADER)]
    for run, folder in zip(("mlp3", "lenet5"), sys.argv[1:]):
        track = onnxspec.track(Path(folder))
        print(f"{run}: {len(track.checkpoints)} checkpoints", file=sys.stderr)
        rows += [row(run, course) for course in track.layers if (course.M or 0) >= LEAST]
    print("\n".join(f"| {' | '.join(cells)} |" for cells in rows))


if __name__ == "__main__":
    main()
