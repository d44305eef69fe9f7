"""Comparisons of two models as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Callable, Iterator, Mapping
from textwrap import wrap
from typing import Any

from onnxspec.errors import UsageError
from onnxspec.report._plain import plain, shortened
from onnxspec.report.csv import cell
from onnxspec.report.markdown import code
from onnxspec.results.comparison import Comparison, LayerPair, Measure, Unmatched

__all__ = ["COMPARISON_FORMATS", "comparison_formatter"]

WIDTH = 80
NAME = 26
MOST_LINES = 500

_COLUMNS = (
    *("a", "b", "name_a", "name_b", "role", "parameters", "matched_by", "verdict", "also", "reversed", "comparable"),
    *("reason", "what", "relative_change", "cosine", "share_equal", "subspace_overlap", "subspace_background"),
    *("difference_sv_max", "difference_stable_rank", "difference_alpha", "difference_spikes", "phase_a", "phase_b"),
    *("sqnr_db", "effective_bits_min", "effective_bits_median", "clipped", "unused_codes", "moved_beyond_rounding"),
)
_MEASURES = ("alpha", "lambda_max", "log_norm", "log_spectral_norm", "stable_rank", "entropy", "rank", "spikes")


def comparison_formatter(name: str) -> Callable[[Comparison], str]:
    """Find a format by its name.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in COMPARISON_FORMATS:
        raise UsageError(f"there is no format {name[:40]!r} of comparisons; there is {', '.join(COMPARISON_FORMATS)}.")
    return COMPARISON_FORMATS[name]


def table(found: Comparison) -> str:
    """Give plain text of 80 columns: changed layers first, with what happened to each."""
    lines = [f"a: {plain(found.a.path)}", f"b: {plain(found.b.path)}", _counts(found), ""]
    changed = [pair for pair in found.pairs if pair.verdict != "identical"]
    if changed:
        lines.append(f"{'layer':<{NAME}} {'change':>8} {'cosine':>7} {'alpha a':>12} {'alpha b':>12} {'dlog lmax':>9}")
    for pair in changed[:MOST_LINES]:
        lines.append(_line(pair))
        for change in pair.changes:
            lines += wrap(
                f"{change.kind}: {plain(change.what)}", WIDTH - 2, initial_indent="  ", subsequent_indent="    "
            )
    if len(changed) > MOST_LINES:
        lines.append(f"and {len(changed) - MOST_LINES} more; -f json lists them")
    for title, rows in (("a", found.unmatched_a), ("b", found.unmatched_b)):
        lines += _unmatched_lines(title, rows)
    lines += [*_audit_lines(found), *_model_lines(found), *_note_lines(found)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _counts(found: Comparison) -> str:
    """Say how many layers were paired, and what happened to them."""
    if not found.pairs:
        return "No layer of the one was found in the other."
    said = ", ".join(f"{n} {kind}" for kind, n in found.verdicts.items())
    source = " (from saved reports)" if found.from_reports else ""
    return f"{len(found.pairs)} pairs of layers{source}: {said}"


def _line(pair: LayerPair) -> str:
    """Give the numbers of one pair in one line."""
    elements = pair.elements or {}
    change = elements.get("relative_change")
    cosine = elements.get("cosine")
    alpha = _by_name(pair).get("alpha")
    spectral = _by_name(pair).get("log_spectral_norm")
    moved = spectral.delta if spectral else None
    mark = "" if pair.comparable else " *"
    return (
        f"{shortened(plain(pair.name_a), NAME):<{NAME}} {_percent(change):>8} {_number(cosine, 4):>7} "
        f"{_with_error(alpha, 'a'):>12} {_with_error(alpha, 'b'):>12} {_signed(moved):>9}{mark}"
    )


def _by_name(pair: LayerPair) -> dict[str, Measure]:
    return {measure.name: measure for measure in pair.measures}


def _with_error(alpha: Measure | None, side: str) -> str:
    """Give alpha with its standard error."""
    value = None if alpha is None else getattr(alpha, side)
    if value is None:
        return "-"
    error = getattr(alpha, f"stderr_{side}")
    return f"{value:.2f}" if error is None else f"{value:.2f} ±{error:.2f}"


def _percent(value: Any) -> str:
    return f"{100.0 * value:.3g} %" if isinstance(value, (int, float)) else "-"


def _number(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else "-"


def _signed(value: Any) -> str:
    return f"{value:+.3f}" if isinstance(value, (int, float)) else "-"


def _unmatched_lines(title: str, rows: tuple[Unmatched, ...]) -> list[str]:
    if not rows:
        return []
    lines = ["", f"Without a counterpart in {'b' if title == 'a' else 'a'} ({len(rows)} layers of {title}):"]
    for row in rows[:MOST_LINES]:
        shape = "x".join(map(str, row.shape))
        lines.append(f"  {shortened(plain(row.name), 40)} {row.role} {shape} {row.reason}")
    return lines


def _audit_lines(found: Comparison) -> list[str]:
    """Give what quantisation cost, a line a layer."""
    audited = [(pair, pair.audit) for pair in found.pairs if pair.audit and "sqnr_db" in pair.audit]
    if not audited:
        return []
    lines = [
        "",
        f"{'quantisation':<{NAME}} {'SQNR dB':>7} {'bits':>4} {'effective':>9} {'clipped':>7} {'unused':>6}  moved",
    ]
    for pair, audit in audited[:MOST_LINES]:
        moved = ", ".join(map(str, audit.get("moved_beyond_rounding") or ())) or "nothing"
        lines.append(
            f"{shortened(plain(pair.name_a), NAME):<{NAME}} {_number(audit.get('sqnr_db'), 1):>7} "
            f"{_count(audit.get('bits')):>4} {_number(audit.get('effective_bits_min'), 2):>9} "
            f"{_count(audit.get('clipped')):>7} {_count(audit.get('unused_codes')):>6}  {plain(moved)}"
        )
    return lines


def _count(value: Any) -> str:
    return str(value) if isinstance(value, int) else "-"


def _model_lines(found: Comparison) -> list[str]:
    if not found.measures:
        return []
    lines = [
        "",
        f"{'mean over pairs':<20} {'pairs':>5} {'a':>10} {'b':>10} {'b - a':>10} {'up':>4} {'down':>4} {'sign p':>8}",
    ]
    for m in found.measures:
        p = "-" if m.sign_p is None else f"{m.sign_p:.2g}"
        lines.append(
            f"{m.name:<20} {m.pairs:>5} {m.a:>10.4g} {m.b:>10.4g} {m.delta_mean:>+10.3g} "
            f"{m.raised:>4} {m.lowered:>4} {p:>8}"
        )
    return lines


def _note_lines(found: Comparison) -> list[str]:
    lines: list[str] = []
    if any(not pair.comparable for pair in found.pairs):
        lines.append("* not compared as if equal: these enter no mean.")
    for note in found.diagnostics:
        lines += wrap(plain(f"{note.code}: {note.message}."), WIDTH, subsequent_indent="  ")
    return ["", *lines] if lines else []


def markdown(found: Comparison) -> str:
    """Give GitHub-flavoured Markdown; everything that comes from a file stands in code spans."""
    lines = [f"## {code(found.a.path)} and {code(found.b.path)}", "", _counts(found), ""]
    changed = [pair for pair in found.pairs if pair.verdict != "identical"]
    if changed:
        lines += ["| layer | what happened | change | alpha | d log10 lambda_max |", "|---|---|--:|---|--:|"]
    for pair in changed[:MOST_LINES]:
        measures = _by_name(pair)
        alpha, spectral = measures.get("alpha"), measures.get("log_spectral_norm")
        what = "; ".join(f"**{change.kind}**: {code(change.what, 200)}" for change in pair.changes)
        lines.append(
            f"| {code(pair.name_a)} | {what} | {_percent((pair.elements or {}).get('relative_change'))} | "
            f"{_with_error(alpha, 'a')} to {_with_error(alpha, 'b')} | "
            f"{_signed(spectral.delta if spectral else None)}{'' if pair.comparable else ' (not comparable)'} |"
        )
    for title, rows in (("a", found.unmatched_a), ("b", found.unmatched_b)):
        if rows:
            lines += ["", f"Layers of {title} without a counterpart:", ""]
            lines += [f"- {code(row.name)} {code(row.role)}: {row.reason}" for row in rows[:MOST_LINES]]
    if found.measures:
        lines += ["", "| mean | pairs | a | b | b - a | sign p |", "|---|--:|--:|--:|--:|--:|"]
        lines += [
            f"| {m.name} | {m.pairs} | {m.a:.4g} | {m.b:.4g} | {m.delta_mean:+.3g} | "
            f"{'-' if m.sign_p is None else format(m.sign_p, '.2g')} |"
            for m in found.measures
        ]
    lines += [f"\n{note.severity}: {code(note.code)}: {code(note.message, 300)}" for note in found.diagnostics]
    return "\n".join(lines) + "\n"


def csv(found: Comparison) -> str:
    """Give one row a pair."""
    out = io.StringIO()
    writer = csv_module.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"{name}_{side}" for name in _MEASURES for side in ("a", "b"))])
    for pair in found.pairs:
        values = dict(_cells(pair))
        measures = _by_name(pair)
        sides = [getattr(measures[n], s) if n in measures else None for n in _MEASURES for s in ("a", "b")]
        writer.writerow([*(cell(values.get(name)) for name in _COLUMNS), *(cell(value) for value in sides)])
    return out.getvalue()


