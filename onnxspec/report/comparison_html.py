"""A comparison of two models as one self-contained HTML page: what was matched, what happened, and the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from onnxspec.catalogue import Entry, find
from onnxspec.report import numbers
from onnxspec.report._plain import word
from onnxspec.report.glossary import Glossary
from onnxspec.report.page import MAX_NAME, chart, fill, signs
from onnxspec.report.svg.overlay import alpha_before_after, overlay
from onnxspec.results import Layer, ModelInfo, Report
from onnxspec.results.comparison import Comparison, LayerPair, Measure, Unmatched

__all__ = ["render"]

NAMED, MOST_FACTS, MOST_LISTED = 3, 24, 4
MOST_DETAILS = 1000
AUDIT = ("bits", "sqnr_db", "effective_bits_min", "effective_bits_median", "clipped", "unused_codes")
HOW = {
    "values": "by equal values",
    "content": "by a sample of their values",
    "spectrum": "by their leading eigenvalues",
    "name": "by name",
    "place": "by place in the graph",
}


def render(found: Comparison, reports: tuple[Report, Report] | None = None) -> str:
    """Give a comparison as HTML; the same comparison and reports give the same bytes.

    Parameters
    ----------
    found : Comparison
        Of any source.
    reports : tuple of two Report, optional
        Of the two models; their spectra are drawn over each other, and their coverage is said.

    Returns
    -------
    str
    """
    layers = [{layer.id: layer for layer in report.layers} for report in reports or ()]
    pairs = [_pair(at, pair, layers) for at, pair in enumerate(found.pairs, 1)]
    changed = [view for view in pairs if view["pair"].verdict != "identical"]
    linked = {view["at"] for view in changed[:MOST_DETAILS]}
    flow = alpha_before_after([(v["at"], v["pair"].name_a, v["alpha"]) for v in changed if v["alpha"] is not None])
    phases = [phase for pair in found.pairs for phase in (pair.phase_a, pair.phase_b)]
    return fill(
        "comparison.html",
        title=f"{_file_name(found.a)} and {_file_name(found.b)}",
        found=found,
        sides=[_side(found, side, reports) for side in (0, 1)],
        matched=[(HOW.get(way, word(way)), n) for way, n in Counter(pair.matched_by for pair in found.pairs).items()],
        headline=_headline(found),
        caveats=_caveats(found),
        kinds=_kinds(found),
        flow=None if flow is None else chart(flow),
        pairs=pairs,
        changed=changed[:MOST_DETAILS],
        linked=linked,
        left=len(changed) - MOST_DETAILS,
        drawn=reports is not None,
        audited=[view for view in pairs if view["audit"]],
        unmatched=[("a", "b", found.unmatched_a), ("b", "a", found.unmatched_b)],
        glossary=Glossary(),
        signed=_signed,
        **signs([*phases, None]),
    )


def _file_name(model: ModelInfo) -> str:
    return word(PurePath(model.path.replace("\\", "/")).name or model.path, MAX_NAME)


def _side(found: Comparison, side: int, reports: tuple[Report, Report] | None) -> dict[str, Any]:
    """Give what stands of one model: its file, how much of it was analysed, and how much of that was matched."""
    left: Sequence[Unmatched] = (found.unmatched_a, found.unmatched_b)[side]
    return {
        "letter": "ab"[side],
        "model": (found.a, found.b)[side],
        "coverage": None if reports is None else reports[side].coverage,
        "matched": len(found.pairs),
        "layers": len(found.pairs) + len(left),
    }


def _headline(found: Comparison) -> str:
    """Say in one sentence how much changed."""
    if not found.pairs:
        return "No layer of the one was found in the other."
    same = found.verdicts.get("identical", 0)
    number = len(found.pairs)
    if same == number:
        return f"All {number} paired layers hold the same values." if number > 1 else "The one pair is identical."
    changed = ", ".join(f"{word(kind)} {n}" for kind, n in found.verdicts.items() if kind != "identical")
    return f"{number - same} of {numbers.counted(number, 'paired layer')} changed: {changed}."


def _caveats(found: Comparison) -> list[str]:
    """Say how far the comparison reaches."""
    told = []
    left = [("a", len(found.unmatched_a)), ("b", len(found.unmatched_b))]
    told += [f"{numbers.counted(n, 'layer')} of {side} without a counterpart: not compared." for side, n in left if n]
    apart = sum(not pair.comparable for pair in found.pairs)
    if apart:
        told.append(f"{numbers.counted(apart, 'pair')} cannot be held against each other, and enter no mean.")
    if found.from_reports:
        told.append("Made from saved reports, which hold hashes, metrics and leading eigenvalues, but no values.")
    beside = Counter(change.kind for pair in found.pairs for change in pair.changes[1:])
    if beside:
        told.append(f"Beside another change: {', '.join(f'{word(kind)} {n}' for kind, n in beside.items())}.")
    return told


def _kinds(found: Comparison) -> list[dict[str, Any]]:
    """Give each thing that happened, in plain English, with how many layers it happened to."""
    listed = []
    for kind, number in found.verdicts.items():
        names = [pair.name_a for pair in found.pairs if pair.verdict == kind]
        listed.append({"kind": kind, "entry": _entry(kind), "number": number, "names": names[:NAMED]})
    return listed


def _entry(kind: str) -> Entry | None:
    known = find(kind, "verdict") if len(kind) < MAX_NAME else ()
    return known[0] if known else None


def _pair(at: int, pair: LayerPair, layers: Sequence[Mapping[str, Layer]]) -> dict[str, Any]:
    """Give what the templates show of one pair."""
    measures = {measure.name: measure for measure in pair.measures}
    elements = pair.elements or {}
    return {
        "at": at,
        "pair": pair,
        "alpha": measures.get("alpha"),
        "change": _percent(elements.get("relative_change")),
        "cosine": elements.get("cosine"),
        "moved": _delta(measures.get("log_spectral_norm")),
        "stable": measures.get("stable_rank"),
        "phase": pair.phase_a if pair.phase_a == pair.phase_b else None,
        "changes": [(change, _facts(change.evidence), _facts(change.background)) for change in pair.changes],
        "groups": [
            (title, facts)
            for title, facts in (
                ("Values", _facts(pair.elements)),
                ("Leading singular vectors", _facts(pair.subspace)),
                ("Spectrum of b − a", _facts(pair.difference)),
                ("Quantisation", _facts(pair.audit)),
            )
            if facts
        ],
        "audit": [_fact(pair.audit.get(name)) for name in AUDIT] + [_moved(pair.audit)]
        if pair.audit and "sqnr_db" in pair.audit
        else [],
        "chart": _overlay(pair, layers) if pair.verdict != "identical" else None,
    }


def _overlay(pair: LayerPair, layers: Sequence[Mapping[str, Layer]]) -> Any:
    """Give both spectra in one chart, where both are stored."""
    sides = [held.get(name) for held, name in zip(layers, (pair.a, pair.b))]
    if len(sides) < 2 or sides[0] is None or sides[1] is None:
        return None
    drawn = overlay(sides[0], sides[1])
    return None if drawn is None else chart(drawn)


def _delta(measure: Measure | None) -> float | None:
    return None if measure is None else measure.delta


def _moved(audit: Mapping[str, Any]) -> str:
    """Name the metrics that moved by more than rounding explains."""
    return _fact(audit.get("moved_beyond_rounding")) or "nothing"


def _facts(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Give numbers and words of evidence as text; what is null or has parts of its own is left out."""
    found = [(word(name), _fact(value)) for name, value in (values or {}).items()]
    return [(name, told) for name, told in found if told][:MOST_FACTS]


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return numbers.value(value)
    if isinstance(value, str):
        return word(value)
    if isinstance(value, (list, tuple)):
        shown = [told for item in value[:MOST_LISTED] if (told := _fact(item))]
        return ", ".join(shown) + (f", … ({len(value)})" if len(value) > MOST_LISTED else "")
    return ""


def _percent(value: Any) -> str:
    return f"{numbers.short(100.0 * value, 3)} %" if isinstance(value, (int, float)) else numbers.MISSING


def _signed(value: Any, digits: int = 3) -> str:
    """Give a difference with its sign."""
    if not isinstance(value, (int, float)):
        return numbers.MISSING
    told = numbers.value(value, digits)
    return f"+{told}" if value > 0 else told
