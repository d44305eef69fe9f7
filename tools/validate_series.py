"""Relate metrics to accuracy on the series of real models at hand, as the tables of docs/validation.md.

    python tools/validate_series.py ../shared/models [--efficientnet DIR]

DIR holds the files that tools/export_efficientnet.py writes. Accuracies: ResNet from the checkpoints of
akamaster/pytorch_resnet_cifar10; keyword models from Zhang, Suda, Lai and Chandra, arXiv 1711.07128; EfficientNet-Lite
from its authors' page (github tensorflow/tpu, efficientnet/lite).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxspec
from onnxspec.results.series import Relation, Series

RESNET = {20: 91.78, 32: 92.78, 44: 93.14, 56: 93.62}
KEYWORD = {
    "DNN": (84.6, 86.4, 86.7),
    "CNN": (91.6, 92.2, 92.7),
    "Basic_LSTM": (92.0, 93.0, 93.4),
    "LSTM": (92.9, 93.9, 94.8),
    "GRU": (93.5, 94.2, 94.7),
    "CRNN": (94.0, 94.4, 95.0),
    "DS_CNN": (94.4, 94.9, 95.4),
}
LITE = (75.1, 76.7, 77.6)
SETTINGS = onnxspec.Settings(effort="standard")


def keyword_rows(folder: Path) -> list[dict[str, Any]]:
    """Give the 21 models with their architecture and size."""
    return [
        {"model": str(folder / f"{name}_{size}.onnx"), "accuracy": accuracy, "architecture": name, "size": size}
        for name, accuracies in KEYWORD.items()
        for size, accuracy in zip("SML", accuracies)
    ]


def short_table(series: Series) -> Iterator[str]:
    """Give the relations over all models, with the errors of the line."""
    yield "| metric | tau | p | R2 | RMSE | LOO | claim |"
    yield "|:--|--:|--:|--:|--:|--:|:--|"
    for relation in series.relations:
        if relation.kendall_tau.value is not None and relation.group is None:
            loo = "-" if relation.loo_rmse is None else f"{relation.loo_rmse:.3f}"
            yield (
                f"| {relation.metric} | {relation.kendall_tau.value:+.2f} | {relation.kendall_tau.p_value:.3f} "
                f"| {relation.r2.value:.3f} | {relation.rmse.value:.3f} | {loo} | {claim(relation)} |"
            )


def claim(relation: Relation) -> str:
    """Say whether the sign is the claimed one."""
    if relation.expected_sign is None:
        return "none"
    return {True: "as claimed", False: "against", None: "no trend"}[relation.as_expected]


def wide_table(series: Series, *, p_values: bool) -> Iterator[str]:
    """Give tau of every metric over all models and in each group."""
    sets = [None, *series.groups]
    yield f"| metric | {' | '.join(name or 'all' for name in sets)} | within groups (p) | Simpson |"
    yield f"|:--|{'--:|' * len(sets)}--:|:--|"
    paradoxes = {paradox.metric: paradox for paradox in series.paradoxes}
    for name in dict.fromkeys(relation.metric for relation in series.relations):
        cells = []
        for group in sets:
            tau = series.relation(name, group).kendall_tau
            p = f" ({tau.p_value:.2f})" if p_values and tau.p_value is not None else ""
            cells.append("-" if tau.value is None else f"{tau.value:+.2f}{p}")
        found = paradoxes[name]
        within = "-" if found.stratified_tau is None else f"{found.stratified_tau:+.2f} ({found.stratified_p:.4f})"
        yield f"| {name} | {' | '.join(cells)} | {within} | {'flagged' if found.flagged else ''} |"


def show(title: str, lines: Iterator[str]) -> None:
    print(f"\n### {title}\n")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description="Relate metrics to accuracy on real series.")
    parser.add_argument("models", type=Path, help="folder with resnet-cifar10/ and kws-arm/")
    parser.add_argument("--efficientnet", type=Path, help="folder with efficientnet-lite0.onnx to lite2")
    options = parser.parse_args()
    folder = options.models / "resnet-cifar10"
    rows = [{"model": str(folder / f"resnet{n}_ts_op17.onnx"), "accuracy": a} for n, a in RESNET.items()]
    show("ResNet-20, 32, 44, 56 (CIFAR-10)", short_table(onnxspec.series(rows, settings=SETTINGS)))
    rows = keyword_rows(options.models / "kws-arm")
    by_size = onnxspec.series(rows, by="size", settings=SETTINGS)
    show("21 keyword models, by size: tau (p)", wide_table(by_size, p_values=True))
    by_kind = onnxspec.series(rows, by="architecture", settings=SETTINGS)
    show("21 keyword models, by architecture: tau", wide_table(by_kind, p_values=False))
    if options.efficientnet:
        rows = [
            {"model": str(options.efficientnet / f"efficientnet-lite{k}.onnx"), "accuracy": accuracy}
            for k, accuracy in enumerate(LITE)
        ]
        show("EfficientNet-Lite 0, 1, 2 (ImageNet)", short_table(onnxspec.series(rows, settings=SETTINGS)))


if __name__ == "__main__":
    main()
