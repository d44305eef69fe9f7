"""LeNet5's FC1 is a random bulk with spikes, and the spikes follow the spiked model; seed 001, "Small Models".

python tools/train/lenet5.py MNIST.npz --checkpoints DIR       (the whole recipe)
python tools/experiments/lenet5_spikes.py [--checkpoints DIR] [--quick]

The change that training made is known here, final minus initial weights. So each of its singular
values says, by the model, where a spike has to be and how far it leans to the change's vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import drawing
import lab as common
import numpy as np

import onnxspec
from onnxspec.laws import spiked
from onnxspec.plots.canvas import PALETTE, figure_of, legend

SEEDS = (1,)
SHORTENED: dict[str, Any] = {
    "train": 3000,
    "test": 1000,
    "epochs": 5,
    "batch": 128,
    "loss": "cross_entropy",
    "decay": 1.0,
}
SHOWN = 40
TOLD = (
    "number", "theta_of_change", "lambda_predicted", "lambda_measured", "theta_of_onnxspec", "overlap_predicted",
    "overlap_measured",
)  # fmt: skip


def weights(path: Path) -> np.ndarray[Any, Any]:
    """Read FC1 of a checkpoint, as N x M."""
    (found,) = (weight.load() for weight in onnxspec.iter_weights(path) if weight.name == "fc1")
    W = np.asarray(found, dtype=np.float64)
    return W if W.shape[0] >= W.shape[1] else W.T


def compare(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Predict the largest eigenvalues from the change of the weights, and hold the measured ones against them."""
    files = sorted(run["place"].glob("*_[0-9][0-9][0-9].onnx"))
    before, after = weights(files[0]), weights(files[-1])
    row = common.of_layer(run, "FC1")
    N, Q, sigma = row["N"], row["Q"], float(before.std())
    _, change, right = np.linalg.svd(after - before, full_matrices=False)
    theta = change[:SHOWN] / (sigma * N**0.5)
    _, values, vectors = np.linalg.svd(after, full_matrices=False)
    measured = values[:SHOWN] ** 2 / N
    threshold = spiked.bbp_threshold(Q)
    beyond = theta > threshold
    predicted = np.where(beyond, spiked.outlier(np.maximum(theta, threshold), Q, sigma), np.nan)
    # with all spikes together: where two are close, each vector of W mixes those of both
    overlap = np.sum((right[:SHOWN] @ vectors[: int(beyond.sum())].T) ** 2, axis=1)
    expected = spiked.overlaps(np.maximum(theta, threshold), Q)[0]
    seeds = sigma**2 * (1 / Q + theta**2) * (1 + 1 / theta**2)
    return [
        {
            "run": run["label"],
            "number": k + 1,
            "theta_of_change": float(theta[k]),
            "theta_over_threshold": float(theta[k] / threshold),
            "lambda_predicted": float(predicted[k]) if beyond[k] else None,
            "lambda_seed_formula": float(seeds[k]) if beyond[k] else None,
            "lambda_measured": float(measured[k]),
            "theta_of_onnxspec": _item(row["spike_thetas"], k),
            "overlap_predicted": float(expected[k]) if beyond[k] else None,
            "overlap_measured": float(overlap[k]),
        }
        for k in range(SHOWN)
    ]


def _item(values: list[float] | None, k: int) -> float | None:
    return values[k] if values is not None and k < len(values) else None


def figure(run: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    """Draw the spectrum, and the spikes against the model."""
    drawn = figure_of(10.5, 3.6)
    left, right = drawn.subplots(1, 2)
    drawing.esd(left, common.of_layer(run, "FC1"))
    left.set_title("LeNet5, FC1", fontsize="medium")
    known = [row for row in rows if row["lambda_predicted"] is not None]
    measured, predicted = ([row[k] for row in known] for k in ("lambda_measured", "lambda_predicted"))
    ends = [min(predicted, default=0.0), max(predicted, default=1.0)]
    right.plot(ends, ends, "-", color=PALETTE[6], lw=0.8, label="spiked model")
    right.plot(predicted, measured, "o", ms=4, color=PALETTE[1], label="spikes")
    right.set_xlabel("eigenvalue by the model, from the change of the weights")
    right.set_ylabel("eigenvalue measured")
    legend(right)
    return drawn


def main() -> None:
    lab = common.Lab("lenet5_spikes", __doc__ or "")
    import trained
    from runs import Recipe

    whole = trained.run_of(lab, "lenet5", every=1000)
    runs = [] if whole is None else [whole | {"label": "whole recipe"}]
    for seed in SEEDS[:1] if lab.quick else SEEDS:
        run = lab.run(Recipe("lenet5", seed=seed, **SHORTENED), f"seed_{seed}")
        runs += [] if run is None else [run | {"label": f"shortened, seed {seed}"}]
    if not runs:
        return
    rows = [row for run in runs for row in compare(run)]
    lab.csv(rows)
    lab.png(figure(runs[0], [row for row in rows if row["run"] == runs[0]["label"]]))
    lab.markdown(section(runs, rows))


def section(runs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    """Say what each run found."""
    lines = []
    for run in runs:
        row, label = common.of_layer(run, "FC1"), run["label"]
        clear = [r for r in rows if r["run"] == label and r["theta_over_threshold"] > 1.2]
        errors = [abs(r["lambda_measured"] / r["lambda_predicted"] - 1) for r in clear]
        line: dict[str, Any] = {"run": label, "images": run["recipe"]["train"], "epochs": run["epochs_run"]}
        line["test accuracy"] = run["history"][-1]["test_accuracy"]
        line |= {"phase": row["phase"], "spikes": row["spikes"], "share of M": row["spikes"] / row["M"]}
        line |= {"strong changes": len(clear), "mean error of lambda": common.mean(errors)}
        lines.append(line | {"sigma_mp sqrt N": row["sigma_mp"] * row["N"] ** 0.5})
    told = "Published: 60,000 images, 10 epochs, 25 spikes (5.26 %), sigma_mp sqrt N 1.2946."
    text = ["## Bulk and spikes, LeNet5 on MNIST", "", told, "", common.table(lines), ""]
    text += [
        "The strongest changes of the first run. theta is in units of sigma sqrt(N); the overlap is that of the ",
        "",
    ]
    text[-2] += "change's vector with the vectors of all spikes together."
    text.append(common.table([{k: row[k] for k in TOLD} for row in rows[:12]]))
    return "\n".join([*text, "", "![spectrum and spikes](lenet5_spikes.png)"])


if __name__ == "__main__":
    main()
