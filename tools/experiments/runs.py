"""One training run: its recipe, the loop, its checkpoints, and what onnxspec says of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import checkpoints
import images
import mlp3
import networks
import numpy as np
import torch
from torch import nn

Penalty = Callable[[Any], Any]

LOSSES: dict[str, Any] = {"mse": mlp3.one_hot_mse, "cross_entropy": nn.functional.cross_entropy}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of one run.

    Attributes
    ----------
    network : {"mlp3", "mini_alexnet", "lenet5"}
    train, test : int
        Images; the first ones of the (shuffled) files.
    epochs, batch, seed : int
    lr, momentum, decay : float
        SGD; the rate is multiplied with `decay` after every epoch. LeNet5 has Adadelta.
    loss : {"mse", "cross_entropy"}
        The published one is the squared distance to the one-hot labels; LeNet5 has cross entropy.
    l2, fc1_l2 : float
        ``l2 * sum W^2`` added to the loss, over all matrices or over FC1's alone (Keras' l2).
    dropout : float
        After every hidden dense layer.
    label_noise : float
        Share of the training labels that are drawn again at random.
    patience : int or None
        Stop when the test loss has not fallen by 1e-4 for so many epochs.
    stable_rank : float
        Seed 002's regulariser on FC1 and FC2: ``log |W|_F^2 - log lambda_max`` times this.
    every : int
        Epochs between checkpoints; 0 for the first and the last alone.
    """

    network: str
    train: int
    test: int
    epochs: int
    batch: int
    seed: int
    lr: float = 0.01
    momentum: float = 0.9
    decay: float = 0.95
    loss: str = "mse"
    l2: float = 0.0
    fc1_l2: float = 0.0
    dropout: float = 0.0
    label_noise: float = 0.0
    patience: int | None = None
    stable_rank: float = 0.0
    every: int = 0

    @property
    def steps(self) -> int:
        """Give the number of gradient steps."""
        return self.epochs * math.ceil(self.train / self.batch)


def smaller(recipe: Recipe) -> Recipe:
    """Give the recipe for ``--quick``: it shows that the script runs, and nothing else."""
    return replace(recipe, train=min(recipe.train, 64), test=min(recipe.test, 100), epochs=min(recipe.epochs, 1))


