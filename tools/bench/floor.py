"""The floor: the Gram matrices and eigenvalues of exactly the same matrices, in NumPy, and nothing else.

python tools/bench/floor.py WEIGHTS.npz
"""

from __future__ import annotations

import sys

import numpy as np


def main() -> None:
    """Solve every matrix of the file."""
    stored = np.load(sys.argv[1])
    total = 0
    for name in stored.files:
        canonical = stored[name]
        groups, outputs, inputs, positions = canonical.shape
        stack = np.moveaxis(canonical, 3, 1).reshape(groups * positions, outputs, inputs).astype(np.float64)
        if outputs < inputs:
            stack = stack.swapaxes(1, 2)
        for start in range(0, len(stack), 1024):
            part = stack[start : start + 1024]
            total += np.linalg.eigvalsh(part.swapaxes(1, 2) @ part).size
    print(total)


if __name__ == "__main__":
    main()
