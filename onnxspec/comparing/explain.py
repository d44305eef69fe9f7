"""The sentences, evidence and measured background of everything that can have happened to a layer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxspec.comparing.evidence.elements import number_type
from onnxspec.comparing.evidence.orders import order_digest
from onnxspec.fits.bulk import fit_bulk
from onnxspec.results.comparison import Change

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnxspec.comparing.evidence.difference import LowRank
    from onnxspec.comparing.evidence.elements import Elements
    from onnxspec.comparing.evidence.orders import Orders
    from onnxspec.comparing.evidence.scaling import Axis
    from onnxspec.comparing.evidence.stores import Fit, Store
    from onnxspec.comparing.evidence.strangers import Kinship
    from onnxspec.comparing.evidence.zeros import Pruning, Touched
    from onnxspec.comparing.facts import Facts
    from onnxspec.results import Spectrum

    Array = NDArray[np.float64]

_SAMPLE = 2**16


def identical(found: Elements) -> Change:
    """Name equal values."""
    return Change("identical", "Every value is the same.", {"share_equal": 1.0, "elements": found.size})


def transposed() -> Change:
    """Name a transposed matrix."""
    return Change("transposed", "The matrix is transposed.", {}, {})


def not_finite(found: Elements, rest: Elements) -> Change:
    """Name NaN and infinities."""
    others = rest.size - rest.equal
    text = f"{found.bad_b} values of b and {found.bad_a} of a are NaN or infinite; {others} others differ."
    return Change("not_finite", text, {"bad_a": found.bad_a, "bad_b": found.bad_b, "others_changed": others})


def cast(source: Array, found: Elements, types: tuple[str, ...]) -> Change:
    """Name a cast; the background is the share of the source that the type holds anyway."""
    name = types[0]
    sample = source.ravel()[:: max(1, source.size // _SAMPLE)]
    with np.errstate(over="ignore"):
        anyway = float(np.mean(sample.astype(np.float32).astype(number_type(name)).astype(np.float64) == sample))
    return Change(
        "cast",
        f"Every value is the other one cast to {name}.",
        {"type": name, "share_explained": 1.0, "relative_change": found.relative_change},
        {"share_explained": anyway},
    )


def pruned(found: Pruning, elements: Elements) -> Change:
    """Name what was set to zero."""
    names = {
        "unstructured": "anywhere",
        "outputs": f"in {found.outputs} whole output channels",
        "inputs": f"in {found.inputs} whole inputs",
        "channels": f"in {found.outputs} whole output channels and {found.inputs} whole inputs",
    }
    where = names.get(
        found.pattern, f"so that at most {found.pattern.replace(':', ' of ')} consecutive inputs are left"
    )
    background: dict[str, Any] = {"share_zeroed": 0.0, "zeros_before": elements.zeros_a / elements.size}
    if found.pattern_chance is not None:
        background["share_of_groups"] = found.pattern_chance
    evidence = {"share_zeroed": found.share, "pattern": found.pattern}
    evidence |= {"outputs": found.outputs, "inputs": found.inputs}
    if found.pattern_chance is not None:
        evidence["share_of_groups"] = 1.0
    return Change(
        "pruned", f"{100.0 * found.share:.3g} % of the values were set to zero, {where}.", evidence, background
    )


def stored(store: Store, fit: Fit | None) -> Change:
    """Name the coarser storage of one of the two."""
    evidence: dict[str, Any] = {"type": store.type, "rms_error": store.rms}
    background: dict[str, Any] = {}
    if store.grid is not None:
        groups = store.grid.groups
        evidence |= {"bits": store.grid.bits, "granularity": groups.granularity, "axis": groups.axis}
        evidence |= {"block": groups.block, "step_max": float(store.grid.steps.max()), "nats": store.grid.evidence}
    if fit is not None:
        evidence |= {
            "share_within_half_step": fit.inside,
            "share_clipped": fit.clipped,
            "error_over_rounding": fit.error,
        }
        background["share_within_half_step"] = fit.background
    if store.grid is None:
        return Change("cast", f"Stored as {store.type}.", evidence, background)
    bound = "" if fit is None else f"; {100.0 * fit.inside:.4g} % of the values moved by half a step at most"
    return Change("rounding", f"Rounded to {store.label}{bound}.", evidence, background)


def last_bits(found: Elements, fit: Fit) -> Change:
    """Name values that differ in the last bits of float32 alone."""
    evidence = {"type": "float32", "share_equal": found.equal / found.size, "share_within_half_step": fit.inside}
    return Change(
        "rounding",
        "The values differ in the last bits of float32 alone.",
        evidence,
        {"share_within_half_step": fit.background},
    )


def noise_like(rank: LowRank, found: Elements) -> Change:
    """Name a difference that is as large as rounding noise, and without direction."""
    return Change(
        "rounding",
        "The difference is as large as rounding noise and has no leading directions, as after stochastic rounding.",
        {"error_over_rounding": rank.rest, "share_equal": found.equal / found.size},
        {"error_over_rounding": 1.0},
    )


def scaled(c: float, fit: Fit, found: Elements) -> Change:
    """Name one factor."""
    return Change(
        "scale_change_only",
        f"Every value was multiplied by {c:.6g}; the shape of the spectrum is as it was.",
        {"factor": c, "share_explained": fit.inside, "delta_log10_lambda_max": 2.0 * math.log10(abs(c))},
        {"share_explained": found.equal / found.size},
    )


def channels_scaled(factors: Array, axis: Axis, fit: Fit, found: Elements, facts: Facts, *, folded: bool) -> Change:
    """Name one factor a channel: a folded BatchNormalization where the graph allows for one."""
    evidence = {
        "axis": axis,
        "channels": int(factors.size if axis == "outputs" else factors.size // facts.positions),
        "factor_min": float(factors.min()),
        "factor_max": float(factors.max()),
        "share_explained": fit.inside,
        "error_over_rounding": fit.error,
        "batch_norm_a": facts.batch_norm_a,
        "batch_norm_b": facts.batch_norm_b,
    }
    differs = bool(facts.batch_norm_a) != bool(facts.batch_norm_b)
    background = {"share_explained": found.equal / found.size}
    span = f"{evidence['factor_min']:.3g} to {evidence['factor_max']:.3g}"
    if folded and differs:
        where = "b" if facts.batch_norm_a else "a"
        text = f"One factor for each output, {span}: a BatchNormalization is folded into {where}."
        return Change("batch_norm_folded", text, evidence, background)
    return Change("channels_scaled", f"One factor for each channel of the {axis}, {span}.", evidence, background)


def permuted(orders: Orders, agreement: float, found: Elements) -> Change:
    """Name another order of channels."""
    sides = [name for name in ("outputs", "inputs") if getattr(orders, name) is not None]
    moved = {
        f"{name}_moved": int(np.count_nonzero(getattr(orders, name) != np.arange(getattr(orders, name).size)))
        for name in sides
    }
    return Change(
        "permuted",
        f"The {' and '.join(sides)} stand in another order.",
        {
            **moved,
            "outputs_order": order_digest(orders.outputs),
            "inputs_order": order_digest(orders.inputs),
            "cosine": agreement,
        },
        {"cosine": found.cosine},
    )


def sparse(where: Touched, steps: float) -> Change:
    """Name an update of few elements."""
    return Change(
        "sparse_update",
        f"{100.0 * where.share:.3g} % of the values changed, in {int(where.outputs.sum())} of {where.outputs.size} "
        "rows.",
        {
            "share_changed": where.share,
            "outputs_changed": int(where.outputs.sum()),
            "inputs_changed": int(where.inputs.sum()),
            "median_change_in_steps": steps,
        },
        {"share_changed": 1.0, "median_change_in_steps": 1.0},
    )


def low_rank_update(rank: LowRank, spectrum: Spectrum, shuffled: float) -> Change:
    """Name an update of low rank."""
    gap = "" if rank.gap is None else f"; the next singular value is {rank.gap:.3g} times smaller"
    return Change(
        "low_rank_update",
        f"An update of rank {rank.rank} of {rank.full_rank}{gap}.",
        {
            "rank": rank.rank,
            "full_rank": rank.full_rank,
            "gap": rank.gap,
            "energy": rank.energy,
            "sv_max": float(spectrum.singular_values[0]),
            "noise_edge": rank.edge,
            "rest_over_rounding": rank.rest,
        },
        {"energy": shuffled, "rank": rank.full_rank},
    )


def kin_evidence(kin: Kinship) -> dict[str, Any]:
    """Give the cosine and its spread."""
    return {"cosine": kin.cosine, "cosine_spread": kin.spread}


def dense(spectrum: Spectrum, rank: LowRank, found: Elements, kin: Kinship, store: Store) -> Change:
    """Name a change of all elements."""
    bulk = fit_bulk(spectrum.evals, spectrum.N, spectrum.M)
    text = f"All values changed, by {100.0 * (found.relative_change or 0.0):.3g} % in norm"
    if store.grid is not None and (found.cosine or 0.0) > 0.95 and rank.rest < 20.0:
        text += "; rounding that compensates errors, as GPTQ's, looks like this too"
    return Change(
        "dense_fine_tune",
        f"{text}.",
        {
            "relative_change": found.relative_change,
            "spikes": bulk.spikes,
            "rest_over_rounding": rank.rest,
            **kin_evidence(kin),
        },
        {"rest_over_rounding": 1.0, "cosine": kin.background},
    )


def same_spectrum(distance: float, kin: Kinship) -> Change:
    """Name equal singular values of unlike matrices."""
    return Change(
        "same_spectrum",
        "The singular values are the same, the values are not: rotated, or in an order that was not found.",
        {"spectrum_distance": distance, **kin_evidence(kin)},
        {"cosine": kin.background},
    )


def stranger(
    kin: Kinship, a: tuple[bool | None, float | None, str | None], b: tuple[bool | None, float | None, str | None]
) -> Change:
    """Name a matrix that has nothing to do with the other."""
    evidence = {
        **kin_evidence(kin),
        "noise_p_a": a[1],
        "noise_p_b": b[1],
        "noise_reason": b[2],
    }
    background = {"cosine": kin.background}
    if b[0]:
        text = "b has nothing to do with a and cannot be told from a random initialisation."
        return Change("reinitialised", text, evidence, background)
    text = "b has nothing to do with a"
    if b[0] is None:
        text += "; it is too small to say whether it is a random initialisation"
    return Change("unrelated", f"{text}.", evidence, background)


def undecided(text: str, evidence: dict[str, Any], background: dict[str, Any] | None = None) -> Change:
    """Say that nothing can be told."""
    return Change("undecided", text[0].upper() + text[1:], evidence, background or {})


def with_evidence(change: Change, evidence: dict[str, Any], background: dict[str, Any]) -> Change:
    """Add evidence that was found later."""
    return replace(change, evidence={**change.evidence, **evidence}, background={**change.background, **background})


def within_block(change: Change, extra: dict[str, Any], shape: tuple[int, ...]) -> Change:
    """Say that something happened to some rows and inputs alone."""
    text = f"{change.what} Only {extra['outputs_changed']} of {shape[0]} rows changed."
    return replace(change, what=text, evidence={**change.evidence, **extra})
