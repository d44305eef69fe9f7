"""Rules about the numbers themselves: what no training leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from onnxspec.policy.context import DEGENERATE, Context, Hit, Rule, about, text
from onnxspec.results import Layer

__all__ = ["RULES"]

TWO_CLASSES = 2
"""The two rows of a softmax over two classes get opposite gradients, so a trained head of that kind has rank 1."""


def _non_finite(context: Context) -> Iterator[Hit]:
    for layer in context.report.layers:
        if layer.status == "failed" and layer.reason == "non_finite":
            yield about(layer, layer.warnings[0] if layer.warnings else "values are NaN or infinite")


def _denormal(context: Context) -> Iterator[Hit]:
    layers = list(context.analysed())
    for layer in layers:
        if not layer.denormals or not layer.parameters:
            continue
        share, limit = layer.denormals / layer.parameters, context.threshold("denormal_share", layer)
        if share > limit:
            yield about(
                layer,
                f"{layer.denormals:,} of {layer.parameters:,} weights are denormal: {share:.1%}, more than {limit:.1%}",
                share,
            )
    yield from context.undecided("denormals", layers, "analyse the model again with this version")


def _dead(context: Context) -> Iterator[Hit]:
    for layer in context.analysed():
        if layer.reason == "zero_matrix" or layer.norm == 0.0:
            yield about(layer, f"all {layer.parameters:,} weights are zero", float(layer.parameters))


def _constant(context: Context) -> Iterator[Hit]:
    for layer in context.analysed():
        if layer.reason != "rank_one":
            continue
        if text(layer.trained, "reason") == "rank_one":
            yield about(layer, f"all {layer.parameters:,} weights are equal")
        elif layer.M is None or layer.M > TWO_CLASSES:
            yield about(layer, f"the {_size(layer)} matrix has rank 1: all rows are multiples of one row")


def _rank_collapse(context: Context) -> Iterator[Hit]:
    layers = [layer for layer in context.analysed() if layer.role != "depthwise_conv"]
    for layer in layers:
        if layer.reason in DEGENERATE or layer.rank is None or not layer.num_evals:
            continue
        lost = layer.num_evals - layer.rank
        share, limit = lost / layer.num_evals, context.threshold("rank_loss_share", layer)
        collapsed = layer.phase == "rank_collapse" and limit < 1.0
        if share > limit and (collapsed or not _narrow(layer)):
            told = "; phase rank_collapse" if collapsed else ""
            message = f"rank {layer.rank} of {layer.num_evals}: {lost} directions ({share:.0%}) are missing{told}"
            yield about(layer, message, share)
        elif collapsed:
            message = f"phase rank_collapse: some eigenvalues lie decades below the rest, {lost} of them at zero"
            yield about(layer, message, share)
    yield from context.undecided("rank", layers, "analyse the model again")


def _narrow(layer: Layer) -> bool:
    """Say whether rounding alone hides small directions: then only a gap in the spectrum tells of a collapse."""
    return layer.quantization is not None or layer.dtype not in ("float32", "float64")


def _duplicate(context: Context) -> Iterator[Hit]:
    firsts: dict[str, Layer] = {}
    for layer in context.analysed():
        if layer.reason in DEGENERATE:
            continue
        for other in layer.copies:
            yield about(layer, f"the tensor {other} holds the same bytes", 1.0)
        hashes = [found for found in (layer.content_hash, layer.value_hash) if found is not None]
        first = next((firsts[found] for found in hashes if found in firsts), None)
        for found in hashes:
            firsts.setdefault(found, layer)
        if first is None or first.tensor == layer.tensor:
            continue
        if (first.role == "embedding") == (layer.role == "embedding"):
            yield about(layer, f"it has the same values as {first.name}, stored twice", 1.0)


def _size(layer: Layer) -> str:
    return "x".join(map(str, layer.shape))


_rule = partial(Rule, group="numbers")

RULES = (
    _rule(
        "OS201",
        "non-finite",
        severity="error",
        title="NaN or infinity among the weights",
        rationale="One NaN in a weight makes every output of the layer NaN for every input. Training diverged, a type "
        "was too narrow, or the file is damaged.",
        remedy="Go back to a checkpoint before the divergence, or convert with a wider type.",
        look=_non_finite,
    ),
    _rule(
        "OS202",
        "denormal-weights",
        severity="warning",
        title="many weights too small for normal numbers",
        rationale="Weights below 2^-126 are zero for the result, and many processors need a hundred times longer for "
        "them. They come from weight decay without gradient: the layer, or part of it, is dead.",
        remedy="Set them to zero before the export, and find out why these weights get no gradient.",
        thresholds=("denormal_share",),
        look=_denormal,
    ),
    _rule(
        "OS203",
        "dead-layer",
        severity="error",
        title="nothing but zeros",
        rationale="The layer maps every input to its bias. The export lost the weights, or the layer was never used.",
        remedy="Compare with the checkpoint that was exported. A layer that is meant to be zero needs a waiver.",
        look=_dead,
    ),
    _rule(
        "OS204",
        "constant-layer",
        severity="warning",
        title="one direction only",
        rationale="All rows are multiples of one row, as in a matrix of equal numbers: the layer passes on one number. "
        "Fixed averages are built like this; trained layers are not, but for a "
        "softmax over two classes, which is left out.",
        remedy="A fixed average needs a waiver; otherwise compare with the checkpoint.",
        look=_constant,
    ),
    _rule(
        "OS205",
        "rank-collapse",
        severity="warning",
        title="part of the spectrum is missing",
        rationale="Directions of the layer are zero at the precision of its weights. Pruned or duplicated channels, "
        "merged low-rank factors and too much regularisation look like this; the layer is larger than what it does. "
        "Weights in fewer than 32 bits lose small directions by rounding, so there only the phase counts.",
        remedy="Remove dead channels, or store the layer as two factors. Find out whether it is meant.",
        thresholds=("rank_loss_share",),
        look=_rank_collapse,
    ),
    _rule(
        "OS206",
        "duplicate-layer",
        severity="warning",
        title="the same weights under two names",
        rationale="Two stored tensors are equal: a layer was copied over another one, or weights that are meant to be "
        "shared are stored twice. An embedding and the head that share one table are no finding.",
        remedy="Compare with the checkpoint. Let both places use one tensor if sharing is meant.",
        look=_duplicate,
    ),
)