def _cells(pair: LayerPair) -> Iterator[tuple[str, Any]]:
    """Give the cells of one pair by column."""
    for name in _COLUMNS:
        if hasattr(pair, name):
            yield name, getattr(pair, name)
    yield "also", " ".join(change.kind for change in pair.changes[1:])
    yield "what", " ".join(change.what for change in pair.changes)
    yield from _of(pair.elements, ("relative_change", "cosine", "share_equal"))
    yield from _of(pair.subspace, ("overlap", "background"), "subspace_")
    yield from _of(pair.difference, ("sv_max", "stable_rank", "alpha", "spikes"), "difference_")
    audit = pair.audit or {}
    yield from _of(audit, ("sqnr_db", "effective_bits_min", "effective_bits_median", "clipped", "unused_codes"))
    moved = audit.get("moved_beyond_rounding")
    yield "moved_beyond_rounding", " ".join(map(str, moved)) if moved else None


def _of(facts: Mapping[str, Any] | None, names: tuple[str, ...], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in names:
        yield f"{prefix}{name}", (facts or {}).get(name)


def json(found: Comparison) -> str:
    """Give the JSON form (docs/json-schema/comparison-1.json)."""
    return found.to_json()


def html(found: Comparison) -> str:
    """Give a self-contained page; with the reports of both models, `comparison_html.render` draws their spectra too."""
    from onnxspec.report.comparison_html import render

    return render(found)


COMPARISON_FORMATS: Mapping[str, Callable[[Comparison], str]] = {
    "table": table,
    "json": json,
    "markdown": markdown,
    "csv": csv,
    "html": html,
}
