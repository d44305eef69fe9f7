"""Verdicts in plain English, each with the numbers that led to it: for a model, and for one layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from onnxspec.catalogue import find
from onnxspec.report._plain import word
from onnxspec.report.numbers import fixed, short
from onnxspec.report.verdict import verdict
from onnxspec.results import Layer, Report
from onnxspec.results.drawable import minima_of, number

__all__ = ["headline", "layer_sentences", "model_sentences", "verdict_of"]

LEVEL = 0.01  # of the trained verdict
NAMED, MOST = 3, 20
MAX_TEXT = 400


def verdict_of(layer: Layer) -> str | None:
    """Give the trained verdict, which in a saved report may be anything."""
    found = layer.trained.get("verdict") if layer.trained else None
    return found if isinstance(found, str) else None


def headline(report: Report) -> str:
    """Give the verdict on a model, or say that there is none."""
    found = verdict(report, word)
    if found is None:
        return "The weights are listed; nothing was computed from them."
    return f"{found.headline[:1].upper()}{found.headline[1:]}"


def model_sentences(report: Report) -> list[str]:
    """Say what led to the verdict, and how far it reaches."""
    found = verdict(report, word)
    if found is None:
        return ["This report comes from inspect: it says what the file holds, not how it was trained."]
    details = [f"{detail[:1].upper()}{detail[1:].rstrip('.')}." for detail in found.details]
    analysed = [layer for layer in report.layers if layer.status == "ok"]
    return [sentence for sentence in (*details, _rough(analysed), _flags(analysed), *_limits(analysed)) if sentence]


def layer_sentences(layer: Layer) -> list[str]:
    """Say what was found out about one layer, or why nothing was."""
    if layer.status != "ok":
        why = f": {word(layer.warnings[0], MAX_TEXT)}" if layer.warnings else ""
        return [f"{layer.status.capitalize()}, {_reason(layer.reason)}{why}. No number of it enters a mean."]
    return [sentence for sentence in (_layer_trained(layer), _layer_alpha(layer), _layer_phase(layer)) if sentence]


def _why_no_verdict(layer: Layer) -> str:
    """Give the reason of a missing trained verdict."""
    inner = layer.trained.get("reason") if layer.trained else None
    return inner if isinstance(inner, str) else layer.reasons.get("trained", "unknown")


def _rough(analysed: Sequence[Layer]) -> str:
    """Count the exponents that are worth little."""
    fitted = [(layer, layer.alpha) for layer in analysed if layer.averaged and layer.alpha is not None]
    rough = sum(
        (layer.n_tail is not None and layer.n_tail < 50)
        or (layer.alpha_ci is not None and layer.alpha_ci[1] - layer.alpha_ci[0] > alpha)
        for layer, alpha in fitted
    )
    if not rough:
        return ""
    return (
        f"Alpha is rough in {rough} of {len(fitted)} fitted layers: fewer than 50 eigenvalues in the tail, or an "
        "interval wider than alpha itself."
    )


def _limits(analysed: Sequence[Layer]) -> list[str]:
    """Say what the verdicts do not say."""
    verdicts = {verdict_of(layer) for layer in analysed}
    found = []
    if "structured" in verdicts:
        found.append(
            f"Told from noise means a p-value below {LEVEL} after correction for the number of layers. It does not "
            "say well trained: learning random labels makes structure too."
        )
    if "noise" in verdicts:
        found.append("A layer that is not told from noise need not be untrained.")
    if any(layer.alpha is not None for layer in analysed):
        found.append("Alpha measures the correlations in the weights, not the accuracy of the model.")
    return found


def _flags(analysed: Sequence[Layer]) -> str:
    """Count the flags that the error bars support."""
    flags = (layer.health.get("flags") for layer in analysed if layer.health)
    counts = Counter(flag for some in flags if isinstance(some, (list, tuple)) for flag in some)
    told = [f"{word(flag)} {count}" for flag, count in sorted(counts.items(), key=lambda item: str(item[0]))[:MOST]]
    return f"Flags: {', '.join(told)}." if told else ""


def _reason(code: str | None) -> str:
    """Give a reason with its title."""
    known = find(code, "reason") if code and len(code) < MAX_TEXT else ()
    return f"{known[0].name} ({known[0].title})" if known else word(code or "unknown")


def _title(name: str | None, kind: Any) -> str:
    known = find(name, kind) if name and len(name) < MAX_TEXT else ()
    return known[0].title if known else word(name or "unknown")


def _layer_trained(layer: Layer) -> str:
    """Say what the trained verdict rests on."""
    told_as = verdict_of(layer)
    if told_as is None or layer.trained is None:
        return f"No trained verdict: {_reason(_why_no_verdict(layer))}."
    p = number(layer.trained.get("p_adjusted"))
    p = number(layer.trained.get("p_value")) if p is None else p
    told = f"Trained: {word(told_as)} ({_title(told_as, 'verdict')})"
    if p is not None:
        told += f"; p = {short(p, 2)} after correction, the limit is {LEVEL}"
    signs = _strongest(layer.trained.get("parts"))
    return f"{told}.{f' Strongest signs: {signs}.' if signs and told_as == 'structured' else ''}"


def _strongest(parts: Any) -> str:
    """Name the three tests with the largest scores."""
    scored = []
    for part in parts if isinstance(parts, (list, tuple)) else ():
        score = number(part.get("score")) if isinstance(part, Mapping) else None
        if score is not None and isinstance(part.get("name"), str):
            scored.append((score, word(part["name"])))
    best = sorted(scored, reverse=True)[:NAMED]
    return ", ".join(f"{name} (score {short(score, 3)})" for score, name in best if score > 0.0)


def _layer_alpha(layer: Layer) -> str:
    """Say what the tail is like, and what else it could be."""
    if layer.alpha is None:
        return f"No power law: {_reason(layer.reason or layer.reasons.get('alpha'))}."
    told = f"Tail: alpha {fixed(layer.alpha, 2)}"
    if layer.alpha_ci is not None:
        told += f", 95 % interval {fixed(layer.alpha_ci[0], 2)} to {fixed(layer.alpha_ci[1], 2)}"
    if layer.n_tail is not None:
        told += f", from the {short(layer.n_tail)} largest of {short(layer.rank or layer.num_evals)} eigenvalues"
    told += f" (D {short(layer.D, 3)})." if layer.D is not None else "."
    found = (fixed(minimum.alpha, 2) for minimum in minima_of(layer) if not minimum.below_min_tail)
    others = [alpha for alpha in dict.fromkeys(found) if alpha != fixed(layer.alpha, 2)]
    if others:
        alphas = ", ".join(others[:4])
        told += f" Other minima of D give alpha {alphas}{' and more' if others[4:] else ''}."
    return told


def _layer_phase(layer: Layer) -> str:
    """Say which phase, how surely, and from which numbers."""
    if layer.phase is None:
        return f"No phase: {_reason(layer.reasons.get('phase'))}."
    told = f"Phase: {word(layer.phase)} ({_title(layer.phase, 'phase')})"
    evidence = layer.phase_evidence or {}
    confidence = number(evidence.get("confidence"))
    told += f", confidence {fixed(confidence, 2)}" if confidence is not None else ""
    features = evidence.get("features")
    if not isinstance(features, Mapping):
        return told + "."
    words = (
        ("spikes", "spikes"),
        ("bulk_p", "p of the bulk"),
        ("edge_ratio", "largest eigenvalue over edge"),
        ("tail_share", "share in the tail"),
        ("zero_share", "share of zeros"),
    )
    values = [(label, number(features.get(name))) for name, label in words]
    parts = [f"{label} {short(int(value) if value.is_integer() else value, 3)}" for label, value in values if value]
    return f"{told}{': ' if parts else ''}{', '.join(parts)}."
