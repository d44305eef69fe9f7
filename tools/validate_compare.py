"""Measure what `compare` names: confusion matrices on changed copies of a model, and on made matrices.

python tools/make_pairs.py
python tools/validate_compare.py [--pairs FOLDER] [--seeds N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pair_kinds as kinds
from fetch_models import cache_folder

import onnxspec
from onnxspec.comparing.decide import decide
from onnxspec.comparing.facts import Facts

SHAPES = (
    *((384, 384, 1), (512, 128, 1), (96, 768, 1), (64, 64, 1), (48, 20, 1), (16, 16, 1)),
    *((64, 64 * 9, 9), (32, 16 * 9, 9), (16, 3 * 25, 25), (128, 32 * 3, 3)),
)
"""Outputs, columns and kernel positions of made matrices."""

Confusion = dict[str, Counter[str]]


def of_pairs(folder: Path) -> tuple[Confusion, list[str]]:
    """Compare all changed copies; give what each layer was called by what it is, and every mistake."""
    manifest = json.loads((folder / "manifest.json").read_text())
    base = onnxspec.inspect(manifest["model"])
    tensors = {layer.id: layer.tensor for layer in base.layers}
    confusion: Confusion = defaultdict(Counter)
    mistakes = []
    for name, row in manifest["files"].items():
        for suffix in ("", ".renamed"):
            path = folder / f"{name}{suffix}.onnx"
            start = time.process_time()
            found = onnxspec.compare(manifest["model"], str(path), jobs=1)
            spent = time.process_time() - start
            others = {layer.id: layer.tensor for layer in onnxspec.inspect(str(path)).layers}
            for pair in found.pairs:
                tensor = tensors[pair.a]
                expected = row["touched"].get(tensor, "identical")
                partner = row["names"][tensor] if suffix else tensor
                called = pair.verdict if others[pair.b] == partner else f"{pair.verdict}, wrong partner"
                confusion[expected][called] += 1
                if called != expected:
                    mistakes.append(f"{path.name}: {tensor}: {called} instead of {expected}: {pair.changes[0].what}")
            mistakes += [f"{path.name}: {u.name} unmatched" for u in (*found.unmatched_a, *found.unmatched_b)]
            print(f"{path.name}: {spent:.1f} s CPU, {dict(found.verdicts)}", file=sys.stderr)
    return confusion, mistakes


def of_matrices(seeds: range) -> tuple[Confusion, list[str]]:
    """Decide on made matrices of many shapes and strengths."""
    confusion: Confusion = defaultdict(Counter)
    mistakes = []
    for seed in seeds:
        for rows, columns, positions in SHAPES:
            rng = np.random.default_rng([seed, rows, columns])
            a = kinds.structured((rows, columns), rng)
            for name, b, expected in kinds.every_kind(a, rng, positions):
                found = decide(a.astype(np.float64), b.astype(np.float64), Facts(positions=positions))
                called = found.changes[0].kind
                confusion[expected][called] += 1
                if called != expected:
                    what = " ".join(change.what for change in found.changes)
                    mistakes.append(f"{rows}x{columns}/{positions} seed {seed} {name}: {called}: {what}")
    return confusion, mistakes


def table(confusion: Confusion) -> str:
    """Give a confusion matrix as Markdown."""
    columns = sorted({called for row in confusion.values() for called in row})
    lines = [f"| is | n | right | called otherwise |\n|{'---|' * 4}"]
    del columns
    for expected, row in sorted(confusion.items()):
        total = sum(row.values())
        others = ", ".join(f"{called} {n}" for called, n in row.most_common() if called != expected)
        lines.append(f"| {expected} | {total} | {100.0 * row[expected] / total:.1f} % | {others} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, default=None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1000)
    arguments = parser.parse_args()
    folder = arguments.pairs or cache_folder() / "pairs"
    if (folder / "manifest.json").is_file():
        confusion, mistakes = of_pairs(folder)
        print("Changed copies of the model, with their names and renamed\n", table(confusion), sep="\n")
        print(*mistakes, sep="\n")
    first = arguments.first_seed
    confusion, mistakes = of_matrices(range(first, first + arguments.seeds))
    print("\nMade matrices\n", table(confusion), sep="\n")
    print(*mistakes[:60], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
