"""What explicit regularisation does to MLP3's spectra; seed 001, "Regularization in DNNs"; seed 002, "a regularizer".

python tools/experiments/regularisation.py [--quick]

None, weight decay, dropout, early stopping, label noise, rank collapse by strong weight decay on
FC1, and the stable-rank regulariser that seed 002 proposes.
"""

from __future__ import annotations

from typing import Any

import drawing
import lab as common

SEEDS = (1, 2)
COMMON: dict[str, Any] = {
    "network": "mlp3", "train": 3000, "test": 1000, "epochs": 20, "batch": 16, "loss": "cross_entropy",
}  # fmt: skip
FULL_BATCH: dict[str, Any] = {"train": 250, "batch": 250, "decay": 1.0}
"""Every step sees every image: no gradient noise fills the directions that decay."""
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "weight_decay": {"l2": 1e-3},
    "dropout": {"dropout": 0.5},
    "early_stopping": {"patience": 2},
    "label_noise_0.5": {"label_noise": 0.5},
    "label_noise_1": {"label_noise": 1.0},
    "fc1_decay_0.005": {"fc1_l2": 5e-3, "decay": 1.0, "epochs": 45},
    "fc1_decay_0.02": {"fc1_l2": 2e-2, "decay": 1.0},
    "fc1_decay_0.02_mse": {"fc1_l2": 2e-2, "decay": 1.0, "loss": "mse", "epochs": 10},
    "fc1_decay_0.005_full_batch": FULL_BATCH | {"fc1_l2": 5e-3, "lr": 0.05, "epochs": 4000},
    "fc1_decay_0.02_full_batch": FULL_BATCH | {"fc1_l2": 2e-2, "lr": 0.02, "epochs": 3000},
    "stable_rank": {"stable_rank": 0.03},
}
COLUMNS = (
    "stable_rank", "mp_softrank", "entropy", "spikes", "alpha", "alpha_stderr", "n_tail", "lambda_max", "norm",
    "rank", "rank_loss", "phase", "trained",
)  # fmt: skip


def main() -> None:
    lab = common.Lab("regularisation", __doc__ or "")
    from runs import Recipe

    runs: list[tuple[str, dict[str, Any]]] = []
    for seed in SEEDS[:1] if lab.quick else SEEDS:
        for name, changes in VARIANTS.items():
            run = lab.run(Recipe(seed=seed, **(COMMON | changes)), f"{name}_seed_{seed}")
            runs += [] if run is None else [(name, run)]
    if runs:
        write(lab, runs)


def write(lab: common.Lab, runs: list[tuple[str, dict[str, Any]]]) -> None:
    """Write the rows of all runs, the spectra and the section."""
    rows = []
    for name, run in runs:
        last = run["history"][-1]
        for layer in ("FC1", "FC2"):
            row = common.of_layer(run, layer)
            head = {"variant": name, "seed": run["recipe"]["seed"], "layer": layer, "epochs": run["epochs_run"]}
            accuracies = {k: last[k] for k in ("train_accuracy", "test_accuracy")}
            rows.append({**head, **accuracies, **{k: row[k] for k in COLUMNS}})
    lab.csv(rows)
    lab.png(drawing.variants([(name, run) for name, run in runs if run["recipe"]["seed"] == 1], "FC1"))
    lines = []
    for name in VARIANTS:
        here = [row for row in rows if row["variant"] == name and row["layer"] == "FC1"]
        if not here:
            continue
        line: dict[str, Any] = {"variant": name, "runs": len(here), "epochs": common.mean([r["epochs"] for r in here])}
        titles = ("train_accuracy", "test_accuracy", "entropy", "stable_rank", "mp_softrank", "spikes", "alpha")
        line |= {title: common.mean([row[title] for row in here]) for title in titles}
        lines.append(line | {"phase of FC1": ", ".join(sorted({str(row["phase"]) for row in here}))})
    told = (
        f"{COMMON['train']} images, batch {COMMON['batch']}, {COMMON['epochs']} epochs, cross entropy, SGD 0.01 with "
    )
    told += "momentum 0.9. What differs: "
    told += "; ".join(f"{k}: " + ", ".join(f"{a} = {b}" for a, b in v.items()) for k, v in VARIANTS.items() if v)
    text = ["## Regularisation, MLP3 on CIFAR-10 (JPEG copy)", "", told + ".", ""]
    lab.markdown("\n".join([*text, common.table(lines), "", "![spectra of FC1](regularisation.png)"]))


if __name__ == "__main__":
    main()
