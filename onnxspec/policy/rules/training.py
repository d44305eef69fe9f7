"""Rules about training: each respects the error bar of its number and the number of layers that were looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from onnxspec.policy.context import DEGENERATE, Context, Hit, Rule, about, number, text
from onnxspec.results import Layer

__all__ = ["LEVEL", "RULES", "robust_z"]

LEVEL = 0.025
"""False discovery rate of the one-sided tests on alpha: one end of a 95 % interval."""

FAMILY_LEVEL = 0.01
"""Chance of one false outlier in a whole model."""

REJECTED = 0.1
"""Goodness-of-fit p-value below which a power law is rejected, as in `onnxspec.diagnosis.health`."""

MIN_GROUP = 8
"""Fewest layers that make a distribution."""

MIN_TESTED = 2
"""Fewest layers of which a share says something of the model."""


def _noise_tested(context: Context) -> list[Layer]:
    """Give the layers on which the noise test has power."""
    return [
        layer
        for layer in context.analysed(averaged=True)
        if layer.M is not None
        and context.threshold("noise_min_side", layer) <= layer.M
        and layer.reason not in DEGENERATE
    ]


def _noise(context: Context) -> Iterator[Hit]:
    layers = _noise_tested(context)
    for layer in layers:
        if text(layer.trained, "verdict") != "noise":
            continue
        adjusted = number(layer.trained, "p_adjusted")
        p = adjusted if adjusted is not None else number(layer.trained, "p_value")
        shown = "" if p is None else f" (p = {p:.2g}, corrected for the number of layers)"
        yield about(layer, f"the {layer.N} x {layer.M} matrix is not told from noise of its own entries{shown}")
    yield from context.undecided("trained", layers, "analyse with --effort standard")


def _mostly_noise(context: Context) -> Iterator[Hit]:
    layers = _noise_tested(context)
    verdicts = [text(layer.trained, "verdict") for layer in layers]
    known = [verdict for verdict in verdicts if verdict is not None]
    noise = known.count("noise")
    share, limit = noise / len(known) if known else 0.0, context.threshold("noise_share")
    if len(known) >= MIN_TESTED and share > limit:
        message = f"{noise} of {len(known)} layers are not told from noise, more than {limit:.0%}"
        yield Hit("model", message, badness=share)
    yield from context.undecided("trained", layers, "analyse with --effort standard")


def _over_trained(context: Context) -> Iterator[Hit]:
    yield from _beyond(context, "alpha_low", below=True)


def _under_trained(context: Context) -> Iterator[Hit]:
    yield from _beyond(context, "alpha_high", below=False)


def _beyond(context: Context, name: str, *, below: bool) -> Iterator[Hit]:
    """Test alpha against a threshold: its interval lies beyond, also after the correction for many layers."""
    layers = [layer for layer in context.analysed(averaged=True) if layer.alpha is not None]
    usable = [layer for layer in layers if layer.alpha_ci is not None and not _no_power_law(layer)]
    p_values = [_p_beyond(layer, context.threshold(name, layer), below=below) for layer in usable]
    for layer, adjusted in zip(usable, _step_up(p_values)):
        limit = context.threshold(name, layer)
        if layer.alpha is None or layer.alpha_ci is None or adjusted >= LEVEL:
            continue
        low, high = min(layer.alpha_ci), max(layer.alpha_ci)
        if high < limit if below else low > limit:
            message = (
                f"alpha is {layer.alpha:.2f}, with its whole interval from {low:.2f} to {high:.2f} "
                f"{'below' if below else 'above'} {limit:g} (p = {adjusted:.2g}, corrected for {len(usable)} layers)"
            )
            yield about(layer, message, limit - layer.alpha if below else layer.alpha - limit)
    yield from context.undecided("alpha_ci", layers, "analyse with --effort standard")


def _no_power_law(layer: Layer) -> bool:
    """Say whether alpha means nothing here: the law is rejected, or the tail is that of noise."""
    rejected = layer.gof_p is not None and layer.gof_p < REJECTED
    return rejected or text(layer.trained, "verdict") == "noise"


def _p_beyond(layer: Layer, limit: float, *, below: bool) -> float:
    """Give the one-sided p-value of "alpha is not beyond the limit", from the near half of its interval."""
    if layer.alpha is None or layer.alpha_ci is None:
        return 1.0
    distance = limit - layer.alpha if below else layer.alpha - limit
    half = max(layer.alpha_ci) - layer.alpha if below else layer.alpha - min(layer.alpha_ci)
    if half <= 0.0:
        return 0.0 if distance > 0.0 else 1.0
    return 0.5 * math.erfc(1.959964 * distance / half / math.sqrt(2.0))


def _step_up(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of tests (Benjamini and Hochberg 1995)."""
    adjusted = [1.0] * len(p_values)
    smallest = 1.0
    for rank, index in zip(range(len(p_values), 0, -1), sorted(range(len(p_values)), key=lambda i: -p_values[i])):
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        adjusted[index] = smallest
    return adjusted


def _trap(context: Context) -> Iterator[Hit]:
    layers = [layer for layer in context.analysed(averaged=True) if layer.reason not in DEGENERATE]
    for layer in layers:
        if layer.traps is None or layer.traps.get("trapped") is not True:
            continue
        causes = layer.traps.get("causes")
        named = ", ".join(c for c in causes if isinstance(c, str)) if isinstance(causes, (list, tuple)) else ""
        ratio = number(layer.traps, "ratio_mean")
        size = "" if ratio is None else f", {ratio:.2f} times the edge of noise"
        message = (
            f"its largest eigenvalue survives a shuffle of all entries{size}{f' (cause: {named})' if named else ''}"
        )
        yield about(layer, message, ratio)
    yield from context.undecided("traps", layers, "analyse with --effort full")


