"""Train MLP3 on CIFAR-10, as the theory's warm-up example does.

python tools/train/mlp3_cifar10.py CIFAR10.npz [--epochs N] [--images N] [--checkpoints DIR]
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import mlp3
import training

RECIPE = replace(
    mlp3.RECIPE,
    name="mlp3_cifar10",
    build=partial(mlp3.build, 3 * 28 * 28),
    image=(3, 28, 28),
    text=(
        "MLP3 2352-512-512-512-10, ReLU, softmax; CIFAR-10 cropped to its centre 28x28, / 255, standardised per image; "
        "Glorot normal truncated at two deviations, biases 0.1; MSE on one-hot labels; SGD lr 0.01, momentum 0.9, "
        "lr *= 0.95 each epoch; batch 16"
    ),
)

if __name__ == "__main__":
    training.main(RECIPE)
