"""Group regularisation of a trained ResNet-20: norms move, alpha hardly; seed 002, figure 4.

python tools/experiments/compression.py [--quick]

As in that figure whole convolutions are groups: a group lasso shrinks them, those that shrank most are
taken out, and the rest is trained on without the penalty. (BatchNorm undoes the scale of a
convolution, so that its gradient grows as it shrinks: none of them reaches zero by itself.)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import checkpoints
import images
import lab as common
import numpy as np
import resnet20
import torch
import training
from torch import nn

import onnxspec
from onnxspec.plots.canvas import PALETTE, figure_of, legend

FILE = "resnet20_ts_nofold_op11"
"""Keeps BatchNorm apart, and the names of the parameters."""

SETTINGS: dict[str, Any] = {
    "train": 800, "test": 500, "batch": 32, "penalised_epochs": 2, "tuning_epochs": 2, "lr": 0.005, "momentum": 0.9,
    "strength": 0.1, "removed": 2, "seed": 1,
}  # fmt: skip
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_images(train: int, test: int) -> images.Images:
    """Give whole CIFAR-10 images, scaled as the trained model wants them."""
    with np.load(common.data_folder() / images.FILES["cifar10"], allow_pickle=False) as arrays:
        parts = {}
        for part, count in (("train", train), ("test", test)):
            blocks = [block for _, block in training.pixels(arrays, part, count, (3, 32, 32))]
            x = torch.from_numpy(np.concatenate(blocks).astype(np.float32)) / 255
            centre, scale = (torch.tensor(v)[:, None, None] for v in (MEAN, DEVIATION))
            parts[f"{part}_x"] = (x - centre) / scale
            parts[f"{part}_y"] = torch.from_numpy(arrays[f"{part}_y"][:count].astype(np.int64))
    return images.Images(**parts)


def accuracy(model: Any, data: images.Images) -> float:
    model.eval()
    with torch.inference_mode():
        pairs = zip(data.test_x.split(250), data.test_y.split(250))
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in pairs) / len(data.test_y)


def groups(model: Any) -> dict[str, Any]:
    """Give the convolutions inside the blocks: one group each."""
    return {name: p for name, p in model.named_parameters() if name.startswith("layer") and p.ndim == 4}


def shrink(group: Any, step: float) -> None:
    """Take the proximal step of ``step * sqrt(size) * |W|``."""
    with torch.no_grad():
        norm = float(group.norm())
        group.mul_(max(0.0, 1.0 - step * group.numel() ** 0.5 / norm) if norm > 0.0 else 0.0)


def train(model: Any, data: images.Images, settings: dict[str, Any], gone: set[str], *, penalised: bool) -> None:
    """Train some epochs, with the penalty or without the groups that are gone."""
    optimizer = torch.optim.SGD(model.parameters(), lr=settings["lr"], momentum=settings["momentum"])
    order = np.random.default_rng([settings["seed"], int(penalised)])
    convolutions = groups(model)
    for _ in range(settings["penalised_epochs" if penalised else "tuning_epochs"]):
        model.train()
        for index in torch.from_numpy(order.permutation(len(data.train_y))).split(settings["batch"]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(data.train_x[index]), data.train_y[index]).backward()
            optimizer.step()
            for name, group in convolutions.items():
                if penalised:
                    shrink(group, settings["lr"] * settings["strength"])
                elif name in gone:
                    group.data.zero_()


def compress(place: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Regularise and tune; write both models and what onnxspec says of each layer."""
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(1)
    data = load_images(settings["train"], settings["test"])
    template = common.resnet(FILE)
    model = resnet20.load(template)
    accuracies = {"baseline": accuracy(model, data)}
    print(f"compression: baseline {accuracies['baseline']:.3f}", file=sys.stderr, flush=True)
    start = {name: float(group.norm()) for name, group in groups(model).items()}
    train(model, data, settings, set(), penalised=True)
    left = {name: float(group.norm()) / start[name] for name, group in groups(model).items()}
    gone = set(sorted(left, key=left.__getitem__)[: settings["removed"]])
    train(model, data, settings, gone, penalised=False)
    accuracies["compressed"] = accuracy(model, data)
    print(f"compression: compressed {accuracies['compressed']:.3f}, {len(gone)} gone", file=sys.stderr, flush=True)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    path = place / "compressed.onnx"
    checkpoints.write(path, template.read_bytes(), state)
    rows = layers(template, "baseline") + layers(path, "compressed")
    return {"accuracies": accuracies, "gone": sorted(gone), "rows": rows}


