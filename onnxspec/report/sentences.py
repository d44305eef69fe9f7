"""Verdicts in plain English, each with the numbers that led to it: for a model, and for one layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from onnxspec.catalogue import find
from onnxspec.report._plain import word
from onnxspec.report.numbers import fixed, short
from onnxspec.results import Layer, Report
from onnxspec.results.drawable import minima_of, number

__all__ = ["coverage_share", "headline", "layer_sentences", "model_sentences", "verdict_of"]

LEVEL = 0.01  # of the trained verdict
NAMED, MOST = 3, 20
MAX_NAME, MAX_TEXT = 40, 400


def verdict_of(layer: Layer) -> str | None:
    """Give the trained verdict, which in a saved report may be anything."""
    verdict = layer.trained.get("verdict") if layer.trained else None
    return verdict if isinstance(verdict, str) else None


def headline(report: Report) -> str:
    """Give the one sentence that says what was found out about a model."""
    if not report.settings:
        return "The weights are listed; nothing was computed from them."
    analysed = [layer for layer in report.layers if layer.status == "ok"]
    if not analysed:
        return "Nothing can be said: no layer was analysed."
    verdicts = Counter(verdict_of(layer) for layer in analysed)
    judged = sum(count for verdict, count in verdicts.items() if verdict)
    failed = sum(layer.status == "failed" for layer in report.layers)
    lost = f" {_count(failed, 'layer')} failed and could not be judged." if failed else ""
    if not judged:
        return f"{_count(len(analysed), 'layer')} analysed; none has a trained verdict.{lost}"
    structured, noise = verdicts["structured"], verdicts["noise"]
    if structured == judged:
        every = "The one judged layer holds" if judged == 1 else f"All {judged} judged layers hold"
        return f"{every} structure that noise does not explain.{lost}"
    told = (
        f"{structured} of {_count(judged, 'judged layer')} {_verb(structured, 'holds', 'hold')} structure that noise "
    )
    told += "does not explain"
    others = [f"{noise} cannot be told from noise"] if noise else []
    if verdicts["isometric"]:
        others.append(f"{verdicts['isometric']} only {_verb(verdicts['isometric'], 'rotates', 'rotate')} its input")
    return f"{'; '.join([told, *others])}.{lost}"


def model_sentences(report: Report) -> list[str]:
    """Say what led to the headline: verdicts, tails, phases, flags, and what is missing."""
    if not report.settings:
        return ["This report comes from inspect: it says what the file holds, not how it was trained."]
    analysed = [layer for layer in report.layers if layer.status == "ok"]
    found = [_trained(analysed), *_tails(report, analysed), _phases(analysed), _flags(analysed), _lost(report)]
    return [sentence for sentence in found if sentence]


def layer_sentences(layer: Layer) -> list[str]:
    """Say what was found out about one layer, or why nothing was."""
    if layer.status != "ok":
        why = f": {word(layer.warnings[0], MAX_TEXT)}" if layer.warnings else ""
        return [f"{layer.status.capitalize()}, {_reason(layer.reason)}{why}. No number of it enters a mean."]
    return [sentence for sentence in (_layer_trained(layer), _layer_alpha(layer), _layer_phase(layer)) if sentence]


def coverage_share(part: int, whole: int) -> str:
    """Give a share in per cent, empty where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _names(layers: Sequence[Layer]) -> str:
    """Name the first few layers."""
    names = [word(layer.name, MAX_NAME) for layer in layers[:NAMED]]
    return ", ".join(names) + (f" and {len(layers) - NAMED} more" if len(layers) > NAMED else "")


def _trained(analysed: Sequence[Layer]) -> str:
    """Say how many layers are told from noise, and name those that are not."""
    by_verdict: dict[str | None, list[Layer]] = {}
    for layer in analysed:
        by_verdict.setdefault(verdict_of(layer), []).append(layer)
    parts = []
    structured, noise = by_verdict.get("structured", []), by_verdict.get("noise", [])
    if structured:
        tested = f"a p-value below {LEVEL} after correction for the number of layers"
        parts.append(f"{_count(len(structured), 'layer')} {_verb(len(structured), 'has', 'have')} {tested}")
    if noise:
        parts.append(f"{_count(len(noise), 'layer')} {_verb(len(noise), 'has', 'have')} not: {_names(noise)}")
    if by_verdict.get("isometric"):
        parts.append(f"all singular values are equal in {_names(by_verdict['isometric'])}")
    none = Counter(_why_no_verdict(layer) for layer in by_verdict.get(None, []))
    if none:
        parts.append(f"{_count(sum(none.values()), 'layer')} without a verdict ({_reasons(none)})")
    if not parts:
        return ""
    tail = "Structured does not say well trained: learning random labels makes structure too." if structured else ""
    lack = "Not told from noise does not prove untrained." if noise else ""
    return " ".join(part for part in ("Trained or noise: " + "; ".join(parts) + ".", tail, lack) if part)


