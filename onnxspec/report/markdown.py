"""Markdown for pull requests: coverage, summary, a table of layers, and what was skipped.

Everything that comes from the file stands in a code span, where Markdown, HTML, mentions
and links are inert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onnxspec.report.verdict import verdict
from onnxspec.results import Coverage, Diagnostic, Layer, Report, Skip, Summary

__all__ = ["code", "render"]

MAX_LAYERS = 200  # a comment on GitHub may have 65,536 characters
MAX_NOTES = 50
MAX_NAME = 80

_HEADER = ("layer", "role", "N x M", "alpha", "tail", "D", "stable rank", "log norm", "phase", "trained", "note")
_NUMERIC = frozenset({"alpha", "tail", "D", "stable rank", "log norm"})


def render(reports: Sequence[Report]) -> str:
    """Give the reports as GitHub-flavoured Markdown."""
    return "\n".join("\n".join(_report(report)) + "\n" for report in reports)


def code(text: str, length: int = MAX_NAME) -> str:
    """Put text from a file into a code span that nothing in it can end, in a table cell too.

    Parameters
    ----------
    text : str
        Anything; control characters are shown as escapes.
    length : int
        Longer text is cut in its middle.
    """
    if len(text) > length:
        head = (length - 1) // 3
        text = f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if not text.strip(" "):
        return "(no name)"
    # in a cell a bar needs an odd number of backslashes before it
    text = re.sub(r"(\\*)\|", lambda found: found.group(1) + "\\" * (1 + len(found.group(1)) % 2) + "|", text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _report(report: Report) -> list[str]:
    """Give the lines of one report."""
    model = report.model
    lines = [f"## {code(model.path)}", "", *_coverage(report.coverage)]
    facts = [f"{model.bytes:,} bytes", f"sha256 `{model.sha256[:16]}`" if model.sha256.isalnum() else ""]
    if model.producer:
        facts.append(f"made by {code(model.producer)}")
    lines += [f"- Model: {', '.join(fact for fact in facts if fact)}"]
    found = verdict(report, code)
    if found is not None:
        lines += [f"- **Verdict**: {found.headline}", *(f"  - {line}" for line in found.details)]
        lines += _summary(report.summary)
    lines += ["", *_layers(report.layers)]
    skips = [skip for skip in report.skipped if skip.reason != "not_computed"]
    lines += _folded("Skipped or failed slots", (_skip(skip) for skip in skips), len(skips))
    known = {layer.name for layer in report.layers}
    notes = [note for note in report.diagnostics if note.subject is None or note.subject not in known]
    return lines + _folded("Diagnostics", (_diagnostic(note) for note in notes), len(notes))


def _coverage(coverage: Coverage) -> list[str]:
    """Say how much of the file was looked at."""
    slots = f"{coverage.slots_analyzed} of {coverage.slots} weight slots analysed"
    if not coverage.slots:
        slots = "the file holds no weight matrix of 64 elements or more"
    elif coverage.slots_skipped or coverage.slots_failed:
        slots += f", {coverage.slots_skipped} skipped, {coverage.slots_failed} failed"
    lines = [
        f"- **Coverage**: {slots}; {coverage.parameters_analyzed:,} of {coverage.parameters_total:,} parameters",
    ]
    if coverage.by_reason:
        lines.append(f"- Not analysed: {_counts(coverage.by_reason)}")
    if coverage.unsupported_ops:
        lines.append(f"- Unsupported operators: {_counts(coverage.unsupported_ops)}")
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code(name)} {count:,}" for name, count in counts.items())


def _summary(summary: Summary) -> list[str]:
    """Give the model metrics."""
    lines = [
        f"- **Summary**: {summary.layers} layers, {summary.layers_averaged} averaged, "
        f"{summary.layers_fitted} with a power-law fit"
    ]
    pairs = (
        ("alpha", summary.alpha_mean),
        ("alpha_weighted", summary.alpha_weighted_mean),
        ("alpha_hat", summary.alpha_hat_mean),
        ("log_norm", summary.log_norm_mean),
        ("log_spectral_norm", summary.log_spectral_norm_mean),
        ("stable_rank", summary.stable_rank_mean),
    )
    means = ", ".join(f"`{name}` {value:.3f}" for name, value in pairs if value is not None)
    if means:
        lines.append(f"- Means: {means}")
    if summary.phases:
        lines.append(f"- Phases: {_counts(summary.phases)}")
    return lines


def _layers(layers: Sequence[Layer]) -> list[str]:
    """Give the table of layers."""
    if not layers:
        return ["No layers."]
    rules = ["--:" if name in _NUMERIC else ":--" for name in _HEADER]
    lines = [_row(_HEADER), _row(rules), *(_row(_cells(layer)) for layer in layers[:MAX_LAYERS])]
    if len(layers) > MAX_LAYERS:
        lines += ["", f"{len(layers) - MAX_LAYERS} more layers are in the JSON report."]
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(layer: Layer) -> list[str]:
    """Give the cells of one layer."""
    note = [code(layer.reason)] if layer.reason else []
    if layer.status != "ok":
        note.insert(0, f"**{layer.status}**")
    elif not layer.averaged:
        note.append("not averaged")
    return [
        code(layer.name),
        code(layer.role),
        _shape(layer),
        _alpha(layer),
        "" if layer.n_tail is None else str(layer.n_tail),
        _number(layer.D, 3),
        _number(layer.stable_rank, 1),
        _number(layer.log_norm, 2),
        code(layer.phase) if layer.phase else "",
        _verdict(layer.trained),
        ", ".join(note),
    ]


def _shape(layer: Layer) -> str:
    if layer.N is None or layer.M is None:
        return " x ".join(map(str, layer.shape))
    times = f" ({layer.num_matrices} of them)" if (layer.num_matrices or 1) > 1 else ""
    return f"{layer.N} x {layer.M}{times}"


def _alpha(layer: Layer) -> str:
    """Give alpha with its interval, else with its standard error."""
    if layer.alpha is None:
        return "-"
    if layer.alpha_ci is not None:
        return f"{layer.alpha:.2f} ({layer.alpha_ci[0]:.2f} to {layer.alpha_ci[1]:.2f})"
    return f"{layer.alpha:.2f}" if layer.alpha_stderr is None else f"{layer.alpha:.2f} ± {layer.alpha_stderr:.2f}"


def _verdict(trained: Mapping[str, Any] | None) -> str:
    """Give the trained verdict, which in a saved report may be anything."""
    verdict = None if trained is None else trained.get("verdict")
    return code(verdict) if isinstance(verdict, str) else ""


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _skip(skip: Skip) -> str:
    detail = f": {code(skip.detail, 200)}" if skip.detail else ""
    return f"{code(skip.slot)} {code(skip.reason)}{detail}"


def _diagnostic(note: Diagnostic) -> str:
    subject = f" ({code(note.subject)})" if note.subject else ""
    return f"{note.severity}: {code(note.code)}: {code(note.message, 200)}{subject}"


def _folded(title: str, items: Iterable[str], count: int) -> list[str]:
    """Give a list that opens on a click."""
    if not count:
        return []
    shown = [f"- {item}" for _, item in zip(range(MAX_NOTES), items)]
    more = [f"- and {count - MAX_NOTES} more"] if count > MAX_NOTES else []
    return ["", f"<details><summary>{title} ({count})</summary>", "", *shown, *more, "", "</details>"]
