"""Entropy, stable rank and spectra of MLP3 over the epochs; seed 001, "Warmup: 3-layer MLP".

python tools/train/mlp3_cifar10.py CIFAR10.npz --checkpoints DIR       (the whole recipe; hours)
python tools/experiments/mlp3_entropy.py [--checkpoints DIR] [--quick]

Without DIR the recipe is shortened.
"""

from __future__ import annotations

from typing import Any

import drawing
import lab as common

SEEDS = (1, 2, 3)
SHORTENED: dict[str, Any] = {"train": 1000, "test": 500, "epochs": 2, "batch": 16}
PUBLISHED = {
    ("FC1", "entropy"): (0.9196, 0.9163),
    ("FC2", "entropy"): (0.9196, 0.9074),
    ("FC1", "stable_rank"): (129.0, 98.0),
    ("FC2", "stable_rank"): (128.0, 62.0),
}
"""Before and after 44 epochs of 50,000 images. The published start of FC2's entropy is that of FC1's shape."""

COLUMNS = ("entropy", "stable_rank", "lambda_max", "mp_softrank", "spikes", "alpha", "n_tail", "phase", "trained")


def main() -> None:
    lab = common.Lab("mlp3_entropy", __doc__ or "")
    import trained
    from runs import Recipe

    runs = []
    for seed in SEEDS[:1] if lab.quick else SEEDS:
        run = lab.run(Recipe("mlp3", seed=seed, **SHORTENED), f"seed_{seed}")
        runs += [] if run is None else [run]
    whole = trained.run_of(lab, "mlp3", every=4)
    if runs:
        write(lab, runs, whole)


def rows_of(run: dict[str, Any], recipe: str) -> list[dict[str, Any]]:
    """Give a row for each layer of each checkpoint."""
    history = {one["epoch"]: one for one in run["history"]}
    rows = []
    for row in run["rows"]:
        seen = history[row["epoch"]]
        head = {"recipe": recipe, "seed": run["recipe"]["seed"], "epoch": row["epoch"], "layer": row["layer"]}
        accuracies = {k: seen[k] for k in ("train_accuracy", "test_accuracy")}
        rows.append({**head, **accuracies, **{k: row[k] for k in COLUMNS}})
    return rows


def write(lab: common.Lab, runs: list[dict[str, Any]], whole: dict[str, Any] | None) -> None:
    """Write the rows of all checkpoints, the figure and the section."""
    rows = [row for run in runs for row in rows_of(run, "shortened")]
    full = [] if whole is None else rows_of(whole, "published")
    lab.csv(rows + full)
    lab.png(drawing.epochs(runs if whole is None else [whole], ("FC1", "FC2")))
    recipe = runs[0]["recipe"]
    last = max(row["epoch"] for row in rows)
    told = f"Published: 50,000 images, 44 epochs, batch 16. Shortened: {recipe['train']} images, {last} epochs."
    if whole is not None:
        told += f" Whole: {whole['recipe']['train']} images, {whole['epochs_run']} epochs, one run."
    lines = [line_of(layer, metric, rows, full) for layer, metric in PUBLISHED]
    text = [
        "## Entropy and stable rank during training, MLP3 on CIFAR-10 (JPEG copy)",
        "",
        told,
        "",
        common.table(lines),
    ]
    for name, found in (("shortened", rows), ("whole", full)):
        ends = [row for row in found if row["epoch"] == max(r["epoch"] for r in found) and row["layer"] == "FC1"]
        accuracy = common.shown(common.mean([row["test_accuracy"] for row in ends]))
        phases = ", ".join(sorted({str(row["phase"]) for row in ends}))
        text += ["", f"Test accuracy, {name}: {accuracy} (published .52); phase of FC1: {phases}."] if ends else []
    lab.markdown("\n".join([*text, "", "![over the epochs](mlp3_entropy.png)"]))


def line_of(layer: str, metric: str, rows: list[dict[str, Any]], full: list[dict[str, Any]]) -> dict[str, Any]:
    """Give one metric before and after, beside the published values."""
    before, after = PUBLISHED[layer, metric]
    here = [row for row in rows if row["layer"] == layer]
    start = [row[metric] for row in here if row["epoch"] == 0]
    first = common.mean(start)
    assert first is not None
    line: dict[str, Any] = {"layer": layer, "metric": metric, "start published": before, "start here": first}
    line |= {"draws": len(start), "difference": f"{100 * (first / before - 1):+.2f} %", "end published": after}
    line["end, shortened"] = common.mean([row[metric] for row in here if row["epoch"] == max(r["epoch"] for r in here)])
    of_layer = [row for row in full if row["layer"] == layer]
    return line | {"end, whole": of_layer[-1][metric] if of_layer else None}


if __name__ == "__main__":
    main()
