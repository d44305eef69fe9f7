"""From layers to the metrics of the whole model, and to its coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, median, quantiles
from typing import TYPE_CHECKING

from onnxspec.results import NO_WEIGHT_REASONS, Coverage, Diagnostic, Layer, Skip, Summary

if TYPE_CHECKING:
    from onnxspec.graph import Survey

__all__ = ["NO_WEIGHT_REASONS", "cover", "coverage_share", "summarize", "tied"]


def summarize(layers: Sequence[Layer]) -> Summary:
    """Average the metrics of the layers that were analysed and whose role is averaged.

    A layer without a number enters no mean of that number. `alpha_hat_sum` is
    seed 002's eqn 3, `alpha_hat_mean` and `alpha_weighted_mean` are the means of
    arXiv 1901.08278 and of WeightWatcher.
    """
    analysed = [layer for layer in layers if layer.status == "ok"]
    averaged = [layer for layer in analysed if layer.averaged]

    def values(name: str) -> list[float]:
        return [value for layer in averaged if (value := getattr(layer, name)) is not None]

    def mean(name: str) -> float | None:
        found = values(name)
        return fmean(found) if found else None

    alphas = values("alpha")
    weights = [float(layer.parameters) for layer in averaged if layer.alpha is not None]
    quartiles = quantiles(alphas, n=4, method="inclusive") if len(alphas) > 1 else None
    hats = values("alpha_hat")
    return Summary(
        layers=len(layers),
        layers_averaged=len(averaged),
        layers_fitted=len(alphas),
        not_averaged=tuple(layer.id for layer in layers if layer.status != "ok" or not layer.averaged),
        alpha_mean=fmean(alphas) if alphas else None,
        alpha_median=median(alphas) if alphas else None,
        alpha_iqr=(quartiles[0], quartiles[2]) if quartiles else None,
        alpha_mean_by_parameters=fmean(alphas, weights) if alphas else None,
        alpha_weighted_mean=mean("alpha_weighted"),
        alpha_hat_sum=sum(hats) if hats else None,
        alpha_hat_mean=mean("alpha_hat"),
        log_norm_mean=mean("log_norm"),
        log_spectral_norm_mean=mean("log_spectral_norm"),
        log_alpha_norm_mean=mean("log_alpha_norm"),
        stable_rank_mean=mean("stable_rank"),
        entropy_mean=mean("entropy"),
        phases=dict(sorted(Counter(layer.phase for layer in analysed if layer.phase is not None).items())),
    )


def cover(survey: Survey, layers: Sequence[Layer]) -> tuple[Coverage, tuple[Skip, ...]]:
    """Count what was looked at, and list every slot that was not.

    Parameters
    ----------
    survey : Survey
        What the model holds.
    layers : sequence of Layer
        The result for each weight of the survey, in its order.

    Returns
    -------
    Coverage
        Slots and parameters: analysed, and by reason.
    tuple of Skip
        The slots without a result.
    """
    slots: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    skipped = list(survey.skipped)
    listed: set[tuple[str, str]] = set()
    status = {id(weight): layer for weight, layer in zip(survey.weights, layers)}
    for weight, layer in zip(survey.weights, layers):
        slots[layer.status] += weight.slots
        if layer.status != "ok":
            reasons[layer.reason or "unknown"] += weight.slots
            # The parts of one tensor share its slots.
            skipped.extend(skip for skip in _skips(layer) if (skip.slot, skip.reason) not in listed)
            listed.update((slot, layer.reason or "unknown") for slot in layer.used_by)
    slots["skipped"] += len(survey.skipped)
    reasons.update(skip.reason for skip in survey.skipped)
    total = analysed = tensors = 0
    parameters: Counter[str] = Counter()
    for account in survey.accounts:
        tensors += 1
        total += account.tensor.size
        results = [status[id(weight.merged_into or weight)] for weight in account.weights]
        if any(layer.status == "ok" for layer in results):
            analysed += account.tensor.size
        else:
            reason = (results[0].reason or "unknown") if results else account.reason
            parameters[reason] += account.tensor.size
    return (
        Coverage(
            slots=sum(slots.values()),
            slots_analyzed=slots["ok"],
            slots_skipped=slots["skipped"],
            slots_failed=slots["failed"],
            slots_small=survey.small_slots,
            tensors=tensors,
            parameters_total=total,
            parameters_analyzed=analysed,
            by_reason=_sorted(reasons),
            parameters_by_reason=_sorted(parameters),
            unsupported_ops=_sorted(Counter(s.op_type for s in survey.skipped if s.reason == "unsupported_op")),
        ),
        tuple(skipped),
    )


def coverage_share(coverage: Coverage) -> float:
    """Give the share of what is or may be a weight that was analysed, by slots or by parameters: the lower one.

    What was recognised as no weight (vectors, masks, fixed bases, tables of
    indices, ...) counts on neither side; ``inspect``, which computes nothing,
    counts what it could read. 1 where there is nothing that may be a weight.
    """
    shares = []
    for total, reasons in (
        (coverage.slots, coverage.by_reason),
        (coverage.parameters_total, coverage.parameters_by_reason),
    ):
        others = {reason: count for reason, count in reasons.items() if reason not in NO_WEIGHT_REASONS}
        missed = sum(count for reason, count in others.items() if reason != "not_computed")
        weights = total - sum(reasons.values()) + sum(others.values())
        shares.append(1 - missed / weights if weights else 1.0)
    return min(shares)


def tied(layers: Sequence[Layer]) -> list[Diagnostic]:
    """Notice layers that hold the same matrix under other names, as it is or transposed.

    Equal values are known by their hash, transposed copies by their spectrum: the
    same shape, and the same norm, largest and smallest singular value and entropy
    to 1e-9.
    """
    found: list[Diagnostic] = []
    firsts: dict[tuple[object, ...], list[Layer]] = {}
    for layer in layers:
        if layer.status != "ok" or not layer.norm or layer.sv_max is None:
            continue
        key = (layer.N, layer.M, layer.num_matrices, f"{layer.norm:.6e}")
        alike = firsts.setdefault(key, [])
        for other in alike:
            same = layer.value_hash == other.value_hash
            if same or _same_spectrum(layer, other):
                how = "the same values as" if same else "the same spectrum as"
                tail = "" if same else ": a transposed or permuted copy"
                found.append(Diagnostic("tied", "info", f"it has {how} {other.id}{tail}", layer.id))
                break
        else:
            alike.append(layer)
    return found


def _same_spectrum(a: Layer, b: Layer) -> bool:
    """Say whether two layers agree in what a transposed copy leaves as it is."""
    pairs = [(getattr(a, name), getattr(b, name)) for name in ("norm", "sv_max", "entropy", "stable_rank")]
    return all(x is not None and y is not None and abs(x - y) <= 1e-9 * max(abs(x), abs(y)) for x, y in pairs)


def _skips(layer: Layer) -> Iterable[Skip]:
    """List the slots of a layer that has no result."""
    for slot in layer.used_by:
        yield Skip(
            slot,
            layer.op_type,
            layer.tensor,
            layer.shape,
            layer.dtype,
            layer.parameters,
            layer.reason or "unknown",
            layer.warnings[0] if layer.warnings else None,
        )


def _sorted(counter: Counter[str]) -> dict[str, int]:
    """Order a count by its keys, and leave out zeros."""
    return {key: count for key, count in sorted(counter.items()) if count}
