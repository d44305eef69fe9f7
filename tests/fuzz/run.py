"""Fuzz the reader with atheris: ``python -m tests.fuzz.run CORPUS [--seconds N] [libFuzzer options]``.

Needs ``pip install -r tests/fuzz/requirements.txt``. What crashes is written to the
current folder; give that file as an argument to run it again.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["onnxspec.reading", "onnxspec.graph"]):
    from tests.fuzz.target import SECONDS, Target

from tests.fuzz.mutate import Mutator
from tests.fuzz.seeds import LARGEST, seeds

MEMORY_MIB = 1024


def main() -> None:
    """Write the seeds to the corpus, and fuzz."""
    corpus, *options = sys.argv[1:]
    if Path(corpus).is_file():
        with tempfile.TemporaryDirectory() as folder:
            Target(Path(folder), numerics=1)(Path(corpus).read_bytes())
        return
    Path(corpus).mkdir(parents=True, exist_ok=True)
    starts = list(seeds())
    for seed in starts:
        (Path(corpus) / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    mutator = Mutator(starts)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        rng = random.Random(number)
        changed = mutator.change(data, rng) if rng.random() < 0.9 else None
        if changed is None or len(changed) > most:
            return atheris.Mutate(data, most)
        return changed

    folder = tempfile.mkdtemp()
    atheris.Setup(
        [
            sys.argv[0],
            corpus,
            f"-max_len={LARGEST}",
            f"-rss_limit_mb={MEMORY_MIB}",
            f"-timeout={int(SECONDS * 120)}",  # wall time; the target holds to CPU time
            *options,
        ],
        Target(Path(folder)),
        custom_mutator=mutate,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
