"""Entropy, stable rank and spectra of MLP3 over the epochs; seed 001, "Warmup: 3-layer MLP".

python tools/experiments/mlp3_entropy.py [--quick]
"""

from __future__ import annotations

from typing import Any

import drawing
import lab as common

SEEDS = (1, 2, 3)
SHORTENED: dict[str, Any] = {"train": 5000, "test": 1000, "epochs": 15, "batch": 16, "every": 5}
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
    from runs import Recipe

    runs = []
    for seed in SEEDS[:1] if lab.quick else SEEDS:
        run = lab.run(Recipe("mlp3", seed=seed, **SHORTENED), f"seed_{seed}")
        runs += [] if run is None else [run]
    if runs:
        write(lab, runs)


def write(lab: common.Lab, runs: list[dict[str, Any]]) -> None:
    """Write the rows of all checkpoints, the figure and the section."""
    rows = []
    for run in runs:
        history = {one["epoch"]: one for one in run["history"]}
        for row in run["rows"]:
            seen = history[row["epoch"]]
            head = {"seed": run["recipe"]["seed"], "epoch": row["epoch"], "layer": row["layer"]}
            accuracies = {k: seen[k] for k in ("train_accuracy", "test_accuracy")}
            rows.append({**head, **accuracies, **{k: row[k] for k in COLUMNS}})
    lab.csv(rows)
    lab.png(drawing.epochs(runs, ("FC1", "FC2")))
    last = max(row["epoch"] for row in rows)
    lines = []
    for (layer, metric), (before, after) in PUBLISHED.items():
        start, end = ([r[metric] for r in rows if r["layer"] == layer and r["epoch"] == epoch] for epoch in (0, last))
        first = common.mean(start)
        assert first is not None
        line: dict[str, Any] = {"layer": layer, "metric": metric, "start published": before, "start here": first}
        line |= {"difference": f"{100 * (first / before - 1):+.2f} %", "end published": after}
        lines.append(line | {"end here": common.mean(end), "draws": len(start)})
    recipe = runs[0]["recipe"]
    told = f"{recipe['train']} images, {last} epochs, batch {recipe['batch']} (published: 50,000 images, 44 epochs)"
    ends = [row for row in rows if row["epoch"] == last and row["layer"] == "FC1"]
    accuracy = {k: common.mean([row[k] for row in ends]) for k in ("train_accuracy", "test_accuracy")}
    text = ["## Entropy and stable rank during training, MLP3 on CIFAR-10 (JPEG copy)", "", told, ""]
    text += [common.table(lines), "", f"Accuracy at the end: training {common.shown(accuracy['train_accuracy'])}, "]
    text[-1] += f"test {common.shown(accuracy['test_accuracy'])} (published .95 and .52)."
    lab.markdown("\n".join([*text, "", "![over the epochs](mlp3_entropy.png)"]))


if __name__ == "__main__":
    main()
