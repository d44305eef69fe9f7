"""``onnxspec compare``: what became of every layer of one model in another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxspec.cli.exit_codes import ExitCode, of_report, worst
from onnxspec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxspec.cli.output import Target
    from onnxspec.limits import Limits
    from onnxspec.policy import Policy
    from onnxspec.reading import Source
    from onnxspec.results import Report
    from onnxspec.results.comparison import Comparison

__all__ = ["compare"]

ENDINGS = {".json": "json", ".csv": "csv", ".md": "markdown", ".html": "html", ".htm": "html"}
ALLOW = "Exit 1 where anything else happened to a layer, 4 where it cannot be told; such as identical,cast,rounding."


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A model, or a report that analyze saved.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What may have become of it.")],
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="Judge B by this policy, with A as its baseline.")
    ] = None,
    allow: Annotated[str | None, typer.Option(metavar="VERDICTS", help=ALLOW)] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", "-f", metavar="FORMAT", help="table, json, csv, markdown or html.")
    ] = None,
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Write FILE, or fmt=FILE; repeatable.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="GLOB", help="Only layers of A of this id, name or tensor.")
    ] = None,
    effort: Annotated[
        str | None, typer.Option(help="fast, standard (phases too) or full (default: fast).", envvar="ONNXSPEC_EFFORT")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Layers at the same time (default: the cores).", envvar="ONNXSPEC_JOBS", min=1)
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for each of the two models.", min=0.0)] = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="Largest model file, such as 500M or 4G.", envvar="ONNXSPEC_MAX_BYTES")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
) -> None:
    """Say what happened to each layer between two models, and with what evidence.

    Layers are matched by what they hold, not by name. Two saved reports give what reports hold.
    """
    from onnxspec.cli.analyze import limits_of
    from onnxspec.cli.output import progress_bar
    from onnxspec.cli.saved import inert
    from onnxspec.engine import Job
    from onnxspec.engine.compare import compare_fully
    from onnxspec.settings import Settings

    wanted = _targets(format_name, output or [])
    allowed = _allowed(allow)
    judge = _policy(policy)
    chosen = effort or (judge.effort if judge is not None else "fast")
    limits = limits_of(max_bytes)
    sides = [_side(path, limits) for path in (a, b)]
    with progress_bar(b, quiet=quiet) as progress:
        job = Job(jobs=jobs, timeout=timeout, limits=limits, progress=progress)
        found = compare_fully(
            sides[0],
            sides[1],
            Settings(effort=chosen),  # type: ignore[arg-type]
            layer=layer or None,
            job=job,
        )
    comparison: Comparison = inert(found.comparison)
    _write(comparison, found.reports, wanted)
    codes = [of_report(report) for report in found.reports]
    if allowed is not None:
        codes.append(_judged(comparison, allowed, quiet=quiet))
    if judge is not None:
        codes.append(_by_policy(found.reports, judge, quiet=quiet))
    raise typer.Exit(worst(codes))


def _targets(format_name: str | None, outputs: Sequence[str]) -> list[Target]:
    """Read ``-f`` and ``-o`` for the formats of comparisons."""
    from onnxspec.report.comparison import COMPARISON_FORMATS, comparison_formatter

    found: list[Target] = []
    beside = True
    for output in outputs:
        name, equals, path = output.partition("=")
        if equals and name in COMPARISON_FORMATS:
            found.append((name, path))
        else:
            beside = False
            found.append((format_name or ENDINGS.get(Path(output).suffix.lower(), "table"), output))
    if not found or (format_name is not None and beside):
        found.insert(0, (format_name or "table", None))
    for name, _ in found:
        comparison_formatter(name)
    return found


def _write(comparison: Comparison, reports: tuple[Report, Report], wanted: Sequence[Target]) -> None:
    """Write each format; the page shows the spectra that the two reports hold."""
    from onnxspec.cli.output import write_text
    from onnxspec.report.comparison import comparison_formatter

    for name, path in wanted:
        if name == "html":
            from onnxspec.report.comparison_html import render

            write_text(render(comparison, reports), path)
        else:
            write_text(comparison_formatter(name)(comparison), path)


def _side(path: str, limits: Limits) -> Report | Source:
    """Read a saved report, or open a model."""
    from onnxspec.cli.check import is_report
    from onnxspec.cli.inputs import opened
    from onnxspec.cli.saved import load_reports

    if not is_report(path):
        return opened(path, limits)
    reports = load_reports(path)
    if len(reports) != 1:
        raise UsageError(f"{path}: holds {len(reports)} reports; compare takes one.")
    return reports[0]


def _allowed(text: str | None) -> frozenset[str] | None:
    from onnxspec.results.comparison import CHANGES

    if text is None:
        return None
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - set(CHANGES))
    if unknown or not names:
        raise UsageError(f"--allow is {text[:60]!r}; it takes {', '.join(CHANGES)}.")
    return names


def _judged(comparison: Comparison, allowed: frozenset[str], *, quiet: bool) -> ExitCode:
    """Say whether only what is allowed happened; what has no counterpart is not allowed."""
    from onnxspec.cli.output import note

    kinds = [(pair, {change.kind for change in pair.changes}) for pair in comparison.pairs]
    wrong = [
        f"{pair.name_a}: {', '.join(sorted(had - allowed))}" for pair, had in kinds if had - allowed - {"undecided"}
    ]
    wrong += [f"{row.name}: no counterpart" for row in (*comparison.unmatched_a, *comparison.unmatched_b)]
    unknown = [pair.name_a for pair, had in kinds if "undecided" in had - allowed]
    if not quiet:
        for text in wrong[:5]:
            note(f"onnxspec: not allowed: {text}")
        if len(wrong) > 5:
            note(f"onnxspec: and {len(wrong) - 5} more")
        if unknown:
            note(f"onnxspec: {len(unknown)} layers could not be decided")
    if wrong:
        return ExitCode.FAILED
    return ExitCode.INCOMPLETE if unknown or not comparison.pairs else ExitCode.OK


def _policy(path: str | None) -> Policy | None:
    from onnxspec.policy import load_policy

    return None if path is None else load_policy(path, None)


def _by_policy(reports: tuple[Report, Report], policy: Policy, *, quiet: bool) -> ExitCode:
    """Judge b by a policy with a as its baseline."""
    from onnxspec.cli.check import CODES
    from onnxspec.cli.output import note
    from onnxspec.cli.saved import inert
    from onnxspec.policy import check

    judgement = check(inert(reports[1]), policy, baseline=inert(reports[0]))
    if not quiet:
        note(f"onnxspec: policy {judgement.policy}: {judgement.verdict}")
        for finding in [f for f in judgement.findings if f.fails][:10]:
            note(f"onnxspec: {finding.code} {finding.subject}: {finding.message}")
    return CODES[judgement.verdict]
