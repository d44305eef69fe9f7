"""ResNet-20 for CIFAR-10 (He et al. 2016, shortcuts without weights), with the tensors of an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import nn


class Block(nn.Module):  # type: ignore[misc]  # torch is not there when types are checked
    """Two convolutions and what goes past them."""

    def __init__(self, before: int, planes: int) -> None:
        super().__init__()
        self.step = 1 if before == planes else 2
        self.conv1 = nn.Conv2d(before, planes, 3, stride=self.step, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.extra = (planes - before) // 2

    def forward(self, x: Any) -> Any:
        """Add the block to its input, which is thinned and padded with zero channels where it must be."""
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        past = x[:, :, :: self.step, :: self.step]
        return torch.relu(inner + nn.functional.pad(past, (0, 0, 0, 0, self.extra, self.extra)))


class ResNet20(nn.Module):  # type: ignore[misc]  # torch is not there when types are checked
    """The whole network; its parameters have the names of the file's tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for number, (before, planes) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            blocks = [Block(before if k == 0 else planes, planes) for k in range(3)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        """Give the logits."""
        x = torch.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3):
            x = getattr(self, f"layer{number}")(x)
        return self.linear(x.mean((2, 3)))


def load(path: Path) -> Any:
    """Build the network with the tensors of a file."""
    model = ResNet20()
    found = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in onnx.load(path).graph.initializer}
    state = model.state_dict()
    wanted = {name: found[name] for name in state if not name.endswith("num_batches_tracked")}
    model.load_state_dict(state | wanted)
    return model.to(memory_format=torch.channels_last)