def layers(path: Path, model: str) -> list[dict[str, Any]]:
    """Give lambda_max, norm and alpha of every layer, and of every kernel position with enough eigenvalues."""
    found = []
    for mode in ("pooled", "slices"):
        for layer in onnxspec.analyze(path, conv=mode).layers:
            if layer.role == "conv" or mode == "pooled":
                row: dict[str, Any] = {
                    "model": model,
                    "conv": mode,
                    "layer": layer.name,
                    "M": layer.M,
                    "reason": layer.reason,
                }
                row |= {"lambda_max": layer.lambda_max, "log_norm": layer.log_norm, "alpha": layer.alpha}
                found.append(row | {"alpha_hat": layer.alpha_hat, "phase": layer.phase})
    return found


def figure(rows: list[dict[str, Any]], names: list[str]) -> Any:
    """Draw lambda_max and alpha of each layer, before and after."""
    drawn = figure_of(11.0, 3.6)
    for axes, metric in zip(drawn.subplots(1, 2), ("lambda_max", "alpha")):
        for model, colour, mark in (("baseline", PALETTE[0], "o"), ("compressed", PALETTE[1], "s")):
            values = {row["layer"]: row[metric] for row in rows if row["model"] == model}
            known = [(k, values[name]) for k, name in enumerate(names) if values.get(name)]
            if known:
                axes.plot(*zip(*known), mark, ms=4, color=colour, label=model)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize="xx-small")
        axes.set_title(metric, fontsize="medium")
        legend(axes)
    drawn.axes[0].set_yscale("log")
    return drawn


def main() -> None:
    lab = common.Lab("compression", __doc__ or "")
    settings = SETTINGS | ({"train": 64, "test": 100, "penalised_epochs": 1, "tuning_epochs": 1} if lab.quick else {})
    run = lab.once("resnet20", settings, lambda place: compress(place, settings))
    if run is None:
        return
    lab.csv(run["rows"])
    rows = [row for row in run["rows"] if row["conv"] == "pooled"]
    names = [row["layer"] for row in rows if row["model"] == "baseline"]
    lab.png(figure(rows, names))
    lab.markdown(section(run, rows, names))


def section(run: dict[str, Any], rows: list[dict[str, Any]], names: list[str]) -> str:
    """Say what moved."""
    at = {(row["model"], row["layer"]): row for row in rows}
    lines = []
    for name in names:
        before = at["baseline", name]
        # layers of zeros are one tensor to onnxspec: all but the first of a shape are copies
        after = (
            before | {"lambda_max": None, "alpha": None} if f"{name}.weight" in run["gone"] else at["compressed", name]
        )
        line: dict[str, Any] = {"layer": name, "lambda_max": before["lambda_max"], "after": after["lambda_max"]}
        known = before["lambda_max"] and after["lambda_max"]
        line["log10 ratio"] = float(np.log10(after["lambda_max"] / before["lambda_max"])) if known else None
        lines.append(line | {"alpha": before["alpha"], "alpha after": after["alpha"]})
    kept = [line for line in lines if line["log10 ratio"] is not None]
    alphas = [line for line in kept if line["alpha"] is not None and line["alpha after"] is not None]
    accuracies, settings = run["accuracies"], run["recipe"]
    told = (
        f"Test accuracy {accuracies['baseline']:.3f} before, {accuracies['compressed']:.3f} after, on "
        f"{settings['test']} images; {settings['train']} training images. Removed: {', '.join(run['gone']) or 'none'}."
    )
    grown = sum(line["log10 ratio"] > 0 for line in kept)
    moved = common.mean([line["alpha after"] - line["alpha"] for line in alphas])
    text = ["## Compression by group regularisation, ResNet-20", "", told, ""]
    text += [f"lambda_max grew in {grown} of {len(kept)} layers that are left; ", ""]
    text[-2] += f"alpha changed by {common.shown(moved)} in the mean of {len(alphas)} layers that have one in both."
    return "\n".join([*text, common.table(lines), "", "![lambda_max and alpha](compression.png)"])


if __name__ == "__main__":
    main()
