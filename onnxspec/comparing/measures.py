"""Metrics side by side, of layers and of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onnxspec.results.comparison import LayerPair, Measure, ModelMeasure

if TYPE_CHECKING:
    from onnxspec.results import Layer

__all__ = ["MEASURES", "measures_of", "model_measures", "sign_test"]

MEASURES = (
    *("alpha", "lambda_max", "norm", "log_norm", "log_spectral_norm", "alpha_weighted", "alpha_hat"),
    *("log_alpha_norm", "stable_rank", "entropy", "rank", "spikes"),
)
"""Metrics that are compared, by their names in the report."""

OF_BULK = ("mp_softrank", "sigma_mp")

_MODEL = (*("alpha", "log_norm", "log_spectral_norm", "alpha_weighted", "alpha_hat", "stable_rank"), "entropy")


def measures_of(a: Layer, b: Layer) -> tuple[Measure, ...]:
    """Put the metrics of two layers side by side; those that neither has are left out."""
    found = [_measure(name, getattr(a, name), getattr(b, name), a, b) for name in MEASURES]
    found += [_measure(name, _of(a.mp, name), _of(b.mp, name), a, b) for name in OF_BULK]
    return tuple(m for m in found if m.a is not None or m.b is not None)


def _of(facts: Mapping[str, object] | None, name: str) -> float | None:
    value = None if facts is None else facts.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _measure(name: str, a: float | None, b: float | None, layer_a: Layer, layer_b: Layer) -> Measure:
    delta = None if a is None or b is None else float(b) - float(a)
    errors = (layer_a.alpha_stderr, layer_b.alpha_stderr) if name == "alpha" else (None, None)
    both = None if delta is None or errors[0] is None or errors[1] is None else math.hypot(errors[0], errors[1])
    return Measure(
        name, None if a is None else float(a), None if b is None else float(b), delta, errors[0], errors[1], both
    )


def model_measures(pairs: Sequence[LayerPair], averaged: Mapping[str, bool]) -> tuple[ModelMeasure, ...]:
    """Average the metrics over pairs that can be compared and whose layers enter the means of a model.

    Parameters
    ----------
    pairs : sequence of LayerPair
        All pairs.
    averaged : mapping
        By id of the layer of a.
    """
    found = []
    for name in _MODEL:
        rows = [
            measure
            for pair in pairs
            if pair.comparable and averaged.get(pair.a, False)
            for measure in pair.measures
            if measure.name == name and measure.delta is not None
        ]
        if rows:
            found.append(_model_measure(name, rows))
    return tuple(found)


def _model_measure(name: str, rows: Sequence[Measure]) -> ModelMeasure:
    deltas = [row.delta or 0.0 for row in rows]
    raised, lowered = sum(d > 0.0 for d in deltas), sum(d < 0.0 for d in deltas)
    return ModelMeasure(
        name=name,
        pairs=len(rows),
        a=math.fsum(row.a or 0.0 for row in rows) / len(rows),
        b=math.fsum(row.b or 0.0 for row in rows) / len(rows),
        delta_mean=math.fsum(deltas) / len(rows),
        delta_min=min(deltas),
        delta_max=max(deltas),
        raised=raised,
        lowered=lowered,
        sign_p=sign_test(raised, lowered),
    )


def sign_test(raised: int, lowered: int) -> float | None:
    """Give the two-sided p-value that rises and falls are equally likely; None where nothing moved."""
    n = raised + lowered
    if n == 0:
        return None
    tail = sum(math.comb(n, k) for k in range(min(raised, lowered) + 1))
    return min(1.0, 2.0 * float(tail / 2**n))  # integers of any size divide exactly
