"""HTML: one self-contained file that needs no network and no scripts, printable, dark and light.

What all pages share is in `page`; this module gives the page of reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from onnxspec.report import facts, numbers, sentences, svg
from onnxspec.report._plain import word
from onnxspec.report.glossary import Glossary
from onnxspec.report.page import MAX_NAME, MAX_TEXT, chart, fill, markup, signs
from onnxspec.report.svg.linear import beyond, known_spikes
from onnxspec.report.svg.signs import name_of
from onnxspec.results import Layer, Report
from onnxspec.results.drawable import bulk_of, law_of, linear_of, minima_of, number, tail_of

__all__ = ["render"]

MAX_SLOTS = 8
FEWEST = 3  # values that make a distribution
DISTRIBUTIONS = ("alpha", "alpha_hat", "stable_rank")
MODEL_METRICS = (
    "alpha_mean",
    "alpha_median",
    "alpha_iqr",
    "alpha_mean_by_parameters",
    "alpha_weighted_mean",
    "alpha_hat_mean",
    "alpha_hat_sum",
    "log_norm_mean",
    "log_spectral_norm_mean",
    "log_alpha_norm_mean",
    "stable_rank_mean",
    "entropy_mean",
)


def render(reports: Sequence[Report]) -> str:
    """Give the reports as one page; several of them stand in it as sections, below an index."""
    return fill(
        "page.html",
        reports=[_view(report, f"r{place}" if len(reports) > 1 else "") for place, report in enumerate(reports, 1)],
        title=_title(reports),
        glossary=Glossary(),
        **signs(layer.phase for report in reports for layer in report.layers),
        **_FUNCTIONS,
    )


def _view(report: Report, prefix: str) -> dict[str, Any]:
    """Give what the template needs to know of one report beside the report itself."""
    averaged = [layer for layer in report.layers if layer.status == "ok" and layer.averaged]
    charts = []
    for name in DISTRIBUTIONS:
        values = [x for layer in averaged if (x := number(getattr(layer, name))) is not None]
        drawn = svg.distribution(values, name) if len(values) >= FEWEST else None
        if drawn is not None:
            charts.append((name, chart(drawn), len(values)))
    flow = svg.alpha_by_depth(report.layers)
    return {
        "report": report,
        "prefix": prefix,
        "name": _file_name(report),
        "computed": bool(report.settings),
        "headline": sentences.headline(report),
        "sentences": sentences.model_sentences(report),
        "flow": chart(flow) if flow is not None else None,
        "distributions": charts,
        "phases": sorted({name_of(layer.phase) for layer in report.layers if layer.alpha is not None}),
        "metrics": [(name, _summary_value(report, name)) for name in MODEL_METRICS] if report.settings else [],
        "skips": [skip for skip in report.skipped if skip.reason != "not_computed"],
        "findings": [_finding(finding) for finding in report.findings],
        "never": facts.never(report.layers),
        "settings": {key: value for key, value in report.settings.items() if not isinstance(value, Mapping)},
    }


def _file_name(report: Report) -> str:
    """Give the last part of the model's path."""
    return PurePath(report.model.path.replace("\\", "/")).name or report.model.path


def _summary_value(report: Report, name: str) -> str:
    value = getattr(report.summary, name)
    return numbers.interval(value) or numbers.MISSING if name == "alpha_iqr" else numbers.short(value)


def _finding(finding: Mapping[str, Any]) -> dict[str, str]:
    """Read a finding of a saved report, which may hold anything."""
    names = ("code", "name", "severity", "state", "message", "subject")
    return {name: word(finding.get(name) or "", MAX_TEXT) for name in names}


def _charts(layer: Layer) -> list[tuple[str, Any]]:
    """Give the charts of one layer by name."""
    drawn = (("esd", svg.esd(layer)), ("linear", svg.esd_linear(layer)), ("scree", svg.scree(layer)))
    return [(name, chart(text)) for name, text in drawn if text is not None]


def _shape(layer: Layer) -> str:
    if layer.N is None or layer.M is None:
        return " × ".join(map(str, layer.shape))
    times = f" (×{layer.num_matrices})" if (layer.num_matrices or 1) > 1 else ""
    return f"{layer.N} × {layer.M}{times}"


def _no_bulk(layer: Layer) -> str:
    """Say why no law of the bulk is drawn."""
    if layer.mp is None:
        return f"No bulk: {word(layer.reasons.get('mp', 'unknown'))}."
    if layer.num_matrices != 1 or (layer.mp.get("N"), layer.mp.get("M")) != (layer.N, layer.M):
        return "The bulk fit is of the unfolded kernel, whose eigenvalues are others."
    return f"No bulk: {word(layer.mp.get('reason') or 'unknown')}."


def _title(reports: Sequence[Report]) -> str:
    if len(reports) != 1:
        return f"{len(reports)} models"
    return word(_file_name(reports[0]), MAX_NAME)


_FUNCTIONS: dict[str, Any] = {
    "charts": _charts,
    "shape": _shape,
    "spark": lambda layer: markup(svg.sparkline(layer)),
    "layer_sentences": sentences.layer_sentences,
    "verdict_of": sentences.verdict_of,
    "tables": facts.tables,
    "missing": facts.missing,
    "quantization": facts.quantization,
    "tail_of": tail_of,
    "minima_of": minima_of,
    "bulk_of": bulk_of,
    "bulk_drawn": lambda layer: bulk_of(layer) if linear_of(layer) is None else law_of(layer),
    "beyond": beyond,
    "known_spikes": known_spikes,
    "no_bulk": _no_bulk,
    "max_slots": MAX_SLOTS,
}
"""What the templates of reports call."""
