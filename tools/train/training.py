"""What the training scripts share: data, initialisation, the loop, export to ONNX and provenance."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch

Array = npt.NDArray[np.float32]
Init = Callable[[np.random.Generator, tuple[int, ...]], Array]

OPSET = 18
EXPORTER = "torch.onnx.export(dynamo=True), weights embedded, stack traces with source paths removed"


@dataclass(frozen=True)
class Recipe:
    """One network with everything that decides its weights."""

    name: str
    build: Callable[[], Any]
    optimizer: Callable[[Any], Any]
    loss: Callable[[Any, Any], Any]
    weight_init: Init
    bias_init: float
    standardize: bool
    batch: int
    epochs: int
    decay: float
    text: str
    """The recipe in words, for the provenance note."""
    image: tuple[int, int, int] = (1, 28, 28)
    """Channels, height and width of what the network sees; larger images are cropped to their centre."""


@dataclass(frozen=True)
class Data:
    """Images as float32 [n, channels, height, width] and labels as int64, with the hash of their file."""

    train_x: Any
    train_y: Any
    test_x: Any
    test_y: Any
    sha256: str


def load_data(path: Path, recipe: Recipe, most: int | None) -> Data:
    """Read an npz file with labels and either plain images (``train_x``) or JPEG files (``train_jpeg``).

    Parameters
    ----------
    path : Path
        Keys ``train_x [n, h, w] uint8``, or ``train_jpeg uint8`` (all files one after the other) and
        ``train_offsets [n + 1]``; ``train_y``; the same for ``test``.
    recipe : Recipe
        Says what size the images get, and whether each is standardised.
    most : int or None
        Only the first images of the training set.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with np.load(path, allow_pickle=False) as arrays:
        tensors = {}
        for part in ("train", "test"):
            labels = arrays[f"{part}_y"].astype(np.int64)[: most if part == "train" else None]
            images = np.empty((len(labels), *recipe.image), np.float32)
            for start, block in pixels(arrays, part, len(labels), recipe.image):
                scaled = block.astype(np.float32) / np.float32(255)
                images[start : start + len(block)] = standardized(scaled) if recipe.standardize else scaled
            tensors[f"{part}_x"] = torch.from_numpy(images)
            tensors[f"{part}_y"] = torch.from_numpy(labels)
    return Data(**tensors, sha256=sha256)


