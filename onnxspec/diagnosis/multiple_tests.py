"""What looking at many layers does to p-values; loads nothing that computes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxspec.results import Layer

__all__ = ["LEVEL", "benjamini_hochberg", "correct_for_looking_often"]

LEVEL = 0.01
"""A layer is ``structured`` where its p-value is below this."""


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Adjust p-values for the number of layers that were tested.

    Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995) 289: of the layers whose adjusted
    p-value is below q, at most a share q is expected to be noise.

    Parameters
    ----------
    p_values : sequence of (float or None)
        One a layer; ``None`` where there is none, which counts as no test.

    Returns
    -------
    tuple of (float or None)
        In the order given; never below the p-value given, at most 1.

    Raises
    ------
    ValueError
        A p-value is outside [0, 1].
    """
    known = [(p, i) for i, p in enumerate(p_values) if p is not None]
    if not all(0.0 <= p <= 1.0 for p, _ in known):
        raise ValueError("p-values must lie between 0 and 1.")
    adjusted: list[float | None] = [None] * len(p_values)
    smallest = 1.0
    for rank, (p, i) in zip(range(len(known), 0, -1), sorted(known, reverse=True), strict=True):
        smallest = min(smallest, p * len(known) / rank)
        adjusted[i] = smallest
    return tuple(adjusted)


def correct_for_looking_often(layers: Sequence[Layer]) -> list[Layer]:
    """Correct the trained verdicts for the number of layers that were tested (Benjamini and Hochberg 1995).

    A layer is ``structured`` only where its corrected p-value is below the level.
    """
    result = []
    adjusted = benjamini_hochberg([layer.trained["p_value"] if layer.trained else None for layer in layers])
    for layer, p in zip(layers, adjusted):
        if layer.trained is None or p is None:
            result.append(layer)
            continue
        told = p < LEVEL or layer.trained["verdict"] != "structured"
        verdict = layer.trained["verdict"] if told else "noise"
        result.append(replace(layer, trained={**layer.trained, "p_adjusted": p, "verdict": verdict}))
    return result
