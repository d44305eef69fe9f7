"""Train MLP3, the three-layer perceptron of the theory's warm-up example, on MNIST (mlp3_cifar10.py: on CIFAR-10).

python tools/train/mlp3.py MNIST.npz [--epochs N] [--checkpoints DIR]
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import torch
import training
from torch import nn


def build(inputs: int = 784) -> Any:
    """Build inputs-512-512-512-10 with softmax."""
    layers: OrderedDict[str, Any] = OrderedDict(flatten=nn.Flatten())
    sizes = [inputs, 512, 512, 512]
    for number, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
        layers[f"fc{number}"] = nn.Linear(fan_in, fan_out)
        layers[f"relu{number}"] = nn.ReLU()
    layers["out"] = nn.Linear(512, 10)
    layers["softmax"] = nn.Softmax(dim=1)
    return nn.Sequential(layers)


def one_hot_mse(output: Any, labels: Any) -> Any:
    """Give the mean squared distance to the one-hot labels."""
    return nn.functional.mse_loss(output, nn.functional.one_hot(labels, 10).to(output.dtype))


RECIPE = training.Recipe(
    name="mlp3",
    build=build,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True),
    loss=one_hot_mse,
    weight_init=training.truncated_glorot,
    bias_init=0.1,
    standardize=True,
    batch=16,
    epochs=44,
    decay=0.95,
    text=(
        "MLP3 784-512-512-512-10, ReLU, softmax; MNIST / 255, standardised per image; Glorot normal truncated at two "
        "deviations, biases 0.1; MSE on one-hot labels; SGD lr 0.01, momentum 0.9, lr *= 0.95 each epoch; batch 16"
    ),
)

if __name__ == "__main__":
    training.main(RECIPE)
