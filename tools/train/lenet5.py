"""Train LeNet5 (conv20, conv50, FC500) on MNIST.

python tools/train/lenet5.py MNIST.npz [--epochs N] [--checkpoints DIR]
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import training
from torch import nn


def build() -> Any:
    """Build the network; FC1 is 2450 x 500 because both convolutions keep the image size."""
    layers: OrderedDict[str, Any] = OrderedDict(
        conv1=nn.Conv2d(1, 20, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(20, 50, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(2450, 500),
        relu3=nn.ReLU(),
        fc2=nn.Linear(500, 10),
    )
    return nn.Sequential(layers)


RECIPE = training.Recipe(
    name="lenet5",
    build=build,
    optimizer=lambda parameters: torch.optim.Adadelta(parameters, lr=1.0, rho=0.95, eps=1e-7),
    loss=nn.functional.cross_entropy,
    weight_init=training.uniform_glorot,
    bias_init=0.0,
    standardize=False,
    batch=128,
    epochs=10,
    decay=1.0,
    text=(
        "LeNet5: conv 20 5x5 same, ReLU, max-pool 2, conv 50 5x5 same, ReLU, max-pool 2, FC 2450x500, ReLU, FC 10; "
        "MNIST / 255; Glorot uniform, biases 0; cross entropy; Adadelta lr 1, rho 0.95, eps 1e-7; batch 128"
    ),
)

if __name__ == "__main__":
    training.main(RECIPE)