def pixels(
    arrays: Any, part: str, count: int, image: tuple[int, int, int], step: int = 2000
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Give the first images of one part in blocks [n, channels, height, width], each with its place."""
    if f"{part}_x" in arrays:
        stored = arrays[f"{part}_x"]
        for start in range(0, count, step):
            yield start, stored[start : min(start + step, count), None]
        return
    from PIL import Image

    files, offsets = arrays[f"{part}_jpeg"].tobytes(), arrays[f"{part}_offsets"].tolist()
    _, height, width = image
    for start in range(0, count, step):
        block = []
        for place in range(start, min(start + step, count)):
            with Image.open(io.BytesIO(files[offsets[place] : offsets[place + 1]])) as picture:
                left, top = (picture.width - width) // 2, (picture.height - height) // 2
                block.append(np.asarray(picture.convert("RGB").crop((left, top, left + width, top + height))))
        yield start, np.stack(block).transpose(0, 3, 1, 2)


def standardized(images: Array) -> Array:
    """Give each image mean 0 and variance 1 (deviation bounded below by 1/sqrt(pixels))."""
    axes = (1, 2, 3)
    floor = 1 / np.sqrt(images[0].size)
    scale: Array = np.maximum(images.std(axis=axes, keepdims=True), floor)
    centred: Array = images - images.mean(axis=axes, keepdims=True)
    result: Array = (centred / scale).astype(np.float32)
    return result


def glorot_deviation(shape: tuple[int, ...]) -> float:
    """Give sqrt(2 / (fan_in + fan_out)) of a [out, in, k...] tensor."""
    window = int(np.prod(shape[2:]))
    return float(np.sqrt(2 / ((shape[0] + shape[1]) * window)))


def truncated_glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw Glorot normal numbers truncated at two deviations, not rescaled (deviation .8796 of Glorot's)."""
    draws = rng.standard_normal(shape)
    while (outside := np.abs(draws) > 2).any():
        draws[outside] = rng.standard_normal(int(outside.sum()))
    return (glorot_deviation(shape) * draws).astype(np.float32)


def uniform_glorot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw Glorot uniform numbers."""
    limit = np.sqrt(3) * glorot_deviation(shape)
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def initialize(model: Any, recipe: Recipe, seed: int) -> None:
    """Set every parameter from NumPy's generator, so that the start does not depend on torch's version."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            shape = tuple(parameter.shape)
            if len(shape) == 1:
                parameter.fill_(recipe.bias_init)
            else:
                parameter.copy_(torch.from_numpy(recipe.weight_init(rng, shape)))


def accuracy(model: Any, images: Any, labels: Any) -> float:
    model.eval()
    with torch.inference_mode():
        hits = sum(int((model(x).argmax(1) == y).sum()) for x, y in zip(images.split(500), labels.split(500)))
    model.train()
    return hits / len(labels)


def train_epoch(model: Any, optimizer: Any, recipe: Recipe, data: Data, order: npt.NDArray[np.int64]) -> float:
    """Run one epoch in the given order; give the mean loss."""
    total = 0.0
    for index in torch.from_numpy(order).split(recipe.batch):
        optimizer.zero_grad()
        loss = recipe.loss(model(data.train_x[index]), data.train_y[index])
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(index)
    return total / len(order)


def export(model: Any, path: Path, image: tuple[int, int, int]) -> None:
    """Write the model as one ONNX file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sample = torch.zeros(2, *image)
    model.eval()
    program = torch.onnx.export(
        model,
        (sample,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["class"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    model.train()
    proto = program.model_proto
    for node in proto.graph.node:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def write_provenance(path: Path, recipe: Recipe, seed: int, data: Data, results: dict[str, Any]) -> None:
    """Write the JSON note beside a model."""
    note = {
        "model": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "recipe": recipe.text,
        "recipe_epochs": recipe.epochs,
        "seed": seed,
        "initialisation": "numpy.random.default_rng(seed)",
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "exporter": EXPORTER,
        "opset": OPSET,
        "data_sha256": data.sha256,
        **results,
    }
    path.with_suffix(".json").write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def run(recipe: Recipe, options: argparse.Namespace) -> None:
    """Train, export the initial and the final model, and write their provenance."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    data = load_data(options.data, recipe, options.images)
    model = recipe.build()
    initialize(model, recipe, options.seed)
    optimizer = recipe.optimizer(model.parameters())
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, recipe.decay)
    order = np.random.default_rng([options.seed, 1])

    losses: list[float] = []

    def save(path: Path) -> float:
        export(model, path, recipe.image)
        test = accuracy(model, data.test_x, data.test_y)
        results = {
            "train_images": len(data.train_y),
            "epochs": len(losses),
            "train_loss": [round(loss, 6) for loss in losses],
            "test_accuracy": test,
        }
        write_provenance(path, recipe, options.seed, data, results)
        return test

    save(options.out / f"{recipe.name}_init.onnx")
    if options.checkpoints:
        save(options.checkpoints / f"{recipe.name}_000.onnx")
    for epoch in range(1, options.epochs + 1):
        losses.append(train_epoch(model, optimizer, recipe, data, order.permutation(len(data.train_y))))
        scheduler.step()
        print(f"epoch {epoch}/{options.epochs}: train loss {losses[-1]:.5f}", file=sys.stderr, flush=True)
        if options.checkpoints:
            test = save(options.checkpoints / f"{recipe.name}_{epoch:03d}.onnx")
            print(f"epoch {epoch}: test accuracy {test:.4f}", file=sys.stderr, flush=True)
    print(f"{recipe.name}: test accuracy {save(options.out / f'{recipe.name}.onnx'):.4f}")


def main(recipe: Recipe) -> None:
    """Parse the command line and run one recipe."""
    parser = argparse.ArgumentParser(description=recipe.text)
    parser.add_argument("data", type=Path, help="npz file with train_x or train_jpeg, train_y, test_x, test_y")
    parser.add_argument("--out", type=Path, default=Path("fixtures/models"), help="folder of the models")
    parser.add_argument("--checkpoints", type=Path, help="folder that gets the initial model and one after every epoch")
    parser.add_argument("--epochs", type=int, default=recipe.epochs)
    parser.add_argument("--images", type=int, help="train on the first images alone (default: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    run(recipe, parser.parse_args())
