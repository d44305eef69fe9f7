"""The same target without atheris: every seed, and so many changed ones from a fixed seed.

``python -m tests.fuzz.plain COUNT``
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.mutate import Mutator
from tests.fuzz.seeds import LARGEST, seeds
from tests.fuzz.target import Target


def main() -> None:
    """Feed the target, and say how many inputs it took."""
    starts = list(seeds())
    mutator, rng, done = Mutator(starts), random.Random(2026), 0
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder), numerics=64)
        for data in starts:
            target(data)
            done += 1
        for _ in range(int(sys.argv[1])):
            data = rng.choice(starts)
            for _ in range(rng.choice((1, 1, 2, 4))):
                data = mutator.change(data, rng) or data
            if len(data) <= LARGEST:
                target(data)
                done += 1
    print(done)  # noqa: T201


if __name__ == "__main__":
    main()
