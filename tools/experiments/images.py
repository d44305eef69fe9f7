"""The images of the experiments, offline: MNIST, and CIFAR-10 in a JPEG copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lab as common
import numpy as np
import torch
import training

FILES = {"mnist": "mnist.npz", "cifar10": "cifar10_jpeg.npz"}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 28, 28)}
"""Of CIFAR-10 the 28 x 28 pixels in the middle, as in the published recipe."""


@dataclass(frozen=True)
class Images:
    """Images as float32 [n, channels, 28, 28], labels as int64 [n]."""

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any


def load(data: str, train: int, test: int) -> Images:
    """Give the first images of both parts of a (shuffled) file; those of CIFAR-10 have mean 0 and variance 1 each."""
    with np.load(common.data_folder() / FILES[data], allow_pickle=False) as arrays:
        parts = {}
        for part, count in (("train", train), ("test", test)):
            blocks = [block for _, block in training.pixels(arrays, part, count, SHAPES[data])]
            scaled = np.concatenate(blocks).astype(np.float32) / np.float32(255)
            parts[f"{part}_x"] = torch.from_numpy(training.standardized(scaled) if data == "cifar10" else scaled)
            parts[f"{part}_y"] = torch.from_numpy(arrays[f"{part}_y"][:count].astype(np.int64))
    return Images(**parts)


def noisy_labels(labels: Any, share: float, seed: int) -> Any:
    """Draw a share of the labels again, at random among the ten classes."""
    rng = np.random.default_rng([seed, 7])
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    changed = labels.clone()
    changed[torch.from_numpy(chosen)] = torch.from_numpy(rng.integers(0, 10, len(chosen)))
    return changed
