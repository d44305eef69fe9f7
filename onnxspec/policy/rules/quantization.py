"""Rules about quantised weights: codes that clip, codes that are wasted, steps that drown the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from onnxspec.policy.context import DEGENERATE, Context, Hit, Rule, about, number, text
from onnxspec.results import Layer, Quantization

__all__ = ["RULES"]

FEW_BITS = 5
"""Below this many bits a code at the end of the range is nothing special."""


def _quantized(context: Context) -> Iterator[tuple[Layer, Quantization]]:
    for layer in context.analysed():
        if layer.quantization is not None:
            yield layer, layer.quantization


def _missing(context: Context, name: str) -> Iterator[Hit]:
    """Say for how many quantised layers a number is not in the report."""
    found = [layer for layer, how in _quantized(context) if getattr(how, name) is None]
    if found:
        message = f"could not be decided for {len(found)} quantised layers: quantization.{name} is null"
        yield Hit("model", message, key=name, inconclusive=True)


def _groups(layer: Layer, how: Quantization) -> int:
    """Count what has a scale of its own: each puts one weight at an end of the range, or one at either end."""
    if how.granularity == "block" and how.block:
        return math.ceil(layer.parameters / how.block)
    return max(layer.shape, default=1) if how.granularity == "channel" else 1


def _clipped(context: Context) -> Iterator[Hit]:
    for layer, how in _quantized(context):
        if how.clipped is None or how.bits < FEW_BITS or not layer.parameters:
            continue
        excess = max(how.clipped - 2 * _groups(layer, how), 0)
        share, limit = excess / layer.parameters, context.threshold("clipped_share", layer)
        if share > limit:
            message = (
                f"{how.clipped:,} of {layer.parameters:,} codes are at an end of their {how.bits}-bit range, "
                f"{share:.1%} more than the scales need and more than {limit:.1%}"
            )
            yield about(layer, message, share)
    yield from _missing(context, "clipped")


def _unused(context: Context) -> Iterator[Hit]:
    for layer, how in _quantized(context):
        codes = 2 ** min(how.bits, 16)
        if how.unused is None or how.bits < FEW_BITS - 1 or layer.parameters < 16 * codes:
            continue
        share, limit = how.unused / codes, context.threshold("unused_share", layer)
        if share > limit:
            message = f"{how.unused} of {codes} codes are used by no weight, more than {limit:.0%}"
            yield about(layer, message, share)
    yield from _missing(context, "unused")


def _noisy(context: Context) -> Iterator[Hit]:
    for layer, how in _quantized(context):
        if how.noise_floor is None or not layer.norm or not layer.parameters:
            continue
        bulk = number(layer.mp, "sigma_mp")
        size = bulk if bulk else math.sqrt(layer.norm / layer.parameters)
        ratio, limit = how.noise_floor / size, context.threshold("noise_to_signal", layer)
        if ratio > limit:
            what = "the bulk of the weights" if bulk else "the weights"
            message = (
                f"the rounding error has {ratio:.0%} of the standard deviation of {what}, more than {limit:.0%}"
                f"{'' if how.step is None else f' (step {how.step:.3g})'}"
            )
            yield about(layer, message, ratio)
    yield from _missing(context, "noise_floor")


def _rounded(context: Context) -> Iterator[Hit]:
    layers = [layer for layer in context.analysed() if layer.quantization is None]
    for layer in layers:
        bits, count = number(layer.levels, "bits"), number(layer.levels, "count")
        if bits is None or count is None or layer.reason in DEGENERATE:
            continue
        if bits <= context.threshold("rounded_bits", layer):
            of, block = text(layer.levels, "granularity"), number(layer.levels, "block")
            shared = f"block of {block:.0f}" if of == "block" and block else of
            message = (
                f"{layer.dtype} weights take {count:.0f} values at most in each {shared}, as {bits:.0f} bits would"
            )
            yield about(layer, message, -bits)
    yield from context.undecided("levels", layers, "analyse the model again with this version")


_rule = partial(Rule, group="quantization")

RULES = (
    _rule(
        "OS401",
        "clipped-codes",
        severity="warning",
        title="many codes at the end of their range",
        rationale="Weights beyond the range were cut off: the scale is too small, and the largest weights, which "
        "matter most, are wrong. Below 5 bits codes at the ends are normal, so the rule does not look.",
        remedy="Calibrate the scale on the largest weights, or use one scale for each channel.",
        thresholds=("clipped_share",),
        look=_clipped,
    ),
    _rule(
        "OS402",
        "unused-codes",
        severity="info",
        title="many codes that no weight uses",
        rationale="The scale is too large, so the layer uses fewer bits than it stores.",
        remedy="Use one scale for each channel, or fewer bits.",
        thresholds=("unused_share",),
        look=_unused,
    ),
    _rule(
        "OS403",
        "step-above-noise-floor",
        severity="warning",
        title="a rounding error as large as the weights",
        rationale="The step between neighbouring codes is so large that the bulk of the weights is lost in rounding. "
        "What the layer learnt in small weights is gone.",
        remedy="Use more bits or smaller blocks for this layer.",
        thresholds=("noise_to_signal",),
        look=_noisy,
    ),
    _rule(
        "OS404",
        "rounded-floats",
        severity="warning",
        title="floats that take few values",
        rationale="The weights are stored as floats but were rounded to few bits: the file is larger than what it "
        "holds, and a float model was promised where a quantised one was delivered.",
        remedy="Ask for the weights before rounding, or store the codes and their scales.",
        thresholds=("rounded_bits",),
        look=_rounded,
    ),
)
