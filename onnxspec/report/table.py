"""A table for the terminal: coverage, one line a layer, the summary, and what was skipped."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxspec.report._names import short_names
from onnxspec.report._plain import packed, plain, shortened
from onnxspec.report.detail import detail_lines
from onnxspec.report.verdict import verdict
from onnxspec.results import Coverage, Layer, Report
from onnxspec.results.share import percent

__all__ = ["print_reports", "render"]

WIDTH = 80
MAX_SKIPS = 20
SPARK = 8
LEAST_NAME = 12
NUMERIC = {"alpha", "D", "tail", "stable", "log|W|"}
SPARE = ("role", "D", "log|W|", "stable", "95 %", "dtype", "log ESD", "tail", "trained", "operator", "note")
"""Columns to leave out in a narrow terminal, in this order: half a number is worse than none."""


def render(reports: Sequence[Report]) -> str:
    """Give the reports as plain text of 80 columns."""
    out = io.StringIO()
    print_reports(reports, out, width=WIDTH, color=False)
    return out.getvalue()


def print_reports(reports: Sequence[Report], file: IO[str], *, width: int | None = None, color: bool = True) -> None:
    """Print reports to a terminal or file.

    Parameters
    ----------
    reports : sequence of Report
        What to print.
    file : text file
        Where to.
    width : int, optional
        Columns; by default the terminal's.
    color : bool
        Whether colours may be used where `file` is a terminal.
    """
    console = Console(file=file, width=width, no_color=not color, highlight=False, soft_wrap=False, emoji=False)
    for position, report in enumerate(reports):
        if position:
            console.print()
        _print(console, report)


def _text(text: str, style: str = "") -> Text:
    """Show text that may come from a model or a saved report: the terminal obeys none of it."""
    return Text(plain(text), style=style)


def _print(console: Console, report: Report) -> None:
    model = report.model
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in model.opset_import.items())
    facts = " · ".join(part for part in (_bytes(model.bytes), opsets, model.producer) if part)
    console.print(_text(model.path, style="bold"), overflow="fold")
    console.print(_text(facts), overflow="fold")
    for line in coverage_lines(report):
        _print_list(console, line)
    console.print()
    if report.settings:
        _print_verdict(console, report)
        _print_summary(console, report)
        console.print()
        _print_layers(console, report)
    else:
        console.print(_weight_table(report.layers, console.width))
    _print_notes(console, report)


def _print_verdict(console: Console, report: Report) -> None:
    """Say in words what was found, before any number."""
    found = verdict(report)
    if found is None:
        return
    console.print(Text.assemble(("Verdict: ", "bold"), plain(found.headline)), overflow="fold")
    for line in found.details:
        _print_list(console, f"  {line}")
    console.print()


def _print_list(console: Console, line: str) -> None:
    """Print a list of things; a number stays with what it counts."""
    for part in packed(line, console.width):
        console.print(_text(part), overflow="fold")


def _print_layers(console: Console, report: Report) -> None:
    """Print a line for each layer, or one layer in full where only one was asked for."""
    shown = [layer for layer in report.layers if layer.reason != "not_selected"]
    if len(shown) < report.summary.layers:
        console.print(_text(f"{len(shown)} of {report.summary.layers} layers are shown"))
    if len(shown) == 1 < report.summary.layers:
        for line in detail_lines(shown[0]):
            console.print(_text(line), overflow="fold")
        return
    judged = report.settings.get("effort") != "fast"
    console.print((_verdict_table if judged else _number_table)(shown, console.width))


def coverage_lines(report: Report) -> list[str]:
    """Say in words how much of the file was looked at."""
    coverage = report.coverage
    computed = bool(report.settings)
    waiting = coverage.by_reason.get("not_computed", 0)
    done = coverage.slots_analyzed if computed else waiting
    word = "analysed" if computed else "readable"
    lines = []
    if not coverage.slots:
        lines.append("Coverage: the file holds no weight matrix of 64 elements or more")
    else:
        lines.append(f"Coverage: {done} of {coverage.slots} weight slots {word}{_share(done, coverage.slots)}")
    skipped = coverage.slots_skipped - (0 if computed else waiting)
    if skipped or coverage.slots_failed:
        lines[-1] += f", {skipped} skipped, {coverage.slots_failed} failed"
    reasons = {reason: n for reason, n in coverage.by_reason.items() if reason != "not_computed"}
    if reasons:
        lines.append("  by reason: " + ", ".join(f"{reason} {count}" for reason, count in reasons.items()))
    if coverage.unsupported_ops:
        lines.append("  unsupported: " + ", ".join(f"{op} {n}" for op, n in coverage.unsupported_ops.items()))
    lines.append(_parameters(coverage, computed=computed))
    return lines


def _parameters(coverage: Coverage, *, computed: bool) -> str:
    done = coverage.parameters_analyzed if computed else coverage.parameters_by_reason.get("not_computed", 0)
    line = (
        f"  parameters: {done:,} of {coverage.parameters_total:,} {'analysed' if computed else 'in weights'}"
        f"{_share(done, coverage.parameters_total)}"
    )
    rest = {reason: n for reason, n in coverage.parameters_by_reason.items() if reason != "not_computed"}
    if rest:
        line += "; " + ", ".join(f"{reason} {count:,}" for reason, count in rest.items())
    return line


def _share(part: int, whole: int) -> str:
    return f" ({percent(part, whole)})" if whole else ""


def _verdict_table(layers: Sequence[Layer], width: int) -> Table:
    """One line a layer: alpha with its interval, phase, trained verdict, and the shape of the spectrum."""
    columns = ("layer", "N x M", "alpha", "95 %", "tail", "phase", "trained", "log ESD")
    rows = []
    for layer in layers:
        trained = layer.trained["verdict"] if layer.trained else None
        decided = layer.phase if layer.phase != "undecided" else None
        told = decided or layer.reason or layer.reasons.get("phase", "undecided")
        cells = (
            _text(_shape(layer)),
            _text(_number(layer.alpha, 2) or "-"),
            _text("" if layer.alpha_ci is None else f"{layer.alpha_ci[0]:.1f}-{layer.alpha_ci[1]:.1f}"),
            _text("" if layer.n_tail is None else str(layer.n_tail)),
            _text(shortened(told, 13)),
            _text(shortened(trained or "-", 10), style="yellow" if trained == "noise" else ""),
            _text(_sparkline(layer)),
        )
        rows.append((cells, _style(layer)))
    return _filled(columns, layers, rows, width)


def _style(layer: Layer) -> str:
    return "red" if layer.status == "failed" else "dim" if layer.status == "skipped" else ""


def _sparkline(layer: Layer) -> str:
    """Draw the histogram of the logarithms of the eigenvalues in eight characters, heights on a log scale."""
    counts = layer.plot.esd_counts if layer.plot else ()
    if not counts:
        return ""
    each = max(1, len(counts) // SPARK)
    bins = [sum(counts[start : start + each]) for start in range(0, len(counts), each)]
    top = math.log1p(max(bins))
    return "".join(" ▁▂▃▄▅▆▇█"[round(8 * math.log1p(count) / top) if top else 0] for count in bins)


def _number_table(layers: Sequence[Layer], width: int) -> Table:
    """One line a layer: shape, alpha with its error, the tail, and what there is to say."""
    columns = ("layer", "role", "N x M", "alpha", "D", "tail", "stable", "log|W|", "note")
    rows = []
    for layer in layers:
        cells = (
            _text(shortened(layer.role, 10)),
            _text(_shape(layer)),
            _text(_with_error(layer.alpha, layer.alpha_stderr)),
            _text(_number(layer.D, 3)),
            _text("" if layer.n_tail is None else str(layer.n_tail)),
            _text(_number(layer.stable_rank, 1)),
            _text(_number(layer.log_norm, 2)),
            _text(_note(layer)),
        )
        rows.append((cells, _style(layer)))
    return _filled(columns, layers, rows, width)


def _weight_table(layers: Sequence[Layer], width: int) -> Table:
    """One line a weight: what it is, how it is stored, where in the graph it is used, and how it arrives there."""
    columns = ("weight", "role", "operator", "shape", "dtype", "place: arrives by")
    rows = []
    for layer in layers:
        arrives = " > ".join(layer.chain[-3:]) if layer.chain else "stored"
        if layer.place != "main":
            arrives = f"{layer.place.removeprefix('main/')}: {arrives}"
        note = arrives if layer.status != "failed" else f"failed: {layer.reason}"
        cells = (
            _text(shortened(layer.role, 10)),
            _text(shortened(layer.op_type, 12)),
            _text("x".join(map(str, layer.shape))),
            _text(layer.dtype),
            _text(shortened(note, max(18, width - 62))),
        )
        rows.append((cells, "red" if layer.status == "failed" else ""))
    return _filled(columns, layers, rows, width)


def _filled(
    columns: Sequence[str], layers: Sequence[Layer], rows: Sequence[tuple[Sequence[Text], str]], width: int
) -> Table:
    """Make a table: columns that there is no room for are left out, and the names take what the others leave."""
    widths = [max([len(head), *(cells[i].cell_len for cells, _ in rows)]) + 1 for i, head in enumerate(columns[1:])]
    kept = list(range(len(widths)))
    least = min(LEAST_NAME, max((len(layer.name) for layer in layers), default=0))
    for head in SPARE:
        if sum(widths[i] for i in kept) + least >= width and head in columns:
            kept.remove(columns.index(head) - 1)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    for name in (columns[0], *(columns[i + 1] for i in kept)):
        table.add_column(name, justify="right" if name in NUMERIC else "left", no_wrap=True)
    names = short_names([layer.name for layer in layers], max(LEAST_NAME, width - sum(widths[i] for i in kept) - 1))
    for name, (cells, style) in zip(names, rows):
        table.add_row(_text(name), *(cells[i] for i in kept), style=style)
    return table


def _shape(layer: Layer) -> str:
    if layer.N is None or layer.M is None:
        return "x".join(map(str, layer.shape))
    times = f" *{layer.num_matrices}" if (layer.num_matrices or 1) > 1 else ""
    return f"{layer.N}x{layer.M}{times}"


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if error is None else f"{value:.2f}±{error:.2f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _note(layer: Layer) -> str:
    parts = [layer.reason] if layer.reason else []
    if layer.status == "ok" and not layer.averaged:
        parts.append("not averaged")
    return ", ".join(parts)


def _print_summary(console: Console, report: Report) -> None:
    summary = report.summary
    console.print(
        _text(
            f"Summary of {summary.layers} layers: {summary.layers_averaged} averaged, "
            f"{summary.layers_fitted} with a power-law fit"
        )
    )
    pairs = (
        ("alpha mean", summary.alpha_mean),
        ("alpha median", summary.alpha_median),
        ("alpha_weighted mean", summary.alpha_weighted_mean),
        ("alpha_hat mean", summary.alpha_hat_mean),
        ("alpha_hat sum", summary.alpha_hat_sum),
        ("log_norm mean", summary.log_norm_mean),
        ("log_spectral_norm mean", summary.log_spectral_norm_mean),
        ("log_alpha_norm mean", summary.log_alpha_norm_mean),
        ("stable_rank mean", summary.stable_rank_mean),
    )
    cells = [f"{name} {'-' if value is None else format(value, '.3f')}" for name, value in pairs]
    _print_list(console, "  " + ", ".join(cells))


def _print_notes(console: Console, report: Report) -> None:
    """List what was skipped and why, and the diagnostics."""
    skips = [skip for skip in report.skipped if skip.reason != "not_computed"]
    if skips:
        console.print()
        console.print(_text("Skipped or failed slots"))
        for skip in skips[:MAX_SKIPS]:
            detail = f" ({skip.detail})" if skip.detail else ""
            console.print(_text(f"  {shortened(skip.slot, 60)}: {skip.reason}{detail}"), overflow="fold")
        if len(skips) > MAX_SKIPS:
            rest = Counter(skip.reason for skip in skips[MAX_SKIPS:])
            console.print(_text(f"  and {', '.join(f'{n} more: {reason}' for reason, n in sorted(rest.items()))}"))
    others = [d for d in report.diagnostics if d.subject is None or d.subject not in {x.name for x in report.layers}]
    if others:
        console.print()
        console.print(_text("Diagnostics"))
        for diagnostic in others[:MAX_SKIPS]:
            subject = f" [{shortened(diagnostic.subject, 40)}]" if diagnostic.subject else ""
            console.print(_text(f"  {diagnostic.severity}: {diagnostic.code}: {diagnostic.message}{subject}"))
        if len(others) > MAX_SKIPS:
            console.print(_text(f"  and {len(others) - MAX_SKIPS} more"))


def _bytes(count: int) -> str:
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
