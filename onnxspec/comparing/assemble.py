"""Put a comparison together from its pairs, and compare two saved reports by what they hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxspec import __version__
from onnxspec.comparing.align import Alignment, Candidate, align
from onnxspec.comparing.measures import model_measures
from onnxspec.comparing.pairs import name_shared_orders, plain_pair
from onnxspec.results import Diagnostic, Tool
from onnxspec.results.comparison import CHANGES, COMPARISON_VERSION, Change, Comparison, LayerPair, Unmatched

if TYPE_CHECKING:
    from onnxspec.results import Layer, Report
    from onnxspec.results.comparison import MatchedBy

__all__ = ["assemble_comparison", "candidate_of", "compare_reports", "unmatched"]

NEED_MODELS = (
    "cast, rounding, pruned, sparse and low-rank updates, permutations and fine-tunes are told from the models"
)
SAME = 1e-8
"""Relative distance of singular values and norms up to which two spectra are the same: a permutation moves them by
1e-14, a cast to float16 by 1e-7 or more."""

SCALED = 1e-7
"""The same for spectra times a factor, whose values were rounded once to float32."""


def candidate_of(layer: Layer) -> Candidate:
    """Give what a report knows of a layer for finding its counterpart."""
    top = np.array(layer.plot.top_evals) if layer.plot is not None and layer.plot.top_evals else None
    hashes = tuple(digest for digest in (layer.value_hash, layer.content_hash) if digest)
    return Candidate(layer.id, layer.name, (layer.N, layer.M, layer.num_matrices, layer.parameters), hashes, top=top)


def assemble_comparison(
    reports: tuple[Report, Report], pairs: Sequence[LayerPair], alignment: Alignment, *, from_reports: bool = False
) -> Comparison:
    """Put pairs, what is left over, and the averages together."""
    a, b = reports
    named = name_shared_orders(pairs)
    counts = Counter(pair.verdict for pair in named)
    left_a = unmatched([a.layers[i] for i in alignment.left_a], b.layers)
    left_b = unmatched([b.layers[j] for j in alignment.left_b], a.layers)
    return Comparison(
        comparison_version=COMPARISON_VERSION,
        tool=Tool("onnxspec", __version__),
        settings=a.settings,
        a=a.model,
        b=b.model,
        from_reports=from_reports,
        pairs=tuple(named),
        unmatched_a=left_a,
        unmatched_b=left_b,
        verdicts={kind: counts[kind] for kind in CHANGES if counts[kind]},
        measures=model_measures(named, {layer.id: layer.averaged for layer in a.layers}),
        diagnostics=tuple(_diagnostics(a, b, named, from_reports=from_reports)),
    )


def unmatched(layers: Sequence[Layer], others: Sequence[Layer]) -> tuple[Unmatched, ...]:
    """List layers without a counterpart."""
    shapes = {candidate_of(layer).shape for layer in others}
    found = []
    for layer in layers:
        reason = "no_layer_left" if candidate_of(layer).shape in shapes else "no_layer_of_shape"
        found.append(Unmatched(layer.id, layer.name, layer.role, layer.shape, reason))
    return tuple(found)


def _diagnostics(a: Report, b: Report, pairs: Sequence[LayerPair], *, from_reports: bool) -> list[Diagnostic]:
    """Say what holds for the comparison as a whole."""
    found = []
    folded = [pair for pair in pairs if pair.verdict == "batch_norm_folded"]
    if folded:
        found.append(
            Diagnostic(
                "batch_norm_differs",
                "warning",
                f"{len(folded)} layers have a BatchNormalization folded in one model and not in the other; "
                "their metrics are shown, but enter no average: one factor a channel changes every spectrum",
            )
        )
    if from_reports:
        told = sum(pair.reason != "needs_models" for pair in pairs)
        found.append(
            Diagnostic(
                "needs_models",
                "info",
                f"{told} of {len(pairs)} pairs could be told from saved reports; {NEED_MODELS}",
            )
        )
    if a.settings.get("hash") != b.settings.get("hash"):
        found.append(Diagnostic("settings_differ", "warning", "the two reports were made with different settings"))
    return found


def compare_reports(a: Report, b: Report) -> Comparison:
    """Compare two saved reports: by hashes, metrics and leading eigenvalues.

    What needs the values themselves has the verdict ``undecided`` and the reason ``needs_models``.
    """
    alignment = align([candidate_of(layer) for layer in a.layers], [candidate_of(layer) for layer in b.layers])
    pairs = [_from_reports(a.layers[m.a], b.layers[m.b], m.matched_by) for m in alignment.matches]
    return assemble_comparison((a, b), pairs, alignment, from_reports=True)


def _from_reports(a: Layer, b: Layer, matched_by: MatchedBy) -> LayerPair:
    """Say what two layers of reports show of what happened."""
    if matched_by == "values":
        return plain_pair(a, b, matched_by, [Change("identical", "The hashes of the values are equal.")])
    for layer, side in ((b, "b"), (a, "a")):
        if layer.reason == "non_finite":
            detail = layer.warnings[0] if layer.warnings else "values are NaN or infinite"
            return plain_pair(a, b, matched_by, [Change("not_finite", f"{side}: {detail}.")], reason="needs_models")
    factor = _factor(a, b)
    if factor is not None:
        evidence = {"factor": factor, "delta_log10_lambda_max": 2.0 * math.log10(factor)}
        if abs(factor - 1.0) < SAME:
            text = "The singular values are the same: permuted, transposed or rotated."
            return plain_pair(a, b, matched_by, [Change("same_spectrum", text, evidence)], reason="needs_models")
        text = f"Every singular value is {factor:.5g} times what it was; the shape of the spectrum is the same."
        return plain_pair(a, b, matched_by, [Change("scale_change_only", text, evidence)])
    text = "The reports hold no values; compare the models to say what happened."
    return plain_pair(a, b, matched_by, [Change("undecided", text)], reason="needs_models")


def _factor(a: Layer, b: Layer) -> float | None:
    """Give the factor between two spectra of one shape; None where they differ in shape."""
    if a.rank != b.rank or a.num_evals != b.num_evals or (a.num_evals or 0) < 4:
        return None
    ratios = []
    for name, power in (("sv_max", 1.0), ("norm", 0.5), ("sv_min", 1.0)):
        x, y = getattr(a, name), getattr(b, name)
        if name == "sv_min" and a.rank_loss:
            continue  # of a matrix without full rank it is a rounding error
        if x is None or y is None or x <= 0.0 or y <= 0.0:
            return None
        ratios.append((y / x) ** power)
    if a.entropy is None or b.entropy is None or abs(a.entropy - b.entropy) > SCALED:
        return None
    same = abs(ratios[0] - 1.0) < SAME
    spread = abs(ratios[1] / ratios[0] - 1.0)
    least = abs(ratios[-1] / ratios[0] - 1.0)
    return ratios[0] if spread < (SAME if same else SCALED) and least < (1e-6 if same else 1e-4) else None
