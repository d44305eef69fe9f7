"""Checkpoints as ONNX files, and what onnxspec says of them."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import networks
import onnx
import torch
import training
from onnx import numpy_helper

import onnxspec

METRICS = (
    "N", "M", "Q", "alpha", "alpha_stderr", "xmin", "D", "n_tail", "lambda_max", "norm", "log_norm",
    "stable_rank", "entropy", "rank", "rank_loss", "spikes", "phase", "reason",
)  # fmt: skip
OF_BULK = ("sigma_mp", "lambda_minus", "lambda_plus", "mp_softrank", "D_bulk", "spike_thetas", "spike_strengths")


@lru_cache(maxsize=8)
def _template(network: str) -> bytes:
    """Let PyTorch export a network once; its checkpoints differ by their tensors alone."""
    model = networks.NETWORKS[network].build()
    with torch.no_grad():  # the exporter merges tensors that are equal, such as new biases and running means
        for number, tensor in enumerate(model.state_dict().values(), 1):
            tensor.copy_(number + torch.arange(tensor.numel()).reshape(tensor.shape))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "template.onnx"
        training.export(model, path, networks.NETWORKS[network].image)
        return path.read_bytes()


def export(model: Any, network: str, path: Path) -> None:
    """Write a model as ONNX: PyTorch's graph of the network, with this model's tensors."""
    write(path, _template(network), _plain(model, network))


def write(path: Path, template: bytes, tensors: dict[str, Any]) -> None:
    """Write a model file with other tensors in it; each of them must have its place there."""
    proto = onnx.load_model_from_string(template)
    unused = set(tensors)
    for initializer in proto.graph.initializer:
        if initializer.name not in tensors:
            continue
        array = tensors[initializer.name].detach().contiguous().numpy()
        if tuple(initializer.dims) != array.shape:
            raise ValueError(f"{initializer.name} has the shape {array.shape}, the graph wants {initializer.dims}")
        initializer.CopyFrom(numpy_helper.from_array(array, initializer.name))
        unused.discard(initializer.name)
    if unused:
        raise ValueError(f"the graph has no tensors {sorted(unused)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(proto.SerializeToString(deterministic=True))
    part.replace(path)


def _plain(model: Any, network: str) -> dict[str, Any]:
    """Give the tensors under the names of the template, which has no dropout."""
    names = set(networks.NETWORKS[network].build().state_dict())
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    if not set(state) <= names:
        raise ValueError(f"{network} has no tensors {sorted(set(state) - names)}")
    return state


def analyse(path: Path, layers: dict[str, str], *, spectra: bool = False) -> list[dict[str, Any]]:
    """Let onnxspec read the layers of one checkpoint; give a flat row for each, under its name in the seeds."""
    with torch.inference_mode(False):
        report = onnxspec.analyze(path, layer=list(layers.values()), spectra=spectra)
    rows = []
    for shown, name in layers.items():
        layer = report.layers[name]
        row: dict[str, Any] = {"layer": shown} | {name: getattr(layer, name) for name in METRICS}
        bulk = layer.mp or {}
        row |= {name: bulk.get(name) for name in OF_BULK}
        row["trained"] = (layer.trained or {}).get("verdict")
        row["phase_confidence"] = (layer.phase_evidence or {}).get("confidence")
        if spectra:
            row["evals"] = [float(f"{value:.6g}") for value in layer.evals or ()]
        rows.append(row)
    return rows
