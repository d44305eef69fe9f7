"""Alpha of trained networks, and alpha-hat against test accuracy; seed 002, figures 1 and 2.

python tools/experiments/pretrained.py [--quick]      (needs no torch)

The seeds' own models cannot be had offline. Here it is ResNet-20, 32, 44 and 56 on CIFAR-10: weights
and test accuracies that others have made.
"""

from __future__ import annotations

from typing import Any

import lab as common

import onnxspec
from onnxspec.plots.canvas import PALETTE, figure_of, legend

ACCURACIES = {"resnet20": 91.78, "resnet32": 92.78, "resnet44": 93.14, "resnet56": 93.62}
"""Top 1 on CIFAR-10, from the checkpoints that the ONNX files were made of."""

METRICS = ("alpha_mean", "alpha_hat_mean", "alpha_hat_sum", "log_norm_mean", "log_spectral_norm_mean")


def compute(models: list[str]) -> dict[str, Any]:
    """Give a row for each layer with a fit, and the means of each model."""
    layers, means = [], []
    for model in models:
        report = onnxspec.analyze(common.resnet(f"{model}_ts_op17"), effort="fast")
        line: dict[str, Any] = {"model": model, "accuracy": ACCURACIES[model]}
        means.append(line | {name: getattr(report.summary, name) for name in METRICS})
        for layer in report.layers:
            row: dict[str, Any] = {"model": model, "layer": layer.name, "M": layer.M, "reason": layer.reason}
            row |= {
                name: getattr(layer, name) for name in ("alpha", "alpha_stderr", "n_tail", "lambda_max", "log_norm")
            }
            layers.append(row)
    return {"layers": layers, "means": means}


def correlations(means: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give Kendall's tau of each mean with the accuracy; four models make p no smaller than 1/12."""
    from scipy.stats import kendalltau

    found = []
    for name in METRICS:
        known = [(row[name], row["accuracy"]) for row in means if row[name] is not None]
        tau = kendalltau(*zip(*known)) if len(known) > 2 else None
        line: dict[str, Any] = {"metric": name, "models": len(known)}
        found.append(line | {"tau": float(tau.statistic) if tau else None, "p": float(tau.pvalue) if tau else None})
    return found


def figure(layers: list[dict[str, Any]], means: list[dict[str, Any]]) -> Any:
    """Draw all alphas, and alpha-hat against the accuracy."""
    drawn = figure_of(9.6, 3.5)
    left, right = drawn.subplots(1, 2)
    alphas = [row["alpha"] for row in layers if row["alpha"] is not None]
    left.hist([min(alpha, 10.0) for alpha in alphas], bins=32, range=(1.0, 10.0), color=PALETTE[0])
    left.axvspan(2.0, 5.0, color=PALETTE[4], alpha=0.15, label="2 to 5")
    left.set_title("alpha of all layers (above 10: at 10)", fontsize="medium")
    legend(left)
    for row in means:
        right.plot(row["alpha_hat_mean"], row["accuracy"], "o", color=PALETTE[1])
        right.annotate(row["model"], (row["alpha_hat_mean"], row["accuracy"]), fontsize="small")
    right.set_xlabel("mean alpha_hat")
    right.set_ylabel("top-1 test accuracy, %")
    return drawn


def main() -> None:
    lab = common.Lab("pretrained", __doc__ or "")
    models = list(ACCURACIES)[:2] if lab.quick else list(ACCURACIES)
    run = lab.once("resnets", {"models": models}, lambda _: compute(models))
    if run is None:
        return
    layers, means = run["layers"], run["means"]
    lab.csv(layers)
    lab.png(figure(layers, means))
    alphas = [row["alpha"] for row in layers if row["alpha"] is not None]
    inside = sum(2.0 <= alpha <= 5.0 for alpha in alphas)
    told = f"{inside} of {len(alphas)} layers with a fit have an alpha between 2 and 5; {len(layers) - len(alphas)} "
    told += "layers have too few eigenvalues for one."
    text = ["## Alpha of trained networks, ResNets on CIFAR-10", "", told, "", common.table(means), ""]
    lab.markdown("\n".join([*text, common.table(correlations(means)), "", "![alpha](pretrained.png)"]))


if __name__ == "__main__":
    main()
