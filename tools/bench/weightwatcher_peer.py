"""WeightWatcher on the same weights as a torch model; runs in WeightWatcher's own environment.

python tools/bench/weightwatcher_peer.py WEIGHTS.npz [full]     full: with mp_fit and randomize
"""

from __future__ import annotations

import logging
import sys
import warnings

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import torch
import weightwatcher


def module_of(name: str, canonical: np.ndarray) -> torch.nn.Module | None:
    """Give the layer that holds a weight; None for what WeightWatcher has no layer for."""
    groups, outputs, inputs, positions = canonical.shape
    if groups > 1:
        return None
    if "conv" in name:
        side = round(positions**0.5)
        kernel = (side, side) if side * side == positions else (positions, 1)
        layer: torch.nn.Module = torch.nn.Conv2d(inputs, outputs, kernel, bias=False)
        weight = canonical.reshape(outputs, inputs, *kernel)
    elif "embedding" in name:
        layer, weight = torch.nn.Embedding(outputs, inputs), canonical.reshape(outputs, inputs)
    else:
        layer, weight = torch.nn.Linear(inputs, outputs, bias=False), canonical.reshape(outputs, inputs)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
    return layer


def main() -> None:
    """Analyse the weights of the file."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    stored = np.load(sys.argv[1])
    layers = [layer for name in stored.files if (layer := module_of(name, stored[name])) is not None]
    options = {"mp_fit": True, "randomize": True} if "full" in sys.argv[2:] else {}
    details = weightwatcher.WeightWatcher(model=torch.nn.Sequential(*layers)).analyze(plot=False, **options)
    print(len(details))


if __name__ == "__main__":
    main()
