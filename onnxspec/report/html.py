"""HTML: one self-contained file that needs no network and no scripts, printable, dark and light.

Templates escape everything by themselves; the Content-Security-Policy lets run the one script of the page and loads
nothing. The same reports give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from onnxspec.report import facts, numbers, sentences, svg
from onnxspec.report._plain import word
from onnxspec.report.glossary import Glossary
from onnxspec.report.svg.linear import beyond, known_spikes
from onnxspec.report.svg.signs import name_of, styles
from onnxspec.results import Layer, Report
from onnxspec.results.drawable import bulk_of, law_of, linear_of, minima_of, number, tail_of
from onnxspec.results.share import percent

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["fill", "markup", "render", "stylesheet"]

MAX_NAME, MAX_TEXT = 96, 400
MAX_ITEMS = 500  # of one list of skips or diagnostics
MAX_SLOTS = 8
QUOTED = re.compile(r'="([\w#-]+)"(?=[ >])')  # attributes that HTML lets stand without quotes
SPACED = re.compile(
    r"""("(?:\\.|[^"\\])*"|'[^']*'|/(?:\\.|[^/\\\n ])+/g)|\s*([-=+*<>?:;,{}()|&!])\s*"""
)  # or a text of the script
IMPLIED = re.compile(
    r"</(?:td|th|tr|thead|tbody|li|dt|dd)>"
)  # end tags that HTML implies, as our templates are written

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
    environment = _environment()
    script = _script()
    phases = [layer.phase for report in reports for layer in report.layers]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        reports=[_view(report, f"r{place}" if len(reports) > 1 else "") for place, report in enumerate(reports, 1)],
        title=_title(reports),
        symbols=_markup(svg.symbols(phases)),
        style=_markup(_style(phases)),
        script=_markup(script),
        script_hash=digest,
        glossary=Glossary(),
    )


def _view(report: Report, prefix: str) -> dict[str, Any]:
    """Give what the template needs to know of one report beside the report itself."""
    averaged = [layer for layer in report.layers if layer.status == "ok" and layer.averaged]
    charts = []
    for name in DISTRIBUTIONS:
        values = [x for layer in averaged if (x := number(getattr(layer, name))) is not None]
        chart = svg.distribution(values, name) if len(values) >= FEWEST else None
        if chart is not None:
            charts.append((name, _chart(chart), len(values)))
    flow = svg.alpha_by_depth(report.layers)
    return {
        "report": report,
        "prefix": prefix,
        "name": _file_name(report),
        "computed": bool(report.settings),
        "headline": sentences.headline(report),
        "sentences": sentences.model_sentences(report),
        "flow": _chart(flow) if flow is not None else None,
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
    return [(name, _chart(chart)) for name, chart in drawn if chart is not None]


def _chart(svg_text: str) -> Any:
    """Give a chart as a part of an HTML page."""
    return _markup(QUOTED.sub(r"=\1", svg_text))


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


def _digest(text: str) -> str:
    """Give the first sixteen digits of a hash."""
    return word(text, MAX_NAME).rpartition(":")[2][:16]


def _setting(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_setting(item) for item in value) or numbers.MISSING
    if value is None or isinstance(value, bool):
        return {None: "default", True: "yes", False: "no"}[value]
    return word(value, MAX_TEXT)


def _title(reports: Sequence[Report]) -> str:
    if len(reports) != 1:
        return f"{len(reports)} models"
    return word(_file_name(reports[0]), MAX_NAME)


def fill(template: str, **values: Any) -> str:
    """Fill a template for a page of another module; everything but `markup` is escaped."""
    return _environment().get_template(template).render(**values)


def markup(text: str) -> Any:
    """Mark text of our own as HTML; names in it are escaped already."""
    return _markup(text)


def stylesheet() -> str:
    """Give the style sheet that every page has."""
    return _text("report.css")


@cache
def _environment() -> Environment:
    """Give the templates, with the functions that they use."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    names = ("page.html", "model.html", "tables.html", "layer.html", "glossary.html", "macros.html", "series.html")
    environment = Environment(
        loader=DictLoader({name: _template(name) for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        name=lambda value: word(value, MAX_NAME),
        brief=lambda value: word(value, 32),
        text=lambda value: word(value, MAX_TEXT),
        short=numbers.short,
        fixed=numbers.fixed,
        interval=numbers.interval,
        size=numbers.size,
        shape=_shape,
        setting=_setting,
        share=percent,
        own=_own,
    )
    environment.globals.update(
        charts=_charts,
        spark=lambda layer: _markup(svg.sparkline(layer)),
        key=lambda phase: _markup(svg.key(phase)),
        digest=_digest,
        breakable=_breakable,
        layer_sentences=sentences.layer_sentences,
        verdict_of=sentences.verdict_of,
        tables=facts.tables,
        missing=facts.missing,
        quantization=facts.quantization,
        tail_of=tail_of,
        minima_of=minima_of,
        bulk_of=bulk_of,
        bulk_drawn=lambda layer: bulk_of(layer) if linear_of(layer) is None else law_of(layer),
        beyond=beyond,
        known_spikes=known_spikes,
        no_bulk=_no_bulk,
        max_items=MAX_ITEMS,
        max_slots=MAX_SLOTS,
    )
    return environment


def _breakable(name: str) -> Any:
    """Let a name break after its dots, slashes and underscores, and nowhere else where that is enough."""
    from markupsafe import escape

    return _markup(re.sub(r"([._/]+)(?=.)", r"\1<wbr>", str(escape(name))))


def _markup(text: str) -> Any:
    """Mark text of our own as HTML; names in it are escaped already."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - never text of a report


def _own(text: str) -> Any:
    """Escape a text of the catalogue, which stands between tags: quotes need no escape there."""
    return _markup(text.replace("&", "&amp;").replace("<", "&lt;"))


def _template(name: str) -> str:
    """Give a template without what HTML lets a page leave out."""
    return IMPLIED.sub("", QUOTED.sub(r"=\1", _text(f"{name}.j2")))


def _style(phases: Sequence[str | None]) -> str:
    """Give the style sheet with the colours of the phases."""
    dark = f"@media screen and (prefers-color-scheme:dark){{{styles(phases, dark=True)}}}"
    return f"{_text('report.css')}{styles(phases, dark=False)}{dark}"


def _script() -> str:
    """Give the script without comments, and without spaces around its signs."""
    lines = (line.strip() for line in _text("report.js").splitlines())
    told = "\n".join(line for line in lines if line and not line.startswith("//"))
    return SPACED.sub(lambda found: found[1] or found[2], told) + "\n"


@cache
def _text(name: str) -> str:
    return (files("onnxspec.report") / "templates" / name).read_text(encoding="utf-8")
