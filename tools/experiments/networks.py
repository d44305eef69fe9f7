"""The seeds' networks: MLP3 and MiniAlexNet on CIFAR-10, LeNet5 on MNIST; two of them are those of tools/train."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import images
import lenet5
import mlp3
import numpy as np
import torch
import training
from torch import nn

KERAS_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}


def mini_alexnet() -> Any:
    """Build MiniAlexNet: two convolutions, FC1 4096 x 384, FC2 384 x 192."""
    layers: OrderedDict[str, Any] = OrderedDict(
        conv1=nn.Conv2d(3, 96, 5, padding=2),
        conv1_relu=nn.ReLU(),
        pool1=nn.MaxPool2d(3, 2),
        norm1=nn.BatchNorm2d(96, **KERAS_BATCH_NORM),
        conv2=nn.Conv2d(96, 256, 5),
        conv2_relu=nn.ReLU(),
        pool2=nn.MaxPool2d(3, 2),
        norm2=nn.BatchNorm2d(256, **KERAS_BATCH_NORM),
        flatten=nn.Flatten(),
        fc1=nn.Linear(4096, 384),
        relu1=nn.ReLU(),
        fc2=nn.Linear(384, 192),
        relu2=nn.ReLU(),
        out=nn.Linear(192, 10),
        softmax=nn.Softmax(dim=1),
    )
    return nn.Sequential(layers)


@dataclass(frozen=True)
class Network:
    """One network of the seeds.

    Attributes
    ----------
    build : callable
    data : {"mnist", "cifar10"}
    layers : dict
        The seeds' names of the dense layers that they look at, and their names in the graph.
    init : callable
        Keras' of 2018: glorot_normal truncated at two deviations and not rescaled; LeNet5 has glorot_uniform.
    bias : float
    """

    build: Callable[[], Any]
    data: str
    layers: dict[str, str]
    init: training.Init
    bias: float

    @property
    def image(self) -> tuple[int, int, int]:
        """Give the shape of an image."""
        return images.SHAPES[self.data]


NETWORKS = {
    # the seeds count the two square matrices only
    "mlp3": Network(
        lambda: mlp3.build(3 * 28 * 28), "cifar10", {"FC1": "fc2", "FC2": "fc3"}, training.truncated_glorot, 0.1
    ),
    "mini_alexnet": Network(
        mini_alexnet, "cifar10", {"FC1": "fc1", "FC2": "fc2"}, training.truncated_glorot, 0.1
    ),
    "lenet5": Network(lenet5.build, "mnist", {"FC1": "fc1"}, training.uniform_glorot, 0.0),
}  # fmt: skip


def build(network: str, seed: int, dropout: float = 0.0, *, logits: bool = False) -> Any:
    """Build a network, with parameters from NumPy's generator.

    `dropout` stands behind every hidden dense layer; with `logits` the softmax at the end is
    left out, as cross entropy wants it.
    """
    known = NETWORKS[network]
    model = known.build()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.copy_(torch.from_numpy(known.init(rng, tuple(module.weight.shape))))
                assert module.bias is not None
                module.bias.fill_(known.bias)
    if logits and hasattr(model, "softmax"):
        model.softmax = nn.Identity()
    if dropout:
        model = _with_dropout(model, dropout)
    # faster on a CPU; the numbers are the same up to rounding
    return model.to(memory_format=torch.channels_last)


def _with_dropout(model: Any, share: float) -> Any:
    """Put dropout behind every activation of a dense layer."""
    layers: OrderedDict[str, Any] = OrderedDict()
    before = None
    for name, module in model.named_children():
        layers[name] = module
        if isinstance(module, nn.ReLU) and isinstance(before, nn.Linear):
            layers[f"{name}_dropout"] = nn.Dropout(share)
        before = module
    return nn.Sequential(layers)
