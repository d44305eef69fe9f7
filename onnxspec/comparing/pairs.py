"""From two layers and their values to what the comparison says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.comparing import explain
from onnxspec.comparing.audit import audit, moved_beyond
from onnxspec.comparing.decide import Decision, decide
from onnxspec.comparing.evidence.difference import difference_facts, spectrum_of, subspace_overlap
from onnxspec.comparing.evidence.stores import store_of
from onnxspec.comparing.facts import Facts
from onnxspec.comparing.measures import measures_of
from onnxspec.results.comparison import Change, LayerPair, MatchedBy
from onnxspec.spectra.eigen import spectrum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnxspec.results import Layer

    Array = NDArray[np.float64]

__all__ = ["NOT_COMPARABLE", "as_matrix", "compared_pair", "name_shared_orders", "plain_pair"]

NOT_COMPARABLE = frozenset({"batch_norm_folded", "channels_scaled", "not_finite"})
"""Changes after which metrics of a spectrum are not held against each other."""

_SAME_SPACE = frozenset({"cast", "rounding", "scale_change_only"})
"""Changes that leave the leading directions where they are, up to the error that is given."""

_STRANGERS = frozenset({"unrelated", "reinitialised", "same_spectrum"})


def as_matrix(canonical: NDArray[Any]) -> Array:
    """Give the canonical form ``(groups, outputs, inputs, positions)`` as one matrix, a row for each output."""
    groups, outputs, inputs, positions = canonical.shape
    return np.ascontiguousarray(canonical.reshape(groups * outputs, inputs * positions), dtype=np.float64)


def plain_pair(
    a: Layer, b: Layer, matched_by: MatchedBy, changes: Sequence[Change], *, reason: str | None = None
) -> LayerPair:
    """Give a pair about which the reports say all there is to say."""
    kinds = {change.kind for change in changes}
    return LayerPair(
        a=a.id,
        b=b.id,
        name_a=a.name,
        name_b=b.name,
        role=a.role,
        parameters=a.parameters,
        shape_a=a.shape,
        shape_b=b.shape,
        matched_by=matched_by,
        verdict=changes[0].kind,
        changes=tuple(changes),
        comparable=not kinds & NOT_COMPARABLE,
        reason=reason,
        measures=measures_of(a, b),
        phase_a=a.phase,
        phase_b=b.phase,
    )


def compared_pair(
    layers: tuple[Layer, Layer], values: tuple[NDArray[Any], NDArray[Any]], matched_by: MatchedBy
) -> LayerPair:
    """Compare two layers by their values.

    Parameters
    ----------
    layers : (Layer, Layer)
        Of the two reports.
    values : (ndarray, ndarray) of float32 or float64
        In canonical form, ``(groups, outputs, inputs, positions)``.
    matched_by : str
        Why they are a pair.
    """
    a, b = layers
    x, y = as_matrix(values[0]), as_matrix(values[1])
    facts = Facts(
        positions=values[0].shape[3],
        quantization_a=a.quantization,
        quantization_b=b.quantization,
        single_a=values[0].dtype == np.float32,
        single_b=values[1].dtype == np.float32,
        batch_norm_a=a.batch_norm,
        batch_norm_b=b.batch_norm,
        convolution="conv" in a.role or "conv" in b.role or a.role == "dense",
    )
    decision = decide(x, y, facts)
    pair = replace(plain_pair(a, b, matched_by, decision.changes), reversed=decision.reversed)
    found = decision.elements
    if found is None or found.equal == found.size:
        return pair
    same_place = not decision.turned and decision.orders is None
    if found.bad_a or found.bad_b:
        return replace(pair, elements={"share_equal": found.equal / found.size})
    pair = replace(
        pair,
        elements={
            "relative_change": found.relative_change,
            "cosine": found.cosine,
            "share_equal": found.equal / found.size,
            "max_change": found.max_change,
        },
    )
    if decision.turned:
        return pair
    difference = _difference(y - x) if same_place and pair.verdict not in _STRANGERS else None
    subspace = None if {change.kind for change in pair.changes} <= _SAME_SPACE else subspace_overlap(x, y)
    pair = replace(pair, subspace=subspace, difference=difference)
    return replace(
        pair, audit=_audit(pair, decision, layers, values, (x, y)), changes=_with_shape(pair.changes, difference)
    )


def _difference(d: Array) -> dict[str, Any]:
    return difference_facts(d, spectrum_of(d))


def _with_shape(changes: tuple[Change, ...], difference: dict[str, Any] | None) -> tuple[Change, ...]:
    """Add to a rounding that its difference has full rank and the largest singular value of noise, or not."""
    if difference is None or len(changes) != 1 or changes[0].kind != "rounding":
        return changes
    shape = {"edge_ratio": difference.get("edge_ratio"), "stable_rank": difference.get("stable_rank")}
    return (explain.with_evidence(changes[0], shape, {"edge_ratio": 1.0}),)


def _audit(
    pair: LayerPair,
    decision: Decision,
    layers: tuple[Layer, Layer],
    values: tuple[NDArray[Any], NDArray[Any]],
    matrices: tuple[Array, Array],
) -> dict[str, Any] | None:
    """Audit the quantised one of the two against the other, where one is quantised and the other is not."""
    if not any(change.kind == "rounding" for change in pair.changes) or decision.orders is not None:
        return None
    exact, coded = (1, 0) if pair.reversed else (0, 1)
    stores = (decision.store_a, decision.store_b)
    store = stores[coded] or store_of(matrices[coded], values[coded].shape[3], layers[coded].quantization)
    if store.grid is None and layers[coded].quantization is None:
        return None
    if len(pair.changes) > 1:
        return {"reason": "other_changes", "moved_beyond_rounding": None}
    share = pair.changes[0].evidence.get("share_clipped")
    clipped = None if share is None else round(share * matrices[coded].size)
    facts = audit(matrices[exact], matrices[coded], store, layers[coded].quantization, clipped)

    def rank_after_noise() -> int:
        stack = np.moveaxis(values[exact], 3, 1).reshape(-1, *values[exact].shape[1:3])
        return spectrum(stack, dtype=layers[exact].dtype, noise_floor=store.rms).rank

    moved = moved_beyond(layers[exact], layers[coded], pair.difference, rank_after_noise)
    return facts | {"moved_beyond_rounding": moved}


def name_shared_orders(pairs: Sequence[LayerPair]) -> list[LayerPair]:
    """Say of permuted layers which others were permuted by the same order: neurons move in two layers at once."""
    users: dict[str, list[str]] = {}
    for pair in pairs:
        for change in pair.changes:
            for side in ("outputs", "inputs"):
                order = change.evidence.get(f"{side}_order")
                if order is not None:
                    users.setdefault(order, []).append(pair.a)
    return [replace(pair, changes=tuple(_shared(change, pair.a, users) for change in pair.changes)) for pair in pairs]


def _shared(change: Change, own: str, users: dict[str, list[str]]) -> Change:
    orders = [change.evidence.get(f"{side}_order") for side in ("outputs", "inputs")]
    others = sorted({user for order in orders if order for user in users[order]} - {own})
    if change.kind != "permuted" or not others:
        return change
    text = f"{change.what[:-1]}, the same order as in {len(others)} other layer{'s' if len(others) > 1 else ''}."
    return replace(change, what=text, evidence={**change.evidence, "same_order_in": others})