def _why_no_verdict(layer: Layer) -> str:
    """Give the reason of a missing trained verdict."""
    inner = layer.trained.get("reason") if layer.trained else None
    return inner if isinstance(inner, str) else layer.reasons.get("trained", "unknown")


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word(reason)} {count}" for reason, count in sorted(counts.items())[:MOST])


def _tails(report: Report, analysed: Sequence[Layer]) -> list[str]:
    """Say what the power laws are like, and how many of them are worth something."""
    summary = report.summary
    fitted = [(layer, layer.alpha) for layer in analysed if layer.averaged and layer.alpha is not None]
    if not fitted or summary.alpha_mean is None or summary.alpha_median is None:
        none = Counter(layer.reason or "unknown" for layer in analysed if layer.alpha is None)
        return [f"Tails: no averaged layer has a power-law fit ({_reasons(none)})."] if none else []
    alphas = [alpha for _, alpha in fitted]
    told = (
        f"Tails: {_count(len(fitted), 'layer')} of {summary.layers_averaged} averaged "
        f"{_verb(len(fitted), 'has', 'have')} a power-law fit; median alpha {fixed(summary.alpha_median, 2)}, "
        f"mean {fixed(summary.alpha_mean, 2)}"
    )
    if summary.alpha_iqr is not None:
        told += f", middle half {fixed(summary.alpha_iqr[0], 2)} to {fixed(summary.alpha_iqr[1], 2)}"
    low, high = sum(alpha < 2.0 for alpha in alphas), sum(alpha > 6.0 for alpha in alphas)
    inside = len(alphas) - low - high
    told += f". Alpha is below 2 in {low}, from 2 to 6 in {inside}, above 6 (like noise) in {high}."
    rough = [
        layer
        for layer, alpha in fitted
        if (layer.n_tail is not None and layer.n_tail < 50)
        or (layer.alpha_ci is not None and layer.alpha_ci[1] - layer.alpha_ci[0] > alpha)
    ]
    if rough:
        told += (
            f" In {_count(len(rough), 'layer')} alpha is rough: fewer than 50 eigenvalues in the tail, or an interval "
            "wider than alpha itself."
        )
    return [told, "Alpha measures the correlations in the weights, not the accuracy of the model."]


def _phases(analysed: Sequence[Layer]) -> str:
    """Count the phases."""
    counts = Counter(layer.phase for layer in analysed if layer.phase)
    if not counts:
        return ""
    none = sum(layer.phase is None for layer in analysed)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{word(phase)} {count}" for phase, count in ordered[:MOST]]
    return f"Phases: {', '.join(parts)}{f'; {none} without a phase' if none else ''}."


def _flags(analysed: Sequence[Layer]) -> str:
    """Count the flags that the error bars support."""
    flags = (layer.health.get("flags") for layer in analysed if layer.health)
    counts = Counter(flag for some in flags if isinstance(some, (list, tuple)) for flag in some)
    told = [f"{word(flag)} {count}" for flag, count in sorted(counts.items(), key=lambda item: str(item[0]))[:MOST]]
    return f"Flags: {', '.join(told)}." if told else ""


def _lost(report: Report) -> str:
    """Say what was not looked at."""
    failed = [layer for layer in report.layers if layer.status == "failed"]
    skipped = [layer for layer in report.layers if layer.status == "skipped"]
    parts = []
    for layers, what in ((failed, "failed"), (skipped, "skipped")):
        if layers:
            why = _reasons(Counter(layer.reason or "unknown" for layer in layers))
            parts.append(f"{_count(len(layers), 'layer')} {what} ({why}): {_names(layers)}")
    return f"Not judged: {'; '.join(parts)}." if parts else ""


def _reason(code: str | None) -> str:
    """Give a reason with its title."""
    known = find(code, "reason") if code and len(code) < MAX_TEXT else ()
    return f"{known[0].name} ({known[0].title})" if known else word(code or "unknown")


def _title(name: str | None, kind: Any) -> str:
    known = find(name, kind) if name and len(name) < MAX_TEXT else ()
    return known[0].title if known else word(name or "unknown")


def _layer_trained(layer: Layer) -> str:
    """Say what the trained verdict rests on."""
    verdict = verdict_of(layer)
    if verdict is None or layer.trained is None:
        return f"No trained verdict: {_reason(_why_no_verdict(layer))}."
    p = number(layer.trained.get("p_adjusted"))
    p = number(layer.trained.get("p_value")) if p is None else p
    told = f"Trained: {word(verdict)} ({_title(verdict, 'verdict')})"
    if p is not None:
        told += f"; p = {short(p, 2)} after correction, the limit is {LEVEL}"
    signs = _strongest(layer.trained.get("parts"))
    return f"{told}.{f' Strongest signs: {signs}.' if signs and verdict == 'structured' else ''}"


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