def run(recipe: Recipe, place: Path, label: str) -> dict[str, Any]:
    """Train once; give the recipe, the history and a row for each layer of each checkpoint."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)  # strong weight decay ends in numbers that a CPU is slow with
    network = networks.NETWORKS[recipe.network]
    data = images.load(network.data, recipe.train, recipe.test)
    labels = images.noisy_labels(data.train_y, recipe.label_noise, recipe.seed)
    model = networks.build(recipe.network, recipe.seed, recipe.dropout, logits=recipe.loss == "cross_entropy")
    optimizer = _optimizer(model, recipe)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, recipe.decay)
    order = np.random.default_rng([recipe.seed, 1])
    penalty = _stable_rank_penalty(model, recipe)
    history: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []

    def record(epoch: int, loss: float | None) -> float:
        test_loss, test_accuracy = _evaluate(model, data.test_x, data.test_y, recipe.loss)
        train_accuracy = _evaluate(model, data.train_x[: recipe.test], labels[: recipe.test], recipe.loss)[1]
        accuracies = {"train_accuracy": train_accuracy, "test_accuracy": test_accuracy}
        history.append({"epoch": epoch, "train_loss": loss, "test_loss": test_loss, **accuracies})
        print(f"{label}: epoch {epoch}/{recipe.epochs}, test accuracy {test_accuracy:.3f}", file=sys.stderr, flush=True)
        return test_loss

    def keep(epoch: int, *, spectra: bool) -> None:
        path = place / f"epoch_{epoch:03d}.onnx"
        checkpoints.export(model, recipe.network, path)
        found = checkpoints.analyse(path, network.layers, spectra=spectra)
        rows.extend({"epoch": epoch, **row} for row in found)

    record(0, None)
    keep(0, spectra=True)
    best, waited, epoch, last = math.inf, 0, 0, False
    while not last:
        epoch += 1
        loss = _epoch(model, optimizer, recipe, (data.train_x, labels), order, penalty)
        scheduler.step()
        last = epoch == recipe.epochs
        checkpoint = bool(recipe.every) and epoch % recipe.every == 0
        if recipe.patience is not None:
            best, waited = _progress(best, waited, record(epoch, loss))
            last = last or waited == recipe.patience
        elif last or checkpoint:
            record(epoch, loss)
        if last or checkpoint:
            keep(epoch, spectra=last)
    return {"recipe": asdict(recipe), "epochs_run": epoch, "history": history, "rows": rows}


def _progress(best: float, waited: int, loss: float) -> tuple[float, int]:
    """Give the lowest loss so far, and for how many epochs it has not fallen."""
    return (loss, 0) if loss < best - 1e-4 else (best, waited + 1)


def _optimizer(model: Any, recipe: Recipe) -> Any:
    """Keras adds l2 times the squared norm to the loss; torch's weight_decay adds half of it."""
    if recipe.network == "lenet5":
        return torch.optim.Adadelta(model.parameters(), lr=1.0, rho=0.95, eps=1e-7)
    groups, first = [], f"{networks.NETWORKS[recipe.network].layers['FC1']}.weight"
    for name, parameter in model.named_parameters():
        strength = 0.0 if parameter.ndim < 2 else recipe.l2 + (recipe.fc1_l2 if name == first else 0.0)
        groups.append({"params": [parameter], "weight_decay": 2.0 * strength})
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, fused=True)


def _epoch(
    model: Any, optimizer: Any, recipe: Recipe, data: tuple[Any, Any], order: np.random.Generator, penalty: Penalty
) -> float:
    """Run one epoch; give the mean loss without the penalty."""
    model.train()
    total = 0.0
    pixels, labels = data
    for index in torch.from_numpy(order.permutation(len(labels))).split(recipe.batch):
        optimizer.zero_grad()
        loss = LOSSES[recipe.loss](model(pixels[index]), labels[index])
        (penalty(loss) if recipe.stable_rank else loss).backward()
        optimizer.step()
        total += float(loss.detach()) * len(index)
    if not math.isfinite(total):
        raise ValueError(f"the training of {recipe} diverged")
    return total / len(labels)


def _stable_rank_penalty(model: Any, recipe: Recipe) -> Penalty:
    """Give what adds seed 002's regulariser to a loss; lambda_max by one step of power iteration each time."""
    wanted = {f"{name}.weight" for name in networks.NETWORKS[recipe.network].layers.values()}
    weights = [parameter for name, parameter in model.named_parameters() if name in wanted]
    generator = torch.Generator().manual_seed(recipe.seed)
    vectors = [torch.randn(weight.shape[1], generator=generator) for weight in weights]

    def add(loss: Any) -> Any:
        for k, weight in enumerate(weights):
            with torch.no_grad():
                left = nn.functional.normalize(weight @ vectors[k], dim=0)
                vectors[k] = nn.functional.normalize(weight.T @ left, dim=0)
            largest = torch.dot(left, weight @ vectors[k])
            loss = loss + recipe.stable_rank * (weight.square().sum().log() - 2.0 * largest.log())
        return loss

    return add


def _evaluate(model: Any, pixels: Any, labels: Any, loss: str) -> tuple[float, float]:
    """Give mean loss and accuracy."""
    model.eval()
    total, hits = 0.0, 0
    with torch.inference_mode():
        for x, y in zip(pixels.split(250), labels.split(250)):
            output = model(x)
            total += float(LOSSES[loss](output, y)) * len(y)
            hits += int((output.argmax(1) == y).sum())
    return total / len(labels), hits / len(labels)