def robust_z(values: Sequence[float], errors: Sequence[float]) -> list[float]:
    """Give each value's distance from the median, in units of the spread of all and its own error.

    Parameters
    ----------
    values, errors : sequence of float
        Numbers and their standard errors.

    Returns
    -------
    list of float
        ``(x - median) / sqrt((1.4826 MAD)^2 + error^2)``; 0 where both are 0.
    """
    middle = _median(values)
    spread = 1.4826 * _median([abs(value - middle) for value in values])
    scales = [math.hypot(spread, error) for error in errors]
    return [(value - middle) / scale if scale > 0.0 else 0.0 for value, scale in zip(values, scales)]


def _median(values: Sequence[float]) -> float:
    """Give the median; `statistics` takes longer to import than a whole check."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])


def _z_of(p: float) -> float:
    """Give the z that a normal variable exceeds, on either side, with chance p."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2.0)) > p else (low, middle)
    return high


def _feature(layer: Layer, name: str) -> tuple[float, float] | None:
    """Give a number of a layer that compares across shapes, and its standard error."""
    if name == "alpha" and layer.alpha is not None:
        if layer.alpha_ci is not None:
            return layer.alpha, (max(layer.alpha_ci) - min(layer.alpha_ci)) / (2 * 1.959964)
        return (layer.alpha, layer.alpha_stderr) if layer.alpha_stderr is not None else None
    if name == "root mean square" and layer.norm and layer.parameters:
        return 0.5 * math.log10(layer.norm / layer.parameters), 0.0
    if name == "stable_rank_ratio" and layer.stable_rank_ratio:
        return math.log10(layer.stable_rank_ratio), 0.0
    return None


def _outlier(context: Context) -> Iterator[Hit]:
    layers = [
        layer
        for layer in context.analysed(averaged=True)
        if layer.reason not in DEGENERATE and layer.phase != "rank_collapse"
    ]
    groups: list[tuple[str, list[tuple[Layer, float, float]]]] = []
    for role in dict.fromkeys(layer.role for layer in layers):
        for name in ("alpha", "root mean square", "stable_rank_ratio"):
            found = [(layer, _feature(layer, name)) for layer in layers if layer.role == role]
            known = [(layer, *feature) for layer, feature in found if feature is not None]
            if len(known) >= MIN_GROUP:
                groups.append((name, known))
    tests = sum(len(known) for _, known in groups)
    if not tests:
        return
    needed = _z_of(FAMILY_LEVEL / tests)
    for name, known in groups:
        middle = _median([value for _, value, _ in known])
        scores = robust_z([value for _, value, _ in known], [error for _, _, error in known])
        for (layer, value, _), z in zip(known, scores):
            if abs(z) > max(needed, context.threshold("outlier_z", layer)):
                logs = name != "alpha"
                shown = f"{10**value:.3g}, median {10**middle:.3g}" if logs else f"{value:.2f}, median {middle:.2f}"
                message = f"its {name} is {shown}, over {len(known)} {layer.role} layers (robust z = {z:.1f})"
                yield Hit(**{**vars(about(layer, message, abs(z))), "key": name})


_rule = partial(Rule, group="training")

RULES = (
    _rule(
        "OS301",
        "not-told-from-noise",
        severity="warning",
        title="a layer that is not told from noise",
        rationale="Seven statistics of means, norms, correlations and spectrum find nothing that independent random "
        "entries would not show. The layer may never have received a gradient, or so few that nothing is left of them. "
        "It is not proof that the layer was never trained.",
        remedy="Ask whether the layer is used at all; a pooler or head that nobody fine-tuned often is not. Waive it "
        "if so.",
        thresholds=("noise_min_side",),
        look=_noise,
    ),
    _rule(
        "OS302",
        "over-trained",
        severity="warning",
        title="alpha below the usual range",
        rationale="The tail of the eigenvalues is heavier than in well trained layers. It may go with over-fitting or "
        "with a few very large weights; low alpha alone does not prove either.",
        remedy="Look at the layer's largest elements and at its traps; compare with an earlier checkpoint.",
        thresholds=("alpha_low",),
        look=_over_trained,
    ),
    _rule(
        "OS303",
        "under-trained",
        severity="warning",
        title="alpha above the usual range",
        rationale="The tail of the eigenvalues is as light as in layers that have learnt little.",
        remedy="Train longer, raise the layer's learning rate, or make the layer smaller.",
        thresholds=("alpha_high",),
        look=_under_trained,
    ),
    _rule(
        "OS304",
        "correlation-trap",
        severity="warning",
        title="a large eigenvalue that a shuffle does not remove",
        rationale="What survives a shuffle of all entries is not learnt structure: a mean that is not zero, or single "
        "elements that are far too large. Such layers drag on training and quantise badly.",
        remedy="Look at the elements that the report names; lower the learning rate, or clip.",
        look=_trap,
    ),
    _rule(
        "OS305",
        "outlier-layer",
        severity="info",
        title="a layer unlike the others of its role",
        rationale="A layer whose alpha, size of weights or stable rank lies far from those of the same role in the "
        "same model was often damaged, replaced or treated differently. First and last layers differ by nature.",
        remedy="Compare the layer with its neighbours and with another checkpoint.",
        thresholds=("outlier_z",),
        look=_outlier,
    ),
    _rule(
        "OS306",
        "mostly-noise",
        severity="error",
        title="most layers are not told from noise",
        rationale="A single such layer may be unused. Where most are, the file holds an initialisation, or weights "
        "that were shuffled or replaced.",
        remedy="Export the trained checkpoint.",
        thresholds=("noise_share", "noise_min_side"),
        look=_mostly_noise,
    ),
)
