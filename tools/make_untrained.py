"""Export twelve networks that were never trained, as torch initialises them.

    python tools/make_untrained.py [--out FOLDER]

Needs torch (2.13.0) and onnx. The seed of each network is its place in the list, fixed before anything was looked
at. Four multilayer perceptrons, four convolutional networks, four transformers; the initialisations are those that
torch, or the papers of the architectures, use.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fetch_models import cache_folder
from torch import nn

Make = Callable[[], tuple[Any, Any]]


def mlp(start: Callable[[Any], Any] | None = None, width: int = 512, depth: int = 4) -> tuple[Any, Any]:
    layers: list[Any] = []
    for n in range(depth):
        linear = nn.Linear(784 if n == 0 else width, width)
        if start is not None:
            start(linear.weight)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10)), torch.zeros(1, 784)


def cnn(start: Callable[[Any], Any] | None, widths: tuple[int, ...], kernel: int = 3) -> tuple[Any, Any]:
    layers: list[Any] = []
    for before, after in zip((3, *widths), widths):
        conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
        if start is not None:
            start(conv.weight)
        layers += [conv, nn.ReLU(), nn.MaxPool2d(2)]
    side = 64 // 2 ** len(widths)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * side * side, 100)), torch.zeros(1, 3, 64, 64)


class Block(nn.Module):  # type: ignore[misc]
    """One transformer block with its parts apart, as most code writes it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Any) -> Any:
        """Add attention, then the feed-forward part, each on normalised inputs."""
        y = self.before(x)
        scores = self.query(y) @ self.key(y).transpose(1, 2) / y.shape[-1] ** 0.5
        x = x + self.out(scores.softmax(-1) @ self.value(y))
        return x + self.down(torch.nn.functional.gelu(self.up(self.after(x))))


def transformer(start: Callable[[Any], Any] | None, width: int, depth: int) -> tuple[Any, Any]:
    blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
    if start is not None:
        for module in blocks.modules():
            if isinstance(module, nn.Linear):
                start(module.weight)
    return blocks, torch.zeros(1, 8, width)


def encoder() -> tuple[Any, Any]:
    layers = [nn.TransformerEncoderLayer(192, 4, 768, batch_first=True) for _ in range(3)]
    return nn.Sequential(*layers), torch.zeros(1, 8, 192)


NETS: dict[str, Make] = {
    "mlp_default": mlp,
    "mlp_xavier_normal": lambda: mlp(nn.init.xavier_normal_, width=256, depth=6),
    "mlp_he_normal": lambda: mlp(nn.init.kaiming_normal_, width=1024, depth=3),
    "mlp_truncated": lambda: mlp(lambda w: nn.init.trunc_normal_(w, std=0.02), width=384),
    "cnn_default": lambda: cnn(None, (64, 128, 256, 256)),
    "cnn_he_fan_out": lambda: cnn(lambda w: nn.init.kaiming_normal_(w, mode="fan_out"), (64, 128, 128, 256, 512)),
    "cnn_xavier_uniform": lambda: cnn(nn.init.xavier_uniform_, (128, 128, 256), kernel=5),
    "cnn_dirac_free_1x1": lambda: cnn(nn.init.kaiming_uniform_, (128, 256, 256), kernel=1),
    "transformer_default": lambda: transformer(None, 256, 4),
    "transformer_gpt2": lambda: transformer(lambda w: nn.init.normal_(w, std=0.02), 384, 4),
    "transformer_vit": lambda: transformer(lambda w: nn.init.trunc_normal_(w, std=0.02), 192, 6),
    "transformer_torch_encoder": encoder,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=cache_folder() / "untrained")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for seed, (name, make) in enumerate(NETS.items()):
        torch.manual_seed(seed)
        net, example = make()
        path = out / f"{name}.onnx"
        torch.onnx.export(net.eval(), (example,), path, dynamo=False, opset_version=17, do_constant_folding=True)
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
