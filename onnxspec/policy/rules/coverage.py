"""Rules about coverage: what was not looked at cannot pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from onnxspec.policy.context import Context, Hit, Rule, about
from onnxspec.results import NO_WEIGHT_REASONS as NO_WEIGHT
from onnxspec.results.share import percent

__all__ = ["NO_WEIGHT", "RULES"]

UNREADABLE = frozenset(
    {
        "dims_overflow",
        "external_data_missing",
        "external_data_unavailable",
        "external_data_unreadable",
        "negative_dim",
        "payload_ambiguous",
        "payload_field",
        "payload_length",
        "payload_malformed",
        "payload_missing",
        "rank_too_high",
        "segmented_tensor",
        "tensor_too_large",
        "unsupported_dtype",
    }
)
"""Diagnostics of tensors that are no layers: biases, tables, or what might have been a layer."""

LEFT_OUT = frozenset({"time_limit", "memory_limit", "not_selected", "not_computed"})


def _too_little(context: Context) -> Iterator[Hit]:
    coverage = context.report.coverage
    for what, total, done, reasons in (
        ("slots", coverage.slots, coverage.slots_analyzed, coverage.by_reason),
        ("parameters", coverage.parameters_total, coverage.parameters_analyzed, coverage.parameters_by_reason),
    ):
        weights = total - _set_aside(reasons)
        needed = context.policy.coverage.get(what, 0.0)
        share = done / weights if weights > 0 else 1.0
        if share < needed:
            held = f"{percent(done, weights)} of {percent(needed)}"
            message = f"{done:,} of {weights:,} {what} that may be weights were analysed, {held}"
            yield Hit("model", message, key=what, badness=1.0 - share)


def _set_aside(reasons: Mapping[str, int]) -> int:
    return sum(count for reason, count in reasons.items() if reason in NO_WEIGHT)


def _nothing(context: Context) -> Iterator[Hit]:
    if not any(True for _ in context.analysed()):
        yield Hit("model", "no layer has numbers, so no rule could look at a weight", inconclusive=True)


def _unsupported(context: Context) -> Iterator[Hit]:
    for operator, count in context.report.coverage.unsupported_ops.items():
        message = (
            f"{count} constant inputs of this operator may be weights, and onnxspec does not know how it uses them"
        )
        yield Hit(operator, message, key=operator, badness=float(count))


def _failed(context: Context) -> Iterator[Hit]:
    for layer in context.report.layers:
        if layer.status == "failed" and layer.reason != "non_finite":
            detail = f": {layer.warnings[0]}" if layer.warnings else ""
            yield about(layer, f"{layer.reason or 'failed'}{detail}", inconclusive=True)
    layers = {layer.name for layer in context.report.layers}
    for diagnostic in context.report.diagnostics:
        if diagnostic.severity == "error" and diagnostic.code in UNREADABLE and diagnostic.subject not in layers:
            subject = diagnostic.subject or "model"
            message = f"{diagnostic.code}: {diagnostic.message}"
            yield Hit(subject, message, key=f"{diagnostic.code} {subject}", inconclusive=True)


def _left_out(context: Context) -> Iterator[Hit]:
    found: dict[str, int] = {}
    for layer in context.report.layers:
        if layer.status == "skipped" and layer.reason in LEFT_OUT:
            found[layer.reason] = found.get(layer.reason, 0) + 1
    for reason, count in sorted(found.items()):
        yield Hit("model", f"{count} layers were left out ({reason})", key=reason, inconclusive=True)


_rule = partial(Rule, group="coverage")

RULES = (
    _rule(
        "OS501",
        "coverage-too-low",
        severity="error",
        title="too little was looked at",
        rationale="A file whose weights were mostly not analysed passes every other rule. What is known to be no "
        "weight (biases, masks, tables of indices) counts on neither side.",
        remedy="See coverage.by_reason and unsupported_ops in the report; raise limits, or report the operators.",
        thresholds=("coverage.slots", "coverage.parameters"),
        look=_too_little,
    ),
    _rule(
        "OS502",
        "nothing-analysed",
        severity="error",
        title="no weight was looked at",
        rationale="No findings in a file without weights say nothing about it.",
        remedy="Check that this is the right file, and that its weights are constants of the graph.",
        look=_nothing,
    ),
    _rule(
        "OS503",
        "unsupported-operator",
        severity="warning",
        title="an operator whose weights cannot be read",
        rationale="The operator is fed a large constant that may be a weight. It was not analysed.",
        remedy="Export with standard operators, or report the operator.",
        look=_unsupported,
    ),
    _rule(
        "OS504",
        "layer-failed",
        severity="error",
        title="a layer or tensor that could not be read",
        rationale="Its payload is missing, broken or over a limit, so nothing is known about it.",
        remedy="The message says what is wrong; fetch the file again, with its external data.",
        look=_failed,
    ),
    _rule(
        "OS505",
        "layers-left-out",
        severity="error",
        title="layers that were not analysed",
        rationale="A limit on time or memory, or a selection, left layers out. Nothing is known about them.",
        remedy="Raise --timeout or --max-memory, or analyse the whole model.",
        look=_left_out,
    ),
)
