"""What every experiment shares: its options, resumable runs, and its CSV, PNG and Markdown files."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "train"))  # the recipes of the fixtures are those of the experiments

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from runs import Recipe

REPOSITORY = HERE.parents[1]
WORK = REPOSITORY / "experiments-work"
"""Checkpoints and the files of finished runs; not under version control."""

COLOURS = 32
RESULTS = REPOSITORY / "docs" / "reproductions"
"""What a reader sees: CSV, PNG and Markdown of the full runs."""


def data_folder() -> Path:
    """Give the folder of the data sets: $ONNXSPEC_DATA, else shared/data beside the checkout."""
    named = os.environ.get("ONNXSPEC_DATA")
    return Path(named) if named else REPOSITORY.parent / "shared" / "data"


def resnet(name: str) -> Path:
    """Give a trained ResNet's file, in models/ beside data/."""
    return data_folder().parent / "models" / "resnet-cifar10" / f"{name}.onnx"


class Lab:
    """One experiment on the command line."""

    def __init__(self, name: str, about: str, argv: Sequence[str] | None = None) -> None:
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--quick", action="store_true", help="a few images and steps, to see that it runs")
        parser.add_argument("--work", type=Path, help=f"checkpoints and finished runs (default: {WORK.name}/)")
        parser.add_argument("--results", type=Path, help="CSV, PNG and Markdown (default: docs/reproductions/)")
        parser.add_argument("--checkpoints", type=Path, help="checkpoints of tools/train, of the whole recipe, as well")
        parser.add_argument("--limit", type=int, help="stop after so many new runs")
        options = parser.parse_args(argv)
        self.name, self.quick = name, options.quick
        self.left, self.checkpoints = options.limit, options.checkpoints
        base = options.work or WORK
        self.work = base / ("quick" if self.quick else "full")
        self.results = options.results or (base / "quick" / "results" if self.quick else RESULTS)

    def run(self, recipe: Recipe, label: str, experiment: str | None = None) -> dict[str, Any] | None:
        """Give a finished run, from its file where the recipe is still the same; None when the limit is reached.

        An `experiment` may use the runs of another one.
        """
        import runs

        recipe = runs.smaller(recipe) if self.quick else recipe
        name = experiment or self.name
        return self.once(label, asdict(recipe), lambda place: runs.run(recipe, place, f"{name} {label}"), name)

    def once(
        self, label: str, recipe: dict[str, Any], compute: Callable[[Path], dict[str, Any]], experiment: str = ""
    ) -> dict[str, Any] | None:
        """Give what `compute` gives, kept in a file together with its recipe."""
        place = self.work / (experiment or self.name) / label
        path = place / "run.json"
        if path.is_file():
            kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if kept.get("recipe") == recipe:
                return kept | {"label": label, "place": place}
        if self.left is not None:
            if self.left <= 0:
                return None
            self.left -= 1
        place.mkdir(parents=True, exist_ok=True)
        result = compute(place) | {"recipe": recipe}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(result), encoding="utf-8")
        part.replace(path)
        return result | {"label": label, "place": place}

    def csv(self, rows: Sequence[dict[str, Any]], name: str | None = None) -> None:
        """Write rows that have the same columns; numbers with six digits."""
        path = self.results / f"{name or self.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)

    def png(self, figure: Figure, name: str | None = None) -> None:
        """Write a figure, in few colours: it is for reading, and lies under version control."""
        from PIL import Image

        from onnxspec.plots.canvas import image

        self.results.mkdir(parents=True, exist_ok=True)
        with Image.open(io.BytesIO(image(figure))) as drawn:
            few = drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            few.save(self.results / f"{name or self.name}.png", optimize=True)

    def markdown(self, text: str) -> None:
        """Write the experiment's section."""
        self.results.mkdir(parents=True, exist_ok=True)
        mark = "**A quick run: it shows that the script works; the numbers mean nothing.**\n\n" if self.quick else ""
        (self.results / f"{self.name}.md").write_text(mark + text.rstrip() + "\n", encoding="utf-8")
        print(f"{self.name}: results in {self.results}", file=sys.stderr)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Give rows as a Markdown table."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(shown(row[name]) for name in head) + " |" for row in rows]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """Give a number with four digits, and nothing as a dash."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def mean(values: Sequence[float | None]) -> float | None:
    """Give the mean of the known values, if there are any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def deviation(values: Sequence[float | None]) -> float | None:
    """Give the standard deviation of the known values, if there are two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    centre = sum(known) / len(known)
    return float((sum((value - centre) ** 2 for value in known) / (len(known) - 1)) ** 0.5)


def of_layer(run: dict[str, Any], layer: str, epoch: int | None = None) -> dict[str, Any]:
    """Give the row of one layer, at an epoch or at the end."""
    rows = [row for row in run["rows"] if row["layer"] == layer and epoch in (None, row["epoch"])]
    found: dict[str, Any] = rows[-1]
    return found
